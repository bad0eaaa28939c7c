package hold

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// requirement reads one as a scenario says it.
func requirement(t testing.TB, text string) (r gate.Requirement) {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err == nil {
		err = canonical.Decode(v, &r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// evaluate is a stage of gates whose conditions are as is says; what it does not name is unknown.
func evaluate(stage *gate.StageSpec, is map[gate.ConditionID]gate.Truth) (evals []gate.GateEvaluation) {
	for _, g := range stage.Gates {
		status, trace := g.Requirement.Evaluate(func(id gate.ConditionID) gate.Truth {
			if truth, known := is[id]; known {
				return truth
			}
			return gate.Unknown
		})
		evals = append(evals, gate.GateEvaluation{GateID: g.GateID, Status: status, Trace: trace})
	}
	return evals
}

func stageOf(requirements ...gate.Requirement) *gate.StageSpec {
	stage := &gate.StageSpec{StageID: "s"}
	for i, r := range requirements {
		stage.Gates = append(stage.Gates, gate.GateSpec{GateID: gate.GateID(fmt.Sprintf("g%d", i)), Requirement: r})
	}
	return stage
}

// told is what opens a hold, short: each way its conditions, those that must be false with a "!".
func told(h *Hold) string {
	if h.OpensWith == nil {
		return "untold"
	}
	var ways []string
	for _, needs := range *h.OpensWith {
		var parts []string
		for _, n := range needs {
			if n.MustBe == gate.False {
				parts = append(parts, "!"+string(n.ConditionID))
			} else {
				parts = append(parts, string(n.ConditionID))
			}
		}
		ways = append(ways, strings.Join(parts, "+"))
	}
	return strings.Join(ways, " | ")
}

func TestOpensWith(t *testing.T) {
	for _, test := range []struct {
		name, is string
		gates    []string
		want     string
	}{
		{"one condition", "", []string{`{"Condition":"a"}`}, "a"},
		{"all of three", "a", []string{`{"And":[{"Condition":"a"},{"Condition":"b"},{"Condition":"c"}]}`}, "b+c"},
		{"any of three, smallest first", "", []string{`{"Or":[{"And":[{"Condition":"a"},{"Condition":"b"}]},{"Condition":"c"}]}`}, "c | a+b"},
		{"two of three", "a", []string{`{"RequireGroup":{"min":2,"reqs":[{"Condition":"a"},{"Condition":"b"},{"Condition":"c"}]}}`}, "b | c"},
		{"none of them may be", "a", []string{`{"Not":{"Or":[{"Condition":"a"},{"Condition":"b"}]}}`}, "!a+!b"},
		{"not two of three", "abc", []string{`{"Not":{"RequireGroup":{"min":2,"reqs":[{"Condition":"a"},{"Condition":"b"},{"Condition":"c"}]}}}`}, "!a+!b | !a+!c | !b+!c"},
		{"two gates", "b", []string{`{"Condition":"a"}`, `{"Or":[{"Condition":"a"},{"Condition":"b"}]}`}, "a"},
		{"a gate that is met must stay so", "a", []string{`{"Condition":"a"}`, `{"Or":[{"Not":{"Condition":"a"}},{"Condition":"b"}]}`}, "b"},
		{"a contradiction", "", []string{`{"And":[{"Condition":"a"},{"Not":{"Condition":"a"}}]}`}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			is := map[gate.ConditionID]gate.Truth{}
			for _, c := range test.is {
				is[gate.ConditionID(c)] = gate.True
			}
			var requirements []gate.Requirement
			for _, g := range test.gates {
				requirements = append(requirements, requirement(t, g))
			}
			stage := stageOf(requirements...)
			if got := told(Explain(stage, evaluate(stage, is))); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// TestEveryWayOpens does what is told, and nothing less, and finds the stage open, and nothing less than that opens it.
func TestEveryWayOpens(t *testing.T) {
	ids := []gate.ConditionID{"a", "b", "c", "d"}
	truths := []gate.Truth{gate.True, gate.False, gate.Unknown}
	var node func(t *rapid.T, depth int) gate.Requirement
	node = func(t *rapid.T, depth int) gate.Requirement {
		kinds := []gate.RequirementKind{gate.Condition, gate.And, gate.Or, gate.Not, gate.Group}
		if depth == 0 {
			kinds = kinds[:1]
		}
		r := gate.Requirement{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		children := map[gate.RequirementKind]int{gate.Not: 1, gate.And: 2, gate.Or: 2, gate.Group: 3}[r.Kind]
		for range children {
			r.Reqs = append(r.Reqs, node(t, depth-1))
		}
		if r.Kind == gate.Condition {
			r.Condition = rapid.SampledFrom(ids).Draw(t, "id")
		}
		if r.Kind == gate.Group {
			r.Min = uint8(rapid.IntRange(1, 3).Draw(t, "min"))
		}
		return r
	}
	rapid.Check(t, func(t *rapid.T) {
		stage := stageOf(node(t, 2), node(t, 1))
		is := map[gate.ConditionID]gate.Truth{}
		for _, id := range ids {
			is[id] = rapid.SampledFrom(truths).Draw(t, string(id))
		}
		open := func(change []Need) bool {
			now := map[gate.ConditionID]gate.Truth{}
			for id, truth := range is {
				now[id] = truth
			}
			for _, n := range change {
				now[n.ConditionID] = n.MustBe
			}
			return !slices.ContainsFunc(evaluate(stage, now), func(e gate.GateEvaluation) bool { return e.Status != gate.True })
		}
		h := Explain(stage, evaluate(stage, is))
		for _, needs := range *h.OpensWith {
			if !open(needs) {
				t.Fatalf("%v of %q does not open %v", needs, told(h), stage.Gates)
			}
			for i := range needs {
				if open(slices.Delete(slices.Clone(needs), i, i+1)) {
					t.Fatalf("%v of %q opens without its %d.", needs, told(h), i)
				}
			}
		}
	})
}

// TestManyWays bounds requirements that have more ways than there is memory, and those that take too long.
func TestManyWays(t *testing.T) {
	for _, test := range []struct {
		name, requirement string
		want              int // ways told; -1 for none being said
	}{
		{"2^40", `{"And":[` + repeat(40, `{"Or":[{"Condition":"a%[1]d"},{"Condition":"b%[1]d"}]}`) + `]}`, maxTold},
		{"100 of 200", `{"RequireGroup":{"min":100,"reqs":[` + repeat(200, `{"Condition":"c%d"}`) + `]}}`, -1},
	} {
		t.Run(test.name, func(t *testing.T) {
			stage := stageOf(requirement(t, test.requirement))
			got := -1
			if h := Explain(stage, evaluate(stage, nil)); h.OpensWith != nil {
				got = len(*h.OpensWith)
			}
			if got != test.want {
				t.Errorf("%d ways, want %d", got, test.want)
			}
		})
	}
}

func repeat(n int, format string) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(format, i))
	}
	return strings.Join(all, ",")
}

func TestText(t *testing.T) {
	stage := stageOf(requirement(t, `{"And":[{"Condition":"tests pass"},{"Not":{"Condition":"frozen"}}]}`))
	for _, test := range []struct {
		hold *Hold
		want string
	}{
		{Summary("s", []gate.GateID{"g0"}), "Hold: the run stays at stage \"s\".\n- Gate \"g0\" is not met.\nAsk with feedback \"trace\" to be told, where you may be, what would open it."},
		{Explain(stage, evaluate(stage, map[gate.ConditionID]gate.Truth{"frozen": gate.True})),
			"Hold: the run stays at stage \"s\".\n- Gate \"g0\" is not met: condition \"tests pass\" is unknown, condition \"frozen\" is true.\nIt opens when \"frozen\" is false and \"tests pass\" is true."},
	} {
		if got := test.hold.Text(); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}

// What a Not wants false counts as missing when it is not, and only then.
func TestMissing(t *testing.T) {
	for _, c := range []struct{ requirement, is, want string }{
		{`{"Condition":"a"}`, "a=True", ""},
		{`{"Condition":"a"}`, "a=Unknown", "a"},
		{`{"Not":{"Condition":"a"}}`, "a=False", ""},
		{`{"Not":{"Condition":"a"}}`, "a=True", "a"},
		{`{"Not":{"Condition":"a"}}`, "a=Unknown", "a"},
		{`{"Not":{"Not":{"Condition":"a"}}}`, "a=False", "a"},
		{`{"And":[{"Condition":"b"},{"Not":{"And":[{"Condition":"a"},{"Condition":"c"}]}},{"Condition":"b"}]}`, "a=True b=False c=False", "b a"},
		{`{"RequireGroup":{"min":1,"reqs":[{"Condition":"a"},{"Not":{"Condition":"a"}}]}}`, "a=True", "a"},
		{`{"Condition":"not told"}`, "a=True", ""},
	} {
		r := requirement(t, c.requirement)
		var trace []gate.TraceEntry
		for _, pair := range strings.Fields(c.is) {
			id, status, _ := strings.Cut(pair, "=")
			trace = append(trace, gate.TraceEntry{ConditionID: gate.ConditionID(id), Status: gate.Truth(status)})
		}
		var got []string
		for _, m := range Missing(&r, trace) {
			got = append(got, string(m.ConditionID))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s with %s: %q is missing, want %q", c.requirement, c.is, got, c.want)
		}
	}
}
