package chart_test

import (
	"math"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
)

const limit = 160

func TestWords(t *testing.T) {
	leaf := func(id gate.ConditionID) gate.Requirement {
		return gate.Requirement{Kind: gate.Condition, Condition: id}
	}
	a, b := leaf("a"), leaf("b")
	of := func(kind gate.RequirementKind, reqs ...gate.Requirement) gate.Requirement {
		return gate.Requirement{Kind: kind, Reqs: reqs, Min: 1}
	}
	for _, c := range []struct {
		tree gate.Requirement
		want string
	}{
		{a, "a"},
		{of(gate.And, a, b), "a and b"},
		{of(gate.Or, of(gate.And, a, b), of(gate.Not, a)), "(a and b) or not a"},
		{of(gate.Not, of(gate.Or, a, b)), "not (a or b)"},
		{of(gate.Group, a, of(gate.Or, a, b)), "at least 1 of (a, (a or b))"},
		{of(gate.And), "()"},
	} {
		if got := chart.Words(c.tree, limit); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	wide := gate.Requirement{Kind: gate.And}
	for range 10_000 {
		wide.Reqs = append(wide.Reqs, leaf(gate.ConditionID(strings.Repeat("x", 50))))
	}
	if n := len(chart.Words(of(gate.Not, of(gate.Not, wide)), limit)); n > 2*limit {
		t.Errorf("a formula of %d bytes", n)
	}
}

func TestPeriod(t *testing.T) {
	for ms, want := range map[uint64]string{
		0: "0s", 250: "250ms", 1500: "1.5s", 60_000: "1m", 90_000: "1m30s", 600_000: "10m", 86_400_000: "24h", 3_601_000: "1h0m1s",
		math.MaxUint64: "18446744073709551615 ms",
	} {
		if got := chart.Period(ms); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}
