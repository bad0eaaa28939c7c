package gate_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// documents are the types that rows of testdata name.
var documents = map[string]reflect.Type{}

func init() {
	for _, zero := range []any{
		gate.ScenarioSpec{}, gate.StageSpec{}, gate.AdvanceTo{}, gate.GateSpec{}, gate.ConditionSpec{}, gate.Requirement{}, gate.PacketSpec{},
		gate.PacketPayload{}, gate.PolicyRef{}, gate.SchemaRef{}, gate.Timestamp{}, gate.EvidenceResult{}, gate.EvidenceContext{}, gate.AnchorPolicy{},
		gate.TriggerEvent{}, gate.NextRequest{}, gate.StatusRequest{}, gate.SubmitRequest{}, gate.ScenarioStatus{}, gate.DecisionRecord{},
		gate.DecisionOutcome{}, gate.SafeSummary{}, gate.PacketEnvelope{}, gate.PacketRecord{}, gate.DispatchReceipt{}, gate.DispatchTarget{},
		gate.SubmissionRecord{}, gate.ToolCallRecord{}, gate.ToolCallError{}, gate.GateEvalRecord{}, gate.TriggerRecord{}, gate.RunConfig{},
		gate.RunState{}, gate.PrecheckRequest{},
	} {
		documents[reflect.TypeOf(zero).Name()] = reflect.TypeOf(zero)
	}
}

// decodeAs decodes a document as the type that a row names.
func decodeAs(t *testing.T, row canonical.Value) (any, error) {
	t.Helper()
	typ, ok := documents[text(row, "type")]
	if !ok {
		t.Fatalf("no type %q", text(row, "type"))
	}
	target := reflect.New(typ)
	err := canonical.Decode(parse(t, text(row, "document")), target.Interface())
	return target.Elem().Interface(), err
}

// Contract §0.3: what is absent, null and empty comes out as null or not at all, in declaration order.
func TestPresence(t *testing.T) {
	seen := map[string]bool{}
	rows(t, "presence.jsonl", func(t *testing.T, row canonical.Value) {
		v, err := decodeAs(t, row)
		if err != nil {
			t.Fatal(err)
		}
		want := text(row, "declared")
		if want == "" {
			want = text(row, "document")
		}
		same(t, "declared", declared(v), want)
		same(t, "canonical", canon(v), canon(parse(t, want)))
		seen[text(row, "type")] = true
	})
	for name := range documents {
		if !seen[name] {
			t.Errorf("no row for %s", name)
		}
	}
}

// Contract §0.4: nothing is lenient, and the refusal says where and why.
func TestRefused(t *testing.T) {
	rows(t, "refused.jsonl", func(t *testing.T, row canonical.Value) {
		_, err := decodeAs(t, row)
		if err == nil || !strings.Contains(err.Error(), text(row, "error")) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestP22PositionalFormsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, document string }{
		{"Timestamp", `["logical",3]`}, {"AdvanceTo", `["fixed","s2"]`}, {"PacketPayload", `["json",null]`}, {"DispatchTarget", `["agent","a"]`},
		{"Requirement", `{"RequireGroup":[1,[]]}`}, {"PolicyRef", `["p",null]`}, {"SafeSummary", `["hold",[],null,[]]`}, {"DecisionOutcome", `["start","a"]`},
	} {
		if err := canonical.Decode(parse(t, c.document), reflect.New(documents[c.name]).Interface()); err == nil {
			t.Errorf("%s is read from %s", c.name, c.document)
		}
	}
}

// Contract §2.12, appendix B and mcp contract §13.1.
func TestHashes(t *testing.T) {
	rows(t, "hashes.jsonl", func(t *testing.T, row canonical.Value) {
		v, err := decodeAs(t, row)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "canonical", canon(v), text(row, "canonical"))
		same(t, "hash", canonical.Hash(v).Value, text(row, "sha256"))
	})
}

// Recorded hashes of scenarios with awkward numbers and strings.
func TestSpecHashes(t *testing.T) {
	rows(t, "spec_hash.jsonl", func(t *testing.T, row canonical.Value) {
		s, err := gate.Compile(decode[gate.ScenarioSpec](t, get(row, "spec")))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "hash", s.Hash().Value, text(row, "spec_hash"))
		// What is kept is declared; a scenario that is read from there is the same scenario, hash and literals.
		again := into[gate.ScenarioSpec](t, declared(*s.Spec()))
		same(t, "literals", declared(again), declared(*s.Spec()))
		same(t, "hash after storing", canonical.Hash(again).Value, text(row, "spec_hash"))
	})
}
