// Package canonical holds JSON the way Decision Gate sees it: an ordered value tree that keeps the kind of every number,
// a strict parser, a canonical writer whose bytes are what gets hashed, and a codec that maps Go structs to JSON by the
// presence rules of the contract.
//
// It does no I/O and knows nothing of scenarios. encoding/json cannot do this work: it folds the case of member names,
// accepts what is missing, replaces bad UTF-8 and loses the difference between 1 and 1.0, on which decisions depend.
package canonical

import (
	"math"
	"slices"
)

// Kind is the kind of a value. A number has one of three kinds, given once, when its literal is read (contract §0.5).
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	// Unsigned is an integer literal from 0 to 2^64-1 (kind U of the contract).
	Unsigned
	// Negative is an integer literal from -2^63 to -1 (kind I).
	Negative
	// Float is any other number: a literal with a fraction or an exponent, -0, or an integer outside those ranges (kind F).
	Float
	String
	Array
	Object
)

// Value is any JSON value. The zero Value is null. Values are never changed once made; copies share their parts.
//
// It is small, because a document of a megabyte may be half a million numbers.
type Value struct {
	_     [0]func() // not comparable by ==, which would compare where parts are kept; see Equal
	parts *parts
	text  string
	bits  uint64
	kind  Kind
}

// parts are what an array or an object holds; an empty one has none.
type parts struct {
	items   []Value
	members []Member
}

// Member is one member of an object.
type Member struct {
	Name  string
	Value Value
}

// NewBool makes a boolean.
func NewBool(b bool) Value {
	if b {
		return Value{kind: Bool, bits: 1}
	}
	return Value{kind: Bool}
}

// NewUint makes a number of kind U.
func NewUint(n uint64) Value { return Value{kind: Unsigned, bits: n} }

// NewInt makes a number of kind U, or I when it is negative.
func NewInt(n int64) Value {
	if n >= 0 {
		return NewUint(uint64(n))
	}
	return Value{kind: Negative, bits: uint64(n)}
}

// NewFloat makes a number of kind F. A value that JSON has no literal for becomes null (contract §10.3, YAML .inf and .nan).
func NewFloat(f float64) Value {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return Value{}
	}
	return Value{kind: Float, bits: math.Float64bits(f)}
}

// NewString makes a string; s must be valid UTF-8.
func NewString(s string) Value { return Value{kind: String, text: s} }

// NewArray makes an array, which keeps items.
func NewArray(items []Value) Value {
	if len(items) == 0 {
		return Value{kind: Array}
	}
	return Value{kind: Array, parts: &parts{items: items}}
}

// NewObject makes an object, which keeps members in their order. Of members with the same name the last one wins and takes
// the place of the first (contract §0.4-5).
func NewObject(members []Member) Value {
	if len(members) == 0 {
		return Value{kind: Object}
	}
	kept := dropDuplicates(members)
	if len(kept) < len(members) {
		kept = slices.Clone(kept) // what was dropped is not held
	}
	return Value{kind: Object, parts: &parts{members: kept}}
}

// indexFrom is the number of members from which duplicates are found by a map: below it comparing is cheaper.
const indexFrom = 12

func dropDuplicates(members []Member) []Member {
	if len(members) < 2 {
		return members
	}
	if len(members) < indexFrom {
		kept := members[:1]
		for _, m := range members[1:] {
			if i := slices.IndexFunc(kept, func(k Member) bool { return k.Name == m.Name }); i >= 0 {
				kept[i].Value = m.Value
				continue
			}
			kept = append(kept, m)
		}
		return kept
	}
	places := make(map[string]int, len(members))
	kept := members[:0]
	for _, m := range members {
		if i, ok := places[m.Name]; ok {
			kept[i].Value = m.Value
			continue
		}
		places[m.Name] = len(kept)
		kept = append(kept, m)
	}
	return kept
}

// Kind returns the kind.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether the value is null.
func (v Value) IsNull() bool { return v.kind == Null }

// IsNumber reports whether the value is a number of any kind.
func (v Value) IsNumber() bool { return v.kind == Unsigned || v.kind == Negative || v.kind == Float }

// Bool returns a boolean, false for any other kind.
func (v Value) Bool() bool { return v.kind == Bool && v.bits == 1 }

// Uint returns a number of kind U.
func (v Value) Uint() (uint64, bool) { return v.bits, v.kind == Unsigned }

// Int returns a number of kind U or I that fits an int64.
func (v Value) Int() (int64, bool) {
	switch v.kind {
	case Unsigned:
		return int64(v.bits), v.bits <= math.MaxInt64
	case Negative:
		return int64(v.bits), true
	default:
		return 0, false
	}
}

// Float returns any number as a float64, rounded when it is an integer beyond 2^53.
func (v Value) Float() (float64, bool) {
	switch v.kind {
	case Unsigned:
		return float64(v.bits), true
	case Negative:
		return float64(int64(v.bits)), true
	case Float:
		return math.Float64frombits(v.bits), true
	default:
		return 0, false
	}
}

// Text returns a string.
func (v Value) Text() (string, bool) { return v.text, v.kind == String }

// Items returns the elements of an array; they must not be changed.
func (v Value) Items() []Value {
	if v.parts == nil {
		return nil
	}
	return v.parts.items
}

// Members returns the members of an object in document order; they must not be changed.
func (v Value) Members() []Member {
	if v.parts == nil {
		return nil
	}
	return v.parts.members
}

// Member returns the member of an object with the given name.
func (v Value) Member(name string) (Value, bool) {
	return find(v.Members(), name)
}

func find(members []Member, name string) (Value, bool) {
	for i := range members {
		if members[i].Name == name {
			return members[i].Value, true
		}
	}
	return Value{}, false
}

// Equal is structural equality (contract §0.5, [P-02]): numbers are equal only when kind and value are, so 1 is not 1.0;
// objects compare as maps, arrays by element, strings by code point.
func Equal(a, b Value) bool {
	if a.kind != b.kind {
		return false
	}
	switch a.kind {
	case Null:
		return true
	case Float:
		// 0.0 equals -0.0, which their bits do not.
		return math.Float64frombits(a.bits) == math.Float64frombits(b.bits)
	case String:
		return a.text == b.text
	case Array:
		return slices.EqualFunc(a.Items(), b.Items(), Equal)
	case Object:
		return equalMembers(a.Members(), b.Members())
	default:
		return a.bits == b.bits
	}
}

func equalMembers(a, b []Member) bool {
	if len(a) != len(b) {
		return false
	}
	if len(a) < indexFrom {
		for _, m := range a {
			if v, ok := find(b, m.Name); !ok || !Equal(m.Value, v) {
				return false
			}
		}
		return true
	}
	index := make(map[string]Value, len(b))
	for _, m := range b {
		index[m.Name] = m.Value
	}
	for _, m := range a {
		if v, ok := index[m.Name]; !ok || !Equal(m.Value, v) {
			return false
		}
	}
	return true
}
