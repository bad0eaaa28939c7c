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

// crashRequests is the number of requests that a writer makes in one life of the store: more than a real one answers before
// it is killed, and few enough to check them all after every crash.
const crashRequests = 40

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
	for range crashRequests {
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
	missing, first := w.missing(c, s, w.answered)
	for i, outcome := range w.outcomes {
		if outcome.Refusal != nil {
			c.Fatalf("commit %d of %s: %s", i, w.name, describeOutcome(outcome))
		}
		if missing[i] != 0 {
			c.Fatalf("commit %d of %s was answered before the crash; %d of its %d records are missing or differ, the first is record %d", i, w.name, missing[i], crashOps, first[i])
		}
	}
	missing, _ = w.missing(c, s, w.pending)
	for _, n := range missing {
		if n != 0 && n != crashOps {
			c.Fatalf("a commit of %s that was not answered before the crash left %d of its %d records", w.name, crashOps-n, crashOps)
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

// missing answers for each commit how many of its records are missing or differ, and the first of them.
func (w *crashWriter) missing(c *trial, s store.Store, commits []store.Commit) (missing, first []int) {
	c.Helper()
	missing, first = make([]int, len(commits)), make([]int, len(commits))
	var keys []store.Key
	for _, commit := range commits {
		for _, op := range commit.Ops[:crashOps] {
			keys = append(keys, op.Key)
		}
	}
	for n, got := range c.getAll(s, keys...) {
		i, at := n/crashOps, n%crashOps
		wrongVersion := i < len(w.outcomes) && commits[i].ID == w.answered[i].ID && w.outcomes[i].Refusal == nil && got.Version != w.outcomes[i].Versions[at]
		if got.Version == 0 || string(got.Body) != string(commits[i].Ops[at].Body) || wrongVersion {
			if missing[i]++; missing[i] == 1 {
				first[i] = at
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
