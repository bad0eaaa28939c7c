package strict

import (
	"errors"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// fit says whether a comparator is for the values of a type.
type fit int

const (
	never  fit = iota
	optIn      // where the schema lists it in allowed_comparators
	always     // without being asked for
)

// domain is what may be compared with the values of a schema.
type domain struct {
	fits map[gate.Comparator]fit
	// scalar is for items: a list of scalars may be asked whether it contains some.
	scalar bool
	// null admits nothing but null.
	null bool
}

var (
	ordering      = []gate.Comparator{gate.GreaterThan, gate.GreaterThanOrEqual, gate.LessThan, gate.LessThanOrEqual}
	lexicographic = []gate.Comparator{gate.LexGreaterThan, gate.LexGreaterOrEqual, gate.LexLessThan, gate.LexLessOrEqual}
	deep          = []gate.Comparator{gate.DeepEquals, gate.DeepNotEquals}
	presence      = []gate.Comparator{gate.Exists, gate.NotExists}
	equality      = []gate.Comparator{gate.Equals, gate.NotEquals}
)

// The domains of mcp contract §4.7. Enumerations, booleans and UUIDs are names: they have no order.
var (
	nameDomain    = domain{fits: fits(nil, equality, presence, set(gate.InSet)), scalar: true}
	orderedDomain = domain{fits: fits(nil, equality, presence, set(gate.InSet), ordering), scalar: true}
	textDomain    = domain{fits: fits(lexicographic, equality, presence, set(gate.InSet, gate.Contains)), scalar: true}
	nullDomain    = domain{fits: fits(nil, equality, presence), scalar: true, null: true}
	scalarsDomain = domain{fits: fits(deep, presence, set(gate.Contains))}
	complexDomain = domain{fits: fits(deep, presence)}
	dynamicDomain = domain{fits: fits(nil, equality, presence, set(gate.InSet, gate.Contains), ordering, lexicographic, deep)}
)

func set(list ...gate.Comparator) []gate.Comparator { return list }

func fits(asked []gate.Comparator, unasked ...[]gate.Comparator) map[gate.Comparator]fit {
	m := map[gate.Comparator]fit{}
	for _, c := range asked {
		m[c] = optIn
	}
	for _, list := range unasked {
		for _, c := range list {
			m[c] = always
		}
	}
	return m
}

// errUntyped is of const, $ref, {} and the boolean schemas too: what they admit is not told by a type.
var errUntyped = errors.New("schema missing type declaration")

// read says what the values of a schema may be compared with: of a union whatever fits all its options.
func read(s canonical.Value) (domain, error) {
	if s.Kind() != canonical.Object {
		return domain{}, errUntyped
	}
	if options, keyword := union(s); keyword != "" {
		return readUnion(options, keyword)
	}
	dynamic, present, err := extensionOf(s, "dynamic_type")
	switch {
	case err != nil:
		return domain{}, err
	case present && dynamic.Kind() != canonical.Bool:
		return domain{}, errors.New("x-decision-gate.dynamic_type must be boolean")
	case dynamic.Bool():
		return dynamicDomain, nil
	}
	if values, ok := s.Member("enum"); ok {
		return readEnum(values.Items())
	}
	declared, ok := s.Member("type")
	if !ok {
		return domain{}, errUntyped
	}
	return readTypes(declared, s)
}

// union returns the options of oneOf, or of anyOf where there is no oneOf.
func union(s canonical.Value) (options canonical.Value, keyword string) {
	for _, keyword := range []string{"oneOf", "anyOf"} {
		if options, ok := s.Member(keyword); ok && options.Kind() == canonical.Array {
			return options, keyword
		}
	}
	return canonical.Value{}, ""
}

func readUnion(options canonical.Value, keyword string) (domain, error) {
	if len(options.Items()) == 0 {
		return domain{}, fmt.Errorf("schema %s must contain at least one option", keyword)
	}
	var all intersection
	for _, option := range options.Items() {
		d, err := read(option)
		if err != nil {
			return domain{}, err
		}
		all.add(d)
	}
	return all.domain(), nil
}

// readEnum reads the values of an enumeration; null beside others is a value of another type.
func readEnum(values []canonical.Value) (domain, error) {
	if len(values) == 0 {
		return domain{}, errors.New("enum must contain at least one value")
	}
	for _, v := range values {
		switch {
		case v.Kind() == canonical.Array || v.Kind() == canonical.Object:
			return domain{}, errors.New("enum values must be scalar types")
		case v.Kind() != values[0].Kind() && !(v.IsNumber() && values[0].IsNumber()):
			return domain{}, errors.New("enum values must share the same scalar type")
		}
	}
	if values[0].IsNull() {
		return nullDomain, nil
	}
	return nameDomain, nil
}

func readTypes(declared, s canonical.Value) (domain, error) {
	if name, ok := declared.Text(); ok {
		return readType(name, s)
	}
	if declared.Kind() != canonical.Array {
		return domain{}, errors.New("schema type must be string or array")
	}
	if len(declared.Items()) == 0 {
		return domain{}, errors.New("schema type array must not be empty")
	}
	var all intersection
	for _, item := range declared.Items() {
		name, ok := item.Text()
		if !ok {
			return domain{}, errors.New("schema type array must contain strings")
		}
		d, err := readType(name, s)
		if err != nil {
			return domain{}, err
		}
		all.add(d)
	}
	return all.domain(), nil
}

// types are the types whose other keywords change nothing here.
var types = map[string]domain{
	"boolean": nameDomain, "integer": orderedDomain, "number": orderedDomain, "object": complexDomain, "null": nullDomain,
}

// formats are the formats of strings that have an order, or none at all.
var formats = map[string]domain{"date": orderedDomain, "date-time": orderedDomain, "uuid": nameDomain}

func readType(name string, s canonical.Value) (domain, error) {
	if d, ok := types[name]; ok {
		return d, nil
	}
	switch name {
	case "string":
		format, _ := s.Member("format")
		text, _ := format.Text()
		if d, ok := formats[text]; ok {
			return d, nil
		}
		return textDomain, nil
	case "array":
		items, _ := s.Member("items")
		if d, err := read(items); err == nil && d.scalar {
			return scalarsDomain, nil
		}
		return complexDomain, nil
	}
	return domain{}, fmt.Errorf("unsupported schema type: %s", name)
}

// intersection gathers what fits all of several domains. Those of null are left out unless there are no others: a value that
// may be absent is compared like one that is there.
type intersection struct {
	some domain
	null bool
}

func (i *intersection) add(d domain) {
	switch {
	case d.null:
		i.null = true
	case i.some.fits == nil:
		i.some = d
	default:
		both := domain{fits: map[gate.Comparator]fit{}, scalar: i.some.scalar && d.scalar}
		for c, f := range i.some.fits {
			both.fits[c] = min(f, d.fits[c])
		}
		i.some = both
	}
}

func (i *intersection) domain() domain {
	if i.some.fits == nil {
		return nullDomain
	}
	return i.some
}
