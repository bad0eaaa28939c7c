package mcp

import (
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// twoProviders is a scenario that holds: one condition asks the clock, one the environment.
const twoProviders = `{"spec":{"scenario_id":"two","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,
	"stages":[{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"And":[{"Condition":"past"},{"Condition":"env"}]}}],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],
	"conditions":[{"condition_id":"past","query":{"provider_id":"time","check_id":"after","params":{"timestamp":9}},"comparator":"equals","expected":true,"policy_tags":[]},
	{"condition_id":"env","query":{"provider_id":"env","check_id":"get","params":{"key":"DEPLOY_ENV"}},"comparator":"equals","expected":"staging","policy_tags":[]}]}}`

// TestEvidenceFeedback tells what was found, but not the values of a provider that discloses none, and explains the hold.
func TestEvidenceFeedback(t *testing.T) {
	options := localAccess
	options.Feedback = access.FeedbackRules{Max: access.Evidence, Evidence: access.Audience{Principals: []string{"local:loopback"}}}
	r := newRig(t, func(c *Config) {
		c.Access = access.New(options)
		c.Disclosed = func(id gate.ProviderID) bool { return id == "time" }
	})
	r.must("scenario_define", twoProviders)
	r.must("scenario_start", `{"scenario_id":"two","run_config":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"two","dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`)
	told := r.must("scenario_next", nextText("two", "r", "t", `,"feedback":"evidence"`))
	for _, want := range []string{
		`"feedback":{"level":"evidence","gate_records":[{"trigger_id":"t","stage_id":"a","evaluation":{"gate_id":"g","status":"False"`,
		`{"condition_id":"past","status":"False","result":{"value":{"kind":"json","value":false}`,
		`{"condition_id":"env","status":"False","result":{"value":null,"lane":"verified","error":null,"evidence_hash":{"algorithm":"sha256"`,
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not in %s", want, told)
		}
	}
	if strings.Contains(told, "production") {
		t.Errorf("the value of a provider that discloses none: %s", told)
	}
	if summary := r.must("scenario_next", nextText("two", "r", "t2", "")); strings.Contains(summary, "feedback") {
		t.Errorf("nobody asked: %s", summary)
	}
	_, text := r.standardPost(standardCall("scenario_next", nextText("two", "r", "t3", `,"feedback":"evidence"`)))
	if !strings.Contains(text, "It opens when") || strings.Contains(text, `"production"`) {
		t.Errorf("at /mcp: %s", text)
	}
	// What the store keeps is whole: a caller that may know it is told later.
	r.Disclosed = func(gate.ProviderID) bool { return true }
	if told := r.must("scenario_next", nextText("two", "r", "t", `,"feedback":"evidence"`)); !strings.Contains(told, `"value":"production"`) {
		t.Errorf("disclosed: %s", told)
	}
}
