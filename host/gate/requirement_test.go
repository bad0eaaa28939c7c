package gate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Recorded trees: outcome, trace and decision of a precheck whose leaves are asserted.
func TestTrees(t *testing.T) {
	rows(t, "trees.jsonl", func(t *testing.T, row canonical.Value) {
		s := compile(t, spec(stage("stage-1", gateOf("g", declared(get(row, "requirement"))), terminal), is("c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7")))
		request := gate.PrecheckRequest{Evidence: map[gate.ConditionID]gate.EvidenceResult{}}
		for _, leaf := range get(row, "leaves").Members() {
			request.Evidence[gate.ConditionID(leaf.Name)] = gate.EvidenceResult{Lane: gate.Asserted, Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: leaf.Value}}
		}
		result, err := s.Precheck(request, &gate.Settings{MinLane: gate.Asserted})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "outcome", string(result.GateEvaluations[0].Status), text(row, "outcome"))
		same(t, "trace", declared(result.GateEvaluations[0].Trace), declared(get(row, "trace")))
		same(t, "decision", declared(result.Decision), declared(get(row, "decision")))
	})
}

// leaves gives conditions the truth that their name ends with.
func leaves(id gate.ConditionID) gate.Truth {
	switch id[len(id)-1] {
	case 'T':
		return gate.True
	case 'F':
		return gate.False
	default:
		return gate.Unknown
	}
}

func evaluate(t *testing.T, requirement string) (gate.Truth, string) {
	t.Helper()
	truth, trace := into[gate.Requirement](t, requirement).Evaluate(leaves)
	var names []string
	for _, entry := range trace {
		names = append(names, string(entry.ConditionID))
	}
	return truth, strings.Join(names, " ")
}

// Contract §3.3: Kleene's tables, both ways round.
func TestTruthTables(t *testing.T) {
	full := map[string]gate.Truth{"T": gate.True, "F": gate.False, "U": gate.Unknown}
	for _, c := range []struct{ a, b, and, or string }{
		{"T", "T", "T", "T"}, {"T", "F", "F", "T"}, {"T", "U", "U", "T"}, {"F", "F", "F", "F"}, {"F", "U", "F", "U"}, {"U", "U", "U", "U"},
	} {
		for _, p := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			a, b := full[p[0]], full[p[1]]
			if a.And(b) != full[c.and] || a.Or(b) != full[c.or] {
				t.Errorf("%s, %s: and %s, or %s", a, b, a.And(b), a.Or(b))
			}
		}
	}
	if gate.True.Not() != gate.False || gate.False.Not() != gate.True || gate.Unknown.Not() != gate.Unknown {
		t.Error("negation")
	}
}

func leaf(name string) string { return `{"Condition":"` + name + `"}` }

func group(minimum int, names ...string) string {
	for i, n := range names {
		names[i] = leaf(n)
	}
	return fmt.Sprintf(`{"RequireGroup":{"min":%d,"reqs":[%s]}}`, minimum, strings.Join(names, ","))
}

// Contract §3.3 and §3.4: groups, empty nodes, order and repetition of the trace, no short-circuit.
func TestRequirements(t *testing.T) {
	for _, c := range []struct {
		requirement string
		want        gate.Truth
		trace       string
	}{
		{`{"And":[]}`, gate.True, ""}, {`{"Or":[]}`, gate.False, ""}, {`{"Not":{"And":[]}}`, gate.False, ""},
		{group(0), gate.True, ""}, {group(1), gate.False, ""}, {group(0, "F", "U"), gate.True, "F U"}, {group(255, "T"), gate.False, "T"},
		{group(1, "F", "T"), gate.True, "F T"}, {group(2, "T", "F"), gate.False, "T F"}, {group(2, "T", "U"), gate.Unknown, "T U"},
		{group(2, "T", "T", "U"), gate.True, "T T U"}, {group(2, "U", "U", "F"), gate.Unknown, "U U F"}, {group(3, "T", "U", "F"), gate.False, "T U F"},
		{`{"And":[` + leaf("F") + `,` + leaf("T") + `,` + leaf("F") + `]}`, gate.False, "F T F"},
		{`{"Or":[` + leaf("T") + `,{"And":[` + leaf("bU") + `,` + leaf("aF") + `]},` + leaf("T") + `]}`, gate.True, "T bU aF T"},
		{`{"Not":` + leaf("U") + `}`, gate.Unknown, "U"},
	} {
		truth, trace := evaluate(t, c.requirement)
		if truth != c.want || trace != c.trace {
			t.Errorf("%s is %s, trace %q; want %s, %q", c.requirement, truth, trace, c.want, c.trace)
		}
	}
}

func TestP18GroupsCount(t *testing.T) {
	// As many unknown as would do: neither true nor false, whatever the logic of And and Or.
	if truth, _ := evaluate(t, group(2, "U", "T", "F")); truth != gate.Unknown {
		t.Error(truth)
	}
	if truth, _ := evaluate(t, group(1, "U", "T", "F")); truth != gate.True {
		t.Error(truth)
	}
}

// nested is a leaf below n negations: depth n.
func nested(n int, of string) string {
	return strings.Repeat(`{"Not":`, n) + of + strings.Repeat("}", n)
}

func TestP17OverDeepTreeIsUnknown(t *testing.T) {
	for _, c := range []struct {
		requirement string
		want        gate.Truth
		trace       string
	}{
		{nested(32, leaf("T")), gate.True, "T"},
		{nested(33, leaf("T")), gate.Unknown, ""},
		{nested(100, leaf("T")), gate.Unknown, ""},
		// An Or that is already true, and what was visited before stays in the trace; what comes after is not visited.
		{`{"Or":[` + leaf("aT") + `,` + nested(32, leaf("bT")) + `,` + leaf("cT") + `]}`, gate.Unknown, "aT"},
		{`{"And":[` + leaf("aF") + `,{"Or":[` + leaf("bU") + `,` + nested(31, leaf("cT")) + `]}]}`, gate.Unknown, "aF bU"},
		{`{"RequireGroup":{"min":0,"reqs":[` + leaf("aT") + `,` + nested(32, leaf("bT")) + `,` + leaf("cT") + `]}}`, gate.Unknown, "aT"},
		{nested(32, `{"And":[]}`), gate.True, ""},
		{nested(33, `{"And":[]}`), gate.Unknown, ""},
	} {
		truth, trace := evaluate(t, c.requirement)
		if truth != c.want || trace != c.trace {
			t.Errorf("%.100s is %s, trace %q; want %s, %q", c.requirement, truth, trace, c.want, c.trace)
		}
	}
	// A gate that is never evaluated never opens.
	s := compile(t, spec(stage("a", gateOf("g", nested(33, `{"Not":`+leaf("c")+`}`)), terminal), is("c")))
	r := start(t, s, nil)
	r.answers = map[gate.ConditionID]gate.Answer{"c": jsonAnswer(t, "true")}
	if got := r.next(t, "t1", 1).Decision.Outcome.Kind; got != gate.Hold {
		t.Errorf("decided %s", got)
	}
}
