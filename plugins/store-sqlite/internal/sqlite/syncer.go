package sqlite

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// syncer makes durable what is in the log. Transactions are committed without a sync of their own, so that the next one can
// be written while the last one is synced; whoever would tell of a commit, its writer or a reader, waits here for a sync
// that began after it was written. One sync is under way at a time, for all who wait.
//
// A commit of another process on the same file is in the log as well, and that process may not have synced it yet: it is
// synced here before it is told, since a sync is of the file, whoever has written to it.
type syncer struct {
	log  logFile
	mark *syncMark
	// durable is the newest revision that is known to be on the disk.
	durable atomic.Int64
	count   atomic.Int64

	mu sync.Mutex
	// current is the round under way and next the one that begins when it ends; nil when there is none.
	current, next *round
	// failure is why nothing is told any more.
	failure error
}

// logFile is the log as the driver has it open.
type logFile interface {
	Sync(flags vfs.SyncFlag) error
}

// round is one sync.
type round struct {
	// revision is the newest that is made durable. All up to it were written before the round began.
	revision int64
	done     chan struct{}
	err      error // readable when done is closed
}

// through waits until everything up to a revision, which the caller has read, is durable. The sync goes on when ctx ends.
func (y *syncer) through(ctx context.Context, revision int64) error {
	if revision <= y.durable.Load() {
		return nil
	}
	r, lead := y.join(revision, false)
	if lead != nil {
		go lead()
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return classify(ctx, ctx.Err())
	}
}

// now makes durable everything that is written when it is called, up to a revision and also what has no revision.
func (y *syncer) now(revision int64) error {
	r, lead := y.join(revision, true)
	if lead != nil {
		lead()
	}
	<-r.done
	return r.err
}

// join answers the round that makes a revision durable. Where lead is not nil the caller must call it: it makes the round.
func (y *syncer) join(revision int64, anew bool) (r *round, lead func()) {
	y.mu.Lock()
	defer y.mu.Unlock()
	// Who waits for a revision has seen it, so this one was written before the round of a greater one began.
	if y.current != nil && revision <= y.current.revision && !anew {
		return y.current, nil
	}
	if y.next != nil {
		y.next.revision = max(y.next.revision, revision)
		return y.next, nil
	}
	y.next = &round{revision: revision, done: make(chan struct{})}
	before := y.current
	return y.next, func() { y.lead(before) }
}

// lead makes the next round, once the one before it has ended.
func (y *syncer) lead(before *round) {
	if before != nil {
		<-before.done
	}
	y.mu.Lock()
	r := y.next
	y.current, y.next = r, nil
	r.err = y.failure
	y.mu.Unlock()
	if r.err == nil {
		r.err = y.sync()
	}
	y.mu.Lock()
	if r.err == nil {
		y.durable.Store(max(y.durable.Load(), r.revision))
	}
	y.current = nil
	y.mu.Unlock()
	close(r.done)
}

// sync syncs the log. After one that failed there is none that succeeds: the kernel calls pages clean that it could not
// write, so that the next sync would answer for commits that are not on the disk.
func (y *syncer) sync() error {
	y.count.Add(1)
	reached := y.mark.look()
	if err := y.log.Sync(vfs.SYNC_FULL); err != nil {
		return y.fail(err)
	}
	y.mark.set(reached)
	return nil
}

// fail ends everything that waits for a sync, for good, and answers why.
func (y *syncer) fail(err error) error {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.failure == nil {
		reason := fault.Unavailable
		if isFull(err) {
			reason = fault.Full
		}
		y.failure = fault.Wrap(reason, err,
			"a sync of the database failed, so that what the disk holds is unknown; look at the kernel's log and the file system, and restart the host")
	}
	return y.failure
}

// failed is why nothing is made durable any more, nil as long as it is.
func (y *syncer) failed() error {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.failure
}

// close waits for the syncs under way; later ones are refused.
func (y *syncer) close() {
	y.mu.Lock()
	if y.failure == nil {
		y.failure = errClosed()
	}
	rounds := []*round{y.current, y.next}
	y.mu.Unlock()
	for _, r := range rounds {
		if r != nil {
			<-r.done
		}
	}
}
