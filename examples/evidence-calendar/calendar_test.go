package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence/evidencetest"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// yearEnd is the configuration with which the examples of the contract are true at christmas.
var yearEnd = map[string]any{"freeze": []any{map[string]any{
	"name": "year-end", "from": "2026-12-20T00:00:00Z", "until": "2027-01-04T06:00:00Z", "environments": []string{"production"},
}}}

var christmas = evidence.Time{UnixMillis: time.Date(2026, 12, 25, 12, 0, 0, 0, time.UTC).UnixMilli()}

func TestConformance(t *testing.T) {
	evidencetest.Test(t, evidencetest.Plugin{Package: ".", Time: christmas, Config: func(string) any { return yearEnd }})
}

func TestCalendar(t *testing.T) {
	config, err := json.Marshal(map[string]any{"freeze": []any{
		map[string]any{"name": "year-end", "from": "2026-12-20T00:00:00Z", "until": "2027-01-04T06:00:00Z", "environments": []string{"production"}},
		map[string]any{"name": "easter", "from": "2026-04-02T18:00:00+02:00", "until": "2026-04-07T00:00:00+02:00"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		at, environment, check, want, anchor string
	}{
		{"2026-04-02T15:59:59Z", "test", "frozen", "false", ""},
		{"2026-04-02T15:59:59Z", "test", "seconds_to_freeze", "1", "easter"},
		{"2026-04-02T16:00:00Z", "test", "frozen", "true", "easter"},
		{"2026-04-06T21:59:59Z", "production", "frozen", "true", "easter"},
		{"2026-04-06T22:00:00Z", "production", "frozen", "false", ""},
		{"2026-04-06T22:00:00Z", "production", "seconds_to_freeze", "22212000", "year-end"},
		{"2026-04-06T22:00:00Z", "test", "seconds_to_freeze", "", ""},
		{"2027-01-04T05:59:59Z", "production", "seconds_to_freeze", "0", "year-end"},
		{"2027-01-04T06:00:00Z", "production", "seconds_to_freeze", "", ""},
	} {
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		q := evidence.Query{Check: test.check, Params: json.RawMessage(`{"environment":"` + test.environment + `"}`)}
		r, err := p.Query(t.Context(), q, evidence.Context{Time: evidence.Time{UnixMillis: at.UnixMilli()}})
		anchor := ""
		if r.Anchor != nil {
			anchor = r.Anchor.Value
		}
		if err != nil || string(r.JSON) != test.want || anchor != test.anchor || r.Check() != nil {
			t.Errorf("%+v: answered %+v with anchor %q, %v", test, r, anchor, err)
		}
	}
	r, err := p.Query(t.Context(), evidence.Query{Check: "frozen", Params: json.RawMessage(`{"environment":"x"}`)}, evidence.Context{Time: evidence.Time{Logical: true}})
	if err != nil || r.Error == nil || r.Error.Code != "logical_time" {
		t.Errorf("a logical time: %+v, %v", r, err)
	}
}

func TestWrongFreezes(t *testing.T) {
	for config, want := range map[string]string{
		`{"freeze":[{"name":"","from":"2026-12-20T00:00:00Z","until":"2027-01-04T06:00:00Z"}]}`:  "no name",
		`{"freeze":[{"name":"x","from":"2026-12-20","until":"2027-01-04T06:00:00Z"}]}`:           "must be times such as",
		`{"freeze":[{"name":"x","from":"2027-01-04T06:00:00Z","until":"2027-01-04T06:00:00Z"}]}`: "must be after from",
	} {
		if _, err := open(t.Context(), json.RawMessage(config)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", config, err, want)
		}
	}
}
