package registry

import (
	"context"
	"errors"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// remove takes every record of a collection away, as retention or a restore on another host does.
func remove(t *testing.T, s *faultystore.Store, collection string) {
	t.Helper()
	if s.Edit(collection, func(store.Key, []byte) []byte { return nil }) == 0 {
		t.Fatal("nothing is there to be removed")
	}
}

// TestRemovedElsewhere has a scenario and a shape removed beneath a registry that keeps them, in the names of several tenants:
// once it is told, it has them no more, and the scenario may be defined again.
func TestRemovedElsewhere(t *testing.T) {
	s := faultystore.New()
	r := New(persist.Told(s))
	ref := ShapeRef{"a", "1"}
	in := []context.Context{t.Context(), persist.OnBehalf(t.Context(), 1)}
	if err := errors.Join(r.Define(t.Context(), scenario(t, "s", 1, 1, "1")), r.Register(t.Context(), shape("a", "1"), 9)); err != nil {
		t.Fatal(err)
	}
	use := func() (errs []error) {
		for _, ctx := range in {
			_, err := r.Scenario(ctx, 1, "s")
			_, err2 := r.Shape(ctx, 1, 1, ref)
			errs = append(errs, err, err2)
		}
		return errs
	}
	if err := errors.Join(use()...); err != nil {
		t.Fatal(err)
	}
	remove(t, s, scenarioCollection)
	remove(t, s, schemaCollection)
	if err := errors.Join(use()...); err != nil {
		t.Errorf("what is kept is asked for again: %v", err)
	}
	r.Changed(store.Change{Revision: 1, Key: scenarioKey{tenant: 1, id: "s"}.store()})
	if _, err := r.Scenario(t.Context(), 1, "s"); err != nil {
		t.Errorf("what was told is older than what is kept, which is dropped: %v", err)
	}
	r.Changed(store.Change{Revision: 99, Key: scenarioKey{tenant: 1, id: "s"}.store(), Deleted: true})
	r.Changed(store.Change{Revision: 99, Key: schemaKey(1, 1, ref), Deleted: true})
	for i, err := range use() {
		if !errors.Is(err, ErrNoScenario) && !errors.Is(err, ErrNoSchema) {
			t.Errorf("use %d of what was removed: %v", i, err)
		}
	}
	if len(r.scenarios.of)+len(r.shapes.of)+r.scenarios.bytes+r.shapes.bytes != 0 {
		t.Error("the caches still hold something")
	}
	if r.Defined(t.Context(), scenario(t, "s", 1, 1, "2").Spec()) {
		t.Error("a scenario that was removed cannot be defined")
	}
	if err := r.Define(t.Context(), scenario(t, "s", 1, 1, "2")); err != nil {
		t.Errorf("a scenario that was removed is defined: %v", err)
	}
	if err := r.Define(t.Context(), scenario(t, "s", 1, 1, "2")); !errors.Is(err, ErrScenarioExists) {
		t.Errorf("and again: %v", err)
	}
}

// TestRemovedWhileRead has a scenario removed between its reading and its keeping: it is not kept.
func TestRemovedWhileRead(t *testing.T) {
	s := faultystore.New()
	r := New(s)
	if err := r.Define(t.Context(), scenario(t, "s", 1, 1, "1")); err != nil {
		t.Fatal(err)
	}
	s.Around(func(_ context.Context, call faultystore.Call, do func()) error {
		do()
		r.Changed(store.Change{Revision: 99, Key: scenarioKey{tenant: 1, id: "s"}.store(), Deleted: true})
		return nil
	})
	if _, err := r.Scenario(t.Context(), 1, "s"); err != nil {
		t.Fatal(err)
	}
	s.Around(nil)
	remove(t, s, scenarioCollection)
	if _, err := r.Scenario(t.Context(), 1, "s"); !errors.Is(err, ErrNoScenario) {
		t.Errorf("it was kept: %v", err)
	}
}

// TestNothingIsKeptUntold has nothing kept while changes are not told, and what was kept before forgotten.
func TestNothingIsKeptUntold(t *testing.T) {
	s := faultystore.New()
	r := New(s)
	if err := r.Define(t.Context(), scenario(t, "s", 1, 1, "1")); err != nil {
		t.Fatal(err)
	}
	reads := func() int {
		s.Counts()
		for range 3 {
			if _, err := r.Scenario(t.Context(), 1, gate.ScenarioID("s")); err != nil {
				t.Fatal(err)
			}
		}
		return s.Counts()[faultystore.Get]
	}
	for i, step := range []struct {
		following bool
		want      int
	}{{true, 1}, {false, 3}, {false, 3}, {true, 1}} {
		r.Following(step.following)
		if got := reads(); got != step.want {
			t.Errorf("step %d: %d reads, want %d", i, got, step.want)
		}
	}
}
