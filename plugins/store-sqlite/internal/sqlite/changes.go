package sqlite

import (
	"context"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// pollInterval is how long a follower may take to see a commit of another process on the same file; its own process
// wakes it at once.
const pollInterval = 100 * time.Millisecond

// news wakes followers after a commit of this process.
type news struct {
	mu   sync.Mutex
	next chan struct{}
}

func (n *news) init() { n.next = make(chan struct{}) }

// wait is closed at the next tell.
func (n *news) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.next
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.next)
	n.next = make(chan struct{})
}

// Changes implements store.Store. Revisions are given inside the write lock, so they become visible in order, and a
// snapshot that holds one holds all before it: what a scan has told is complete.
func (s *Store) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	return s.ChangesOf(ctx, nil, after, yield)
}

// ChangesOf implements store.Selective. It tells all, but rests between looks when some are asked for: a look for each commit
// would take from the commits.
func (s *Store) ChangesOf(ctx context.Context, collections []string, after uint64, yield func(store.ChangeSet) error) error {
	rest := time.Duration(0)
	if len(collections) > 0 {
		rest = pollInterval
	}
	newest, err := s.newest(ctx)
	if err != nil {
		return err
	}
	if after > newest {
		// The reader's store had more than this one: following would miss everything up to where it was.
		return fault.New(fault.Invalid, "revision %d is newer than the newest, %d: the reader has seen another database or one from before a restore; read everything again", after, newest)
	}
	for first := true; ; first = false {
		// Taken before the look, so that no commit falls between look and wait.
		wake := s.news.wait()
		set, more, err := s.changed(ctx, after)
		if err != nil {
			return err
		}
		if len(set.Changes) > 0 || first {
			if err := yield(set); err != nil {
				return err
			}
			after = set.Complete
		}
		if more {
			continue
		}
		if err := s.pause(ctx, wake); err != nil {
			return err
		}
		if err := s.rest(ctx, rest); err != nil {
			return err
		}
	}
}

// rest waits, also when there is something new.
func (s *Store) rest(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closing:
		return errClosed()
	case <-ctx.Done():
		return classify(ctx, ctx.Err())
	}
	return nil
}

// pause waits until there may be something new.
func (s *Store) pause(ctx context.Context, wake <-chan struct{}) error {
	timer := time.NewTimer(pollInterval)
	defer timer.Stop()
	select {
	case <-wake:
	case <-timer.C:
	case <-s.closing:
		return errClosed()
	case <-ctx.Done():
		return classify(ctx, ctx.Err())
	}
	return nil
}

// changed reads the changes after a revision; more says that the page is full.
func (s *Store) changed(ctx context.Context, after uint64) (set store.ChangeSet, more bool, err error) {
	set.Complete = after
	err = s.read(ctx, func(r *reader) error {
		return r.changes.each(func(row row) (bool, error) {
			key, err := store.ParseKey(row.raw(1))
			if err != nil {
				return false, err
			}
			revision := uint64(row.integer(0))
			set.Changes = append(set.Changes, store.Change{Revision: revision, Key: key, Deleted: row.integer(2) != 0})
			set.Complete = revision
			return true, nil
		}, int64(after), int64(pageRecords)) // after fits: it is not above the newest.
	})
	return set, len(set.Changes) == pageRecords, err
}

// newest is the newest revision.
func (s *Store) newest(ctx context.Context) (newest uint64, err error) {
	err = s.read(ctx, func(r *reader) error {
		return r.newest.each(func(row row) (bool, error) {
			newest = uint64(row.integer(0))
			return false, nil
		})
	})
	return newest, err
}
