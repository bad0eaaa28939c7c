package schema

import (
	"errors"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// subs are the schemas that a schema applies.
type subs struct {
	// inPlace are for the same value, named for one member or item each, each for every one of them.
	inPlace, named, each []*jsonschema.Schema
}

func subsOf(s *jsonschema.Schema) subs {
	var b subs
	one := func(to *[]*jsonschema.Schema, list ...*jsonschema.Schema) {
		for _, sub := range list {
			if sub != nil {
				*to = append(*to, sub)
			}
		}
	}
	perhaps := func(to *[]*jsonschema.Schema, v any) {
		switch v := v.(type) {
		case *jsonschema.Schema:
			one(to, v)
		case []*jsonschema.Schema:
			one(&b.named, v...)
		}
	}
	one(&b.inPlace, s.Ref, s.Not, s.If, s.Then, s.Else)
	one(&b.inPlace, s.AllOf...)
	one(&b.inPlace, s.AnyOf...)
	one(&b.inPlace, s.OneOf...)
	for _, sub := range s.Dependencies {
		perhaps(&b.inPlace, sub)
	}
	for _, sub := range s.DependentSchemas {
		one(&b.inPlace, sub)
	}
	for _, sub := range s.Properties {
		one(&b.named, sub)
	}
	one(&b.named, s.PrefixItems...)
	for _, sub := range s.PatternProperties {
		one(&b.each, sub)
	}
	one(&b.each, s.PropertyNames, s.UnevaluatedProperties, s.Contains, s.Items2020, s.UnevaluatedItems)
	perhaps(&b.each, s.AdditionalProperties)
	perhaps(&b.each, s.Items)
	perhaps(&b.each, s.AdditionalItems)
	return b
}

var (
	errDynamic = errors.New("$dynamicRef and $recursiveRef are not possible: use $ref")
	errItself  = errors.New("it refers to itself for the same value, without end")
)

// survey finds every schema that s may apply, and refuses one in which too many apply to the same value.
func survey(s *jsonschema.Schema) (map[*jsonschema.Schema]subs, error) {
	all := map[*jsonschema.Schema]subs{s: subsOf(s)}
	for queue := []*jsonschema.Schema{s}; len(queue) > 0; queue = queue[1:] {
		// Where these lead is known only when a value is there.
		if queue[0].DynamicRef != nil || queue[0].RecursiveRef != nil {
			return nil, errDynamic
		}
		below := all[queue[0]]
		for _, list := range [][]*jsonschema.Schema{below.inPlace, below.named, below.each} {
			for _, sub := range list {
				if _, known := all[sub]; !known {
					all[sub] = subsOf(sub)
					queue = append(queue, sub)
				}
			}
		}
	}
	heights := map[*jsonschema.Schema]int{}
	for s := range all {
		if _, err := height(s, all, heights, 0); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// height is how many schemas lie in one another below s for the same value. above is how many do above it: it bounds this
// recursion as well.
func height(s *jsonschema.Schema, all map[*jsonschema.Schema]subs, known map[*jsonschema.Schema]int, above int) (int, error) {
	const underway = -1
	h, met := known[s]
	switch {
	case met && h == underway:
		return 0, errItself
	case !met:
		known[s] = underway
		for _, sub := range all[s].inPlace {
			if above >= maxInPlace {
				break
			}
			below, err := height(sub, all, known, above+1)
			if err != nil {
				return 0, err
			}
			h = max(h, 1+below)
		}
		known[s] = h
	}
	if above+h >= maxInPlace {
		return 0, fmt.Errorf("more than %d schemas apply to the same value in one another", maxInPlace)
	}
	return h, nil
}
