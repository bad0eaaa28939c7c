package canonical

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
)

// presence is the column of contract §0.3 that a field is in.
type presence uint8

const (
	required  presence = iota // R
	nullable                  // O
	omittable                 // OS
	defaulted                 // D(v)
	emptyable                 // DE
)

type field struct {
	name     string
	prefix   []byte // the encoded name and its colon
	index    int
	presence presence
	fallback string
	variants []string // values of the tag with which the field exists; none means always
	codec    *codec
}

type structPlan struct {
	declared  []field
	canonical []field
	tagged    bool // the first field is the tag of a union
}

func structCodec(t reflect.Type) *codec {
	plan := &structPlan{}
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("member") != "" {
			plan.declared = append(plan.declared, newField(i, f))
			plan.tagged = plan.tagged || f.Tag.Get("variant") != ""
		}
	}
	plan.canonical = slices.Clone(plan.declared)
	slices.SortFunc(plan.canonical, func(a, b field) int { return bytes.Compare(a.prefix, b.prefix) })
	return &codec{append: plan.append, decode: plan.decode}
}

func newField(index int, f reflect.StructField) field {
	name := f.Tag.Get("member")
	out := field{name: name, prefix: append(AppendString(nil, name), ':'), index: index, codec: codecOf(f.Type)}
	switch kind, fallback, _ := strings.Cut(f.Tag.Get("presence"), "="); kind {
	case "":
	case "O":
		out.presence = nullable
	case "OS":
		out.presence = omittable
	case "D":
		out.presence, out.fallback = defaulted, fallback
	case "DE":
		out.presence = emptyable
	default:
		panic("canonical: unknown presence " + kind)
	}
	if v := f.Tag.Get("variant"); v != "" {
		out.variants = strings.Split(v, ",")
	}
	return out
}

// exists reports whether a field is there in the variant that tag names.
func (f *field) exists(tag string) bool { return f.variants == nil || slices.Contains(f.variants, tag) }

func (p *structPlan) append(dst []byte, v reflect.Value, order Order) []byte {
	fields := p.declared
	if order == Canonical {
		fields = p.canonical
	}
	tag := ""
	if p.tagged {
		tag = v.Field(p.declared[0].index).String()
	}
	dst = append(dst, '{')
	first := true
	for i := range fields {
		f := &fields[i]
		fv := v.Field(f.index)
		if !f.exists(tag) || f.presence == omittable && fv.IsNil() || f.presence == emptyable && fv.Len() == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = f.codec.append(append(dst, f.prefix...), fv, order)
	}
	return append(dst, '}')
}

func (p *structPlan) decode(v Value, target reflect.Value) error {
	if v.Kind() != Object {
		return Mismatch(v, "a map")
	}
	tag := ""
	for i := range p.declared {
		f := &p.declared[i]
		if !f.exists(tag) {
			continue
		}
		if err := f.decode(v, target.Field(f.index)); err != nil {
			return err
		}
		if i == 0 && p.tagged {
			tag = target.Field(f.index).String()
		}
	}
	return nil
}

func (f *field) decode(object Value, target reflect.Value) error {
	v, ok := object.Member(f.name)
	switch {
	case ok && v.IsNull() && f.presence == required && target.Kind() == reflect.Pointer:
		// A hostile null would become a nil pointer, which nobody expects of a required member.
		return within(f.name, Mismatch(v, "a value"))
	case ok:
	case f.presence == nullable, f.presence == omittable, f.presence == emptyable:
		target.SetZero()
		return nil
	case f.presence == defaulted:
		v = NewString(f.fallback)
	default:
		return &DecodeError{Message: "missing field `" + f.name + "`"}
	}
	if err := f.codec.decode(v, target); err != nil {
		return within(f.name, err)
	}
	return nil
}
