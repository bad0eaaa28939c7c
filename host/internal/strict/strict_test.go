package strict

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var open = Rules{Lexicographic: true, Deep: true}

func parse(t testing.TB, text string) canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// condition compares the answer of a check with what is expected; nothing is where the text is empty.
func condition(t testing.TB, id string, comparator gate.Comparator, expected string) gate.ConditionSpec {
	c := gate.ConditionSpec{ConditionID: gate.ConditionID(id), Comparator: comparator}
	if expected != "" {
		v := parse(t, expected)
		c.Expected = &v
	}
	return c
}

func told(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// shadowed are refusals that come before these checks, or of the payload.
var shadowed = regexp.MustCompile(`^(expected_invalid|payload does not match schema): |^schema not found$`)

const free = "condition after expected value invalid: "

// TestRecorded checks every recorded pair of a comparator and a schema that gets as far as these checks.
func TestRecorded(t *testing.T) {
	raw, err := os.ReadFile("testdata/strict.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for scanner := bufio.NewScanner(bytes.NewReader(raw)); scanner.Scan(); {
		var row struct {
			Comparator       gate.Comparator
			Expected, Schema json.RawMessage
			Error            *struct{ Message string }
			Register         json.RawMessage
		}
		if err := json.Unmarshal(scanner.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		want := ""
		if row.Error != nil {
			want = row.Error.Message
		}
		if row.Register != nil || shadowed.MatchString(want) {
			continue
		}
		checked++
		c := condition(t, "after", row.Comparator, string(row.Expected))
		got := told(open.Shape([]gate.ConditionSpec{c}, parse(t, `{"type":"object","properties":{"after":`+string(row.Schema)+`}}`)))
		if strings.HasPrefix(want, free) && strings.HasPrefix(got, free) {
			continue
		}
		if got != want {
			t.Errorf("%s: got %q", scanner.Bytes(), got)
		}
	}
	if checked < 700 {
		t.Errorf("only %d lines were checked", checked)
	}
}

// TestSchemas reads schemas of which there is no recording; the comparator is equals where the table says nothing.
func TestSchemas(t *testing.T) {
	for _, test := range []struct {
		schema     string
		comparator gate.Comparator
		want       string
	}{
		// Of a union whatever fits all options; null counts where there is nothing else.
		{`{"oneOf":[{"type":"string"},{"type":"array"}]}`, gate.Contains, "not allowed for schema type"},
		{`{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}`, gate.Contains, ""},
		{`{"oneOf":[{"type":"integer"},{"anyOf":[{"type":"null"},{"enum":[null]}]}]}`, gate.LessThan, ""},
		{`{"oneOf":[{"x-decision-gate":{"dynamic_type":true}},{"type":"integer"}]}`, gate.Contains, "not allowed for schema type"},
		{`{"oneOf":[{"x-decision-gate":{"dynamic_type":true}},{"type":"string"}]}`, gate.LexLessThan, "requires explicit opt-in"},
		{`{"oneOf":[{"type":"string"},{"type":"null"}],"x-decision-gate":{"allowed_comparators":["lex_less_than"]}}`, gate.LexLessThan, ""},
		{`{"oneOf":[{"type":"string"}],"x-decision-gate":{"dynamic_type":true}}`, gate.GreaterThan, "not allowed for schema type"},
		{`{"oneOf":[]}`, "", "schema oneOf must contain at least one option"},
		{`{"anyOf":[]}`, "", "schema anyOf must contain at least one option"},
		{`{"oneOf":[true]}`, "", "schema missing type declaration"},
		{`{"oneOf":[{"enum":[]}]}`, "", "enum must contain at least one value"},

		{`{"type":["string","null"],"format":"date"}`, gate.LessThan, ""},
		{`{"type":["null","null"]}`, gate.InSet, "not allowed for schema type"},
		{`{"type":[1]}`, "", "schema type array must contain strings"},
		{`{"type":[]}`, "", "schema type array must not be empty"},
		{`{"type":1}`, "", "schema type must be string or array"},
		{`{"type":"date"}`, "", "unsupported schema type: date"},
		{`{"type":["string","date"]}`, "", "unsupported schema type: date"},
		{`{"$ref":"#/$defs/x"}`, "", "schema missing type declaration"},

		{`{"type":"string","format":"uuid"}`, gate.Contains, "not allowed for schema type"},
		{`{"type":"integer","format":"uuid"}`, gate.LessThan, ""},
		{`{"enum":[1,2.5]}`, gate.InSet, ""},
		{`{"enum":[1,2.5]}`, gate.LessThan, "not allowed for schema type"},
		{`{"enum":[true,"a"]}`, "", "enum values must share the same scalar type"},
		{`{"enum":["a",{}]}`, "", "enum values must be scalar types"},

		// Items that are not known to be scalars are complex.
		{`{"type":"array","items":{"enum":["a"]}}`, gate.Contains, ""},
		{`{"type":"array","items":{"type":["string","integer"]}}`, gate.Contains, ""},
		{`{"type":"array","items":{"type":["string","object"]}}`, gate.Contains, "not allowed for schema type"},
		{`{"type":"array","items":{"x-decision-gate":{"dynamic_type":true}}}`, gate.Contains, "not allowed for schema type"},
		{`{"type":"array","items":true}`, gate.Contains, "not allowed for schema type"},

		{`{"x-decision-gate":{"dynamic_type":true}}`, gate.DeepEquals, ""},
		{`{"x-decision-gate":{"dynamic_type":true,"allowed_comparators":["equals"]}}`, gate.DeepEquals, "not in allowed_comparators"},
		{`{"x-decision-gate":{"dynamic_type":false}}`, "", "schema missing type declaration"},
		{`{"type":"string","x-decision-gate":null}`, "", "x-decision-gate must be an object"},
		{`{"oneOf":[{"type":"string"}],"x-decision-gate":7}`, "", "x-decision-gate must be an object"},
		{`{"type":"string","x-decision-gate":{"allowed_comparators":null}}`, "", "allowed_comparators invalid: "},
		{`{"type":"string","x-decision-gate":{"allowed_comparators":[1]}}`, "", "allowed_comparators invalid: "},
	} {
		comparator, id := test.comparator, fmt.Sprintf("condition c comparator %s ", test.comparator)
		if comparator == "" {
			comparator, id = gate.Equals, ""
		}
		c := condition(t, "c", comparator, "")
		got := told(open.Results([]gate.ConditionSpec{c}, func(*gate.ConditionSpec) canonical.Value { return parse(t, test.schema) }))
		if test.want == "" && got != "" || test.want != "" && !strings.HasPrefix(got, id+test.want) {
			t.Errorf("%s with %s: got %q, want %q", comparator, test.schema, got, test.want)
		}
	}
}

// TestRules opens comparators one family at a time, and then all.
func TestRules(t *testing.T) {
	dynamic, text := `{"x-decision-gate":{"dynamic_type":true}}`, `{"type":"string"}`
	for _, test := range []struct {
		rules      Rules
		schema     string
		comparator gate.Comparator
		want       string
	}{
		{Rules{}, dynamic, gate.LexLessThan, "condition c comparator lex_less_than is disabled by config"},
		{Rules{Deep: true}, dynamic, gate.LexGreaterOrEqual, "condition c comparator lex_greater_than_or_equal is disabled by config"},
		{Rules{Lexicographic: true}, dynamic, gate.LexLessThan, ""},
		{Rules{Lexicographic: true}, dynamic, gate.DeepNotEquals, "condition c comparator deep_not_equals is disabled by config"},
		{Rules{Deep: true}, dynamic, gate.DeepNotEquals, ""},
		{Rules{}, text, gate.DeepEquals, "condition c comparator deep_equals is disabled by config"},
		{Rules{}, text, gate.LessThan, "condition c comparator less_than not allowed for schema type"},
		{Rules{}, `{"type":"string","x-decision-gate":{"allowed_comparators":["lex_less_than"]}}`, gate.Equals, "allowed_comparators includes disabled comparator lex_less_than"},
		{Rules{Permissive: true}, text, gate.DeepEquals, ""},
		{Rules{Permissive: true}, `{}`, gate.LexLessThan, ""},
	} {
		conditions := []gate.ConditionSpec{condition(t, "c", test.comparator, `"a"`)}
		shape := parse(t, `{"type":"object","properties":{"c":`+test.schema+`}}`)
		if got := told(test.rules.Shape(conditions, shape)); got != test.want {
			t.Errorf("%+v, shape: %s with %s: got %q, want %q", test.rules, test.comparator, test.schema, got, test.want)
		}
		if got := told(test.rules.Results(conditions, func(*gate.ConditionSpec) canonical.Value { return parse(t, test.schema) })); got != test.want {
			t.Errorf("%+v, result: %s with %s: got %q, want %q", test.rules, test.comparator, test.schema, got, test.want)
		}
	}
}
