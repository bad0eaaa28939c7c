package storetest

import (
	"bytes"
	"fmt"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

var modelChecks = []check{
	{"model-lockstep", "whatever sequence of calls is made, a store answers what the plainest model of the rules answers", modelLockstep},
}

// lockstep drives a store and the model with the same calls. Their versions differ, so each is told its own.
type lockstep struct {
	*trial
	// p outlives the sequence, whether it fails or not.
	p     **process
	model *model.Store
	// tenant is fresh for each sequence: the records of earlier ones do not meet it.
	tenant uint64
	// versions has, for each key, the pairs of versions that the two answered for the same write.
	versions map[string][]versionPair
	// sent are the commits so far, as the store and as the model got them.
	sent [][2]store.Commit
}

type versionPair struct{ real, model uint64 }

// sequence lets rapid shrink what fails inside a sequence, and the check own what outlives it.
type sequence struct {
	rapid.TB
	outer reporter
}

func (s sequence) TempDir() string  { return s.outer.TempDir() }
func (s sequence) Cleanup(f func()) { s.outer.Cleanup(f) }

func modelLockstep(c *trial) {
	p := c.open()
	tenant := uint64(1) << 63
	rapid.Check(c, func(t *rapid.T) {
		inner := *c
		inner.reporter = sequence{TB: t, outer: c.reporter}
		inner.failures = &failures{} // of this sequence: the next one must be seen to fail, too
		tenant++
		l := &lockstep{trial: &inner, p: &p, model: model.New().Open(), tenant: tenant, versions: map[string][]versionPair{}}
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			l.step(t)
		}
	})
}

var (
	lockstepSegments  = rapid.SampledFrom([]string{"", "\x00", "a", "a\x00", "ab", "b", "\xff"})
	lockstepPath      = rapid.SliceOfN(lockstepSegments, 1, 3)
	lockstepNamespace = rapid.SampledFrom([]uint64{0, 1, 1 << 63})
	lockstepBody      = rapid.SampledFrom([]string{"", "x", "{\"a\": 1.0}", counter(3), counter(0)})
)

func (l *lockstep) key(t *rapid.T) store.Key {
	return keyIn("runs", l.tenant, lockstepNamespace.Draw(t, "namespace"), lockstepPath.Draw(t, "path")...)
}

func (l *lockstep) step(t *rapid.T) {
	if rapid.IntRange(0, 150).Draw(t, "restart") == 0 {
		(*l.p).kill()
		*l.p = l.open()
	}
	var real, plain []store.Commit
	for range rapid.IntRange(1, 3).Draw(t, "commits") {
		pair := l.drawCommit(t)
		l.sent = append(l.sent, pair)
		real, plain = append(real, pair[0]), append(plain, pair[1])
	}
	got := l.try(*l.p, real...)
	want, err := l.model.Commit(l.ctx, plain)
	if err != nil {
		t.Fatalf("the model does not take the commits: %v", err)
	}
	for i := range want {
		l.compare(fmt.Sprintf("commit %d", i), real[i], got[i], want[i])
	}
	l.compareScan(t)
}

// drawCommit answers a commit as the store and as the model get it: a new one, an earlier one, or an earlier id with new ops.
func (l *lockstep) drawCommit(t *rapid.T) [2]store.Commit {
	kind := rapid.IntRange(0, 9).Draw(t, "repeat")
	if len(l.sent) > 0 && kind == 0 {
		return rapid.SampledFrom(l.sent).Draw(t, "earlier")
	}
	real := newCommit()
	if len(l.sent) > 0 && kind == 1 {
		real.ID = rapid.SampledFrom(l.sent).Draw(t, "id of")[0].ID
	}
	plain := real
	for range rapid.IntRange(1, 4).Draw(t, "ops") {
		op := store.Op{Kind: rapid.SampledFrom([]store.OpKind{store.OpPut, store.OpDelete, store.OpAdd}).Draw(t, "kind"), Key: l.key(t)}
		twin := op
		switch op.Kind {
		case store.OpAdd:
			op.Delta = rapid.SampledFrom([]int64{0, 1, 2, -1, -3, 1 << 62}).Draw(t, "delta")
			op.Max = rapid.SampledFrom([]uint64{0, 3, 5, store.MaxCounter}).Draw(t, "max")
			twin = op
		default:
			if op.Kind == store.OpPut {
				op.Body = []byte(lockstepBody.Draw(t, "body"))
				twin.Body = op.Body
			}
			op.Expect, twin.Expect = l.drawExpect(t, op.Key)
		}
		real.Ops, plain.Ops = append(real.Ops, op), append(plain.Ops, twin)
	}
	return [2]store.Commit{real, plain}
}

// drawExpect answers the same expectation in the versions of the store and of the model.
func (l *lockstep) drawExpect(t *rapid.T, k store.Key) (real, plain store.Expect) {
	had := l.versions[model.Name(k)]
	switch choice := rapid.IntRange(0, 5).Draw(t, "expect"); {
	case choice == 0:
		return store.Absent(), store.Absent()
	case choice <= 2 && len(had) > 0:
		pair := had[len(had)-1]
		return store.Version(pair.real), store.Version(pair.model)
	case choice == 3 && len(had) > 0:
		pair := rapid.SampledFrom(had).Draw(t, "version")
		return store.Version(pair.real), store.Version(pair.model)
	case choice == 3:
		return store.Version(1 << 60), store.Version(1 << 60)
	}
	return store.Any(), store.Any()
}

// compare asserts that the two answered alike and learns the versions that they gave.
func (l *lockstep) compare(what string, commit store.Commit, got, want store.Outcome) {
	l.Helper()
	if (got.Refusal == nil) != (want.Refusal == nil) {
		l.Fatalf("%s of %+v: %s, the model answers %s", what, commit.Ops, describeOutcome(got), describeOutcome(want))
	}
	if want.Refusal != nil {
		// Which op is INVALID, and at which version, depends on how a store looks for wrong ones.
		exact := want.Refusal.Reason != store.Invalid
		if got.Refusal.Reason != want.Refusal.Reason || exact && got.Refusal.Op != want.Refusal.Op {
			l.Fatalf("%s of %+v: %s, the model answers %s", what, commit.Ops, describeOutcome(got), describeOutcome(want))
		}
		if exact {
			l.sameVersion(what, commit.Ops[want.Refusal.Op].Key, got.Refusal.Version, want.Refusal.Version)
		}
		return
	}
	for i, op := range commit.Ops {
		if (got.Versions[i] == 0) != (want.Versions[i] == 0) {
			l.Fatalf("%s, op %d: version %d, the model answers %d", what, i, got.Versions[i], want.Versions[i])
		}
		if want.Versions[i] != 0 {
			l.learn(what, op.Key, versionPair{got.Versions[i], want.Versions[i]})
		}
	}
}

func (l *lockstep) learn(what string, k store.Key, pair versionPair) {
	l.Helper()
	name := model.Name(k)
	for _, had := range l.versions[name] {
		if had == pair {
			return
		}
		if had.real >= pair.real && had.model < pair.model {
			l.Fatalf("%s: %s got version %d after %d", what, name, pair.real, had.real)
		}
	}
	l.versions[name] = append(l.versions[name], pair)
}

// sameVersion asserts that two versions are of the same write.
func (l *lockstep) sameVersion(what string, k store.Key, got, want uint64) {
	l.Helper()
	if got == 0 && want == 0 {
		return
	}
	for _, had := range l.versions[model.Name(k)] {
		if had == (versionPair{got, want}) {
			return
		}
	}
	l.Fatalf("%s: %s has version %d, which is not of the write that the model has as version %d", what, model.Name(k), got, want)
}

func (l *lockstep) compareScan(t *rapid.T) {
	scan := store.Scan{Collection: "runs", Tenant: l.tenant, Namespace: lockstepNamespace.Draw(t, "scanned namespace"), Reverse: rapid.Bool().Draw(t, "reverse")}
	scan.Limit = rapid.SampledFrom([]uint64{0, 0, 1, 3}).Draw(t, "limit")
	if rapid.Bool().Draw(t, "with prefix") {
		scan.Prefix = pathOf(lockstepPath.Draw(t, "prefix")[:1]...)
	}
	if rapid.Bool().Draw(t, "with start") {
		scan.StartAfter = pathOf(lockstepPath.Draw(t, "start")...)
	}
	var want []store.Record
	if err := l.model.Scan(l.ctx, scan, func(record store.Record) error {
		want = append(want, record)
		return nil
	}); err != nil {
		t.Fatalf("the model does not scan: %v", err)
	}
	got := l.scan(*l.p, scan)
	if len(got) != len(want) {
		t.Fatalf("Scan %+v: %d records, the model answers %d", scan, len(got), len(want))
	}
	for i := range want {
		if got[i].Key.Compare(want[i].Key) != 0 || !bytes.Equal(got[i].Body, want[i].Body) {
			t.Fatalf("Scan %+v: record %d is %s, the model answers %s", scan, i, describeRecord(got[i]), describeRecord(want[i]))
		}
		l.sameVersion("Scan", want[i].Key, got[i].Version, want[i].Version)
		single := l.get(*l.p, want[i].Key)
		l.same("Get after Scan", []store.Record{single}, []store.Record{got[i]})
	}
}
