package gate_test

import (
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Recorded comparisons. Rows without an outcome were refused when the scenario was defined, before any comparison.
func TestComparators(t *testing.T) {
	compared := 0
	rows(t, "comparators.jsonl", func(t *testing.T, row canonical.Value) {
		comparator := decode[gate.Comparator](t, get(row, "comparator"))
		want := text(row, "outcome")
		if want == "" {
			if text(row, "error", "kind") != "invalid_params" {
				t.Error("neither outcome nor refusal")
			}
			return
		}
		compared++
		var evidence *gate.EvidenceValue
		if v, ok := row.Member("value"); ok {
			evidence = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}
		}
		var expected *canonical.Value
		if v, ok := row.Member("expected"); ok && !v.IsNull() {
			expected = &v
		}
		same(t, "outcome", string(comparator.Compare(evidence, expected)), want)
	})
	if compared != 1558 {
		t.Errorf("%d rows have an outcome", compared)
	}
}

// The tables of contract §4.2 to §4.7, operands as literals.
func TestComparisons(t *testing.T) {
	rows(t, "comparisons.jsonl", func(t *testing.T, row canonical.Value) {
		comparator := decode[gate.Comparator](t, get(row, "comparator"))
		var evidence *gate.EvidenceValue
		if literal := text(row, "evidence"); literal != "" {
			evidence = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: parse(t, literal)}
		}
		if raw, ok := row.Member("bytes"); ok {
			evidence = &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: decode[[]byte](t, raw)}
		}
		var expected *canonical.Value
		if literal := text(row, "expected"); literal != "" {
			expected = ptr(parse(t, literal))
		}
		same(t, "outcome", string(comparator.Compare(evidence, expected)), text(row, "outcome"))
	})
}

// Called directly with a null, a comparator compares it: only a spec cannot say "equals null" (contract §4.7, note 1).
func TestP03ExpectedNullIsNoExpectation(t *testing.T) {
	null := &gate.EvidenceValue{Kind: gate.JSONValue}
	if got := gate.Equals.Compare(null, &canonical.Value{}); got != gate.True {
		t.Errorf("null equals null: %s", got)
	}
	for _, expected := range []string{"", `"expected":null,`} {
		c := into[gate.ConditionSpec](t, `{"condition_id":"c","query":{"provider_id":"p","check_id":"k"},"comparator":"equals",`+expected+`"policy_tags":[]}`)
		if c.Expected != nil {
			t.Errorf("%q is an expectation", expected)
		}
		if got := c.Judge(&gate.EvidenceResult{Value: null}); got != gate.Unknown {
			t.Errorf("%q: %s", expected, got)
		}
	}
}

func TestP02NestedNumbersKeepTheirKind(t *testing.T) {
	for _, c := range []struct {
		comparator gate.Comparator
		e, x       string
		want       gate.Truth
	}{
		{gate.Equals, "1", "1.0", gate.True}, {gate.Equals, "[1]", "[1.0]", gate.False}, {gate.Contains, "[1]", "[1.0]", gate.False},
		{gate.InSet, "1", "[1.0]", gate.False}, {gate.DeepEquals, `{"a":1}`, `{"a":1.0}`, gate.False}, {gate.DeepEquals, "[1e0]", "[1.0]", gate.True},
	} {
		if got := c.comparator.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: parse(t, c.e)}, ptr(parse(t, c.x))); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.e, c.comparator, c.x, got, c.want)
		}
	}
}

// Contract §4.6, both ways round: no order means Unknown.
func TestTemporal(t *testing.T) {
	rows(t, "temporal.jsonl", func(t *testing.T, row canonical.Value) {
		order, ordered := get(row, "order").Int()
		a, b := get(row, "a"), get(row, "b")
		for _, c := range []struct {
			comparator gate.Comparator
			holds      bool
		}{{gate.GreaterThan, order > 0}, {gate.GreaterThanOrEqual, order >= 0}, {gate.LessThan, order < 0}, {gate.LessThanOrEqual, order <= 0}} {
			want := gate.Of(c.holds)
			if !ordered {
				want = gate.Unknown
			}
			same(t, string(c.comparator), string(c.comparator.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: a}, &b)), string(want))
			if !ordered {
				same(t, string(c.comparator)+" turned", string(c.comparator.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: b}, &a)), string(gate.Unknown))
			}
		}
	})
}

func TestP19TemporalLeniency(t *testing.T) {
	for _, s := range []string{"2024-01-01T00:00:00Z", "2024-01-01t00:00:00z", "2024-01-01 00:00:00Z", "2024-01-01_00:00:00Z", "2024-01-0100:00:00Z", "2024-01-01\x0000:00:00Z", "2016-12-31T23:59:60Z", "2024-01-01T00:00:00.0000000000001-00:00"} {
		// The fifth has the first digit of the hour as its separator.
		_, ok := gate.ParseDateTime(s)
		if want := s != "2024-01-0100:00:00Z"; ok != want {
			t.Errorf("%q: read %t", s, ok)
		}
	}
	leap, _ := gate.ParseDateTime("2016-12-31T23:59:60Z")
	if leap.Nanosecond() != 999_999_999 || leap.Second() != 59 {
		t.Errorf("leap second is %v", leap)
	}
}

// A scenario's expectation and a provider's answer may both be long: comparing each of one with each of the other would
// hold a processor for minutes.
func TestContainsStaysLinear(t *testing.T) {
	const n = 100_000
	evidence := parse(t, "["+strings.Repeat("0,", n)+"1]")
	same(t, "found at the end", string(gate.Contains.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: evidence}, ptr(parse(t, "["+strings.Repeat("1,", n)+"1]")))), "True")
	same(t, "missing at the end", string(gate.Contains.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: evidence}, ptr(parse(t, "["+strings.Repeat("1,", n)+"2]")))), "False")
	same(t, "of another kind", string(gate.Contains.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: evidence}, ptr(parse(t, "["+strings.Repeat("1,", n)+"1.0]")))), "False")
	same(t, "found at the start", string(gate.Contains.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: parse(t, "[7"+strings.Repeat(",0", n)+"]")}, ptr(parse(t, "[7"+strings.Repeat(",0", n)+"]")))), "True")
	floats := parse(t, "["+strings.Repeat(`{"a":0.0,"b":1},`, n)+`"x"]`)
	same(t, "zeros and orders", string(gate.Contains.Compare(&gate.EvidenceValue{Kind: gate.JSONValue, JSON: floats}, ptr(parse(t, "["+strings.Repeat(`{"b":1,"a":-0.0},`, n)+`"x"]`)))), "True")
}
