package host_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestClosedComparators defines scenarios with comparators that an operator has to open, on a host where nobody has.
func TestClosedComparators(t *testing.T) {
	f := openWith(t, t.TempDir(), strings.NewReplacer("lexicographic = true", "lexicographic = false", "deep_equals   = true", "deep_equals   = false").Replace(hcl))
	f.must("schemas_register", json.RawMessage(strings.Replace(anySchema, `"schema":{}`, `"schema":{"type":"object","additionalProperties":{"x-decision-gate":{"dynamic_type":true}}}`, 1)), nil)
	for comparator, open := range map[string]bool{
		"lex_greater_than": false, "lex_greater_than_or_equal": false, "lex_less_than": false, "lex_less_than_or_equal": false,
		"deep_equals": false, "deep_not_equals": false, "equals": true, "contains": true,
	} {
		spec := strings.NewReplacer(
			`"query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true`,
			`"query":{"provider_id":"json","check_id":"path","params":{"file":"x"}},"comparator":"`+comparator+`","expected":"x"`,
			`"scenario_id":"loop"`, `"scenario_id":"`+comparator+`"`,
		).Replace(loop)
		for tool, arguments := range map[string]string{
			"scenario_define": `{"spec":` + spec + `}`,
			"precheck":        `{"tenant_id":1,"namespace_id":1,"data_shape":{"schema_id":"any","version":"v1"},"payload":{},"spec":` + spec + `}`,
		} {
			r := f.call(tool, json.RawMessage(arguments))
			want := "condition past comparator " + comparator + " is disabled by config"
			if open && r.Error != nil || !open && (r.Error == nil || r.Error.Code != -32602 || r.Error.Message != want) {
				t.Errorf("%s with %s: %+v", tool, comparator, r.Error)
			}
		}
	}
}
