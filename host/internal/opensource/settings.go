package opensource

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// body writes into a block, or the file.
type body struct{ *hclwrite.Body }

// top appends a block of the file itself, after an empty line.
func (b body) top(kind string, labels ...string) body {
	b.AppendNewline()
	return b.block(kind, labels...)
}

func (b body) block(kind string, labels ...string) body {
	return body{b.AppendNewBlock(kind, labels).Body()}
}

// settings writes the blocks of a whole configuration by the struct tags of their types, in the order of the types; byHand
// are the blocks that somebody else writes.
func (b body) settings(cfg any, byHand map[string]func()) {
	v := reflect.ValueOf(cfg).Elem()
	for _, f := range reflect.VisibleFields(v.Type()) {
		kind := f.Tag.Get("block")
		switch {
		case kind == "":
		case byHand[kind] != nil:
			byHand[kind]()
		case kind == "evidence":
			b.labelled(v.FieldByIndex(f.Index))
		default:
			b.nested(kind, v.FieldByIndex(f.Index), body.top)
		}
	}
}

// labelled writes the blocks of which the first label is the tag of a member.
func (b body) labelled(v reflect.Value) {
	for i := range v.NumField() {
		name := v.Type().Field(i).Tag.Get("name")
		switch member := v.Field(i); {
		case member.IsNil():
		case member.Kind() == reflect.Slice:
			for j := range member.Len() {
				one := member.Index(j).Elem()
				b.top("evidence", append([]string{name}, labels(one)...)...).members(one)
			}
		default:
			b.top("evidence", name).members(member.Elem())
		}
	}
}

// nested writes a block's member: a block that is always there only when something is in it.
func (b body) nested(kind string, v reflect.Value, begin func(body, string, ...string) body) {
	switch v.Kind() {
	case reflect.Struct:
		tried := body{hclwrite.NewEmptyFile().Body()}
		if tried.members(v); len(tried.Attributes())+len(tried.Blocks()) > 0 {
			begin(b, kind).members(v)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			begin(b, kind, labels(v.Elem())...).members(v.Elem())
		}
	default:
		for i := range v.Len() {
			begin(b, kind, labels(v.Index(i).Elem())...).members(v.Index(i).Elem())
		}
	}
}

func labels(v reflect.Value) []string {
	var all []string
	for _, f := range reflect.VisibleFields(v.Type()) {
		if _, ok := f.Tag.Lookup("label"); ok {
			all = append(all, v.FieldByIndex(f.Index).String())
		}
	}
	return all
}

// inClear stands above a secret.
const inClear = `In clear, as in the old file. Better: keep it elsewhere, and write env("NAME") or file("PATH").`

// members writes what is in a block: attributes that have not their default, then blocks.
func (b body) members(v reflect.Value) {
	for _, f := range reflect.VisibleFields(v.Type()) {
		member := v.FieldByIndex(f.Index)
		if name := f.Tag.Get("hcl"); name != "" && !isDefault(member, f.Tag) {
			if f.Tag.Get("secret") != "" {
				b.comment(inClear)
			}
			b.set(name, member.Interface())
		}
	}
	for _, f := range reflect.VisibleFields(v.Type()) {
		if kind := f.Tag.Get("block"); kind != "" {
			b.nested(kind, v.FieldByIndex(f.Index), body.block)
		}
	}
}

// isDefault reports whether an attribute may be left out. A list that is empty is none that is absent: often the two mean
// the opposite.
func isDefault(v reflect.Value, tag reflect.StructTag) bool {
	if tag.Get("required") != "" || tag.Get("hcl") == "listen" {
		return false
	}
	switch value := v.Interface().(type) {
	case time.Duration:
		normal, _ := time.ParseDuration(tag.Get("default"))
		return value == normal
	case bool:
		return fmt.Sprint(value) == tag.Get("default")
	case int64:
		return fmt.Sprint(value) == tag.Get("default")
	case string:
		return value == tag.Get("default")
	}
	return v.IsZero()
}

// set writes an attribute.
func (b body) set(name string, v any) { b.SetAttributeValue(name, value(reflect.ValueOf(v))) }

func value(v reflect.Value) cty.Value {
	switch known := v.Interface().(type) {
	case time.Duration:
		return cty.StringVal(short(known))
	case netip.Prefix:
		return cty.StringVal(known.String())
	}
	switch v.Kind() {
	case reflect.Bool:
		return cty.BoolVal(v.Bool())
	case reflect.Int64:
		return cty.NumberIntVal(v.Int())
	case reflect.Uint64:
		return cty.NumberUIntVal(v.Uint())
	case reflect.Slice:
		items := make([]cty.Value, v.Len())
		for i := range items {
			items[i] = value(v.Index(i))
		}
		return cty.TupleVal(items)
	case reflect.Map:
		items := map[string]cty.Value{}
		for _, key := range v.MapKeys() {
			items[key.String()] = value(v.MapIndex(key))
		}
		return cty.ObjectVal(items)
	}
	return cty.StringVal(v.String())
}

// short writes a duration as people do: 1m and not 1m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, rest := range []string{"0s", "0m"} {
		if cut, ok := strings.CutSuffix(text, rest); ok && cut != "" && slices.Contains([]byte("mh"), cut[len(cut)-1]) {
			text = cut
		}
	}
	return text
}
