package gate_test

import (
	"os"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// logs are the logs of a run as a runpack names them.
func logs(state *gate.RunState) map[string]any {
	return map[string]any{
		"triggers": state.Triggers, "gate_evals": state.GateEvals, "decisions": state.Decisions,
		"packets": state.Packets, "submissions": state.Submissions, "tool_calls": state.ToolCalls,
	}
}

// Recorded calls on one server, in order: every answer, and every exported log byte for byte.
func TestLifecycle(t *testing.T) {
	scenarios := map[string]*gate.Scenario{}
	runs := map[string]*run{}
	played := map[string]int{}
	for i, row := range lines(t, "lifecycle.jsonl") {
		tool, id := text(row, "tool"), text(row, "arguments", "scenario_id")
		if file := text(row, "file"); file != "" {
			tool = "file"
			checkFile(t, scenarios[text(row, "run")], runs[text(row, "run")], file, text(row, "bytes"))
		}
		played[tool]++
		switch tool {
		case "scenario_define":
			s, err := gate.Compile(decode[gate.ScenarioSpec](t, get(row, "arguments", "spec")))
			if err != nil {
				t.Fatal(err)
			}
			scenarios[string(s.Spec().ScenarioID)] = s
			same(t, "hash", declared(s.Hash()), declared(get(row, "result", "spec_hash")))
		case "scenario_start":
			r, err := startWith(t, scenarios[id], &gate.Settings{MinLane: gate.Asserted}, decode[gate.RunConfig](t, get(row, "arguments", "run_config")),
				decode[gate.Timestamp](t, get(row, "arguments", "started_at")), get(row, "arguments", "issue_entry_packets").Bool())
			if err != nil {
				t.Fatal(err)
			}
			r.provider = timeProvider
			runs[id] = r
			same(t, "state", declared(r.state), declared(get(row, "result")))
		default:
			answer(t, runs[id], tool, row)
		}
		if t.Failed() {
			t.Fatalf("lifecycle.jsonl:%d: %.1000s", i+1, declared(row))
		}
	}
	for tool, n := range map[string]int{"scenario_define": 40, "scenario_start": 40, "scenario_status": 51, "scenario_next": 45, "scenario_trigger": 91, "scenario_submit": 40, "file": 341} {
		if played[tool] != n {
			t.Errorf("%s: %d of %d played", tool, played[tool], n)
		}
	}
}

// answer makes one recorded call on a run and compares its answer. Exports and data shapes are not the engine's.
func answer(t *testing.T, r *run, tool string, row canonical.Value) {
	t.Helper()
	request := get(row, "arguments", "request")
	var got any
	var err error
	switch tool {
	case "scenario_status":
		got = r.status(t, decode[gate.StatusRequest](t, request))
	case "scenario_next":
		got, err = r.call(t, decode[gate.NextRequest](t, request).Call())
	case "scenario_trigger":
		got, err = r.call(t, decode[gate.TriggerEvent](t, get(row, "arguments", "trigger")).Call())
	case "scenario_submit":
		got, err = r.submit(t, decode[gate.SubmitRequest](t, request))
	default:
		return
	}
	if message := text(row, "error", "message"); message != "" {
		refused(t, err, message)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var want []canonical.Member
	for _, m := range get(row, "result").Members() {
		if m.Name != "feedback" { // which is built around the engine's answer
			want = append(want, m)
		}
	}
	same(t, tool, declared(got), declared(canonical.NewObject(want)))
}

func checkFile(t *testing.T, s *gate.Scenario, r *run, file, want string) {
	t.Helper()
	name, isLog := strings.CutPrefix(strings.TrimSuffix(file, ".json"), "artifacts/")
	if name == "scenario_spec" {
		same(t, file, canon(*s.Spec()), want)
		return
	}
	if log, ok := logs(&r.state)[name]; ok && isLog {
		same(t, file, canon(log), want)
	}
}

// Appendix A: the golden run, every request, response, log and hash from the two authored inputs.
func TestGoldenRun(t *testing.T) {
	data, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	golden := parse(t, string(data))
	s := compile(t, text(golden, "spec"))
	same(t, "spec hash", s.Hash().Value, text(golden, "spec_hash"))
	same(t, "spec", canon(*s.Spec()), text(golden, "canonical_spec"))
	permitAll := func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) { return true, nil }
	r, err := startWith(t, s, &gate.Settings{Authorize: permitAll}, into[gate.RunConfig](t, text(golden, "run_config")), into[gate.Timestamp](t, text(golden, "started_at")), true)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "state after start", canonical.Hash(r.state).Value, text(golden, "started_state_hash"))
	r.provider = timeProvider
	r.answers = map[gate.ConditionID]gate.Answer{"env_prod": {Result: gate.EvidenceResult{
		Lane:           gate.Verified,
		Value:          &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewString("production")},
		EvidenceAnchor: &gate.EvidenceAnchor{AnchorType: "env", AnchorValue: "DEPLOY_ENV"},
		ContentType:    ptr("text/plain"),
	}}}
	for i, call := range get(golden, "calls").Items() {
		goldenCall(t, r, call)
		if t.Failed() {
			t.Fatalf("call-%d", i+1)
		}
	}
	for name, log := range logs(&r.state) {
		same(t, name, canon(log), text(golden, "logs", name))
	}
	size, _ := get(golden, "final_state_bytes").Int()
	if final := canon(r.state); len(final) != int(size) {
		t.Errorf("final state has %d bytes", len(final))
	}
	same(t, "final state", canonical.Hash(r.state).Value, text(golden, "final_state_hash"))
}

func goldenCall(t *testing.T, r *run, call canonical.Value) {
	t.Helper()
	request := text(call, "request")
	var typed, got any
	var err error
	switch text(call, "method") {
	case gate.MethodStatus:
		q := into[gate.StatusRequest](t, request)
		typed, got = q, r.status(t, q)
	case gate.MethodNext:
		q := into[gate.NextRequest](t, request)
		typed = q
		got, err = r.call(t, q.Call())
	case gate.MethodSubmit:
		q := into[gate.SubmitRequest](t, request)
		typed = q
		got, err = r.submit(t, q)
	default:
		t.Fatalf("method %s", text(call, "method"))
	}
	same(t, "request", canon(typed), request)
	same(t, "request hash", canonical.Hash(typed).Value, text(call, "request_hash"))
	if want := text(call, "error"); want != "" {
		refused(t, err, want)
		got = *r.state.ToolCalls[len(r.state.ToolCalls)-1].Error
	} else if err != nil {
		t.Fatal(err)
	}
	same(t, "response", canon(got), text(call, "response"))
	same(t, "response hash", canonical.Hash(got).Value, text(call, "response_hash"))
}
