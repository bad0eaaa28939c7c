package gate_test

import (
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// BenchmarkTrigger decides on four conditions in two gates and writes what is to be saved.
func BenchmarkTrigger(b *testing.B) {
	s := compile(b, spec(stage("a", gateOf("g", `{"And":[`+leaf("c1")+`,`+leaf("c2")+`]}`)+","+gateOf("h", group(1, "c3", "c4")), linear)+","+stage("b", "", terminal, packets(payload)), is("c1", "c2", "c3", "c4")))
	r := start(b, s, nil, agent)
	answers := map[gate.ConditionID]gate.Answer{}
	for _, c := range s.Spec().Conditions {
		answers[c.ConditionID] = jsonAnswer(b, "true")
	}
	call := gate.NextRequest{RunID: "r", TenantID: 1, NamespaceID: 1, TriggerID: "t", AgentID: "a", Time: unix(1)}.Call()
	var buffer []byte
	b.ReportAllocs()
	for b.Loop() {
		transition, _, err := s.Trigger(r.head, call, nil, answers, r.set)
		if err != nil || transition.Step.Decision.Outcome.Kind != gate.Advance {
			b.Fatal(err)
		}
		buffer = canonical.Append(buffer[:0], transition.Head, canonical.Declared)
		buffer = canonical.Append(buffer, transition.Step, canonical.Declared)
	}
}

// BenchmarkLoad reads a head as it is stored.
func BenchmarkLoad(b *testing.B) {
	r := start(b, compile(b, spec(stage("a", gateOf("g", leaf("c")), linear), is("c"))), nil, agent)
	r.next(b, "t", 1)
	stored := []byte(declared(r.head))
	b.SetBytes(int64(len(stored)))
	b.ReportAllocs()
	for b.Loop() {
		v, err := canonical.Parse(stored)
		if err != nil {
			b.Fatal(err)
		}
		var head gate.Head
		if err := canonical.Decode(v, &head); err != nil {
			b.Fatal(err)
		}
	}
}
