package database

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// engine plays calls on a run, and keeps what the open-source server would keep of them.
type engine struct {
	t        testing.TB
	scenario *gate.Scenario
	settings *gate.Settings
	head     gate.Head
	state    gate.RunState
	steps    []gate.Step
	recorded map[gate.TriggerID]*gate.Recorded
	handed   map[gate.SubmissionID]*gate.SubmissionRecord
}

func decoded[T any](text string) (out T) {
	v, err := canonical.Parse([]byte(text))
	if err == nil {
		err = canonical.Decode(v, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("%v in %s", err, text))
	}
	return out
}

func begin(t testing.TB, spec, config string, at gate.Timestamp, packets bool) *engine {
	t.Helper()
	e := &engine{
		t: t, settings: &gate.Settings{MinLane: gate.Verified}, state: gate.NewRunState(),
		recorded: map[gate.TriggerID]*gate.Recorded{}, handed: map[gate.SubmissionID]*gate.SubmissionRecord{},
	}
	var err error
	if e.scenario, err = gate.Compile(decoded[gate.ScenarioSpec](spec)); err != nil {
		t.Fatal(err)
	}
	first, err := e.scenario.Start(decoded[gate.RunConfig](config), at, packets, e.settings)
	if err != nil {
		t.Fatal(err)
	}
	e.apply(first)
	return e
}

func (e *engine) apply(t gate.Transition) {
	e.head, e.steps = t.Head, append(e.steps, t.Step)
	e.state.Apply(t)
	if d := t.Step.Decision; d != nil {
		e.recorded[d.TriggerID] = &gate.Recorded{Decision: *d, Packets: t.Step.Packets}
	}
	if s := t.Step.Submission; s != nil {
		e.handed[s.SubmissionID] = s
	}
}

// call carries a call; a refusal leaves no trace.
func (e *engine) call(call gate.TriggerCall, answers map[gate.ConditionID]gate.Answer) {
	t, _, err := e.scenario.Trigger(e.head, call, e.recorded[call.Event.TriggerID], answers, e.settings)
	if err == nil {
		e.apply(t)
	}
}

func (e *engine) status(at gate.Timestamp) {
	issued := []gate.PacketID{}
	for i := range e.state.Packets {
		issued = append(issued, e.state.Packets[i].Envelope.PacketID)
	}
	t, _ := e.head.StatusOf(gate.StatusRequest{RunID: e.head.RunID, TenantID: e.head.TenantID, NamespaceID: e.head.NamespaceID, RequestedAt: at}, issued)
	e.apply(t)
}

func (e *engine) submit(id gate.SubmissionID, payload gate.PacketPayload, at gate.Timestamp) {
	t, _, _ := e.head.Submit(gate.SubmitRequest{
		RunID: e.head.RunID, TenantID: e.head.TenantID, NamespaceID: e.head.NamespaceID,
		SubmissionID: id, Payload: payload, ContentType: "application/json", SubmittedAt: at,
	}, e.handed[id])
	if t.Step.ToolCall != nil {
		e.apply(t)
	}
}

// row is the run as the open-source server stores it.
func (e *engine) row() *Row { return rowOf(&e.state) }

func rowOf(state *gate.RunState) *Row {
	document := canonical.Append(nil, *state, canonical.Canonical)
	return &Row{
		TenantID: uint64(state.TenantID), NamespaceID: uint64(state.NamespaceID), RunID: string(state.RunID), Version: 1, SavedAt: 1_700_000_000_000,
		State: document, Hash: canonical.HashBytes(document).Value, Algorithm: "sha256",
	}
}

var (
	stageIDs     = []string{"a", "b", "c"}
	conditionIDs = []string{"x", "y", "z"}
)

func drawGate(t *rapid.T, id string) string {
	leaf := func() string { return `{"Condition":"` + rapid.SampledFrom(conditionIDs).Draw(t, "leaf") + `"}` }
	tree := rapid.SampledFrom([]string{leaf(), `{"And":[` + leaf() + `,` + leaf() + `]}`, `{"Or":[` + leaf() + `,` + leaf() + `]}`, `{"Not":` + leaf() + `}`}).Draw(t, "tree")
	return `{"gate_id":"` + id + `","requirement":` + tree + `}`
}

func drawStage(t *rapid.T, id string) string {
	var gates []string
	for i := range rapid.IntRange(0, 2).Draw(t, "gates") {
		gates = append(gates, drawGate(t, id+fmt.Sprint(i)))
	}
	target := func() string { return rapid.SampledFrom(stageIDs).Draw(t, "target") }
	advance := rapid.SampledFrom([]string{
		`{"kind":"linear"}`, `{"kind":"linear"}`, `{"kind":"terminal"}`, `{"kind":"fixed","stage_id":"` + target() + `"}`,
		`{"kind":"branch","branches":[{"gate_id":"` + id + `0","outcome":"true","next_stage_id":"` + target() + `"},{"gate_id":"` + id + `0","outcome":"unknown","next_stage_id":"` + target() + `"}],"default":"` + target() + `"}`,
	}).Draw(t, "advance")
	timeout := "null"
	if rapid.Bool().Draw(t, "timeout") {
		timeout = fmt.Sprintf(`{"timeout_ms":%d,"policy_tags":[]}`, rapid.IntRange(0, 6).Draw(t, "ms"))
	}
	packets := rapid.SampledFrom([]string{"", packetOf(id + "-1"), packetOf(id+"-1") + "," + packetOf(id+"-2")}).Draw(t, "packets")
	policy := rapid.SampledFrom(gate.TimeoutPolicy("").Names()).Draw(t, "policy")
	return `{"stage_id":"` + id + `","entry_packets":[` + packets + `],"gates":[` + strings.Join(gates, ",") + `],"advance_to":` + advance + `,"timeout":` + timeout + `,"on_timeout":"` + policy + `"}`
}

func packetOf(id string) string {
	return `{"packet_id":"` + id + `","schema_id":"s","content_type":"application/json","visibility_labels":["l"],"policy_tags":[],"expiry":null,"payload":{"kind":"json","value":{"n":1.0,"big":18446744073709551615}}}`
}

func drawAnswer(t *rapid.T) gate.Answer {
	literal := rapid.SampledFrom([]string{"true", "true", "true", "false", "null", "1.0", `"x"`, "bytes", "error", "failure", "nothing"}).Draw(t, "answer")
	answer := gate.Answer{Result: gate.EvidenceResult{Lane: gate.Verified}}
	switch literal {
	case "failure":
		answer.Err = fmt.Errorf("failure")
	case "bytes":
		answer.Result.Value = &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: []byte{1}}
	case "error":
		answer.Result.Error = &gate.EvidenceError{Code: "e", Message: "m"}
	case "nothing":
	default:
		v, _ := canonical.Parse([]byte(literal))
		answer.Result.Value = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}
	}
	return answer
}

// drawRun plays random calls on a run of a random scenario.
func drawRun(t *rapid.T, tb testing.TB) *engine {
	var stages, conditions []string
	for _, id := range stageIDs {
		stages = append(stages, drawStage(t, id))
	}
	for _, id := range conditionIDs {
		conditions = append(conditions, `{"condition_id":"`+id+`","query":{"provider_id":"p","check_id":"k"},"comparator":"equals","expected":true,"policy_tags":[]}`)
	}
	spec := `{"scenario_id":"s","namespace_id":2,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,"stages":[` +
		strings.Join(stages, ",") + `],"conditions":[` + strings.Join(conditions, ",") + `]}`
	targets := rapid.SampledFrom([]string{"", `{"kind":"agent","agent_id":"a1"}`, `{"kind":"channel","channel":"c"},{"kind":"external","system":"s","target":"t"}`}).Draw(t, "targets")
	config := `{"tenant_id":1,"namespace_id":2,"run_id":"r","scenario_id":"s","dispatch_targets":[` + targets + `],"policy_tags":[]}`
	e := begin(tb, spec, config, millis(0), rapid.Bool().Draw(t, "issue packets"))
	for i := range rapid.IntRange(0, 14).Draw(t, "calls") {
		e.random(t, i)
	}
	return e
}

func millis(ms int) gate.Timestamp { return gate.Timestamp{Kind: gate.UnixMillis, Millis: int64(ms)} }

// random makes the i-th call. Ids are few, so that they repeat, and "init" is among them.
func (e *engine) random(t *rapid.T, i int) {
	id := rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "init", ""}).Draw(t, "id")
	answers := map[gate.ConditionID]gate.Answer{}
	for _, c := range conditionIDs {
		answers[gate.ConditionID(c)] = drawAnswer(t)
	}
	switch rapid.SampledFrom([]string{"next", "next", "trigger", "trigger", "status", "submit", "missing"}).Draw(t, "call") {
	case "next":
		e.call(gate.NextRequest{RunID: "r", TenantID: 1, NamespaceID: 2, TriggerID: gate.TriggerID(id), AgentID: "a1", Time: millis(i)}.Call(), answers)
	case "trigger":
		event := gate.TriggerEvent{
			TriggerID: gate.TriggerID(id), TenantID: 1, NamespaceID: 2, RunID: "r", Time: millis(i), SourceID: "src",
			Kind: gate.TriggerKind(rapid.SampledFrom(gate.TriggerKind("").Names()).Draw(t, "kind")),
		}
		if rapid.Bool().Draw(t, "payload") {
			event.Payload = &gate.PacketPayload{Kind: gate.BytesPayload, Bytes: []byte{0, 255}}
		}
		e.call(event.Call(), answers)
	case "status":
		e.status(millis(i))
	case "submit":
		v, _ := canonical.Parse([]byte(rapid.SampledFrom([]string{"1", "1.0", `{"a":[1e2]}`}).Draw(t, "payload")))
		e.submit(gate.SubmissionID(id), gate.PacketPayload{Kind: gate.JSONPayload, Value: v}, millis(i))
	case "missing":
		call := gate.NextRequest{RunID: "r", TenantID: 1, NamespaceID: 2, TriggerID: gate.TriggerID(id), AgentID: "a1", Time: millis(i)}.Call()
		refused, _ := e.head.RefuseMissing(call, gate.ProviderMissing{MissingProviders: []string{"p"}, RequiredCapabilities: []string{"k"}})
		e.apply(refused)
	}
}
