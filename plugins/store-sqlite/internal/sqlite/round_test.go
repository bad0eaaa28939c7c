package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// stepLog is a log whose syncs begin and end when the test says so.
type stepLog struct{ began, end chan struct{} }

func (l stepLog) Sync(vfs.SyncFlag) error {
	l.began <- struct{}{}
	<-l.end
	return nil
}

func stepSyncer(t *testing.T) (*syncer, stepLog) {
	shm, err := os.Create(filepath.Join(t.TempDir(), "empty"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shm.Close() })
	l := stepLog{make(chan struct{}), make(chan struct{})}
	return &syncer{log: l, mark: &syncMark{shm}}, l
}

// A sync that is under way may have passed what is written now.
func TestOnlySyncThatBeganLaterCounts(t *testing.T) {
	y, log := stepSyncer(t)
	first := started(func() error { return y.now(1) })
	<-log.began
	covered := started(func() error { return y.through(context.Background(), 1) })
	later := started(func() error { return y.now(2) })
	read := started(func() error { return y.through(context.Background(), 2) })
	unnumbered := started(func() error { return y.now(1) })
	unanswered(t, "what the sync covers", covered)
	log.end <- struct{}{}
	if err := <-first; err != nil {
		t.Error(err)
	}
	if err := <-covered; err != nil {
		t.Error(err)
	}
	<-log.began
	unanswered(t, "a commit that was written during a sync", later)
	unanswered(t, "a reader of it", read)
	unanswered(t, "a commit without a record", unnumbered)
	log.end <- struct{}{}
	for _, answer := range []<-chan error{later, read, unnumbered} {
		if err := <-answer; err != nil {
			t.Error(err)
		}
	}
	if n := y.count.Load(); n != 2 {
		t.Errorf("%d syncs, want 2: those who wait share one", n)
	}
	if err := y.through(t.Context(), 2); err != nil || y.count.Load() != 2 {
		t.Errorf("what is durable was synced again, %v", err)
	}
}

// A reader that has left, its deadline over, leaves its sync under way.
func TestCloseWaitsForSyncOfReader(t *testing.T) {
	y, log := stepSyncer(t)
	ctx, leave := context.WithCancel(t.Context())
	reading := started(func() error { return y.through(ctx, 1) })
	<-log.began
	leave()
	if err := <-reading; err == nil {
		t.Error("a reader that left was answered")
	}
	closing := started(func() error { y.close(); return nil })
	unanswered(t, "close", closing)
	log.end <- struct{}{}
	<-closing
	if err := y.now(2); err == nil {
		t.Error("a sync after close")
	}
}

// A follower reads what is committed as soon as it is woken, or looks by itself.
func TestFollowerIsToldAfterSync(t *testing.T) {
	here, d := storeOnDisk(t, t.TempDir())
	there, theirs := storeOnDisk(t, filepath.Dir(here.options.Path))
	commit(t, here, put(key("a"), "x", store.Any())) // SQLite syncs the header of a log that it begins.
	newest, err := here.newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan struct{}, 10)
	follow := func(s *Store) <-chan error {
		ready := make(chan struct{})
		first := true
		ended := started(func() error {
			return s.Changes(ctx, newest, func(set store.ChangeSet) error {
				if first {
					close(ready)
				} else if len(set.Changes) > 0 {
					told <- struct{}{}
				}
				first = false
				return nil
			})
		})
		<-ready
		return ended
	}
	followers := []<-chan error{follow(here), follow(there)}
	mine, other := holdSyncs(t, d), holdSyncs(t, theirs)
	committing := started(func() error { return tryCommit(t, here, recordCommit("b")) })
	<-mine.began
	<-other.began // The other store has seen the commit.
	unanswered(t, "the commit", committing)
	unanswered(t, "a follower", told)
	other.release()
	<-told
	unanswered(t, "the other follower", told)
	mine.release()
	<-told
	if err := <-committing; err != nil {
		t.Error(err)
	}
	cancel()
	for _, f := range followers {
		<-f
	}
}
