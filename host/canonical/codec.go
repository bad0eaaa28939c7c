package canonical

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The codec maps Go structs to JSON by two tags:
//
//	Default *StageID `member:"default" presence:"O" variant:"branch"`
//
// presence is the column of contract §0.3: none is R (required), O is nullable and always written, OS is nullable and left
// out when nil, D=VALUE has a default, DE is a list left out when empty. variant names the values of the struct's first
// field, its tag, with which the field exists: that is a tagged union (contract §0.4-11). Fields are written in declaration
// order, or sorted when the form is canonical.

// Enum is a string with a fixed set of values.
type Enum interface{ Names() []string }

// NonZero is a uint64 whose 0 is refused (contract §1.1).
type NonZero interface{ NonZero() }

// Appender is a type that writes itself.
type Appender interface {
	AppendJSON(dst []byte, order Order) []byte
}

// Decoder is a type that reads itself.
type Decoder interface {
	DecodeJSON(v Value) error
}

// Append appends the JSON form of v: a Value, a struct with tags, or a list of them.
func Append(dst []byte, v any, order Order) []byte {
	rv := reflect.ValueOf(v)
	return codecOf(rv.Type()).append(dst, rv, order)
}

// Decode reads v into the struct that target points to, by the rules of contract §0.4: names are case-sensitive, unknown
// members are ignored, what is required must be there, integers are integer literals. The error names the member.
// The positional form [P-22] is refused.
func Decode(v Value, target any) error {
	rv := reflect.ValueOf(target).Elem()
	return codecOf(rv.Type()).decode(v, rv)
}

// DecodeError says which member could not be read.
type DecodeError struct {
	// Path leads to the member, outermost first, such as stages[0].gates[1].trust; empty for the document itself.
	Path    string
	Message string
}

func (e *DecodeError) Error() string {
	if e.Path == "" {
		return e.Message
	}
	return fmt.Sprintf("%s at `%s`", e.Message, e.Path)
}

// within puts a step in front of the path of an error.
func within(step string, err error) error {
	inner, ok := err.(*DecodeError)
	if !ok {
		inner = &DecodeError{Message: err.Error()}
	}
	path := inner.Path
	if path != "" && !strings.HasPrefix(path, "[") {
		path = "." + path
	}
	return &DecodeError{Path: step + path, Message: inner.Message}
}

// Mismatch is the error of a value of the wrong type.
func Mismatch(v Value, expected string) error {
	return &DecodeError{Message: fmt.Sprintf("invalid type: %s, expected %s", describe(v), expected)}
}

// maxQuoted bounds the part of a string that an error repeats.
const maxQuoted = 64

// shorten keeps a client's megabyte of text out of answers and logs.
func shorten(s string) string {
	if len(s) > maxQuoted {
		return strings.ToValidUTF8(s[:maxQuoted], "") + "…"
	}
	return s
}

func describe(v Value) string {
	switch v.Kind() {
	case Null:
		return "null"
	case Bool:
		return fmt.Sprintf("boolean `%t`", v.Bool())
	case Unsigned, Negative:
		return "integer `" + string(AppendValue(nil, v, Declared)) + "`"
	case Float:
		return "floating point `" + string(AppendValue(nil, v, Declared)) + "`"
	case String:
		return "string " + strconv.Quote(shorten(v.text))
	case Array:
		return "sequence"
	default:
		return "map"
	}
}

type codec struct {
	append func(dst []byte, v reflect.Value, order Order) []byte
	decode func(v Value, target reflect.Value) error
}

var (
	codecs      sync.Map // reflect.Type -> *codec
	valueType   = reflect.TypeFor[Value]()
	appendType  = reflect.TypeFor[Appender]()
	decoderType = reflect.TypeFor[Decoder]()
	enumType    = reflect.TypeFor[Enum]()
	nonZeroType = reflect.TypeFor[NonZero]()
)

func codecOf(t reflect.Type) *codec {
	if c, ok := codecs.Load(t); ok {
		return c.(*codec)
	}
	// Of two builds at the same time one is kept. A type that contains itself must be an Appender and a Decoder.
	actual, _ := codecs.LoadOrStore(t, build(t))
	return actual.(*codec)
}

func build(t reflect.Type) *codec {
	switch {
	case t == valueType:
		return valueCodec
	case t.Kind() == reflect.Pointer:
		// Before the rest: a pointer has the methods of what it points to, and may be nil.
		return pointerCodec(t)
	case t.Implements(appendType) && reflect.PointerTo(t).Implements(decoderType):
		return selfCodec
	case t.Implements(enumType):
		return enumCodec(t)
	}
	switch t.Kind() {
	case reflect.Bool:
		return boolCodec
	case reflect.String:
		return stringCodec
	case reflect.Int64:
		return intCodec
	case reflect.Uint8:
		return byteCodec
	case reflect.Uint64:
		if t.Implements(nonZeroType) {
			return nonZeroCodec
		}
		return uintCodec
	case reflect.Slice:
		return sliceCodec(t)
	case reflect.Map:
		return mapCodec(t)
	case reflect.Struct:
		return structCodec(t)
	default:
		panic("canonical: no JSON form for type " + t.String())
	}
}

var valueCodec = &codec{
	append: func(dst []byte, v reflect.Value, order Order) []byte {
		if v.CanAddr() {
			return AppendValue(dst, *v.Addr().Interface().(*Value), order)
		}
		return AppendValue(dst, v.Interface().(Value), order)
	},
	decode: func(v Value, target reflect.Value) error {
		*target.Addr().Interface().(*Value) = v
		return nil
	},
}

var selfCodec = &codec{
	append: func(dst []byte, v reflect.Value, order Order) []byte {
		return v.Interface().(Appender).AppendJSON(dst, order)
	},
	decode: func(v Value, target reflect.Value) error {
		return target.Addr().Interface().(Decoder).DecodeJSON(v)
	},
}

func enumCodec(t reflect.Type) *codec {
	names := reflect.Zero(t).Interface().(Enum).Names()
	return &codec{
		append: stringCodec.append,
		decode: func(v Value, target reflect.Value) error {
			s, ok := v.Text()
			if !ok {
				return Mismatch(v, "a string")
			}
			if !slices.Contains(names, s) {
				return UnknownVariant(s, names)
			}
			target.SetString(s)
			return nil
		},
	}
}

// UnknownVariant is the error of a name outside of its set.
func UnknownVariant(name string, names []string) error {
	list := "`" + strings.Join(names, "`, `") + "`"
	if len(names) > 1 {
		list = "one of " + list
	}
	return &DecodeError{Message: fmt.Sprintf("unknown variant `%s`, expected %s", shorten(name), list)}
}

var boolCodec = &codec{
	append: func(dst []byte, v reflect.Value, _ Order) []byte { return strconv.AppendBool(dst, v.Bool()) },
	decode: func(v Value, target reflect.Value) error {
		if v.Kind() != Bool {
			return Mismatch(v, "a boolean")
		}
		target.SetBool(v.Bool())
		return nil
	},
}

var stringCodec = &codec{
	append: func(dst []byte, v reflect.Value, _ Order) []byte { return AppendString(dst, v.String()) },
	decode: func(v Value, target reflect.Value) error {
		s, ok := v.Text()
		if !ok {
			return Mismatch(v, "a string")
		}
		target.SetString(s)
		return nil
	},
}

var intCodec = &codec{
	append: func(dst []byte, v reflect.Value, _ Order) []byte { return strconv.AppendInt(dst, v.Int(), 10) },
	decode: func(v Value, target reflect.Value) error {
		n, ok := v.Int()
		if !ok {
			return integerError(v, "i64")
		}
		target.SetInt(n)
		return nil
	},
}

var uintCodec = uintegerCodec("u64", func(uint64) bool { return true })

var nonZeroCodec = uintegerCodec("a nonzero u64", func(n uint64) bool { return n > 0 })

var byteCodec = uintegerCodec("u8", func(n uint64) bool { return n <= 255 })

func uintegerCodec(expected string, valid func(uint64) bool) *codec {
	return &codec{
		append: func(dst []byte, v reflect.Value, _ Order) []byte { return strconv.AppendUint(dst, v.Uint(), 10) },
		decode: func(v Value, target reflect.Value) error {
			n, ok := v.Uint()
			if !ok || !valid(n) {
				return integerError(v, expected)
			}
			target.SetUint(n)
			return nil
		},
	}
}

func integerError(v Value, expected string) error {
	if v.Kind() == Unsigned || v.Kind() == Negative {
		return &DecodeError{Message: "invalid value: " + describe(v) + ", expected " + expected}
	}
	return Mismatch(v, expected)
}

func pointerCodec(t reflect.Type) *codec {
	elem := codecOf(t.Elem())
	return &codec{
		append: func(dst []byte, v reflect.Value, order Order) []byte {
			if v.IsNil() {
				return append(dst, "null"...)
			}
			return elem.append(dst, v.Elem(), order)
		},
		decode: func(v Value, target reflect.Value) error {
			if v.IsNull() {
				target.SetZero()
				return nil
			}
			p := reflect.New(t.Elem())
			if err := elem.decode(v, p.Elem()); err != nil {
				return err
			}
			target.Set(p)
			return nil
		},
	}
}

func sliceCodec(t reflect.Type) *codec {
	elem := codecOf(t.Elem())
	return &codec{
		append: func(dst []byte, v reflect.Value, order Order) []byte {
			dst = append(dst, '[')
			for i := range v.Len() {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = elem.append(dst, v.Index(i), order)
			}
			return append(dst, ']')
		},
		decode: func(v Value, target reflect.Value) error {
			if v.Kind() != Array {
				return Mismatch(v, "a sequence")
			}
			list := reflect.MakeSlice(t, len(v.Items()), len(v.Items()))
			for i, item := range v.Items() {
				if err := elem.decode(item, list.Index(i)); err != nil {
					return within("["+strconv.Itoa(i)+"]", err)
				}
			}
			target.Set(list)
			return nil
		},
	}
}

// mapCodec reads an object with free names; names are written sorted, so that output does not depend on map order.
func mapCodec(t reflect.Type) *codec {
	elem := codecOf(t.Elem())
	return &codec{
		append: func(dst []byte, v reflect.Value, order Order) []byte {
			keys := v.MapKeys()
			slices.SortFunc(keys, func(a, b reflect.Value) int {
				return compareNames(a.String(), b.String())
			})
			dst = append(dst, '{')
			for i, key := range keys {
				if i > 0 {
					dst = append(dst, ',')
				}
				dst = append(AppendString(dst, key.String()), ':')
				dst = elem.append(dst, v.MapIndex(key), order)
			}
			return append(dst, '}')
		},
		decode: func(v Value, target reflect.Value) error {
			if v.Kind() != Object {
				return Mismatch(v, "a map")
			}
			m := reflect.MakeMapWithSize(t, len(v.Members()))
			for _, member := range v.Members() {
				item := reflect.New(t.Elem()).Elem()
				if err := elem.decode(member.Value, item); err != nil {
					return within(shorten(member.Name), err)
				}
				m.SetMapIndex(reflect.ValueOf(member.Name).Convert(t.Key()), item)
			}
			target.Set(m)
			return nil
		},
	}
}
