package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Bounds of one transaction.
const (
	// batchCommits is the number of commits from which no further request joins: the sync is shared by enough already,
	// and the first one should not wait for ever more.
	batchCommits = 1024
	// batchBytes bounds the bodies of a transaction that more than one request shares.
	batchBytes = store.MaxMessage
	// queueLength is the number of requests that wait for the writer; further ones wait to be queued.
	queueLength = 1024
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

// writer owns the only connection that writes records. Its loop takes all requests that wait and writes them as one
// transaction, so that they share one sync.
type writer struct {
	*conn
	store       *Store
	queue       chan *request
	checkpoints *checkpointer
	// gone is closed when the loop has ended.
	gone chan struct{}
	now  func() time.Time
	// sinceExpiry is the number of commits since old ids were removed.
	sinceExpiry int

	begin, commit, rollback, newest         *stmt
	find, counter, insert, update           *stmt
	findCommit, insertCommit, expireCommits *stmt
}

func newWriter(s *Store, c *conn) *writer {
	return &writer{conn: c, store: s, queue: make(chan *request, queueLength), gone: make(chan struct{}), now: time.Now, sinceExpiry: expireEvery}
}

// journalLimit is the size in bytes to which SQLite cuts the log's file when it starts anew after a burst.
const journalLimit = restartFrames * 4096

func (w *writer) prepare() error {
	// FULL syncs the log before COMMIT returns. Checkpoints are ours: SQLite's own would run inside the COMMIT of whoever
	// passes the threshold and stall every call behind it.
	err := w.exec(fmt.Sprintf(`PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%d`, journalLimit))
	if err != nil {
		return err
	}
	if err := w.settle(); err != nil {
		return err
	}
	return w.prepareAll(map[**stmt]string{
		&w.begin:         `BEGIN IMMEDIATE`,
		&w.commit:        `COMMIT`,
		&w.rollback:      `ROLLBACK`,
		&w.newest:        `SELECT max(revision) FROM records`,
		&w.find:          `SELECT revision, sha256 IS NULL FROM records WHERE k = ?`,
		&w.counter:       `SELECT revision, sha256 IS NULL, sha256, CASE WHEN length(body) = 8 THEN body END FROM records WHERE k = ?`,
		&w.insert:        `INSERT INTO records (revision, k, sha256, body) VALUES (?, ?, ?, ?)`,
		&w.update:        `UPDATE records SET revision = ?, sha256 = ?, body = ? WHERE revision = ?`,
		&w.findCommit:    `SELECT ops, outcome FROM commits WHERE id = ?`,
		&w.insertCommit:  `INSERT INTO commits (id, at, ops, outcome) VALUES (?, ?, ?, ?)`,
		&w.expireCommits: `DELETE FROM commits WHERE id IN (SELECT id FROM commits WHERE at < ? ORDER BY at LIMIT ?)`,
	})
}

// settle makes durable what SQLite recovers from the log of a process that was killed: its last transaction may have
// been written and not synced. A repeat of that commit would be answered from the record of its id, without a sync of
// its own. The log is copied, not only synced: after a failed sync the kernel may call pages clean that are not on disk.
func (w *writer) settle() error {
	log, err := os.Open(w.store.options.Path + "-wal")
	if err == nil {
		err = errors.Join(log.Sync(), log.Close())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Where another process has the file open there was nothing to recover, and it may keep us from copying.
	_, _, err = w.checkpoint(true)
	return ignoreBusy(err)
}

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	req := &request{ctx: ctx, commits: commits, size: bodyBytes(commits), done: make(chan struct{})}
	// A queue that is full and a closed store could be chosen at random below: the closed store goes first.
	select {
	case <-s.closing:
		return nil, errClosed()
	default:
	}
	select {
	case s.writer.queue <- req:
	case <-s.closing:
		return nil, errClosed()
	case <-ctx.Done():
		return nil, classify(ctx, ctx.Err())
	}
	select {
	case <-req.done:
		return req.outcomes, req.err
	case <-s.writer.gone:
		// Queued after the writer took its last look.
		select {
		case <-req.done:
			return req.outcomes, req.err
		default:
			return nil, errClosed()
		}
	case <-ctx.Done():
		// The commit may still happen; the caller asks again with the same id.
		return nil, classify(ctx, ctx.Err())
	}
}

func bodyBytes(commits []store.Commit) int {
	size := 0
	for _, c := range commits {
		for _, op := range c.Ops {
			size += len(op.Body)
		}
	}
	return size
}

// loop is the writer's goroutine.
func (w *writer) loop() {
	defer close(w.gone)
	var held *request
	for {
		first := held
		if held = nil; first == nil {
			select {
			case first = <-w.queue:
			case <-w.store.closing:
				w.refuseQueued()
				return
			}
		}
		var batch []*request
		batch, held = w.collect(first)
		w.write(batch)
		w.checkpoints.maybeRestart(w.conn)
	}
}

// collect adds to the first request all that wait and fit.
func (w *writer) collect(first *request) (batch []*request, held *request) {
	batch = []*request{first}
	commits, size := len(first.commits), first.size
	for commits < batchCommits {
		select {
		case next := <-w.queue:
			if size+next.size > batchBytes {
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

func (w *writer) refuseQueued() {
	for {
		select {
		case req := <-w.queue:
			req.answer(nil, errClosed())
		default:
			return
		}
	}
}

func (r *request) answer(outcomes []store.Outcome, err error) {
	r.outcomes, r.err = outcomes, err
	close(r.done)
}

// write answers every request of the batch. When one of them cannot be written, because it meets a damaged page or does
// not fit on the disk, the transaction of all is undone and each is tried alone, so that one cannot fail the others.
// After a failed sync nothing is tried again: what the kernel holds of the file is unknown.
func (w *writer) write(batch []*request) {
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
	outcomes, err := w.transaction(batch)
	if separable := fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Full) || fault.Is(err, fault.TooLarge); separable && len(batch) > 1 {
		for _, req := range batch {
			w.write([]*request{req})
		}
		return
	}
	if fault.Is(err, fault.Full) {
		w.store.full.Store(true)
	}
	for i, req := range batch {
		if err != nil {
			req.answer(nil, err)
			continue
		}
		req.answer(outcomes[i], nil)
	}
	if err == nil {
		w.store.news.tell()
	}
}

// transaction applies the batch and makes it durable. Its outcomes are answered only when COMMIT has returned.
func (w *writer) transaction(batch []*request) (outcomes [][]store.Outcome, err error) {
	defer func() { err = classify(context.Background(), err) }()
	if err := w.store.files.inPlace(); err != nil {
		return nil, err
	}
	if err := w.begin.run(); err != nil {
		return nil, err
	}
	defer func() {
		// SQLite has ended the transaction itself after some errors.
		if w.inTransaction() {
			err = errors.Join(err, w.rollback.run())
		}
	}()
	t := &transaction{writer: w, now: w.now()}
	if t.revision, err = w.newestRevision(); err != nil {
		return nil, err
	}
	for _, req := range batch {
		answers := make([]store.Outcome, len(req.commits))
		for i, c := range req.commits {
			if answers[i], err = t.apply(c); err != nil {
				return nil, err
			}
		}
		outcomes = append(outcomes, answers)
	}
	if err := t.expire(w.store.options.CommitIDLifetime); err != nil {
		return nil, err
	}
	if err := w.commit.run(); err != nil {
		return nil, err
	}
	if w.sinceExpiry += t.fresh; w.sinceExpiry >= expireEvery {
		w.sinceExpiry = 0
	}
	w.store.work.count(batch)
	return outcomes, nil
}

func (w *writer) newestRevision() (newest int64, err error) {
	err = w.newest.each(func(r row) (bool, error) {
		newest = r.integer(0)
		return false, nil
	})
	if newest > math.MaxInt64-batchCommits*store.MaxOps {
		// No store gets there; a row that somebody wrote does, and the next revision would wrap around.
		return 0, fault.New(fault.Corrupt, "the newest revision is out of range; restore a backup")
	}
	return newest, err
}
