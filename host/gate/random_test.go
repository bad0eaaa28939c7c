package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var stageIDs, conditionIDs = []string{"a", "b", "c"}, []string{"x", "y", "z"}

// drawRequirement draws a tree of the conditions x, y and z, some deeper than is evaluated.
func drawRequirement(t *rapid.T, depth int) string {
	kind := rapid.SampledFrom([]string{"Condition", "And", "Or", "Not", "RequireGroup", "deep"}).Draw(t, "node")
	if kind == "Condition" || depth == 0 {
		return leaf(rapid.SampledFrom(conditionIDs).Draw(t, "leaf"))
	}
	if kind == "deep" {
		return nested(rapid.IntRange(25, 40).Draw(t, "levels"), drawRequirement(t, 0))
	}
	if kind == "Not" {
		return nested(1, drawRequirement(t, depth-1))
	}
	var reqs []string
	for range rapid.IntRange(0, 3).Draw(t, "children") {
		reqs = append(reqs, drawRequirement(t, depth-1))
	}
	list := "[" + strings.Join(reqs, ",") + "]"
	if kind == "RequireGroup" {
		return fmt.Sprintf(`{"RequireGroup":{"min":%d,"reqs":%s}}`, rapid.IntRange(0, 4).Draw(t, "min"), list)
	}
	return `{"` + kind + `":` + list + `}`
}

func drawStage(t *rapid.T, id string) string {
	var gates []string
	for i := range rapid.IntRange(0, 2).Draw(t, "gates") {
		gates = append(gates, gateOf(id+fmt.Sprint(i), drawRequirement(t, 3)))
	}
	target := rapid.SampledFrom(stageIDs)
	rule := func(outcome string) string {
		return `{"gate_id":"` + id + `0","outcome":"` + outcome + `","next_stage_id":"` + target.Draw(t, "target") + `"}`
	}
	advance := rapid.SampledFrom([]string{
		linear, terminal, `{"kind":"fixed","stage_id":"` + target.Draw(t, "target") + `"}`,
		`{"kind":"branch","branches":[` + rule("true") + `,` + rule("unknown") + `],"default":"` + target.Draw(t, "target") + `"}`,
		`{"kind":"branch","branches":[` + rule("unknown") + `]}`,
	}).Draw(t, "advance")
	var extra []string
	if rapid.Bool().Draw(t, "timeout") {
		extra = timeout(uint64(rapid.IntRange(0, 5).Draw(t, "ms")), rapid.SampledFrom(gate.TimeoutPolicy("").Names()).Draw(t, "policy"))
	}
	return stage(id, strings.Join(gates, ","), advance, extra...)
}

func drawAnswer(t *rapid.T) gate.Answer {
	literal := rapid.SampledFrom([]string{"true", "true", "true", "false", "null", "1", `"x"`, "bytes", "error", "failure", "nothing", "asserted"}).Draw(t, "answer")
	answer := gate.Answer{Result: gate.EvidenceResult{Lane: gate.Verified}}
	switch literal {
	case "failure":
		answer.Err = errors.New("failure")
	case "bytes":
		answer.Result.Value = &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: []byte{1}}
	case "error":
		answer.Result.Error = &gate.EvidenceError{Code: "e", Message: "m"}
	case "nothing":
	case "asserted":
		answer.Result.Lane = gate.Asserted
		literal = "true"
		fallthrough
	default:
		v, _ := canonical.Parse([]byte(literal))
		answer.Result.Value = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}
	}
	return answer
}

// randomRun plays random triggers on a random scenario; what it asserts holds for all of them.
func randomRun(rt *rapid.T, t testing.TB) {
	var stages []string
	for _, id := range stageIDs {
		stages = append(stages, drawStage(rt, id))
	}
	stages[1] = strings.Replace(stages[1], `"entry_packets":[]`, packets(payload, payload), 1)
	r := start(t, compile(t, spec(strings.Join(stages, ","), is(conditionIDs...))), nil, agent)
	for i := range rapid.IntRange(1, 12).Draw(rt, "triggers") {
		r.answers = map[gate.ConditionID]gate.Answer{}
		for _, id := range conditionIDs {
			r.answers[gate.ConditionID(id)] = drawAnswer(rt)
		}
		before, wasActive := r.head, r.head.Status == gate.Active
		id := gate.TriggerID(fmt.Sprint(rapid.IntRange(0, 8).Draw(rt, "id")))
		known := r.recorded(id) != nil
		kind := gate.TriggerKind(rapid.SampledFrom(gate.TriggerKind("").Names()).Draw(rt, "kind"))
		result, err := r.call(t, r.event(kind, id, unix(int64(i))))
		switch {
		case err != nil:
			if declared(r.head) != declared(before) {
				rt.Fatalf("after %v the run has moved", err)
			}
			continue
		case (!wasActive || known) && r.head.Decisions != before.Decisions:
			rt.Fatal("a repeat or a finished run decided again")
		case result.Status != r.head.Status:
			rt.Fatalf("status %s, head %s", result.Status, r.head.Status)
		}
		if wasActive && !known {
			checkDecision(rt, r, before, result)
		}
	}
}

// checkDecision asserts that a run moves only through gates that are all true, or by a timeout that says so.
func checkDecision(rt *rapid.T, r *run, before gate.Head, result gate.TriggerResult) {
	open := true
	for _, e := range r.state.GateEvals {
		if e.TriggerID == result.Decision.TriggerID {
			open = open && e.Evaluation.Status == gate.True
		}
	}
	outcome := result.Decision.Outcome
	moved := r.head.CurrentStageID != before.CurrentStageID || outcome.Kind == gate.Advance
	switch {
	case outcome.Kind == gate.Hold && (open || moved || r.head.Status != gate.Active):
		rt.Fatalf("holds although open %t, moved %t", open, moved)
	case !open && outcome.Kind != gate.Hold:
		rt.Fatalf("%s although a gate is closed", outcome.Kind)
	case outcome.Kind == gate.Advance && (r.head.CurrentStageID != outcome.ToStage || outcome.FromStage != before.CurrentStageID):
		rt.Fatalf("advanced to %s, head at %s", outcome.ToStage, r.head.CurrentStageID)
	case (outcome.Kind == gate.Complete) != (r.head.Status == gate.Completed), (outcome.Kind == gate.Fail) != (r.head.Status == gate.Failed):
		rt.Fatalf("%s, status %s", outcome.Kind, r.head.Status)
	case len(result.Packets) > 0 != (outcome.Kind == gate.Advance && outcome.ToStage == "b"):
		rt.Fatalf("%d packets with %s", len(result.Packets), declared(outcome))
	}
}

func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) { randomRun(rt, t) })
}
