package storetest

import (
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var idChecks = []check{
	{"id-repeat", "a repeated commit is answered with the first outcome and does nothing, whatever happened since", idRepeat},
	{"id-repeat-after-restart", "a repeated commit is known after an orderly restart and after a crash", idRepeatAfterRestart},
	{"id-repeat-in-batch", "a commit that is in one request twice happens once", idRepeatInBatch},
	{"id-repeat-at-once", "the same commit sent many times at once happens once, and all senders get one outcome", idRepeatAtOnce},
	{"id-other-ops", "a commit id that is used again with other ops is INVALID and does nothing", idOtherOps},
	{"id-refused-is-free", "a refused commit leaves no id behind: it is evaluated again, and its id may carry other ops", idRefusedIsFree},
}

// everyKind is a commit with each kind of op, on keys below name.
func everyKind(c *trial, s store.Store, name string) store.Commit {
	c.commit(s, put(key(name, "doomed"), "x"))
	return newCommit(put(key(name, "record"), "first"), del(key(name, "doomed")), add(key(name, "count"), 2, 100))
}

// repeated asserts that a commit is answered like the first time and leaves the store as it is.
func (c *trial) repeated(what string, s store.Store, commit store.Commit, first store.Outcome) {
	c.Helper()
	before := c.scan(s, everything())
	got := c.try(s, commit)[0]
	if got.Refusal != nil || got.Revision != first.Revision || !slices.Equal(got.Versions, first.Versions) {
		c.Errorf("%s: answered %s, the first answer was %s", what, describeOutcome(got), describeOutcome(first))
	}
	c.same(what+" changed the store", c.scan(s, everything()), before)
}

func idRepeat(c *trial) {
	p := c.open()
	commit := everyKind(c, p, "k")
	first := c.committed(p, commit)
	c.repeated("a repeat", p, commit, first)
	c.commit(p, put(key("k", "record"), "later"), put(key("k", "doomed"), "back"), add(key("k", "count"), 5, 100))
	c.repeated("a repeat after others wrote the same records", p, commit, first)
	c.commit(p, del(key("k", "record")), del(key("k", "count")))
	c.repeated("a repeat after others deleted the records", p, commit, first)

	guarded := newCommit(put(key("guarded"), "x", store.Absent()))
	first = c.committed(p, guarded)
	c.repeated("a repeat whose expectation no longer holds", p, guarded, first)
	full := newCommit(add(key("full"), 3, 3))
	first = c.committed(p, full)
	c.repeated("a repeat whose counter is full now", p, full, first)
}

func idRepeatAfterRestart(c *trial) {
	p := c.open()
	commit := everyKind(c, p, "k")
	first := c.committed(p, commit)
	p.stop()
	p = c.open()
	c.repeated("a repeat after an orderly restart", p, commit, first)

	crashed := everyKind(c, p, "l")
	first2 := c.committed(p, crashed)
	p.kill()
	p = c.open()
	c.repeated("a repeat after a crash", p, crashed, first2)
	c.repeated("a repeat after a restart and a crash", p, commit, first)
	other := commit
	other.Ops = []store.Op{put(key("k", "record"), "other")}
	c.invalid("other ops under an id from before a restart", c.try(p, other)[0])
}

func idRepeatInBatch(c *trial) {
	p := c.open()
	commit := everyKind(c, p, "k")
	outcomes := c.try(p, commit, newCommit(put(key("between"), "x")), commit, newCommit(add(key("k", "count"), 1, 100)), commit)
	for _, i := range []int{0, 2, 4} {
		got := outcomes[i]
		if got.Refusal != nil || got.Revision != outcomes[0].Revision || !slices.Equal(got.Versions, outcomes[0].Versions) {
			c.Errorf("commit %d of the request: %s, the first was answered %s", i, describeOutcome(got), describeOutcome(outcomes[0]))
		}
	}
	if got := c.get(p, key("k", "count")); string(got.Body) != counter(3) {
		c.Errorf("counted 2 in a commit sent three times and 1 in another: %s", describeRecord(got))
	}
	fresh := newCommit(put(key("fresh"), "1"))
	other := fresh
	other.Ops = []store.Op{put(key("fresh"), "2")}
	c.invalid("other ops under an id of the same request", c.try(p, fresh, other)[1])
}

func idRepeatAtOnce(c *trial) {
	p := c.open()
	for round := range c.times(20, 5) {
		commit := newCommit(add(key("count"), 1, 1000), put(key("k", fmt.Sprint(round)), "x", store.Absent()))
		outcomes := make([]store.Outcome, 8)
		c.parallel(len(outcomes), func(i int) error {
			got, err := c.attempt(p, commit)
			if err == nil {
				outcomes[i] = got[0]
			}
			return err
		})
		for _, got := range outcomes {
			if got.Refusal != nil || !slices.Equal(got.Versions, outcomes[0].Versions) || got.Revision != outcomes[0].Revision {
				c.Fatalf("senders of one commit got %s and %s", describeOutcome(outcomes[0]), describeOutcome(got))
			}
		}
		if got := c.get(p, key("count")); string(got.Body) != counter(uint64(round+1)) {
			c.Fatalf("after %d commits, each sent 8 times: %s", round+1, describeRecord(got))
		}
	}
}

func idOtherOps(c *trial) {
	p := c.open()
	commit := everyKind(c, p, "k")
	first := c.committed(p, commit)
	ops := commit.Ops
	replace := func(at int, op store.Op) []store.Op {
		changed := slices.Clone(ops)
		changed[at] = op
		return changed
	}
	for what, other := range inOrder(map[string][]store.Op{
		"another body":         replace(0, put(key("k", "record"), "second")),
		"another key":          replace(0, put(key("k", "recorD"), "first")),
		"another namespace":    replace(0, put(keyIn("runs", 7, 10, "k", "record"), "first")),
		"another expectation":  replace(0, put(key("k", "record"), "first", store.Version(first.Versions[0]))),
		"another kind":         replace(1, put(key("k", "doomed"), "")),
		"another delta":        replace(2, add(key("k", "count"), 3, 100)),
		"another maximum":      replace(2, add(key("k", "count"), 2, 101)),
		"one op less":          ops[:2],
		"one op more":          append(slices.Clone(ops), put(key("more"), "x")),
		"another order of ops": {ops[1], ops[0], ops[2]},
		"segments cut anew":    replace(0, put(key("kr", "ecord"), "first")),
	}) {
		before := c.scan(p, everything())
		c.invalid(what+" under a used id", c.try(p, store.Commit{ID: commit.ID, Ops: other})[0])
		c.same(what+" under a used id changed the store", c.scan(p, everything()), before)
	}
	c.repeated("a repeat after attempts with other ops", p, commit, first)
}

func idRefusedIsFree(c *trial) {
	p := c.open()
	k := key("k")
	version := c.commit(p, put(k, "1")).Versions[0]
	commit := newCommit(put(k, "2", store.Absent()))
	for range 2 {
		c.refused("a put that expects absent", c.try(p, commit)[0], store.Conflict, 0, version)
	}
	c.commit(p, del(k))
	if got := c.try(p, commit)[0]; got.Refusal != nil {
		c.Errorf("a refused commit, sent again when its expectation holds: %s", describeOutcome(got))
	}

	other := newCommit(put(key("l"), "x", store.Version(12345)))
	c.refused("a put that expects a version", c.try(p, other)[0], store.Conflict, 0, 0)
	other.Ops = []store.Op{put(key("l"), "y")}
	if got := c.try(p, other)[0]; got.Refusal != nil {
		c.Errorf("other ops under the id of a refused commit: %s", describeOutcome(got))
	}

	// A retry may share its request with what makes it possible.
	retry := newCommit(add(key("n"), 1, 0))
	fix := newCommit(put(key("m"), "x"))
	dependent := newCommit(put(key("m2"), "x"), put(key("m"), "y", store.Version(1<<62)))
	outcomes := c.try(p, retry, dependent, fix, retry)
	c.refused("counting over 0", outcomes[0], store.Limit, 0, 0)
	c.refused("a put that expects a version", outcomes[1], store.Conflict, 1, 0)
	c.refused("counting over 0, again", outcomes[3], store.Limit, 0, 0)
	waiting := newCommit(del(key("w"), store.Absent()), put(key("m"), "z", store.Absent()))
	outcomes = c.try(p, waiting, newCommit(del(key("m"))), waiting)
	if outcomes[0].Refusal == nil || outcomes[2].Refusal != nil {
		c.Errorf("a commit refused, made possible and sent again in one request: %s, then %s", describeOutcome(outcomes[0]), describeOutcome(outcomes[2]))
	}
}
