package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

const (
	// callTimeout bounds one call: far over what the slowest honest backend needs, so that only a hang reaches it.
	callTimeout = 20 * time.Second
	// checkTimeout bounds one check, so that a store that hangs again and again fails its test run instead of stopping it.
	checkTimeout = 90 * time.Second
)

// reporter is the part of *testing.T that checks use; the kit's own tests put a recorder in its place.
type reporter interface {
	rapid.TB
	TempDir() string
	Cleanup(func())
}

// target is one data set.
type target interface {
	// open starts one more process on the data.
	open() (*process, error)
}

// process is a running store.
type process struct {
	store.Store
	// kill ends it at once, as a crash does; stop ends it in order. Both return when it has ended and may be called twice.
	kill, stop func()
	// pid is the process id.
	pid int
}

// trial is one run of one check.
type trial struct {
	reporter
	ctx    context.Context
	target target
	short  bool
	// failures is shared by the copies of a trial.
	failures *failures
}

func runCheck(r reporter, ck check, t target, short bool) {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	failures := &failures{}
	r.Cleanup(func() {
		if n := failures.left(); n > 0 {
			r.Logf("and %d more failures of %s", n, ck.name)
		}
		if r.Failed() {
			r.Logf("%s proves: %s", ck.name, ck.proves)
		}
	})
	ck.run(&trial{reporter: r, ctx: ctx, target: t, short: short, failures: failures})
}

// times answers how often to repeat something: full, or few with -short.
func (c *trial) times(full, few int) int {
	if c.short {
		return few
	}
	return full
}

// open starts a process that ends with the check.
func (c *trial) open() *process {
	c.Helper()
	beside := c.failures.begin()
	p, err := c.target.open()
	switch {
	case err != nil && beside:
		c.Fatalf("the store does not open for a second process on the same data: %v; a store that is for one process sets SingleProcess", err)
	case err != nil:
		c.Fatalf("the store does not open: %v", err)
	}
	ended := c.failures.ended()
	kill, stop := p.kill, p.stop
	p.kill = func() { kill(); ended("after a crash") }
	p.stop = func() { stop(); ended("after a restart") }
	c.Cleanup(p.stop)
	return p
}

func (c *trial) call() (context.Context, context.CancelFunc) {
	return context.WithTimeout(c.ctx, callTimeout)
}

// try commits and answers the outcomes, which may be refusals; a failed call ends the check.
func (c *trial) try(s store.Store, commits ...store.Commit) []store.Outcome {
	c.Helper()
	outcomes, err := c.attempt(s, commits...)
	if err != nil {
		c.Fatalf("Commit: %v", err)
	}
	return outcomes
}

// attempt is try for goroutines and for calls that may fail.
func (c *trial) attempt(s store.Store, commits ...store.Commit) ([]store.Outcome, error) {
	ctx, cancel := c.call()
	defer cancel()
	outcomes, err := s.Commit(ctx, commits)
	if err != nil {
		return nil, err
	}
	if len(outcomes) != len(commits) {
		return nil, fmt.Errorf("%d outcomes for %d commits", len(outcomes), len(commits))
	}
	for i, outcome := range outcomes {
		if outcome.Refusal == nil && len(outcome.Versions) != len(commits[i].Ops) {
			return nil, fmt.Errorf("outcome %d has %d versions for %d ops", i, len(outcome.Versions), len(commits[i].Ops))
		}
	}
	return outcomes, nil
}

// commit commits ops that must succeed.
func (c *trial) commit(s store.Store, ops ...store.Op) store.Outcome {
	c.Helper()
	return c.committed(s, newCommit(ops...))
}

// committed commits what must succeed.
func (c *trial) committed(s store.Store, commit store.Commit) store.Outcome {
	c.Helper()
	outcome := c.try(s, commit)[0]
	if outcome.Refusal != nil {
		c.Fatalf("a commit that must succeed was refused: %s", describeRefusal(outcome.Refusal))
	}
	return outcome
}

// refused asserts the reason, op and version of a refusal.
func (c *trial) refused(what string, got store.Outcome, reason store.RefusalReason, op int, version uint64) {
	c.Helper()
	if got.Refusal == nil || got.Refusal.Reason != reason || got.Refusal.Op != op || got.Refusal.Version != version {
		c.Errorf("%s: got %s, want %s of op %d with current version %d", what, describeOutcome(got), reasonName(reason), op, version)
	}
}

// invalid asserts an INVALID refusal; which op it names is left to the store.
func (c *trial) invalid(what string, got store.Outcome) {
	c.Helper()
	if got.Refusal == nil || got.Refusal.Reason != store.Invalid {
		c.Errorf("%s: got %s, want INVALID", what, describeOutcome(got))
	}
}

// get reads one record.
func (c *trial) get(s store.Store, key store.Key) store.Record {
	c.Helper()
	return c.getAll(s, key)[0]
}

// getAll reads records and asserts what is true of every record.
func (c *trial) getAll(s store.Store, keys ...store.Key) []store.Record {
	c.Helper()
	records, err := c.read(s, keys...)
	if err != nil {
		c.Fatalf("Get: %v", err)
	}
	return records
}

// read is getAll for goroutines, in requests of the largest size.
func (c *trial) read(s store.Store, keys ...store.Key) ([]store.Record, error) {
	var all []store.Record
	for len(keys) > 0 {
		part := keys[:min(len(keys), store.MaxKeys)]
		keys = keys[len(part):]
		ctx, cancel := c.call()
		records, err := s.Get(ctx, part)
		cancel()
		if err != nil {
			return nil, err
		}
		if len(records) != len(part) {
			return nil, fmt.Errorf("%d records for %d keys", len(records), len(part))
		}
		for i, record := range records {
			if record.Key.Compare(part[i]) != 0 {
				return nil, fmt.Errorf("record %d has key %s, asked for %s", i, model.Name(record.Key), model.Name(part[i]))
			}
			if err := sound(record); err != nil {
				return nil, err
			}
		}
		all = append(all, records...)
	}
	return all, nil
}

// sound is what is true of every record that a store answers.
func sound(record store.Record) error {
	name := model.Name(record.Key)
	switch {
	case record.Version == 0 && (len(record.Body) > 0 || record.Revision > 0):
		return fmt.Errorf("%s: an absent record with a body or revision", name)
	case record.Version > 0 && record.Revision == 0:
		return fmt.Errorf("%s: a record without a revision", name)
	case record.Version > 0 && record.SHA256 != sha256.Sum256(record.Body):
		return fmt.Errorf("%s: the SHA-256 is not that of the body", name)
	}
	return nil
}

// scan reads a range.
func (c *trial) scan(s store.Store, scan store.Scan) []store.Record {
	c.Helper()
	ctx, cancel := c.call()
	defer cancel()
	var records []store.Record
	err := s.Scan(ctx, scan, func(record store.Record) error {
		records = append(records, record)
		if record.Version == 0 {
			return fmt.Errorf("%s: Scan answered an absent record", model.Name(record.Key))
		}
		return sound(record)
	})
	if err != nil {
		c.Fatalf("Scan: %v", err)
	}
	return records
}

// everything is the scan of the scope that key uses.
func everything() store.Scan {
	k := key("x")
	return store.Scan{Collection: k.Collection, Tenant: k.Tenant, Namespace: k.Namespace}
}

// same asserts that two lists of records are equal in every member.
func (c *trial) same(what string, got, want []store.Record) {
	c.Helper()
	for i := range min(len(got), len(want)) {
		g, w := got[i], want[i]
		if g.Key.Compare(w.Key) != 0 || g.Version != w.Version || g.Revision != w.Revision || !bytes.Equal(g.Body, w.Body) {
			c.Errorf("%s: record %d is %s, want %s", what, i, describeRecord(g), describeRecord(w))
			return
		}
	}
	if len(got) != len(want) {
		c.Errorf("%s: %d records, want %d", what, len(got), len(want))
	}
}

// parallel runs f n times at once and ends the check with the first error.
func (c *trial) parallel(n int, f func(i int) error) {
	c.Helper()
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		c.Fatalf("%v", err)
	}
}

// key is a key of the scope that most checks use.
func key(path ...string) store.Key { return keyIn("runs", 7, 9, path...) }

func keyIn(collection string, tenant, namespace uint64, path ...string) store.Key {
	return store.Key{Collection: collection, Tenant: tenant, Namespace: namespace, Path: pathOf(path...)}
}

func pathOf(segments ...string) [][]byte {
	path := make([][]byte, len(segments))
	for i, segment := range segments {
		path[i] = []byte(segment)
	}
	return path
}

func put(key store.Key, body string, expect ...store.Expect) store.Op {
	op := store.Op{Kind: store.OpPut, Key: key, Body: []byte(body)}
	if len(expect) > 0 {
		op.Expect = expect[0]
	}
	return op
}

func del(key store.Key, expect ...store.Expect) store.Op {
	op := put(key, "", expect...)
	op.Kind, op.Body = store.OpDelete, nil
	return op
}

func add(key store.Key, delta int64, maximum uint64) store.Op {
	return store.Op{Kind: store.OpAdd, Key: key, Delta: delta, Max: maximum}
}

// newCommit makes a commit with a fresh id.
func newCommit(ops ...store.Op) store.Commit { return store.Commit{ID: newID(), Ops: ops} }

// newID makes an id as the host does: UUID version 7, ordered by time.
func newID() [16]byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16)
	rand.Read(id[6:])
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}

// randomBytes answers n bytes that no store can compress or guess.
func randomBytes(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return string(b)
}

// counter is the body of a counter.
func counter(value uint64) string { return string(binary.BigEndian.AppendUint64(nil, value)) }

// jitter answers a duration between low and high.
func jitter(low, high time.Duration) time.Duration { return low + mathrand.N(high-low) }

func reasonName(reason store.RefusalReason) string {
	switch reason {
	case store.Conflict:
		return "CONFLICT"
	case store.Limit:
		return "LIMIT"
	case store.Invalid:
		return "INVALID"
	}
	return fmt.Sprintf("reason %d", reason)
}

func describeRefusal(r *store.Refusal) string {
	return fmt.Sprintf("%s of op %d with current version %d (%q)", reasonName(r.Reason), r.Op, r.Version, r.Message)
}

func describeOutcome(o store.Outcome) string {
	if o.Refusal != nil {
		return describeRefusal(o.Refusal)
	}
	return fmt.Sprintf("committed revision %d versions %d", o.Revision, o.Versions)
}

func describeRecord(r store.Record) string {
	body := r.Body
	if len(body) > 40 {
		body = body[:40]
	}
	return fmt.Sprintf("%s version %d revision %d with %d bytes %q", model.Name(r.Key), r.Version, r.Revision, len(r.Body), body)
}
