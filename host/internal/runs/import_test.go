package runs

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// longRun is a run that takes several commits to import.
func longRun(t *testing.T) *Imported {
	t.Helper()
	r := started(t)
	for i := range 150 {
		if _, err := r.next("r", gate.TriggerID(fmt.Sprint("t-", i))); err != nil {
			t.Fatal(err)
		}
		if _, err := r.submit("r", gate.SubmissionID(fmt.Sprint("s-", i)), "text"); err != nil {
			t.Fatal(err)
		}
	}
	history, err := r.History(t.Context(), Ref{1, 1, "r", "loop"})
	if err != nil {
		t.Fatal(err)
	}
	run := &Imported{Head: history.Head, SavedAt: 5}
	for step, err := range history.Steps {
		if err != nil {
			t.Fatal(err)
		}
		run.Steps = append(run.Steps, step)
	}
	return run
}

// An import that is cut off at any commit leaves a run that hosts do not find; the next makes it whole, also when the run has
// gone on in between, and the one after finds it there.
func TestImportCutOff(t *testing.T) {
	run := longRun(t)
	longer := *run
	longer.SavedAt = 6
	for cut := 1; ; cut++ {
		r := newRig(t, faultystore.New())
		r.define(loopSpec("loop", 2))
		commits := 0
		r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
			if call == faultystore.Commit {
				if commits++; commits == cut {
					return fault.New(fault.Unavailable, "cut off")
				}
			}
			do()
			return nil
		})
		_, err := Import(t.Context(), r.store, run)
		r.store.Around(nil)
		if err == nil {
			if commits < 3 {
				t.Errorf("%d commits: the run is too short to be cut", commits)
			}
			return
		}
		if _, err := r.status("r"); !isRefused(err, gate.RunNotFound) {
			t.Fatalf("cut off at commit %d: %v, want that there is no run", cut, err)
		}
		again := run
		if cut%2 == 0 {
			again = &longer
		}
		for _, present := range []bool{false, true} {
			if was, err := Import(t.Context(), r.store, again); err != nil || was != present {
				t.Fatalf("cut off at commit %d: present %t, %v", cut, was, err)
			}
		}
		if n, err := r.history("r"); err != nil || n != len(run.Steps) {
			t.Fatalf("cut off at commit %d: %d steps, %v", cut, n, err)
		}
		if n := r.store.Len(triggerCollection); n != 150 {
			t.Fatalf("%d triggers are marked", n)
		}
	}
}

func isRefused(err error, reason gate.Reason) bool {
	var refusal *gate.Error
	return errors.As(err, &refusal) && refusal.Reason == reason
}

// A run id that has a history already is never given another.
func TestImportOfAnotherHistory(t *testing.T) {
	run := longRun(t)
	other := *run
	other.SavedAt = 6 // as if it had been saved again
	fewer := *run
	fewer.Steps = run.Steps[:7]
	for name, c := range map[string]struct {
		first, then *Imported
	}{
		"other steps":         {run, &other},
		"one that is longer":  {&fewer, &other},
		"one that is shorter": {&other, &fewer},
	} {
		s := faultystore.New()
		if _, err := Import(t.Context(), s, c.first); err != nil {
			t.Fatal(err)
		}
		s.Counts()
		var different *DifferentError
		if _, err := Import(t.Context(), s, c.then); !errors.As(err, &different) {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.Counts()[faultystore.Commit]; n != 0 {
			t.Errorf("%s: %d commits", name, n)
		}
	}
}

// A run that is started while it is imported keeps its own history.
func TestImportOfRunStartedMeanwhile(t *testing.T) {
	r := newRig(t, faultystore.New())
	r.define(loopSpec("loop", 2))
	begun := false
	r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
		if call == faultystore.Commit && !begun {
			begun = true
			if err := r.start("r"); err != nil {
				t.Error(err)
			}
		}
		do()
		return nil
	})
	var different *DifferentError
	if _, err := Import(t.Context(), r.store, longRun(t)); !errors.As(err, &different) {
		t.Errorf("%v", err)
	}
	r.store.Around(nil)
	if n, err := r.history("r"); err != nil || n != 1 {
		t.Errorf("%d steps, %v", n, err)
	}
}

// Steps without a head that no import has left are somebody's lost run.
func TestImportSparesOtherRecords(t *testing.T) {
	s := faultystore.New()
	step := canonical.Append(nil, storedStep{Number: 1, Host: "somewhere"}, canonical.Declared)
	op := store.Op{Kind: store.OpPut, Key: Ref{1, 1, "r", "loop"}.step(1), Body: step}
	if _, err := s.Commit(t.Context(), []store.Commit{{ID: [16]byte{1}, Ops: []store.Op{op}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(t.Context(), s, longRun(t)); !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v", err)
	}
	if n := s.Len(stepCollection); n != 1 {
		t.Errorf("%d steps", n)
	}
}
