// Package strict says whether the comparator of a condition, and what it expects, fit the schema of the answers (mcp contract
// §4.7): a comparator that can never be true of a type is a gate that holds for ever, or one that opens by mistake.
//
// It reads schemas as they are written: it follows no reference, guesses no type, and refuses a schema that declares none.
package strict

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/schema"
)

// Rules are what an operator has decided; the zero value is the strictest.
type Rules struct {
	// Permissive turns all checks off, those of the other two included.
	Permissive bool
	// Lexicographic opens lex_*, Deep opens deep_*.
	Lexicographic, Deep bool
}

// open reports whether the operator has opened a comparator.
func (r Rules) open(c gate.Comparator) bool {
	switch c {
	case gate.LexGreaterThan, gate.LexGreaterOrEqual, gate.LexLessThan, gate.LexLessOrEqual:
		return r.Lexicographic
	case gate.DeepEquals, gate.DeepNotEquals:
		return r.Deep
	default:
		return true
	}
}

// Results checks the conditions of a scenario against the schemas of what their checks answer; result returns that of a
// condition. What is expected is not looked at: no scenario gets here whose expectations do not fit these very schemas
// (mcp contract §4.6).
func (r Rules) Results(conditions []gate.ConditionSpec, result func(*gate.ConditionSpec) canonical.Value) error {
	if r.Permissive {
		return nil
	}
	type check struct {
		provider gate.ProviderID
		id       string
	}
	read := map[check]*operand{}
	for i := range conditions {
		c := &conditions[i]
		of := check{c.Query.ProviderID, c.Query.CheckID}
		// Once for each check, not for each condition: there may be thousands, and a schema may have a megabyte.
		if read[of] == nil {
			read[of] = r.operand(result(c))
		}
		if err := read[of].admits(c); err != nil {
			return err
		}
	}
	return nil
}

// operand is what a schema says of the comparators that its values may be compared with.
type operand struct {
	rules  Rules
	schema canonical.Value
	domain domain
	// listed is x-decision-gate.allowed_comparators, nil when absent.
	listed []gate.Comparator
	err    error

	compile  sync.Once
	compiled *schema.Schema
}

func (r Rules) operand(s canonical.Value) *operand {
	o := &operand{rules: r, schema: s}
	if o.domain, o.err = read(s); o.err == nil {
		o.listed, o.err = r.listed(s, o.domain)
	}
	return o
}

// admits checks the comparator of a condition, in the contract's order.
func (o *operand) admits(c *gate.ConditionSpec) error {
	fits := o.domain.fits[c.Comparator]
	switch {
	case o.err != nil:
		return o.err
	case !o.rules.open(c.Comparator):
		return refused(c, "is disabled by config")
	case fits == never:
		return refused(c, "not allowed for schema type")
	case fits == optIn && o.listed == nil:
		return refused(c, "requires explicit opt-in")
	case o.listed != nil && !slices.Contains(o.listed, c.Comparator):
		return refused(c, "not in allowed_comparators")
	}
	return nil
}

// expects checks what a condition expects. The steps of all checks that share a budget are bounded together.
func (o *operand) expects(c *gate.ConditionSpec, budget *schema.Budget) error {
	o.compile.Do(func() {
		if o.compiled, o.err = schema.Compile(o.schema); o.err != nil {
			o.err = fmt.Errorf("invalid schema: %w", o.err)
		}
	})
	if o.err != nil {
		return o.err
	}
	var values []canonical.Value
	switch c.Comparator {
	case gate.Exists, gate.NotExists:
		if c.Expected != nil {
			return refused(c, "does not accept expected values")
		}
	case gate.InSet:
		if c.Expected == nil || c.Expected.Kind() != canonical.Array {
			return refused(c, "requires expected array")
		}
		values = c.Expected.Items()
	default:
		if c.Expected == nil {
			return refused(c, "requires expected value")
		}
		values = []canonical.Value{*c.Expected}
	}
	for _, v := range values {
		if problems := o.compiled.ValidateWithin(budget, v); len(problems) > 0 {
			return fmt.Errorf("condition %s expected value invalid: %s", c.ConditionID, strings.Join(problems, "; "))
		}
	}
	return nil
}

func refused(c *gate.ConditionSpec, why string) error {
	return fmt.Errorf("condition %s comparator %s %s", c.ConditionID, c.Comparator, why)
}

// extension is the member of a schema that speaks to Decision Gate.
const extension = "x-decision-gate"

// extensionOf returns the member of the extension with the given name.
func extensionOf(s canonical.Value, name string) (v canonical.Value, present bool, err error) {
	x, present := s.Member(extension)
	if !present {
		return v, false, nil
	}
	if x.Kind() != canonical.Object {
		return v, false, errors.New("x-decision-gate must be an object")
	}
	v, present = x.Member(name)
	return v, present, nil
}

// listed reads allowed_comparators. Each must be possible: one that is not is a mistake that whoever wrote the schema should
// hear of.
func (r Rules) listed(s canonical.Value, of domain) ([]gate.Comparator, error) {
	v, present, err := extensionOf(s, "allowed_comparators")
	if err != nil || !present {
		return nil, err
	}
	list := []gate.Comparator{}
	if err := canonical.Decode(v, &list); err != nil {
		return nil, fmt.Errorf("allowed_comparators invalid: %w", err)
	}
	if len(list) == 0 {
		return nil, errors.New("allowed_comparators must not be empty")
	}
	for _, c := range list {
		if !r.open(c) {
			return nil, fmt.Errorf("allowed_comparators includes disabled comparator %s", c)
		}
		if of.fits[c] == never {
			return nil, fmt.Errorf("allowed_comparators includes comparator %s not valid for schema", c)
		}
	}
	return list, nil
}
