package postgres_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Commits that wait together become one transaction, and those among them that are refused do not touch the others.
func TestCommitsThatWaitShareATransaction(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	commit(t, s, put(key("runs", 1, "taken"), "1"))
	holder := connect(t, server.Socket(name))
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `SELECT FROM decision_gate.clock FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	const commits = 64
	var wg sync.WaitGroup
	var sending atomic.Int32
	refused := make([]bool, commits)
	for i := range commits {
		wg.Go(func() {
			ops := []store.Op{put(key("run_steps", uint64(i%7), fmt.Sprint(i)), "step")}
			if i%8 == 5 {
				ops = append(ops, store.Op{Kind: store.OpPut, Key: key("runs", 1, "taken"), Expect: store.Absent()})
			}
			sending.Add(1)
			outcomes, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: ops}})
			if err != nil {
				t.Error(err)
				return
			}
			refused[i] = outcomes[0].Refusal != nil && outcomes[0].Refusal.Reason == store.Conflict && outcomes[0].Refusal.Op == 1
		})
	}
	// A writer has a batch that waits for the lock, and what came later waits behind it.
	watch := connect(t, server.Socket(name))
	waitFor(t, "a commit meets the lock", func() bool {
		return sending.Load() == commits && number(t, watch, lockWaiters, name) > 0
	})
	time.Sleep(20 * time.Millisecond)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	for i, got := range refused {
		if got != (i%8 == 5) {
			t.Errorf("commit %d is refused: %v", i, got)
		}
	}
	if n := number(t, watch, `SELECT count(*) FROM decision_gate.run_steps`); n != commits-commits/8 {
		t.Errorf("%d steps were written, want %d", n, commits-commits/8)
	}
	if n := number(t, watch, `SELECT count(DISTINCT xmin::text) FROM decision_gate.run_steps`); n > commits/4 {
		t.Errorf("%d commits took %d transactions", commits, n)
	}
}

// Commits of records that are new or of a known version, as decisions are, go through the cheap function, whatever else is in
// their transaction; the other one is called when something turns out to be otherwise.
func TestFreshCommitsAreNotLookedUp(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	if err := server.Exec(name, "REVOKE EXECUTE ON FUNCTION decision_gate.commit_v1 FROM decision_gate_app"); err != nil {
		t.Fatal(err)
	}
	expecting := func(k store.Key, e store.Expect) store.Op {
		op := put(k, "x")
		op.Expect = e
		return op
	}
	var commits []store.Commit
	for i := range 12 {
		// Neighbours are of different tenants, and one tenant has a single op in a table.
		head, step := key("runs", uint64(i%5), fmt.Sprint(i)), key("run_steps", uint64(i%5), fmt.Sprint(i))
		commits = append(commits, store.Commit{ID: newID(), Ops: []store.Op{expecting(step, store.Absent()), expecting(head, store.Absent()), expecting(key("unheard_of", 3, fmt.Sprint(i)), store.Absent())}})
	}
	outcomes, err := s.Commit(t.Context(), commits)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range commits {
		if want := outcomes[0].Revision + uint64(i); outcomes[i].Refusal != nil || outcomes[i].Revision != want {
			t.Errorf("commit %d: %+v, want revision %d", i, outcomes[i], want)
		}
		for n, op := range c.Ops {
			record, err := s.Get(t.Context(), []store.Key{op.Key})
			if err != nil || record[0].Version != outcomes[i].Versions[n] || string(record[0].Body) != "x" {
				t.Errorf("op %d of commit %d: %+v, %v", n, i, record, err)
			}
		}
		commits[i] = store.Commit{ID: newID(), Ops: []store.Op{expecting(c.Ops[1].Key, store.Version(outcomes[i].Versions[1]))}}
	}
	if outcomes, err = s.Commit(t.Context(), commits); err != nil || outcomes[11].Revision != outcomes[0].Revision+11 {
		t.Errorf("updates: %+v, %v", outcomes, err)
	}
	if _, err := s.Commit(t.Context(), commits[:1]); !fault.Is(err, fault.Denied) {
		t.Errorf("a repeat is answered without looking: %v", err)
	}
}
