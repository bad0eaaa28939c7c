package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Bounds of a schema from outside. Whoever may register data shapes could otherwise take the memory or the processors of the
// host with a megabyte, or end it: a goroutine whose stack grows beyond a gigabyte cannot be saved.
const (
	// MaxSize is the size in canonical bytes of the largest schema (contract §0.6).
	MaxSize = 1 << 20
	// maxSubschemas bounds objects and booleans, any of which may be a schema: the library's time to compile grows with
	// their square. Schemas that people write have some hundreds.
	maxSubschemas = 10_000
	// maxInPlace bounds how many schemas lie in one another for the same value, by allOf, $ref and the like: each takes
	// about a kilobyte of stack at each of the 127 levels of a value.
	maxInPlace = 256
	// maxPatternSize bounds the instructions of all patterns, at 40 bytes each: "x{1000}" makes a thousand of seven bytes.
	maxPatternSize = 100_000
	// maxSteps bounds the evaluation of one value; a step takes up to half a microsecond, and an item of a list some steps. A
	// chain of allOf that doubles at each of its links would take as long as one likes.
	maxSteps = 4 << 20
)

// explainSteps bounds the evaluation that gathers errors, each of which holds its place in the value: a list of half a
// million mistakes below a hundred brackets would take a gigabyte.
func explainSteps(v canonical.Value) int { return (4 << 20) / (16 + depth(v)) }

func depth(v canonical.Value) (deepest int) {
	for _, item := range v.Items() {
		deepest = max(deepest, 1+depth(item))
	}
	for _, m := range v.Members() {
		deepest = max(deepest, 1+depth(m.Value))
	}
	return deepest
}

// subschemas counts what the library may take for a schema.
func subschemas(v canonical.Value) (n int) {
	if v.Kind() == canonical.Object || v.Kind() == canonical.Bool {
		n = 1
	}
	for _, item := range v.Items() {
		n += subschemas(item)
	}
	for _, m := range v.Members() {
		n += subschemas(m.Value)
	}
	return n
}

// errNoEnd ends an evaluation, as a panic through the library, which has no other way.
var errNoEnd = errors.New("it takes too many steps to check against the schema")

// meter counts the steps of one evaluation at a time.
type meter struct{ left int }

func (m *meter) spend(steps int) {
	if m.left -= steps; m.left < 0 {
		panic(errNoEnd)
	}
}

// pattern is a regular expression that is paid for by the byte.
type pattern struct {
	*regexp.Regexp
	meter *meter
	size  int // in instructions, each of which may look at each byte
}

func (p *pattern) MatchString(s string) bool {
	p.meter.spend(1 + len(s)*p.size/16) // an instruction is quick
	return p.Regexp.MatchString(s)
}

// patterns compiles the patterns of a schema. The library meets each more than once.
func (m *meter) patterns() jsonschema.RegexpEngine {
	known, total := map[string]*pattern{}, 0
	return func(text string) (jsonschema.Regexp, error) {
		if p := known[text]; p != nil {
			return p, nil
		}
		parsed, err := syntax.Parse(text, syntax.Perl)
		if err != nil {
			return nil, err
		}
		size := instructions(parsed)
		if total += size; total > maxPatternSize {
			return nil, fmt.Errorf("the patterns have more than %d instructions together", maxPatternSize)
		}
		compiled, err := regexp.Compile(text)
		if err != nil {
			return nil, err
		}
		known[text] = &pattern{compiled, m, size}
		return known[text], nil
	}
}

// instructions estimates the size of a compiled expression without making it.
func instructions(e *syntax.Regexp) int {
	n := 1 + len(e.Rune)
	for _, sub := range e.Sub {
		n += instructions(sub)
	}
	if e.Op == syntax.OpRepeat {
		n *= max(e.Min, e.Max, 1)
	}
	return n
}

// install makes each schema below s count. A Format is what the library asks of a value first; the one of the schema, which
// only old drafts have, is asked then.
func (m *meter) install(s *jsonschema.Schema) error {
	all, err := survey(s)
	if err != nil {
		return err
	}
	for s, below := range all {
		cost, asked := costOf(s, below), s.Format
		s.Format = &jsonschema.Format{Validate: func(v any) error {
			m.spend(cost.of(v))
			if asked != nil {
				return asked.Validate(v)
			}
			return nil
		}}
		if asked != nil {
			s.Format.Name = asked.Name
		}
	}
	return nil
}

// cost is what a schema takes, in steps: of itself, with those schemas at which evaluation may end before it counts, and for
// each item, member or byte of the value.
type cost struct {
	fixed, each     int
	unique, numbers bool
}

func costOf(s *jsonschema.Schema, below subs) cost {
	c := cost{fixed: 1 + len(s.Required) + len(s.DependentRequired), each: 1, unique: s.UniqueItems}
	for _, bound := range []*big.Rat{s.Minimum, s.Maximum, s.ExclusiveMinimum, s.ExclusiveMaximum, s.MultipleOf} {
		c.numbers = c.numbers || bound != nil
	}
	for _, required := range s.DependentRequired {
		c.fixed += len(required)
	}
	for _, sub := range below.inPlace {
		c.fixed += early(sub)
	}
	for _, sub := range below.named {
		c.fixed += early(sub)
	}
	for _, sub := range below.each {
		c.each += early(sub)
	}
	return c
}

// early is what a schema compares before it counts.
func early(s *jsonschema.Schema) int {
	n := 1
	if s.Const != nil {
		n += size(*s.Const)
	}
	if s.Enum != nil {
		for _, v := range s.Enum.Values {
			n += size(v)
		}
	}
	return n
}

// What it takes to compare two numbers: the library makes fractions of them, large ones of large exponents.
const (
	integerSteps = 5
	floatSteps   = 50
)

// size is what it takes to compare a value with another.
func size(v any) int {
	n := 1
	switch v := v.(type) {
	case string:
		n += len(v) / 64
	case json.Number:
		if strings.Contains(v.String(), "e") {
			return floatSteps
		}
		return integerSteps
	case []any:
		for _, item := range v {
			n += size(item)
		}
	case map[string]any:
		for name, member := range v {
			n += size(name) + size(member)
		}
	}
	return n
}

// uniqueFactor is how often an item is compared with others at most before the library hashes them.
const uniqueFactor = 10

func (c *cost) of(v any) int {
	switch v := v.(type) {
	case []any:
		n := c.fixed + len(v)*c.each
		if c.unique {
			n += uniqueFactor * size(v)
		}
		return n
	case map[string]any:
		return c.fixed + len(v)*c.each
	case json.Number:
		if c.numbers {
			return c.fixed + size(v)
		}
		return c.fixed
	default:
		return c.fixed + size(v)
	}
}
