package runs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var errAway = fault.New(fault.Unavailable, "away")

// once has the next call of a kind go through f.
func once(s *faultystore.Store, kind faultystore.Call, f func(do func()) error) {
	var used bool
	s.Around(func(ctx context.Context, call faultystore.Call, do func()) error {
		if call == kind && !used {
			used = true
			return f(do)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		do()
		return nil
	})
}

// TestLostAnswer makes the commit happen and its answer get lost: the client, who calls again, is told what was decided
// then, and nothing is decided, asked or handed in twice.
func TestLostAnswer(t *testing.T) {
	lost := func(do func()) error { do(); return errAway }
	t.Run("trigger", func(t *testing.T) {
		r := started(t)
		once(r.store, faultystore.Commit, lost)
		if _, err := r.next("r", "t"); !errors.Is(err, errAway) {
			t.Fatalf("got %v", err)
		}
		d, err := r.next("r", "t")
		if err != nil || d.Decision.Seq != 1 || len(d.Packets) != 2 || len(d.Evaluations) != 1 {
			t.Errorf("the repeat answers %+v, %v", d, err)
		}
		if n := r.evidence.asked.Load(); n != 1 {
			t.Errorf("evidence was asked %d times", n)
		}
		if s, err := r.status("r"); err != nil || len(s.IssuedPacketIDs) != 2 || s.CurrentStageID != "b" {
			t.Errorf("status %+v, %v", s, err)
		}
	})
	t.Run("trigger on another host", func(t *testing.T) {
		r := started(t)
		once(r.store, faultystore.Commit, lost)
		_, _ = r.next("r", "t")
		if d, err := newRig(t, r.store).next("r", "t"); err != nil || d.Decision.Seq != 1 {
			t.Errorf("the repeat answers %+v, %v", d, err)
		}
	})
	t.Run("submit", func(t *testing.T) {
		r := started(t)
		once(r.store, faultystore.Commit, lost)
		_, _ = r.submit("r", "s", "x")
		if s, err := r.submit("r", "s", "x"); err != nil || s.Record.SubmissionID != "s" {
			t.Errorf("the repeat answers %+v, %v", s, err)
		}
		if n := r.store.Len(submissionCollection); n != 1 {
			t.Errorf("%d submissions are stored", n)
		}
	})
	t.Run("start", func(t *testing.T) {
		r := started(t)
		once(r.store, faultystore.Commit, lost)
		_ = r.start("r2")
		if err := r.start("r2"); err == nil || err.Error() != "run already exists: r2" {
			t.Errorf("the repeat answers %v", err)
		}
	})
}

// TestFailedCommit makes the commit fail before it happens: nothing is left, and the same call succeeds later.
func TestFailedCommit(t *testing.T) {
	r := started(t)
	for name, call := range map[string]func() error{
		"trigger": func() error { _, err := r.next("r", "t"); return err },
		"status":  func() error { _, err := r.status("r"); return err },
		"submit":  func() error { _, err := r.submit("r", "s", "x"); return err },
		"start":   func() error { return r.start("r3") },
	} {
		before := r.store.Len(stepCollection)
		once(r.store, faultystore.Commit, func(func()) error { return errAway })
		if err := call(); !errors.Is(err, errAway) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := r.store.Len(stepCollection); n != before {
			t.Errorf("%s: %d steps came from a commit that failed", name, n-before)
		}
		if err := call(); err != nil {
			t.Errorf("%s: the second call: %v", name, err)
		}
	}
	r.idle()
}

// TestConflicts has another host commit between load and commit, so many times in a row.
func TestConflicts(t *testing.T) {
	for n := range maxAttempts + 1 {
		r := started(t)
		left := n
		r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
			if call == faultystore.Commit && left > 0 {
				left--
				r.store.Touch(headCollection)
			}
			do()
			return nil
		})
		d, err := r.next("r", "t")
		if n < maxAttempts && (err != nil || d.Decision.Seq != 1) {
			t.Errorf("%d conflicts: %+v, %v", n, d, err)
		}
		if n == maxAttempts && (!fault.Is(err, fault.Unavailable) || !fault.Retryable(err)) {
			t.Errorf("%d conflicts: %v, want an error that says to try again", n, err)
		}
		if asked := r.evidence.asked.Load(); asked != 1 {
			t.Errorf("%d conflicts: evidence for one stage entry was asked %d times", n, asked)
		}
		r.idle()
	}
}

// TestConflictWithDecision has another host decide while this one asks for evidence ([F-01]).
func TestConflictWithDecision(t *testing.T) {
	for _, test := range []struct {
		name   string
		theirs []gate.TriggerID
		ticks  []uint64
		seq    uint64
		asked  int32
	}{
		{"on the same trigger", []gate.TriggerID{"t"}, []uint64{2}, 1, 1},
		{"on another, which moves the run to another stage", []gate.TriggerID{"other"}, []uint64{1}, 2, 2},
		{"on two, which move the run away and back", []gate.TriggerID{"away", "back"}, []uint64{2, 3}, 3, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := started(t)
			other := newRig(t, r.store)
			var theirs sync.Once
			r.evidence.between = func(context.Context) {
				theirs.Do(func() {
					for i, id := range test.theirs {
						call := trigger("r", id)
						call.Event.Time.Tick = test.ticks[i]
						if _, err := other.Trigger(t.Context(), "loop", call); err != nil {
							t.Error(err)
						}
					}
				})
			}
			d, err := r.next("r", "t")
			if err != nil || d.Decision.Seq != test.seq || d.Decision.TriggerID != "t" {
				t.Errorf("got %+v, %v, want decision %d", d, err, test.seq)
			}
			if n := r.evidence.asked.Load(); n != test.asked {
				t.Errorf("evidence was asked %d times, want %d", n, test.asked)
			}
			if _, err := r.history("r"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCancelled has the client leave at each point of a call: before a commit nothing is recorded, and the run's queue goes on.
func TestCancelled(t *testing.T) {
	leaveIn := func(r *rig, kind faultystore.Call, cancel context.CancelFunc) {
		r.store.Around(func(ctx context.Context, call faultystore.Call, do func()) error {
			if call == kind {
				cancel()
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			do()
			return nil
		})
	}
	for name, arrange := range map[string]func(r *rig, cancel context.CancelFunc){
		"before":   func(_ *rig, cancel context.CancelFunc) { cancel() },
		"load":     func(r *rig, cancel context.CancelFunc) { leaveIn(r, faultystore.Get, cancel) },
		"evidence": func(r *rig, cancel context.CancelFunc) { r.evidence.between = func(context.Context) { cancel() } },
		"commit":   func(r *rig, cancel context.CancelFunc) { leaveIn(r, faultystore.Commit, cancel) },
		"backoff": func(r *rig, cancel context.CancelFunc) {
			r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
				if call == faultystore.Commit {
					r.store.Touch(headCollection)
					defer cancel()
				}
				do()
				return nil
			})
		},
	} {
		r := started(t)
		ctx, cancel := context.WithCancel(t.Context())
		arrange(r, cancel)
		if _, err := r.Trigger(ctx, "loop", trigger("r", "t")); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
		if n := r.store.Counts()[faultystore.Commit]; n > 0 && name != "commit" && name != "backoff" {
			t.Errorf("%s: a commit was begun for a client that had left", name)
		}
		r.store.Around(nil)
		r.evidence.between = nil
		r.idle()
		if n := r.store.Len(triggerCollection); n != 0 {
			t.Errorf("%s: a trigger was recorded", name)
		}
		if d, err := r.next("r", "t"); err != nil || d.Decision.Seq != 1 {
			t.Errorf("%s: the next client gets %+v, %v", name, d, err)
		}
		cancel()
	}
}

// TestCancelledInQueue has clients leave while they wait for their turn behind a call whose provider hangs.
func TestCancelledInQueue(t *testing.T) {
	r := started(t)
	entered, release := make(chan struct{}), make(chan struct{})
	r.evidence.between = func(context.Context) { close(entered); <-release }
	var first sync.WaitGroup
	first.Go(func() {
		if _, err := r.next("r", "t"); err != nil {
			t.Error(err)
		}
	})
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for i := range 20 {
		waiting.Go(func() {
			if _, err := r.Trigger(ctx, "loop", trigger("r", gate.TriggerID(fmt.Sprint(i)))); !errors.Is(err, context.Canceled) {
				t.Errorf("a client that left got %v", err)
			}
		})
	}
	cancel()
	waiting.Wait()
	close(release)
	first.Wait()
	r.idle()
	if n := r.store.Len(triggerCollection); n != 1 {
		t.Errorf("%d triggers are recorded", n)
	}
}

// TestPanicLeavesQueue has a provider's adapter panic: the run is not blocked for ever.
func TestPanicLeavesQueue(t *testing.T) {
	r := started(t)
	r.evidence.between = func(context.Context) { panic("provider") }
	func() {
		defer func() { _ = recover() }()
		_, _ = r.next("r", "t")
	}()
	r.idle()
}

// TestDamage changes what is stored: whoever needs it is told that it is damaged, and never decides on it.
func TestDamage(t *testing.T) {
	replaceWith := func(body string) func(store.Key, []byte) []byte {
		return func(store.Key, []byte) []byte { return []byte(body) }
	}
	remove := func(store.Key, []byte) []byte { return nil }
	swap := func(old, new string) func(store.Key, []byte) []byte {
		return func(_ store.Key, body []byte) []byte { return []byte(strings.Replace(string(body), old, new, 1)) }
	}
	type damage struct {
		name, collection string
		edit             func(store.Key, []byte) []byte
		hits             string // the calls that must notice
	}
	var cases []damage
	for _, body := range []string{"", "{}", "[]", "null", "{\"head\":", "\xff", `{"step":"1"}`} {
		cases = append(cases,
			damage{"head " + body, headCollection, replaceWith(body), "next status submit repeat resubmit history"},
			damage{"step " + body, stepCollection, replaceWith(body), "repeat resubmit history"},
			damage{"trigger mark " + body, triggerCollection, replaceWith(body), "repeat"},
			damage{"submission mark " + body, submissionCollection, replaceWith(body), "resubmit"},
			damage{"packets " + body, packetCollection, replaceWith(body), "status"},
			damage{"scenario " + body, "scenarios", replaceWith(body), "next status submit repeat resubmit history"},
		)
	}
	cases = append(cases,
		damage{"steps removed", stepCollection, remove, "repeat resubmit history"},
		damage{"one step removed", stepCollection, func(key store.Key, body []byte) []byte {
			if key.Path[1][7] == 2 {
				return nil
			}
			return body
		}, "repeat history"},
		damage{"step changed", stepCollection, swap(`"status":"True"`, `"status":"False"`), "history"},
		damage{"step renumbered", stepCollection, swap(`"step":2`, `"step":3`), "repeat history"},
		damage{"chain changed", headCollection, swap(`"chain":"`, `"chain":"00`), "history"},
		damage{"steps uncounted", headCollection, swap(`"steps":5`, `"steps":4`), "next status submit repeat resubmit history"},
		damage{"trigger mark to a step without a decision", triggerCollection, replaceWith(`{"step":1}`), "repeat"},
		damage{"trigger mark to another trigger's step", triggerCollection, replaceWith(`{"step":4}`), "repeat"},
		damage{"trigger mark to no step", triggerCollection, replaceWith(`{"step":99}`), "repeat"},
		damage{"submission mark to a step without a submission", submissionCollection, replaceWith(`{"step":1}`), "resubmit"},
		damage{"submission mark to another submission's step", submissionCollection, replaceWith(`{"step":5}`), "resubmit"},
		damage{"packets removed", packetCollection, remove, "status"},
		damage{"packets lost", packetCollection, swap(`,"p-1"`, ``), "status"},
		damage{"other spec", "scenarios", swap(`"spec_version":"1"`, `"spec_version":"2"`), "next status submit repeat resubmit history"},
	)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for name, call := range map[string]func(r *rig) error{
				"next":     func(r *rig) error { _, err := r.next("r", "new"); return err },
				"status":   func(r *rig) error { _, err := r.status("r"); return err },
				"submit":   func(r *rig) error { _, err := r.submit("r", "new", "x"); return err },
				"repeat":   func(r *rig) error { _, err := r.next("r", "t"); return err },
				"resubmit": func(r *rig) error { _, err := r.submit("r", "of t", "x"); return err },
				"history":  func(r *rig) error { _, err := r.history("r"); return err },
			} {
				r := started(t)
				for _, id := range []string{"t", "u"} {
					if _, err := r.next("r", gate.TriggerID(id)); err != nil {
						t.Fatal(err)
					}
					if _, err := r.submit("r", gate.SubmissionID("of "+id), "x"); err != nil {
						t.Fatal(err)
					}
				}
				// Another host, which has nothing cached.
				r = newRig(t, r.store)
				if r.store.Edit(c.collection, c.edit) == 0 {
					t.Fatal("nothing was damaged")
				}
				err := call(r)
				if noticed := fault.Is(err, fault.Corrupt); noticed != strings.Contains(" "+c.hits+" ", " "+name+" ") {
					t.Errorf("%s: %v", name, err)
				}
				// The reason must be the store's alone: an error of the decoder or the engine would blame the caller.
				var refusal *gate.Error
				var decode *canonical.DecodeError
				if errors.As(err, &refusal) || errors.As(err, &decode) {
					t.Errorf("%s: %v is told as the caller's fault", name, err)
				}
			}
		})
	}
}
