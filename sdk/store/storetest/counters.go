package storetest

import (
	"math"
	"sync/atomic"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var counterChecks = []check{
	{"counter-value", "a counter is 8 bytes big-endian, begins at 0 and is created by the first Add", counterValue},
	{"counter-bounds", "a counter reaches its maximum and 0 exactly, and refuses with LIMIT to pass either", counterBounds},
	{"counter-only", "Add to a record that is no counter, or with a maximum over MaxCounter, is INVALID and does nothing", counterOnly},
	{"counter-batch", "many Adds in one request do not pass the maximum together", counterBatch},
	{"counter-concurrent", "many Adds at once do not pass the maximum together, and none is lost", counterConcurrent},
}

// counts asserts the value of a counter.
func (c *trial) counts(what string, s store.Store, key store.Key, want uint64) {
	c.Helper()
	if got := c.get(s, key); string(got.Body) != counter(want) {
		c.Errorf("%s: want a counter of %d, got %s", what, want, describeRecord(got))
	}
}

func counterValue(c *trial) {
	p := c.open()
	k := key("n")
	var version uint64
	for _, step := range []struct {
		delta int64
		want  uint64
	}{{5, 5}, {0, 5}, {-5, 0}, {0x0102030405060708, 0x0102030405060708}, {-1, 0x0102030405060707}} {
		outcome := c.commit(p, add(k, step.delta, store.MaxCounter))
		c.counts("after an Add", p, k, step.want)
		if got := c.get(p, k).Version; got != outcome.Versions[0] || got <= version {
			c.Errorf("version %d after an Add, the answer was %d, before it was %d", got, outcome.Versions[0], version)
		}
		version = outcome.Versions[0]
	}
	c.commit(p, add(key("zero"), 0, 0))
	c.counts("an absent counter and a delta of 0", p, key("zero"), 0)
	c.commit(p, put(key("set"), counter(41)))
	c.commit(p, add(key("set"), 1, 42))
	c.counts("a counter that was put and counted on", p, key("set"), 42)
	c.commit(p, del(k, store.Version(version)))
	c.commit(p, add(k, 1, 1))
	c.counts("a counter that was deleted and counted anew", p, k, 1)
}

func counterBounds(c *trial) {
	p := c.open()
	k := key("n")
	c.refused("counting an absent record over its maximum", c.try(p, newCommit(add(k, 2, 1)))[0], store.Limit, 0, 0)
	c.refused("counting an absent record below 0", c.try(p, newCommit(add(k, -1, 9)))[0], store.Limit, 0, 0)
	if got := c.get(p, k); got.Version != 0 {
		c.Errorf("a refused Add created %s", describeRecord(got))
	}
	type step struct {
		delta   int64
		maximum uint64
		want    uint64
		limit   bool
	}
	for _, s := range []step{
		{9, 10, 9, false},
		{2, 10, 9, true},
		{1, 10, 10, false},
		{1, 10, 10, true},
		{0, 10, 10, false},
		{math.MaxInt64, 10, 10, true},
		{1, 11, 11, false},
		{-12, 11, 11, true},
		{0, 5, 11, false},
		{1, 5, 11, true},
		{-1, 5, 10, false},
		{1, 11, 11, false},
		{math.MinInt64, store.MaxCounter, 11, true},
		{-11, 11, 0, false},
		{-1, 11, 0, true},
		{math.MaxInt64, store.MaxCounter, store.MaxCounter, false},
		{1, store.MaxCounter, store.MaxCounter, true},
		{math.MaxInt64, store.MaxCounter, store.MaxCounter, true},
		{math.MinInt64, store.MaxCounter, store.MaxCounter, true},
		{-math.MaxInt64, store.MaxCounter, 0, false},
	} {
		version := c.get(p, k).Version
		got := c.try(p, newCommit(add(k, s.delta, s.maximum)))[0]
		if s.limit {
			c.refused("Add", got, store.Limit, 0, version)
		} else if got.Refusal != nil {
			c.Errorf("Add %d with maximum %d: %s", s.delta, s.maximum, describeOutcome(got))
		}
		c.counts("after an Add", p, k, s.want)
	}
}

func counterOnly(c *trial) {
	p := c.open()
	for what, body := range inOrder(map[string]string{"empty": "", "text": "12", "7 bytes": "1234567", "9 bytes": "123456789"}) {
		version := c.commit(p, put(key(what), body)).Versions[0]
		c.refused("counting at a record: "+what, c.try(p, newCommit(add(key(what), 1, 9)))[0], store.Invalid, 0, version)
		if got := c.get(p, key(what)); got.Version != version || string(got.Body) != body {
			c.Errorf("counting at a record: %s left %s", what, describeRecord(got))
		}
	}
	c.notCommitted("a maximum over MaxCounter", p, newCommit(add(key("n"), 1, store.MaxCounter+1)))
	if got := c.get(p, key("n")); got.Version != 0 {
		c.Errorf("an INVALID Add created %s", describeRecord(got))
	}
}

func counterBatch(c *trial) {
	p := c.open()
	var commits []store.Commit
	for range 30 {
		commits = append(commits, newCommit(add(key("n"), 3, 50), add(key("taken"), 1, 1000)))
	}
	done := 0
	for _, outcome := range c.try(p, commits...) {
		if outcome.Refusal == nil {
			done++
		} else if outcome.Refusal.Reason != store.Limit || outcome.Refusal.Op != 0 {
			c.Errorf("counting over the maximum: %s", describeOutcome(outcome))
		}
	}
	if done != 16 {
		c.Errorf("%d commits that add 3 each fitted below 50, want 16", done)
	}
	c.counts("after the request", p, key("n"), 48)
	c.counts("beside it", p, key("taken"), 16)
}

func counterConcurrent(c *trial) {
	p := c.open()
	const writers, maximum = 8, 100
	var done atomic.Int64
	c.parallel(writers, func(int) error {
		for range 2 * maximum / writers {
			got, err := c.attempt(p, newCommit(add(key("n"), 1, maximum), add(key("taken"), 1, 1000)))
			if err != nil {
				return err
			}
			if got[0].Refusal == nil {
				done.Add(1)
			}
		}
		return nil
	})
	if done.Load() != maximum {
		c.Errorf("%d Adds of 1 were committed below a maximum of %d", done.Load(), maximum)
	}
	c.counts("after many writers", p, key("n"), maximum)
	c.counts("beside it", p, key("taken"), uint64(done.Load()))
}
