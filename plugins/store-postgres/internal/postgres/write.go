package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Bounds of one transaction.
const (
	// batchCommits is the number of commits from which no further request joins: the sync is shared by enough already,
	// and other hosts wait for the transaction's end.
	batchCommits = 256
	// batchBytes bounds the bodies of a transaction that more than one request shares.
	batchBytes = store.MaxMessage / 2
	// queueLength is the number of requests that wait for a writer; further ones wait to be queued.
	queueLength = 1024
	// writers is the number of batches under way: while the server makes one durable, the next is on its way to it. A third
	// would only make batches smaller.
	writers = 2
	// carefulFor is the number of batches that are looked up commit by commit after one that had to be undone: under
	// contention for the same records every other one would be, and be written twice.
	carefulFor = 16
)

// request is one call of Commit.
type request struct {
	ctx      context.Context
	commits  []store.Commit
	size     int
	outcomes []store.Outcome
	err      error
	done     chan struct{}
}

func (r *request) answer(outcomes []store.Outcome, err error) {
	r.outcomes, r.err = outcomes, err
	close(r.done)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	// A queue with room and a closed store could be chosen at random below: the closed store goes first.
	if s.closed() {
		return nil, errClosed()
	}
	if err := ctx.Err(); err != nil {
		return nil, classify(ctx, err)
	}
	req := &request{ctx: ctx, commits: commits, done: make(chan struct{})}
	for _, c := range commits {
		for _, op := range c.Ops {
			req.size += len(op.Body)
		}
	}
	select {
	case s.queue <- req:
	case <-s.closing:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, classify(ctx, ctx.Err())
	}
	select {
	case <-req.done:
		return req.outcomes, req.err
	case <-s.background.Done():
		// Queued after the writers took their last look, or given up with the store.
		return nil, errClosed()
	case <-ctx.Done():
		// The commit may still happen; the caller asks again with the same id.
		return nil, classify(ctx, ctx.Err())
	}
}

// write is one writer.
func (s *Store) write() {
	var held *request
	for {
		first := held
		if held = nil; first == nil {
			select {
			case first = <-s.queue:
			case <-s.closing:
				s.refuseQueued()
				return
			}
		}
		var batch []*request
		batch, held = s.collect(first)
		s.commit(batch)
	}
}

// collect adds to the first request all that wait and fit.
func (s *Store) collect(first *request) (batch []*request, held *request) {
	batch = []*request{first}
	commits, size := len(first.commits), first.size
	for commits < batchCommits {
		select {
		case next := <-s.queue:
			if size+next.size > batchBytes || commits+len(next.commits) > batchCommits {
				return batch, next
			}
			batch = append(batch, next)
			commits, size = commits+len(next.commits), size+next.size
		default:
			return batch, nil
		}
	}
	return batch, nil
}

func (s *Store) refuseQueued() {
	for {
		select {
		case req := <-s.queue:
			req.answer(nil, errClosed())
		default:
			return
		}
	}
}

// commit answers every request of the batch. When the server cannot write one of them, because it meets a damaged page or
// passes a limit, each is tried alone, so that one cannot fail the others.
func (s *Store) commit(batch []*request) {
	batch = slices.DeleteFunc(batch, func(req *request) bool {
		// Nobody waits any more, and the caller's retry will bring the same commit.
		ended := req.ctx.Err() != nil
		if ended {
			req.answer(nil, classify(req.ctx, req.ctx.Err()))
		}
		return ended
	})
	if len(batch) == 0 {
		return
	}
	var commits []store.Commit
	for _, req := range batch {
		commits = append(commits, req.commits...)
	}
	outcomes, err := s.send(commits)
	if err != nil && len(batch) > 1 && separable(err) {
		for _, req := range batch {
			s.commit([]*request{req})
		}
		return
	}
	for _, req := range batch {
		if err != nil {
			req.answer(nil, err)
			continue
		}
		req.answer(outcomes[:len(req.commits):len(req.commits)], nil)
		outcomes = outcomes[len(req.commits):]
	}
	if err == nil {
		s.tell()
	}
}

func separable(err error) bool {
	switch fault.ReasonOf(err) {
	case fault.Unavailable, fault.Deadline, fault.Denied:
		return false
	}
	return true
}

const commitSQL = `SELECT out_revisions, out_reasons, out_ops, out_versions, out_careful FROM decision_gate.commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`

// columns are commits as commit_v1 takes them.
type columns struct {
	ids, digests []pgtype.UUID
	ops          []int32
	where        places
	kinds        []int16
	expects      []int64
	bodies, sums [][]byte
	deltas       []int64
	maxima       []int64
}

// Expectations as commit_v1 takes them, beside versions; 0 is absent.
const (
	expectAny   = -1
	expectNever = -2
)

func (c *columns) add(commit store.Commit) {
	digest := commit.Digest()
	c.ids = append(c.ids, pgtype.UUID{Bytes: commit.ID, Valid: true})
	// Half of it: two commits that somebody has made to agree in 128 bits would be commits of one host.
	c.digests = append(c.digests, pgtype.UUID{Bytes: [16]byte(digest[:16]), Valid: true})
	c.ops = append(c.ops, int32(len(commit.Ops)))
	for _, op := range commit.Ops {
		c.where.add(op.Key)
		c.kinds = append(c.kinds, int16(op.Kind))
		c.expects = append(c.expects, expectation(op))
		var body, sum []byte
		if op.Kind == store.OpPut {
			// An empty body is not the lack of one.
			body = append([]byte{}, op.Body...)
			hash := sha256.Sum256(body)
			sum = hash[:]
		}
		c.bodies, c.sums = append(c.bodies, body), append(c.sums, sum)
		c.deltas = append(c.deltas, op.Delta)
		c.maxima = append(c.maxima, int64(op.Max)) // At most MaxCounter.
	}
}

func (c *columns) args(careful bool) []any {
	return []any{careful, pgtype.FlatArray[pgtype.UUID](c.ids), pgtype.FlatArray[pgtype.UUID](c.digests), c.ops,
		c.where.tables, c.where.collections, c.where.tenants, c.where.namespaces, c.where.paths, c.where.behalves,
		c.kinds, c.expects, c.bodies, c.sums, c.deltas, c.maxima}
}

// answers are what commit_v1 answers.
type answers struct {
	revisions []int64
	reasons   []int16
	ops       []int32
	versions  []int64
	careful   bool
}

// send commits, as often as connections are lost on the way: a commit that had happened is answered by its id.
func (s *Store) send(commits []store.Commit) ([]store.Outcome, error) {
	var cols columns
	for _, commit := range commits {
		cols.add(commit)
	}
	var got answers
	attempt := 0
	err := s.again(s.background, "commit", func(ctx context.Context) error {
		// The server has its own timeout, and ends the statement with it; this one is for a server that is gone.
		ctx, cancel := context.WithTimeout(ctx, s.options.StatementTimeout+s.options.LockTimeout)
		defer cancel()
		attempt++
		careful := attempt > 1 || s.careful.Load() > 0
		return s.pool.QueryRow(ctx, commitSQL, cols.args(careful)...).Scan(&got.revisions, &got.reasons, &got.ops, &got.versions, &got.careful)
	})
	if err != nil {
		return nil, err
	}
	s.remember(got.careful)
	if n := len(commits); len(got.revisions) != n || len(got.reasons) != n || len(got.ops) != n || len(got.versions) != n {
		return nil, fault.New(fault.Internal, "the database answered %d commits, sent were %d", len(got.revisions), n)
	}
	outcomes := make([]store.Outcome, len(commits))
	for i, commit := range commits {
		if outcomes[i], err = got.outcome(i, commit); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

// remember makes the next batches careful after one that had to be undone. A batch that was careful from the start counts.
func (s *Store) remember(careful bool) {
	if n := s.careful.Load(); n > 0 {
		s.careful.CompareAndSwap(n, n-1)
	} else if careful {
		s.careful.Store(carefulFor)
	}
}

// errReason is of a reason that this version does not know.
var errReason = errors.New("unknown reason")

func (a *answers) outcome(i int, commit store.Commit) (store.Outcome, error) {
	if a.reasons[i] == 0 {
		outcome := store.Outcome{Revision: uint64(a.revisions[i]), Versions: make([]uint64, len(commit.Ops))}
		for n, op := range commit.Ops {
			if op.Kind != store.OpDelete {
				// A record's version is its revision: it grows and never repeats, also after a removal.
				outcome.Versions[n] = outcome.Revision
			}
		}
		return outcome, nil
	}
	refusal := &store.Refusal{Op: int(a.ops[i]), Version: uint64(a.versions[i])}
	switch a.reasons[i] {
	case 1:
		refusal.Reason = store.Conflict
	case 2:
		refusal.Reason = store.Limit
	case 3:
		refusal.Reason = store.Invalid
		refusal.Message = fmt.Sprintf("the record of collection %q is no counter: its body is not 8 bytes", commit.Ops[min(refusal.Op, len(commit.Ops)-1)].Key.Collection)
	case 4:
		refusal.Reason, refusal.Message = store.Invalid, "the commit id was used before with other ops"
	default:
		return store.Outcome{}, fault.Wrap(fault.Internal, errReason, "the database refused a commit for reason %d, which this version does not know", a.reasons[i])
	}
	return store.Outcome{Refusal: refusal}, nil
}

func expectation(op store.Op) int64 {
	if op.Kind == store.OpAdd {
		return expectAny
	}
	version, any := op.Expect.Wants()
	switch {
	case any:
		return expectAny
	case version > store.MaxCounter:
		return expectNever // No record has it.
	}
	return int64(version)
}

const (
	// expireEvery is how often old ids of commits are looked for, expireRows how many one statement removes.
	expireEvery = time.Minute
	expireRows  = 2000
)

// expire forgets ids of commits that are older than their lifetime.
func (s *Store) expire() {
	for s.sleep(s.background, expireEvery) == nil {
		for removed := int64(expireRows); removed == expireRows; {
			err := s.pool.QueryRow(s.background, `SELECT decision_gate.expire_v1($1, $2)`, int64(s.options.CommitIDLifetime.Seconds())+1, int32(expireRows)).Scan(&removed)
			if err != nil {
				s.options.Logger.Warn("old commit ids could not be removed; it is tried again", "error", fmt.Sprint(classify(s.background, err)))
				break
			}
		}
	}
}
