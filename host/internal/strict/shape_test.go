package strict

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestShapes finds the schema of each condition in a data shape.
func TestShapes(t *testing.T) {
	for _, test := range []struct {
		shape string
		ids   string
		want  string
	}{
		{`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"integer"}}}`, "a b", ""},
		{`{"type":"object","properties":{"a":{"type":"integer"}}}`, "a b", "condition b missing from data shape schema"},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":false}`, "b", "condition b missing from data shape schema"},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"additionalProperties":true}`, "a b", "schema allows untyped additionalProperties for condition b"},
		{`{"type":"object","additionalProperties":{"type":"integer"}}`, "a b", ""},
		{`{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":{"type":"integer"}}`, "b a", "condition a expected value invalid: "},
		{`{"type":"object","additionalProperties":{}}`, "a", "schema missing type declaration"},
		{`{"type":"object"}`, "a", "condition a missing from data shape schema"},
		{`{"type":["null","object"],"properties":{"a":{"type":"integer"}}}`, "a", ""},
		// An object that does not say so.
		{`{"properties":{"a":{"type":"integer"}}}`, "a b", "condition b missing from data shape schema"},
		{`{"additionalProperties":{"type":"integer"}}`, "a b", ""},

		{`{"type":"integer"}`, "a", ""},
		{`{"type":"integer"}`, "a b", "non-object data shape requires exactly one condition"},
		{`{"type":"integer","properties":{"a":{"type":"string"}}}`, "a", ""},
		{`{}`, "a", "schema missing type declaration"},
		{`true`, "a", "schema missing type declaration"},
		{`true`, "a b", "non-object data shape requires exactly one condition"},

		{`{"oneOf":[{"properties":{"a":{"type":"integer"}}},{"type":"integer"}]}`, "a", ""},
		{`{"oneOf":[{"properties":{"a":{"type":"integer"}}},{"type":"boolean"}]}`, "a", "condition a expected value invalid: "},
		{`{"anyOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{}}]}`, "a", "condition a missing from data shape schema"},
		{`{"oneOf":[],"anyOf":[]}`, "a", "schema cannot define both oneOf and anyOf"},
		{`{"anyOf":[]}`, "a", "schema anyOf must contain at least one option"},

		// A reference that leads out of the part for the condition.
		{`{"properties":{"a":{"type":"integer","$ref":"#/$defs/x"}},"$defs":{"x":{"type":"integer"}}}`, "a", "invalid schema: "},
	} {
		var conditions []gate.ConditionSpec
		for id := range strings.FieldsSeq(test.ids) {
			conditions = append(conditions, condition(t, id, gate.Equals, `1`))
		}
		got := told(open.Shape(conditions, parse(t, test.shape)))
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s for %s: got %q, want %q", test.shape, test.ids, got, test.want)
		}
	}
}

// TestExpected checks what is expected against the part of the shape. The service never comes to most of these refusals: the
// check of capabilities has them first.
func TestExpected(t *testing.T) {
	for _, test := range []struct {
		comparator     gate.Comparator
		expected, want string
	}{
		{gate.Equals, `5`, ""},
		{gate.Equals, `2`, "condition c expected value invalid: "},
		{gate.Equals, ``, "condition c comparator equals requires expected value"},
		{gate.InSet, `[5,6]`, ""},
		{gate.InSet, `[]`, ""},
		{gate.InSet, `[5,2]`, "condition c expected value invalid: "},
		{gate.InSet, `5`, "condition c comparator in_set requires expected array"},
		{gate.InSet, ``, "condition c comparator in_set requires expected array"},
		{gate.Exists, ``, ""},
		{gate.NotExists, `5`, "condition c comparator not_exists does not accept expected values"},
	} {
		got := told(open.Shape([]gate.ConditionSpec{condition(t, "c", test.comparator, test.expected)}, parse(t, `{"type":"integer","minimum":3}`)))
		if test.want == "" && got != "" || !strings.HasPrefix(got, test.want) {
			t.Errorf("%s %s: got %q, want %q", test.comparator, test.expected, got, test.want)
		}
	}
}

// TestCostOfAll is an attack: each of thousands of conditions may take the steps of one validation, which are seconds, or
// reads a schema of a megabyte anew. Together they get what one gets, and the schema is read once.
func TestCostOfAll(t *testing.T) {
	chain := `"a0":{}`
	for i := range 12 {
		chain += fmt.Sprintf(`,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i+1, i, i)
	}
	var conditions []gate.ConditionSpec
	for i := range 5000 {
		conditions = append(conditions, condition(t, fmt.Sprint("c", i), gate.Equals, `1`))
	}
	err := open.Shape(conditions, parse(t, `{"type":"object","additionalProperties":{"type":"integer","$ref":"#/$defs/a12","$defs":{`+chain+`}}}`))
	if err == nil || !strings.Contains(err.Error(), "too many steps") {
		t.Errorf("doubling schema: %v", err)
	}
	large := `{"type":"object","additionalProperties":{"enum":[0` + strings.Repeat(",1", 500_000) + `]}}`
	for i := range conditions {
		conditions[i].Comparator, conditions[i].Expected = gate.Exists, nil
	}
	if err := open.Shape(conditions, parse(t, large)); err != nil {
		t.Errorf("large schema: %v", err)
	}
}

// TestAnySchema gives schemas of any form, wrong ones included: nothing panics, and a comparator that is refused for a type
// is refused for a union with that type too.
func TestAnySchema(t *testing.T) {
	names := gate.Comparator("").Names()
	rapid.Check(t, func(r *rapid.T) {
		c := condition(t, "c", gate.Comparator(rapid.SampledFrom(names).Draw(r, "comparator")), rapid.SampledFrom([]string{"", "1", "null", `"a"`, "[]", `[1,"a"]`, "{}"}).Draw(r, "expected"))
		check := func(s string) string {
			return told(open.Shape([]gate.ConditionSpec{c}, parse(t, `{"properties":{"c":`+s+`}}`)))
		}
		one, other := anySchema(3).Draw(r, "one"), anySchema(3).Draw(r, "other")
		refused := check(one)
		united := check(`{"anyOf":[` + one + `,` + other + `]}`)
		if strings.HasSuffix(refused, "not allowed for schema type") && united == "" && !onlyNull(t, one) {
			r.Errorf("%s is refused of %s (%s), but not of a union with %s", c.Comparator, one, refused, other)
		}
	})
}

// onlyNull reports whether a schema is read as that of null, which unions ignore.
func onlyNull(t *testing.T, s string) bool {
	d, err := read(parse(t, s))
	return err == nil && d.null
}

func anySchema(depth int) *rapid.Generator[string] {
	leaves := []string{
		`{}`, `true`, `false`, `1`, `{"type":"string"}`, `{"type":"integer"}`, `{"type":"null"}`, `{"type":"object"}`, `{"type":"array"}`, `{"type":7}`, `{"type":["string","null"]}`,
		`{"enum":[1,2]}`, `{"enum":[]}`, `{"enum":[null]}`, `{"enum":5}`, `{"type":"string","format":"date"}`, `{"type":"string","format":5}`, `{"x-decision-gate":{"dynamic_type":true}}`,
		`{"type":"string","x-decision-gate":{"allowed_comparators":["equals","lex_less_than"]}}`, `{"x-decision-gate":[]}`, `{"oneOf":{}}`, `{"properties":1}`,
	}
	if depth == 0 {
		return rapid.SampledFrom(leaves)
	}
	return rapid.OneOf(
		rapid.SampledFrom(leaves),
		rapid.Map(rapid.SliceOfN(anySchema(depth-1), 0, 3), func(options []string) string { return `{"oneOf":[` + strings.Join(options, ",") + `]}` }),
		rapid.Map(anySchema(depth-1), func(items string) string { return `{"type":"array","items":` + items + `}` }),
	)
}
