package gate

import (
	"slices"
	"strings"
	"testing"
)

// Appendix B: the keys that conditions are shuffled by.
func TestShuffleKeys(t *testing.T) {
	for _, c := range []struct {
		seed uint64
		id   ConditionID
		want string
	}{
		{1, "a", "4162fddd39a3e4225e8e2392eced237fbeb34e6e218b5647d27bd4d2b9c0da24"},
		{42, "env_prod", "8e2443cc3f6c257a8baccdba8c58c49a96235a2b536ac294ccec18e3eebd621b"},
	} {
		if got := shuffleKey(c.seed, c.id); got != c.want {
			t.Errorf("%d:%s is %s", c.seed, c.id, got)
		}
	}
}

// The order is that of the keys, the same for the same seed whatever the order before, and not that of the spec.
func TestShuffle(t *testing.T) {
	order := func(ids ...ConditionID) string {
		conditions := make([]ConditionSpec, len(ids))
		for i, id := range ids {
			conditions[i].ConditionID = id
		}
		shuffle(conditions, 1)
		var keys, out []string
		for _, c := range conditions {
			keys = append(keys, shuffleKey(1, c.ConditionID))
			out = append(out, string(c.ConditionID))
		}
		if !slices.IsSorted(keys) {
			t.Error("not sorted by key")
		}
		return strings.Join(out, " ")
	}
	first, second := order("a", "b", "c", "d", "e"), order("e", "d", "c", "b", "a")
	if first != second || first == "a b c d e" {
		t.Errorf("orders %q and %q", first, second)
	}
	spec := ScenarioSpec{Stages: []StageSpec{{StageID: "s"}}}
	for _, id := range []ConditionID{"a", "b", "c", "d", "e"} {
		spec.Conditions = append(spec.Conditions, ConditionSpec{ConditionID: id, Query: EvidenceQuery{ProviderID: "p", CheckID: "k"}})
		spec.Stages[0].Gates = append(spec.Stages[0].Gates, GateSpec{GateID: GateID(id), Requirement: Requirement{Kind: Condition, Condition: id}})
	}
	compiled, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(1)
	head := Head{CurrentStageID: "s", Status: Active}
	var asked []string
	for _, c := range compiled.Ask(&head, &TriggerEvent{}, false, &Settings{ShuffleSeed: &seed}) {
		asked = append(asked, string(c.ConditionID))
	}
	if strings.Join(asked, " ") != first {
		t.Errorf("asked %v, want %s", asked, first)
	}
}
