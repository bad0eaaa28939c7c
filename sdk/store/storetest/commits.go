package storetest

import (
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var commitChecks = []check{
	{"commit-all-or-nothing", "a refused commit leaves nothing behind, whatever it was refused for and wherever the refused op stands", commitAllOrNothing},
	{"commit-expectations", "absent, any and a version are honoured for Put and Delete; a refusal tells the current version", commitExpectations},
	{"commit-first-refused-op", "a refusal names the first op that was refused", commitFirstRefusedOp},
	{"commit-key-twice", "two ops with one key are INVALID and do nothing", commitKeyTwice},
	{"commit-batch-independent", "one refused commit of a request does not touch the others", commitBatchIndependent},
	{"commit-batch-order", "later commits of a request see what earlier ones did", commitBatchOrder},
	{"commit-nothing-lost", "every committed record is there with the answered version, now and after a restart", commitNothingLost},
	{"version-grows", "versions of a record and revisions of the store grow with every commit", versionGrows},
	{"version-recreate", "a record that was deleted and written again gets a version that it never had, also after a restart", versionRecreate},
}

func commitAllOrNothing(c *trial) {
	p := c.open()
	c.commit(p, put(key("guarded"), "old"), put(key("present"), "kept"), put(key("doomed"), "kept too"), put(key("text"), "no counter"),
		add(key("full"), 10, 10), add(key("count"), 3, 10))
	harmless := []store.Op{put(key("new"), "x"), put(key("present"), "changed"), del(key("doomed")), add(key("count"), 1, 10), add(key("fresh"), 1, 1)}
	guarded, full, text := c.get(p, key("guarded")).Version, c.get(p, key("full")).Version, c.get(p, key("text")).Version
	before := c.scan(p, everything())
	for _, culprit := range []struct {
		what    string
		op      store.Op
		reason  store.RefusalReason
		version uint64
	}{
		{"a wrong version", put(key("guarded"), "x", store.Version(guarded+1)), store.Conflict, guarded},
		{"a record that should be absent", put(key("guarded"), "x", store.Absent()), store.Conflict, guarded},
		{"a delete of a wrong version", del(key("guarded"), store.Version(guarded+1)), store.Conflict, guarded},
		{"a full counter", add(key("full"), 1, 10), store.Limit, full},
		{"a counter below zero", add(key("full"), -11, 10), store.Limit, full},
		{"counting at a text", add(key("text"), 1, 10), store.Invalid, text},
	} {
		for at := range len(harmless) + 1 {
			ops := slices.Insert(slices.Clone(harmless), at, culprit.op)
			what := fmt.Sprintf("%s as op %d", culprit.what, at)
			c.refused(what, c.try(p, newCommit(ops...))[0], culprit.reason, at, culprit.version)
			c.same("after "+what, c.scan(p, everything()), before)
			if got := c.getAll(p, key("new"), key("fresh")); got[0].Version != 0 || got[1].Version != 0 {
				c.Fatalf("after %s: records of the refused commit exist", what)
			}
		}
	}
	if got := c.commit(p, harmless...); got.Versions[2] != 0 {
		c.Errorf("the version of a deleted record is %d, want 0", got.Versions[2])
	}
}

func commitExpectations(c *trial) {
	p := c.open()
	for _, row := range []struct {
		what    string
		present bool
		expect  func(old, current uint64) store.Expect
		met     bool
	}{
		{"any of a present record", true, func(_, _ uint64) store.Expect { return store.Any() }, true},
		{"any of an absent record", false, func(_, _ uint64) store.Expect { return store.Any() }, true},
		{"absent of a present record", true, func(_, _ uint64) store.Expect { return store.Absent() }, false},
		{"absent of an absent record", false, func(_, _ uint64) store.Expect { return store.Absent() }, true},
		{"the current version", true, func(_, current uint64) store.Expect { return store.Version(current) }, true},
		{"an older version", true, func(old, _ uint64) store.Expect { return store.Version(old) }, false},
		{"a version to come", true, func(_, current uint64) store.Expect { return store.Version(current + 1) }, false},
		{"the largest version", true, func(_, _ uint64) store.Expect { return store.Version(1<<64 - 1) }, false},
		{"a version of an absent record", false, func(_, _ uint64) store.Expect { return store.Version(1) }, false},
		{"the largest version of an absent record", false, func(_, _ uint64) store.Expect { return store.Version(1<<64 - 1) }, false},
	} {
		for _, kind := range []store.OpKind{store.OpPut, store.OpDelete} {
			k := key(row.what, fmt.Sprint(kind))
			var old, current uint64
			if row.present {
				old = c.commit(p, put(k, "1")).Versions[0]
				current = c.commit(p, put(k, "2")).Versions[0]
			}
			before := c.get(p, k)
			op := store.Op{Kind: kind, Key: k, Expect: row.expect(old, current)}
			if kind == store.OpPut {
				op.Body = []byte("3")
			}
			what := fmt.Sprintf("op kind %d expecting %s", kind, row.what)
			got, after := c.try(p, newCommit(op))[0], c.get(p, k)
			switch {
			case !row.met:
				c.refused(what, got, store.Conflict, 0, current)
				c.same(what, []store.Record{after}, []store.Record{before})
			case got.Refusal != nil:
				c.Errorf("%s: %s", what, describeOutcome(got))
			case after.Version != got.Versions[0] || string(after.Body) != string(op.Body):
				c.Errorf("%s: answered %s, left %s", what, describeOutcome(got), describeRecord(after))
			}
		}
	}
}

func commitFirstRefusedOp(c *trial) {
	p := c.open()
	versions := c.commit(p, put(key("a"), "1"), put(key("b"), "2"), add(key("c"), 5, 5)).Versions
	got := c.try(p, newCommit(
		put(key("fine"), "x"),
		put(key("b"), "x", store.Absent()),
		add(key("c"), 1, 5),
		put(key("a"), "x", store.Version(versions[0]+99)),
	))[0]
	c.refused("three refused ops", got, store.Conflict, 1, versions[1])
	got = c.try(p, newCommit(
		put(key("fine"), "x"),
		add(key("c"), 1, 5),
		put(key("b"), "x", store.Absent()),
	))[0]
	c.refused("two refused ops", got, store.Limit, 1, versions[2])
}

func commitKeyTwice(c *trial) {
	p := c.open()
	twice := key("twice")
	for what, ops := range inOrder(map[string][]store.Op{
		"put and put":    {put(twice, "1"), put(twice, "2")},
		"put and delete": {put(twice, "1"), del(twice)},
		"add and add":    {add(twice, 1, 9), add(twice, 1, 9)},
		"with another between, of another namespace": {put(twice, "1"), put(keyIn("runs", 7, 10, "twice"), "2"), del(twice)},
	}) {
		c.notCommitted(what, p, newCommit(ops...))
	}
	if got := c.get(p, twice); got.Version != 0 {
		c.Errorf("refused commits left %s", describeRecord(got))
	}
}

func commitBatchIndependent(c *trial) {
	p := c.open()
	present := c.commit(p, put(key("present"), "old"), put(key("text"), "no counter")).Versions
	outcomes := c.try(p,
		newCommit(put(key("first"), "1"), add(key("n"), 1, 9)),
		newCommit(put(key("second"), "2"), put(key("present"), "x", store.Absent())),
		newCommit(put(key("third"), "3"), add(key("n"), 1, 9)),
		newCommit(put(key("fourth"), "4"), add(key("text"), 1, 9)),
		newCommit(put(key("fifth"), "5"), add(key("n"), 1, 9)),
	)
	c.refused("the second commit", outcomes[1], store.Conflict, 1, present[0])
	c.refused("the fourth commit", outcomes[3], store.Invalid, 1, present[1])
	last := uint64(0)
	for _, i := range []int{0, 2, 4} {
		if outcomes[i].Refusal != nil {
			c.Errorf("commit %d failed with its neighbours: %s", i, describeOutcome(outcomes[i]))
			continue
		}
		if outcomes[i].Revision <= last {
			c.Errorf("commit %d has revision %d, an earlier one of the request %d", i, outcomes[i].Revision, last)
		}
		last = outcomes[i].Revision
	}
	for i, name := range []string{"first", "second", "third", "fourth", "fifth"} {
		got := c.get(p, key(name))
		if i%2 == 0 && string(got.Body) != fmt.Sprint(i+1) || i%2 == 1 && got.Version != 0 {
			c.Errorf("record of commit %d: %s", i, describeRecord(got))
		}
	}
	if got := c.get(p, key("n")); string(got.Body) != counter(3) {
		c.Errorf("three commits counted to %s", describeRecord(got))
	}
}

func commitBatchOrder(c *trial) {
	p := c.open()
	k := key("k")
	outcomes := c.try(p,
		newCommit(put(k, "1", store.Absent())),
		newCommit(put(k, "2", store.Absent())),
		newCommit(put(k, "3")),
		newCommit(del(k)),
		newCommit(put(k, "5", store.Absent())),
		newCommit(del(k, store.Absent())),
	)
	if outcomes[0].Refusal != nil {
		c.Fatalf("the first commit: %s", describeOutcome(outcomes[0]))
	}
	c.refused("a put that expects absent what an earlier commit of the request wrote", outcomes[1], store.Conflict, 0, outcomes[0].Versions[0])
	for i, outcome := range outcomes[2:5] {
		if outcome.Refusal != nil {
			c.Fatalf("commit %d: %s", i+2, describeOutcome(outcome))
		}
	}
	c.refused("a delete that expects absent", outcomes[5], store.Conflict, 0, outcomes[4].Versions[0])
	if first, second, third := outcomes[0].Versions[0], outcomes[2].Versions[0], outcomes[4].Versions[0]; first >= second || second >= third {
		c.Errorf("versions %d, %d, %d of one record do not grow", first, second, third)
	}
	if got := c.get(p, k); string(got.Body) != "5" || got.Version != outcomes[4].Versions[0] {
		c.Errorf("after the request: %s", describeRecord(got))
	}
}

func commitNothingLost(c *trial) {
	p := c.open()
	var want []store.Record
	var keys []store.Key
	for i := range c.times(300, 100) {
		var ops []store.Op
		for j := range 1 + i%5 {
			ops = append(ops, put(key(fmt.Sprintf("%04d", i), fmt.Sprint(j)), fmt.Sprint(i, j)))
		}
		outcome := c.commit(p, ops...)
		for j, op := range ops {
			keys = append(keys, op.Key)
			want = append(want, store.Record{Key: op.Key, Version: outcome.Versions[j], Body: op.Body})
		}
	}
	for _, when := range []string{"at once", "after a restart"} {
		got := c.getAll(p, keys...)
		for i := range want {
			want[i].Revision = got[i].Revision
		}
		c.same("Get "+when, got, want)
		c.same("Scan "+when, c.scan(p, everything()), want)
		p.stop()
		p = c.open()
	}
}

func versionGrows(c *trial) {
	p := c.open()
	var version, revision uint64
	for i := range 20 {
		other := c.commit(p, put(key("other", fmt.Sprint(i)), "x"))
		outcome := c.commit(p, put(key("k"), fmt.Sprint(i)), put(key("beside", fmt.Sprint(i)), "x"))
		if outcome.Versions[0] <= version {
			c.Errorf("version %d follows %d", outcome.Versions[0], version)
		}
		if other.Revision <= revision || outcome.Revision <= other.Revision {
			c.Errorf("revisions %d, %d follow %d", other.Revision, outcome.Revision, revision)
		}
		version, revision = outcome.Versions[0], outcome.Revision
		got := c.getAll(p, key("k"), key("beside", fmt.Sprint(i)))
		if got[0].Version != version {
			c.Errorf("Get answers version %d, the commit answered %d", got[0].Version, version)
		}
		if newest := max(got[0].Revision, got[1].Revision); newest != revision {
			c.Errorf("the greatest revision of the records is %d, the commit answered %d", newest, revision)
		}
		if min(got[0].Revision, got[1].Revision) <= other.Revision {
			c.Errorf("a record has revision %d, a commit before its own had %d", min(got[0].Revision, got[1].Revision), other.Revision)
		}
	}
}

func versionRecreate(c *trial) {
	p := c.open()
	had := map[string]uint64{}
	for round := range 5 {
		for name, write := range inOrder(map[string]store.Op{"record": put(key("record"), "x"), "counter": add(key("counter"), 1, 9)}) {
			for range 1 + round%2 {
				version := c.commit(p, write).Versions[0]
				if version <= had[name] {
					c.Errorf("round %d: the %s was written again with version %d, it had %d before", round, name, version, had[name])
				}
				had[name] = version
			}
			c.commit(p, del(write.Key, store.Version(had[name])))
			if got := c.get(p, write.Key); got.Version != 0 {
				c.Errorf("round %d: deleted, but Get answers %s", round, describeRecord(got))
			}
			// A writer that still holds the old version must not meet the new record by accident.
			c.refused("a put that expects the version of a deleted record",
				c.try(p, newCommit(put(write.Key, "stale", store.Version(had[name]))))[0], store.Conflict, 0, 0)
		}
		if round >= 2 {
			p.stop()
			p = c.open()
		}
	}
}
