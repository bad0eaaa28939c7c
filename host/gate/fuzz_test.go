package gate_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Whatever decodes as a spec is written so that it is the same spec with the same hash, and compiles or is refused.
func FuzzDecodeSpec(f *testing.F) {
	f.Add(spec(stage("a", gateOf("g", `{"And":[{"Not":`+leaf("c")+`},`+group(1, "c")+`]}`), branchBCD, timeout(5, "fail")...)+","+stage("b", "", `{"kind":"fixed","stage_id":"a"}`, packets(payload)), is("c")))
	f.Add(spec(stage("", gateOf("", nested(40, leaf(""))), linear), is("")))
	f.Add(`{"scenario_id":1}`)
	f.Fuzz(func(t *testing.T, document string) {
		v, err := canonical.Parse([]byte(document))
		if err != nil {
			return
		}
		var s gate.ScenarioSpec
		if canonical.Decode(v, &s) != nil {
			return
		}
		written := declared(s)
		again := into[gate.ScenarioSpec](t, written)
		if declared(again) != written || canonical.Hash(again) != canonical.Hash(s) {
			t.Fatalf("%q is written as %q", document, written)
		}
		compiled, err := gate.Compile(s)
		if err != nil {
			var refusal *gate.Error
			if !errors.As(err, &refusal) || refusal.Reason != gate.InvalidSpec {
				t.Fatal(err)
			}
			return
		}
		for i := range s.Stages {
			if _, err := compiled.Precheck(gate.PrecheckRequest{StageID: &s.Stages[i].StageID}, &gate.Settings{}); err != nil && err.Error() != "gate resolution failed: no branch matched" {
				t.Fatal(err)
			}
		}
	})
}

// Any spec, any triggers and any answers: no panic, and a run whose head agrees with its logs.
func FuzzTrigger(f *testing.F) {
	whole := spec(stage("a", gateOf("g", leaf("c")), branchBCD, timeout(5, "advance_with_flag")...)+","+stage("b", "", linear, packets(payload))+","+stage("c", "", terminal)+","+stage("d", "", terminal), is("c"))
	f.Add(whole, `{"value":{"kind":"json","value":true}}`, uint64(3), "tick")
	f.Add(whole, `{"error":{"code":"c","message":"m"},"lane":"asserted"}`, uint64(9), "tick")
	f.Add(whole, `{"value":{"kind":"bytes","value":[1]}}`, uint64(0), "external_event")
	f.Add(spec(stage("a", gateOf("g", nested(40, leaf("c"))), linear), is("c")), `{}`, uint64(1), "backend_event")
	f.Fuzz(func(t *testing.T, document, answer string, at uint64, kind string) {
		v, err := canonical.Parse([]byte(document))
		if err != nil {
			return
		}
		var s gate.ScenarioSpec
		if canonical.Decode(v, &s) != nil {
			return
		}
		compiled, err := gate.Compile(s)
		if err != nil || !slices.Contains(gate.TriggerKind("").Names(), kind) {
			return // no document decodes to such a kind
		}
		given := gate.Answer{Err: errors.New("no answer")}
		if v, err := canonical.Parse([]byte(answer)); err == nil && canonical.Decode(v, &given.Result) == nil {
			given.Err = nil
		}
		config := gate.RunConfig{TenantID: 1, NamespaceID: s.NamespaceID, RunID: "r", ScenarioID: s.ScenarioID, DispatchTargets: []gate.DispatchTarget{agent}}
		r, err := startWith(t, compiled, nil, config, unix(int64(at%1000)), at%2 == 0)
		if err != nil {
			return
		}
		r.provider = func(gate.EvidenceQuery, gate.EvidenceContext) gate.Answer { return given }
		for _, id := range []gate.TriggerID{"t1", "t2", "t2", gate.InitTrigger, "t3"} {
			// Refusals are fine; run.call checks that they leave nothing.
			for _, now := range []gate.Timestamp{unix(int64(at)), logical(at)} {
				_, _ = r.call(t, r.event(gate.TriggerKind(kind), id, now))
			}
		}
	})
}
