package storetest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var crashChecks = []check{
	{"crash-recovery", "after SIGKILL in the middle of writing every answered commit is there once, every other one completely or not at all, and a retry with its id does nothing twice", crashRecovery},
}

// crashOps is the number of records in each commit that a crash may hit: enough for a torn one to show.
const crashOps = 8

// crashWriter writes until its store dies, and remembers what it was told.
type crashWriter struct {
	name     string
	next     int
	answered []store.Commit
	outcomes []store.Outcome
	// pending was sent and not answered.
	pending []store.Commit
}

func (w *crashWriter) commitNext() store.Commit {
	var ops []store.Op
	for i := range crashOps {
		ops = append(ops, put(key(w.name, fmt.Sprintf("%05d", w.next), fmt.Sprint(i)), randomBytes(300), store.Absent()))
	}
	w.next++
	return newCommit(append(ops, add(key("count", w.name), 1, store.MaxCounter))...)
}

func (w *crashWriter) write(c *trial, s store.Store, first func()) {
	for {
		w.pending = []store.Commit{w.commitNext(), w.commitNext()}
		outcomes, err := c.attempt(s, w.pending...)
		if err != nil {
			return
		}
		w.answered, w.outcomes = append(w.answered, w.pending...), append(w.outcomes, outcomes...)
		w.pending = nil
		first()
	}
}

func crashRecovery(c *trial) {
	writers := make([]*crashWriter, 4)
	for i := range writers {
		writers[i] = &crashWriter{name: fmt.Sprint("w", i)}
	}
	for range c.times(8, 3) {
		p := c.open()
		started := make(chan struct{})
		begin := sync.OnceFunc(func() { close(started) })
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.write(c, p, begin) })
		}
		select {
		case <-started:
		case <-time.After(callTimeout):
			c.Fatalf("no commit was answered in %v", callTimeout)
		}
		time.Sleep(jitter(time.Millisecond, 60*time.Millisecond))
		p.kill()
		wg.Wait()
		p = c.open()
		for _, w := range writers {
			w.check(c, p)
		}
		p.kill()
	}
	p := c.open()
	total := 0
	for _, w := range writers {
		w.check(c, p)
		total += len(w.answered)*crashOps + 1
	}
	if got := len(c.scan(p, everything())); got != total {
		c.Errorf("%d records after all crashes, want %d", got, total)
	}
}

// check asserts what the store has of a writer's commits, and then retries the unanswered ones.
func (w *crashWriter) check(c *trial, s store.Store) {
	c.Helper()
	for i, commit := range w.answered {
		if w.outcomes[i].Refusal != nil {
			c.Fatalf("commit %d of %s: %s", i, w.name, describeOutcome(w.outcomes[i]))
		}
		if missing, at := w.present(c, s, commit, w.outcomes[i].Versions); missing != 0 {
			c.Fatalf("commit %d of %s was answered before the crash; %d of its %d records are missing or differ, the first is record %d", i, w.name, missing, crashOps, at)
		}
	}
	for _, commit := range w.pending {
		if missing, _ := w.present(c, s, commit, nil); missing != 0 && missing != crashOps {
			c.Fatalf("a commit of %s that was not answered before the crash left %d of its %d records", w.name, crashOps-missing, crashOps)
		}
	}
	if len(w.pending) > 0 {
		w.answered, w.outcomes = append(w.answered, w.pending...), append(w.outcomes, c.try(s, w.pending...)...)
		w.pending = nil
	}
	if n := len(w.answered); n > 0 {
		c.repeatedAfterCrash(s, w.answered[n-1], w.outcomes[n-1])
	}
	c.counts(fmt.Sprintf("commits of %s, each answered or retried with its id", w.name), s, key("count", w.name), uint64(len(w.answered)))
}

// present answers how many records of a commit are missing or differ, and the first of them.
func (w *crashWriter) present(c *trial, s store.Store, commit store.Commit, versions []uint64) (missing, first int) {
	c.Helper()
	first = -1
	var keys []store.Key
	for _, op := range commit.Ops[:crashOps] {
		keys = append(keys, op.Key)
	}
	for i, got := range c.getAll(s, keys...) {
		if got.Version == 0 || string(got.Body) != string(commit.Ops[i].Body) || versions != nil && got.Version != versions[i] {
			if missing++; first < 0 {
				first = i
			}
		}
	}
	return missing, first
}

func (c *trial) repeatedAfterCrash(s store.Store, commit store.Commit, first store.Outcome) {
	c.Helper()
	got := c.try(s, commit)[0]
	if got.Refusal != nil || !slices.Equal(got.Versions, first.Versions) {
		c.Errorf("a repeat after a crash is answered %s, the first answer was %s", describeOutcome(got), describeOutcome(first))
	}
}
