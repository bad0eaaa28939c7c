package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

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
	// contention for the same records every other one would be, and be sent twice.
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
		s.work.count(batch)
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

const (
	freshSQL  = `SELECT decision_gate.commit_fresh_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	commitSQL = `SELECT out_revisions, out_reasons, out_ops, out_versions FROM decision_gate.commit_v1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`
)

// answers are what commit_v1 answers.
type answers struct {
	revisions []int64
	reasons   []int16
	ops       []int32
	versions  []int64
}

// send commits, as often as connections are lost on the way: a commit that had happened is answered by its id.
func (s *Store) send(commits []store.Commit) ([]store.Outcome, error) {
	b := newBatch(commits)
	// Only the first attempt can be of commits that have not happened.
	fresh := b.fresh() && !s.expectContention()
	var got answers
	err := s.again(s.background, "commit", func(ctx context.Context) error {
		// The server has its own timeout, and ends the statement with it; this one is for a server that is gone.
		ctx, cancel := context.WithTimeout(ctx, s.options.StatementTimeout+s.options.LockTimeout)
		defer cancel()
		if fresh {
			fresh = false
			if done, err := s.sendFresh(ctx, b, &got); done || err != nil {
				return err
			}
			s.careful.Store(carefulFor)
		}
		return s.pool.QueryRow(ctx, commitSQL, b.args()...).Scan(&got.revisions, &got.reasons, &got.ops, &got.versions)
	})
	if err != nil {
		return nil, err
	}
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

// sendFresh says whether the commits were what they were taken for, and then fills in their answers.
func (s *Store) sendFresh(ctx context.Context, b *batch, got *answers) (done bool, err error) {
	var before *int64
	if err := s.pool.QueryRow(ctx, freshSQL, b.freshArgs()...).Scan(&before); err != nil || before == nil {
		return false, err
	}
	n := len(b.commits)
	*got = answers{make([]int64, n), make([]int16, n), make([]int32, n), make([]int64, n)}
	for i := range got.revisions {
		got.revisions[i] = *before + int64(i) + 1
	}
	return true, nil
}

// expectContention says whether a batch of late had to be undone, and counts this one.
func (s *Store) expectContention() bool {
	n := s.careful.Load()
	return n > 0 && s.careful.CompareAndSwap(n, n-1)
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
