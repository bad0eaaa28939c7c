package evidence

import (
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// ask sends a query with parameters given as JSON and returns the value as JSON, or the error.
func ask(t *testing.T, p Provider, check, params string, at gate.Timestamp) string {
	t.Helper()
	q := gate.EvidenceQuery{CheckID: check}
	if params != "" {
		v, err := canonical.Parse([]byte(params))
		if err != nil {
			t.Fatal(err)
		}
		q.Params = &v
	}
	result, err := p.Query(t.Context(), q, gate.EvidenceContext{TriggerTime: at})
	switch {
	case err != nil:
		return err.Error()
	case result.Value == nil:
		return "none at " + result.EvidenceAnchor.AnchorValue
	default:
		return string(canonical.AppendValue(nil, result.Value.JSON, canonical.Declared))
	}
}

// TestTime covers what the recordings do not reach, because capability validation refuses it first.
func TestTime(t *testing.T) {
	unix := gate.Timestamp{Kind: gate.UnixMillis, Millis: -1}
	logical := gate.Timestamp{Kind: gate.Logical, Tick: 1<<64 - 1}
	for _, c := range []struct {
		at                  gate.Timestamp
		check, params, want string
	}{
		{unix, "now", "5", "-1"},
		{unix, "nope", "", "unsupported time check"},
		{unix, "after", "", "time check requires params"},
		{unix, "after", "null", "time check requires params"},
		{unix, "after", "[]", "time params must be an object"},
		{unix, "after", "{}", "missing timestamp param"},
		{unix, "after", `{"timestamp":9223372036854775808}`, "timestamp exceeds i64 range"},
		{unix, "after", `{"timestamp":1.0}`, "invalid numeric timestamp"},
		{unix, "after", `{"timestamp":null}`, "timestamp must be number or string"},
		{unix, "after", `{"timestamp":"2024-01-01"}`, "invalid rfc3339 timestamp"},
		// Half a millisecond before 1970 truncates to 0, more than one to -1.
		{unix, "before", `{"timestamp":"1969-12-31T23:59:59.9995Z"}`, "true"},
		{unix, "before", `{"timestamp":"1969-12-31T23:59:59.9985Z"}`, "false"},
		{unix, "after", `{"timestamp":"1969-12-31T23:59:59.9985Z"}`, "false"},
		{unix, "after", `{"timestamp":-2,"more":1}`, "true"},
		{logical, "now", "", "18446744073709551615"},
		{logical, "before", `{"timestamp":"5"}`, "logical timestamp must be numeric"},
		{logical, "before", `{"timestamp":-5}`, "logical timestamp must be unsigned"},
		{logical, "before", `{"timestamp":5.0}`, "logical timestamp must be unsigned"},
		{logical, "after", `{"timestamp":5}`, "true"},
	} {
		if got := ask(t, timeProvider{TimeOptions{AllowLogical: true}}, c.check, c.params, c.at); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.check, c.params, got, c.want)
		}
	}
	if got := ask(t, timeProvider{}, "now", "", logical); got != "logical timestamps are not permitted" {
		t.Error(got)
	}
}

func TestEnv(t *testing.T) {
	t.Setenv("DG_TEST_SET", "value")
	t.Setenv("DG_TEST_LONG", "12345678901")
	t.Setenv("DG_TEST_BYTES", "\xff")
	limits := EnvOptions{MaxKeyBytes: 20, MaxValueBytes: 10}
	listed, denied, none, fixed := limits, limits, limits, limits
	listed.Allow = []string{"DG_TEST_SET"}
	denied.Allow, denied.Deny = listed.Allow, listed.Allow
	none.Allow = []string{}
	fixed.Values = map[string]string{"A=B": "odd", "": "empty"}
	for _, c := range []struct {
		options      EnvOptions
		params, want string
	}{
		{limits, `{"key":"DG_TEST_SET","more":1}`, `"value"`},
		{limits, `{"key":"DG_TEST_NOT_SET"}`, "none at DG_TEST_NOT_SET"},
		{limits, `{"key":"DG_TEST_BYTES"}`, "none at DG_TEST_BYTES"},
		{limits, `{"key":"DG_TEST_LONG"}`, "env value exceeds limit"},
		{limits, `{"key":"A=B"}`, "none at A=B"},
		{limits, `{"key":"A\u0000B"}`, "none at A\x00B"},
		{limits, `{"key":""}`, "none at "},
		{limits, `{"key":"` + strings.Repeat("x", 21) + `"}`, "env key exceeds limit"},
		{limits, ``, "env check requires params"},
		{limits, `"x"`, "env params must be an object"},
		{limits, `{}`, "missing env key"},
		{limits, `{"key":null}`, "env key must be a string"},
		{listed, `{"key":"DG_TEST_SET"}`, `"value"`},
		{listed, `{"key":"DG_TEST_LONG"}`, "env key blocked by policy"},
		{denied, `{"key":"DG_TEST_SET"}`, "env key blocked by policy"},
		{none, `{"key":"DG_TEST_SET"}`, "env key blocked by policy"},
		// With fixed values the environment of the process is never looked at.
		{fixed, `{"key":"DG_TEST_SET"}`, "none at DG_TEST_SET"},
		{fixed, `{"key":"A=B"}`, `"odd"`},
		{fixed, `{"key":""}`, `"empty"`},
	} {
		if got := ask(t, newEnvProvider(c.options), "get", c.params, gate.Timestamp{}); got != c.want {
			t.Errorf("%s: got %s, want %s", c.params, got, c.want)
		}
	}
	if got := ask(t, newEnvProvider(limits), "set", `{"key":"A"}`, gate.Timestamp{}); got != "unsupported env check" {
		t.Error(got)
	}
}

// TestJSONParams covers what capability validation refuses first.
func TestJSONParams(t *testing.T) {
	p, _ := fileProviderIn(t)
	for params, want := range map[string]string{
		"": "params_missing: json check requires params", "null": "params_missing: json check requires params", "1": "params_invalid: json params must be an object",
		"{}": "params_missing: missing file param", `{"file":1}`: "params_invalid: file param must be a string",
		`{"file":"a.json","jsonpath":null}`: "params_invalid: jsonpath param must be a string",
	} {
		q := gate.EvidenceQuery{CheckID: "path"}
		if params != "" {
			v, err := canonical.Parse([]byte(params))
			if err != nil {
				t.Fatal(err)
			}
			q.Params = &v
		}
		result, err := p.Query(t.Context(), q, gate.EvidenceContext{})
		if err != nil || result.Error == nil || result.Error.Code+": "+result.Error.Message != want || result.Error.Details != nil || result.EvidenceRef != nil {
			t.Errorf("%s: %v %+v", params, err, result.Error)
		}
	}
	if _, err := p.Query(t.Context(), gate.EvidenceQuery{CheckID: "nope"}, gate.EvidenceContext{}); err == nil || err.Error() != "unsupported json check" {
		t.Error(err)
	}
}

func TestHTTPParams(t *testing.T) {
	for params, want := range map[string]string{
		"": "http check requires params", "[]": "http params must be an object", "{}": "missing url param", `{"url":1}`: "url param must be a string",
	} {
		if got := ask(t, newHTTPProvider(httpOptions()), "status", params, gate.Timestamp{}); got != want {
			t.Errorf("%s: got %s, want %s", params, got, want)
		}
	}
}

func TestSettle(t *testing.T) {
	value := &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewUint(1)}
	sent := canonical.HashBytes([]byte("sent"))
	kind := "application/json"
	for _, c := range []struct {
		name   string
		answer gate.Answer
		hash   string
		valued bool
	}{
		{"hash is added", gate.Answer{Result: gate.EvidenceResult{Value: value, ContentType: &kind}}, canonical.Hash(value.JSON).Value, true},
		{"hash of the provider stays", gate.Answer{Result: gate.EvidenceResult{Value: value, ContentType: &kind, EvidenceHash: &sent}}, sent.Value, true},
		{"an error leaves nothing", gate.Answer{Result: gate.EvidenceResult{Value: value, ContentType: &kind, EvidenceHash: &sent, Error: &gate.EvidenceError{Code: "c"}}}, "", false},
		{"too large to hash", gate.Answer{Result: gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: make([]byte, gate.MaxEvidence+1)}}}, "", false},
	} {
		got := Settle(c.answer)
		hash := ""
		if got.EvidenceHash != nil {
			hash = got.EvidenceHash.Value
		}
		if hash != c.hash || (got.Value != nil) != c.valued || (got.ContentType != nil) != c.valued || (got.Error == nil) != c.valued || got.Lane != gate.Verified {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
