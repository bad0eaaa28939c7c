package gate_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

func timeout(ms uint64, policy string) []string {
	return []string{fmt.Sprintf(`"timeout":{"timeout_ms":%d,"policy_tags":["x"]},"on_timeout":%q`, ms, policy)}
}

const branchBCD = `{"kind":"branch","branches":[{"gate_id":"g1","outcome":"false","next_stage_id":"b"},{"gate_id":"g1","outcome":"true","next_stage_id":"c"},{"gate_id":"g1","outcome":"unknown","next_stage_id":"d"}]}`

// waiting is the scenario of appendix B: stage a with a gate that stays unknown, and b, c, d that end.
func waiting(t testing.TB, advance string, ms uint64, policy string) *gate.Scenario {
	t.Helper()
	return compile(t, spec(strings.Join([]string{
		stage("a", gateOf("g1", leaf("none")), advance, timeout(ms, policy)...), stage("b", "", terminal), stage("c", "", terminal), stage("d", "", terminal),
	}, ","), is("none")))
}

// Appendix B: the timeouts, row by row.
func TestTimeouts(t *testing.T) {
	advance := func(to string) string {
		return `{"kind":"advance","from_stage":"a","to_stage":"` + to + `","timeout":true}`
	}
	complete := func(stage string) string { return `{"kind":"complete","stage_id":"` + stage + `"}` }
	for _, c := range []struct{ policy, advanceTo, onTick, then string }{
		{"fail", linear, `{"kind":"fail","reason":"timeout"}`, `decision-3 {"kind":"fail","reason":"timeout"}`},
		{"advance_with_flag", linear, advance("b"), `decision-4 ` + complete("b")},
		{"alternate_branch", linear, advance("b"), `decision-4 ` + complete("b")},
		{"advance_with_flag", branchBCD, advance("c"), `decision-4 ` + complete("c")},
		{"alternate_branch", branchBCD, advance("d"), `decision-4 ` + complete("d")},
		{"alternate_branch", `{"kind":"branch","branches":[{"gate_id":"g1","outcome":"true","next_stage_id":"c"}]}`, "gate resolution failed: no branch matched", "trigger time kind mismatch: timeout evaluation requires matching timestamp kinds"},
		{"advance_with_flag", terminal, complete("a"), `decision-3 ` + complete("a")},
	} {
		r := start(t, waiting(t, c.advanceTo, 10, c.policy), nil)
		for i, call := range []gate.TriggerCall{r.event(gate.Tick, "t1", unix(9)), r.event(gate.ExternalEvent, "t2", unix(10))} {
			result, err := r.call(t, call)
			if err != nil || result.Decision.Outcome.Kind != gate.Hold || result.Decision.Seq != uint64(i+1) {
				t.Fatalf("%s: %v, %v", c.policy, result, err)
			}
		}
		evals := len(r.state.GateEvals)
		result, err := r.tick(t, "t3", unix(10))
		if err != nil {
			refused(t, err, c.onTick)
		} else {
			same(t, c.policy, declared(result.Decision.Outcome), c.onTick)
			if len(r.state.GateEvals) != evals || len(r.asked) > 0 {
				t.Error("a timeout records evaluations or asks for evidence")
			}
		}
		result, err = r.tick(t, "t4", logical(10))
		if err != nil {
			refused(t, err, c.then)
			if len(r.state.Triggers) != 2 || len(r.state.ToolCalls) != 2 {
				t.Error("failing ticks left a trace")
			}
		} else {
			same(t, c.policy+", then", result.Decision.DecisionID+" "+declared(result.Decision.Outcome), c.then)
		}
	}
}

// Contract §6.8: the arithmetic of deadlines, at both ends of both kinds of time.
func TestTimeoutArithmetic(t *testing.T) {
	const (
		mismatch = "trigger time kind mismatch: timeout evaluation requires matching timestamp kinds"
		tooLong  = "timeout calculation error: timeout_ms exceeds i64 range"
		overflow = "timeout calculation error: timeout deadline overflow"
	)
	for _, c := range []struct {
		ms           uint64
		entered, now gate.Timestamp
		want         string
	}{
		{10, unix(0), unix(9), "hold"}, {10, unix(0), unix(10), "fail"}, {0, unix(5), unix(5), "fail"}, {0, unix(5), unix(4), "hold"},
		{10, unix(-20), unix(-11), "hold"}, {10, unix(-20), unix(-10), "fail"},
		{10, logical(1), logical(10), "hold"}, {10, logical(1), logical(11), "fail"},
		{10, unix(0), logical(10), mismatch}, {10, logical(0), unix(10), mismatch},
		{1 << 63, unix(0), unix(1), tooLong}, {1 << 63, unix(math.MinInt64), unix(1), tooLong}, {1 << 63, unix(0), logical(1), mismatch},
		{math.MaxInt64, unix(0), unix(math.MaxInt64), "fail"}, {math.MaxInt64, unix(1), unix(2), overflow}, {math.MaxInt64, unix(math.MinInt64), unix(-2), "hold"}, {math.MaxInt64, unix(math.MinInt64), unix(-1), "fail"},
		{1 << 63, logical(0), logical(1 << 63), "fail"}, {math.MaxUint64, logical(0), logical(math.MaxUint64), "fail"}, {math.MaxUint64, logical(1), logical(5), overflow}, {1, logical(math.MaxUint64), logical(0), overflow},
	} {
		r, err := startWith(t, waiting(t, linear, c.ms, "fail"), nil, gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: "s"}, c.entered, false)
		if err != nil {
			t.Fatal(err)
		}
		result, err := r.tick(t, "t", c.now)
		got := string(result.Decision.Outcome.Kind)
		if err != nil {
			got = err.Error()
		}
		same(t, fmt.Sprint(c.ms, c.entered, c.now), got, c.want)
	}
}

func TestOnlyTicksTimeOut(t *testing.T) {
	for _, kind := range []gate.TriggerKind{gate.AgentRequestNext, gate.ExternalEvent, gate.BackendEvent} {
		r := start(t, waiting(t, linear, 10, "fail"), nil)
		result, err := r.call(t, r.event(kind, "t", logical(99)))
		if err != nil || result.Decision.Outcome.Kind != gate.Hold {
			t.Errorf("%s: %v, %v", kind, result.Decision.Outcome.Kind, err)
		}
	}
	r := start(t, compile(t, spec(stage("a", gateOf("g1", leaf("none")), linear), is("none"))), nil)
	if result, err := r.tick(t, "t", logical(99)); err != nil || result.Decision.Outcome.Kind != gate.Hold {
		t.Errorf("a stage without a timeout: %v, %v", result.Decision.Outcome.Kind, err)
	}
}

func TestP10AlternateBranchWithoutBranches(t *testing.T) {
	for _, advance := range []string{linear, `{"kind":"fixed","stage_id":"d"}`, terminal} {
		var outcomes []string
		for _, policy := range []string{"alternate_branch", "advance_with_flag"} {
			r := start(t, waiting(t, advance, 10, policy), nil)
			result, err := r.tick(t, "t", unix(10))
			if err != nil {
				t.Fatal(err)
			}
			outcomes = append(outcomes, declared(result))
		}
		same(t, advance, outcomes[0], outcomes[1])
	}
}

func TestP11TimeoutWithoutSuccessorCompletes(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", gateOf("g1", leaf("none")), linear, timeout(10, "advance_with_flag")...), is("none"))), nil)
	result, err := r.tick(t, "t", unix(10))
	if err != nil || result.Status != gate.Completed {
		t.Fatalf("%v, %v", result.Status, err)
	}
	same(t, "outcome", declared(result.Decision.Outcome), `{"kind":"complete","stage_id":"a"}`)
}

func TestP26EntryTimeIsTheMovingTriggers(t *testing.T) {
	s := compile(t, spec(stage("a", "", linear)+","+stage("b", gateOf("g1", leaf("none")), linear, timeout(10, "fail")...), is("none")))
	r := start(t, s, nil)
	if _, err := r.call(t, r.event(gate.ExternalEvent, "t1", logical(7))); err != nil {
		t.Fatal(err)
	}
	same(t, "entered at", declared(r.head.StageEnteredAt), `{"kind":"logical","value":7}`)
	_, err := r.tick(t, "t2", unix(99))
	refused(t, err, "trigger time kind mismatch: timeout evaluation requires matching timestamp kinds")
	if result, err := r.tick(t, "t2", logical(17)); err != nil || result.Decision.Outcome.Reason != "timeout" {
		t.Errorf("%v, %v", result, err)
	}
}
