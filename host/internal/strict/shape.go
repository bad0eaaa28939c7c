package strict

import (
	"errors"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/schema"
)

// Shape checks the conditions of a scenario against a data shape, which says of each by its id what is handed in. Of a shape
// with options at its top, each must do.
func (r Rules) Shape(conditions []gate.ConditionSpec, shape canonical.Value) error {
	if r.Permissive {
		return nil
	}
	variants, err := r.variants(shape)
	if err != nil {
		return err
	}
	// One for all: thousands of conditions, each of which may take all the steps there are, would hold a processor for hours.
	budget := schema.NewBudget()
	for i := range conditions {
		for _, v := range variants {
			o, err := v.operand(&conditions[i], len(conditions))
			if err == nil {
				err = o.admits(&conditions[i])
			}
			if err == nil {
				err = o.expects(&conditions[i], budget)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// variant is one form that the data may have.
type variant struct {
	rules  Rules
	schema canonical.Value
	// properties is nil when the data is no object.
	properties map[string]canonical.Value
	additional canonical.Value
	// read keeps what has been read: many conditions may share a schema of a megabyte. Those of additionalProperties are
	// under another.
	read     map[string]*operand
	unlisted *operand
}

func (r Rules) variants(shape canonical.Value) ([]*variant, error) {
	_, one := shape.Member("oneOf")
	_, anyOf := shape.Member("anyOf")
	if one && anyOf {
		return nil, errors.New("schema cannot define both oneOf and anyOf")
	}
	options, keyword := union(shape)
	if keyword == "" {
		return []*variant{r.variant(shape)}, nil
	}
	if len(options.Items()) == 0 {
		return nil, fmt.Errorf("schema %s must contain at least one option", keyword)
	}
	var list []*variant
	for _, option := range options.Items() {
		list = append(list, r.variant(option))
	}
	return list, nil
}

func (r Rules) variant(s canonical.Value) *variant {
	v := &variant{rules: r, schema: s, read: map[string]*operand{}}
	if !describesObject(s) {
		return v
	}
	properties, _ := s.Member("properties")
	v.properties = make(map[string]canonical.Value, len(properties.Members()))
	for _, m := range properties.Members() {
		v.properties[m.Name] = m.Value
	}
	v.additional, _ = s.Member("additionalProperties")
	return v
}

// describesObject reports whether a schema is for objects: by its type, or by what only an object has.
func describesObject(s canonical.Value) bool {
	declared, typed := s.Member("type")
	if !typed {
		_, properties := s.Member("properties")
		_, additional := s.Member("additionalProperties")
		return properties || additional
	}
	isObject := func(t canonical.Value) bool {
		name, _ := t.Text()
		return name == "object"
	}
	return isObject(declared) || slices.ContainsFunc(declared.Items(), isObject)
}

// operand finds the schema of a condition among so many.
func (v *variant) operand(c *gate.ConditionSpec, conditions int) (*operand, error) {
	if v.properties == nil {
		if conditions != 1 {
			return nil, errors.New("non-object data shape requires exactly one condition")
		}
		return v.rules.operand(v.schema), nil
	}
	id := string(c.ConditionID)
	if o := v.read[id]; o != nil {
		return o, nil
	}
	if s, ok := v.properties[id]; ok {
		v.read[id] = v.rules.operand(s)
		return v.read[id], nil
	}
	switch {
	case v.additional.Kind() == canonical.Object:
		if v.unlisted == nil {
			v.unlisted = v.rules.operand(v.additional)
		}
		return v.unlisted, nil
	case v.additional.Bool():
		return nil, fmt.Errorf("schema allows untyped additionalProperties for condition %s", c.ConditionID)
	default:
		return nil, fmt.Errorf("condition %s missing from data shape schema", c.ConditionID)
	}
}
