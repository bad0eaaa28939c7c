package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The struct tags of the configuration's types:
//
//	hcl:"name"      an attribute, block:"name" a nested block, label:"name" a label of the block that the struct is,
//	repeats:"true"  of nested blocks: there may be several with the same labels
//	name:"x"        a member that the block with label x fills; a list takes those with a second label
//	secret:"true"   a value that no diagnostic shows
//	default:"text"  value when absent; required:"true" when there is none
//	min, max        bounds of a number or duration; lengths of a string, list or map
//	oneof:"a,b"     values that a string may have
//	path:"true"     a path, relative to the folder of the file
//	unit, help      for the reference

// attributesOf are the attributes of a block's struct, those of embedded structs included.
func attributesOf(t reflect.Type) []reflect.StructField {
	return tagged(t, "hcl")
}

func blocksOf(t reflect.Type) []reflect.StructField {
	return tagged(t, "block")
}

// tagged are the members of a struct that carry a tag; none for what is not a struct.
func tagged(t reflect.Type, tag string) []reflect.StructField {
	if t.Kind() != reflect.Struct {
		return nil
	}
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool {
		_, ok := f.Tag.Lookup(tag)
		return !ok
	})
}

// structOf is the struct behind a block's member: the block itself, a pointer to it or a slice of pointers.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// setDefaults fills a block's struct, and the blocks it always has, with the documented defaults.
func setDefaults(block any) {
	v := reflect.ValueOf(block).Elem()
	for _, f := range attributesOf(v.Type()) {
		if text, ok := f.Tag.Lookup("default"); ok {
			setText(v.FieldByIndex(f.Index), text)
		}
	}
	for _, f := range blocksOf(v.Type()) {
		if f.Type.Kind() == reflect.Struct {
			setDefaults(v.FieldByIndex(f.Index).Addr().Interface())
		}
	}
}

// setText sets a default, which a test has checked for every tag: so a failure is a mistake of this package.
func setText(v reflect.Value, text string) {
	var err error
	switch dst := v.Addr().Interface().(type) {
	case *string:
		*dst = text
	case *bool:
		*dst, err = strconv.ParseBool(text)
	case *int64:
		*dst, err = strconv.ParseInt(text, 10, 64)
	case *time.Duration:
		*dst, err = time.ParseDuration(text)
	default:
		err = fmt.Errorf("a %s has no default", v.Type())
	}
	if err != nil {
		panic(err)
	}
}

// typeNames are the types of attributes as an operator reads them.
var typeNames = map[reflect.Type]string{
	reflect.TypeFor[string]():            "string",
	reflect.TypeFor[bool]():              "bool",
	reflect.TypeFor[int64]():             "whole number",
	reflect.TypeFor[uint64]():            "whole number",
	reflect.TypeFor[time.Duration]():     "duration",
	reflect.TypeFor[Bytes]():             "size in bytes",
	reflect.TypeFor[[]string]():          "list of strings",
	reflect.TypeFor[[]uint64]():          "list of whole numbers",
	reflect.TypeFor[[]netip.Prefix]():    "list of CIDR strings",
	reflect.TypeFor[map[string]string](): "map of strings",
	reflect.TypeFor[Command]():           "string or list of strings",
}

// Row is one line of the configuration's reference.
type Row struct {
	// Block is the path of blocks with placeholders for labels, such as `plugin "KIND" "NAME"`; empty for the top level.
	Block string
	// Name is the attribute; empty for the row of the block itself.
	Name string
	// Type, Unit, Default and Bounds are texts; Default is "required" for an attribute that must be set.
	Type, Unit, Default, Bounds string
	Help                        string
}

// Reference lists every block and attribute with its type, default and bounds, in the order of the types. Documentation is
// made from it.
func Reference() []Row {
	return rows("", reflect.TypeFor[Config]())
}

func rows(block string, t reflect.Type) []Row {
	var out []Row
	for _, f := range attributesOf(t) {
		out = append(out, attributeRow(block, f))
	}
	for _, f := range blocksOf(t) {
		path := strings.TrimSpace(block + " " + f.Tag.Get("block"))
		out = append(out, blockRows(path, f)...)
	}
	return out
}

func blockRows(path string, f reflect.StructField) []Row {
	t := structOf(f.Type)
	if members := tagged(t, "name"); len(members) > 0 {
		var out []Row
		for _, m := range members {
			named := withLabels(fmt.Sprintf("%s %q", path, m.Tag.Get("name")), structOf(m.Type))
			out = append(out, Row{Block: named, Help: f.Tag.Get("help")})
			out = append(out, rows(named, structOf(m.Type))...)
		}
		return out
	}
	path = withLabels(path, t)
	out := []Row{{Block: path, Help: f.Tag.Get("help")}}
	if t == reflect.TypeFor[Body]() {
		return out
	}
	return append(out, rows(path, t)...)
}

// withLabels is the header of a block with placeholders for its labels.
func withLabels(path string, t reflect.Type) string {
	for _, label := range tagged(t, "label") {
		path += fmt.Sprintf(" %q", strings.ToUpper(label.Tag.Get("label")))
	}
	return path
}

func attributeRow(block string, f reflect.StructField) Row {
	row := Row{
		Block: block, Name: f.Tag.Get("hcl"), Type: typeNames[f.Type], Unit: f.Tag.Get("unit"),
		Default: f.Tag.Get("default"), Help: f.Tag.Get("help"),
	}
	if f.Tag.Get("required") != "" {
		row.Default = "required"
	}
	low, high := f.Tag.Get("min"), f.Tag.Get("max")
	switch {
	case f.Tag.Get("oneof") != "":
		row.Bounds = strings.ReplaceAll(f.Tag.Get("oneof"), ",", " or ")
	case low != "" && high != "":
		row.Bounds = low + " to " + high
	case high != "":
		row.Bounds = "at most " + high
	case low != "":
		row.Bounds = "at least " + low
	}
	return row
}
