package lint

import (
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// comparisonRules find conditions that no answer, or every answer, satisfies (contract §4).
var comparisonRules = []Rule{
	{
		// [P-03]
		Code: "expected-absent", Severity: Warning, Fix: "Give an expected value that is not null, or compare with exists.",
		find: eachComparison(func(path string, c *gate.ConditionSpec, found report) {
			if c.Expected == nil && !existential(c.Comparator) {
				found(path, "nothing is expected: condition `%s` is always unknown", clip(string(c.ConditionID)))
			}
		}),
	},
	{
		Code: "expected-ignored", Severity: Warning, Fix: "Remove it, or use a comparator that looks at it.",
		find: eachComparison(func(path string, c *gate.ConditionSpec, found report) {
			if c.Expected != nil && existential(c.Comparator) {
				found(path+".expected", "%s does not look at what is expected", c.Comparator)
			}
		}),
	},
	{
		// contract §4.3
		Code: "never-comparable", Severity: Warning, Fix: "Expect a value of a kind that the comparator compares.",
		find: eachComparison(func(path string, c *gate.ConditionSpec, found report) {
			if c.Expected != nil && !canCompare(c.Comparator, *c.Expected) {
				found(path+".expected", "%s compares no answer with this value: condition `%s` is always unknown", c.Comparator, clip(string(c.ConditionID)))
			}
		}),
	},
	{
		Code: "empty-set", Severity: Warning, Fix: "List the values that are allowed.",
		find: eachComparison(func(path string, c *gate.ConditionSpec, found report) {
			empty := c.Expected != nil && c.Expected.Kind() == canonical.Array && len(c.Expected.Items()) == 0
			switch {
			case empty && c.Comparator == gate.InSet:
				found(path+".expected", "no answer is in an empty set: condition `%s` is never true", clip(string(c.ConditionID)))
			case empty && c.Comparator == gate.Contains:
				found(path+".expected", "every list contains an empty one: condition `%s` is true for any", clip(string(c.ConditionID)))
			}
		}),
	},
	{
		Code: "number-kind", Severity: Warning,
		// [P-02], [F-09]
		Fix: "Write 1 for 1.0, unless answers are written with a fraction too: inside lists and objects the two differ, and the hash does not show it.",
		find: eachComparison(func(path string, c *gate.ConditionSpec, found report) {
			if c.Expected == nil || existential(c.Comparator) {
				return
			}
			expected := path + ".expected"
			// Only numbers at the top level are compared as numbers, and contains has none there.
			if c.Expected.IsNumber() {
				return
			}
			wholeFloats(expected, *c.Expected, func(path, literal string) {
				found(path, "%s equals no answer that is written as an integer", literal)
			})
		}),
	},
	{
		Code: "comparator-needs-setting", Severity: Note, Fix: "Allow the comparators in the host's validation block, or use others.",
		find: eachComparison(func(path string, c *gate.ConditionSpec, found report) {
			if setting := settings[c.Comparator]; setting != "" {
				found(path+".comparator", "a host allows %s only with validation.%s", c.Comparator, setting)
			}
		}),
	},
}

// settings are the options without which a host refuses a comparator (mcp contract §9.7).
var settings = map[gate.Comparator]string{
	gate.LexGreaterThan: "lexicographic", gate.LexGreaterOrEqual: "lexicographic", gate.LexLessThan: "lexicographic", gate.LexLessOrEqual: "lexicographic",
	gate.DeepEquals: "deep_equals", gate.DeepNotEquals: "deep_equals",
}

func eachComparison(check func(path string, c *gate.ConditionSpec, found report)) func(*subject, report) {
	return func(s *subject, found report) {
		s.eachCondition(func(path string, c *gate.ConditionSpec) { check(path, c, found) })
	}
}

func existential(c gate.Comparator) bool { return c == gate.Exists || c == gate.NotExists }

// canCompare reports whether some answer can be compared with a value. The engine is asked: an answer that is like the
// expected value can be compared if any can.
func canCompare(c gate.Comparator, expected canonical.Value) bool {
	answer := expected
	if c == gate.InSet {
		answer = canonical.Value{}
	}
	return c.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: answer}, &expected) != gate.Unknown
}

// wholeFloats finds numbers that are written with a fraction or an exponent and are integers all the same.
func wholeFloats(path string, v canonical.Value, found func(path, literal string)) {
	switch v.Kind() {
	case canonical.Float:
		// In canonical form 1.0 is 1, which reads as another kind.
		again, err := canonical.Parse(canonical.AppendValue(nil, v, canonical.Canonical))
		if err == nil && again.Kind() != canonical.Float {
			found(path, string(canonical.AppendValue(nil, v, canonical.Declared)))
		}
	case canonical.Array:
		for i, item := range v.Items() {
			wholeFloats(index(path, i), item, found)
		}
	case canonical.Object:
		for _, m := range v.Members() {
			wholeFloats(fmt.Sprintf("%s.%s", path, m.Name), m.Value, found)
		}
	}
}
