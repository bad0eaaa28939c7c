package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// heldDisk is a disk on which syncs of the log take as long as the test wants.
type heldDisk struct {
	*disk
	// began gets a token for each sync that waits.
	began   chan struct{}
	release func()
}

func holdSyncs(t *testing.T, d *disk) heldDisk {
	began, released := make(chan struct{}, 100), make(chan struct{})
	hook := func(suffix string) error {
		if suffix == "-wal" {
			began <- struct{}{}
			<-released
		}
		return nil
	}
	h := heldDisk{d, began, sync.OnceFunc(func() { d.sync.Store(nil); close(released) })}
	d.sync.Store(&hook)
	t.Cleanup(h.release) // before the store is closed, which waits
	return h
}

func storeOnDisk(t *testing.T, dir string) (*Store, *disk) {
	d := newDisk(t)
	options := testOptions(dir)
	options.VFS = d.name
	return mustOpen(t, options), d
}

// started runs f and answers what it comes to.
func started[T any](f func() T) <-chan T {
	answer := make(chan T, 1)
	go func() { answer <- f() }()
	return answer
}

// unanswered asserts that a call waits.
func unanswered[T any](t *testing.T, what string, answer <-chan T) {
	t.Helper()
	select {
	case got := <-answer:
		t.Fatalf("%s was answered before the sync: %v", what, got)
	case <-time.After(20 * time.Millisecond):
	}
}

// unsyncedStore is a store that has committed what its disk has not synced: key "new" was added, "gone" removed, "old" changed
// from "x" to "y". again repeats that commit, and syncs go on with release.
func unsyncedStore(t *testing.T) (s *Store, committing <-chan error, again store.Commit, disk heldDisk) {
	s, d := storeOnDisk(t, t.TempDir())
	commit(t, s, put(key("old"), "x", store.Any()), put(key("gone"), "x", store.Any()), put(key("other"), "x", store.Any()))
	disk = holdSyncs(t, d)
	again = store.Commit{ID: newID(), Ops: []store.Op{put(key("new"), "y", store.Absent()), put(key("old"), "y", store.Any()), {Kind: store.OpDelete, Key: key("gone")}}}
	committing = started(func() error {
		_, err := s.Commit(context.Background(), []store.Commit{again})
		return err
	})
	<-disk.began
	return s, committing, again, disk
}

// tellers are all ways to hear of the commit of an unsyncedStore.
func tellers(again store.Commit) map[string]func(ctx context.Context, s *Store) error {
	getting := func(name string) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, err := s.Get(ctx, []store.Key{key("other"), key(name)})
			return err
		}
	}
	committing := func(c store.Commit) func(context.Context, *Store) error {
		return func(ctx context.Context, s *Store) error {
			_, err := s.Commit(ctx, []store.Commit{c})
			return err
		}
	}
	told := errors.New("told")
	return map[string]func(ctx context.Context, s *Store) error{
		"a new record":     getting("new"),
		"a changed record": getting("old"),
		"a removed record": getting("gone"),
		"a scan": func(ctx context.Context, s *Store) error {
			return s.Scan(ctx, store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(store.Record) error { return nil })
		},
		"a scan that finds nothing": func(ctx context.Context, s *Store) error {
			return s.Scan(ctx, store.Scan{Collection: "runs", Tenant: 1, Namespace: 2, Prefix: [][]byte{[]byte("gone")}}, func(store.Record) error { return nil })
		},
		"changes": func(ctx context.Context, s *Store) error {
			if err := s.Changes(ctx, 0, func(store.ChangeSet) error { return told }); err != told {
				return err
			}
			return nil
		},
		"the newest revision": func(ctx context.Context, s *Store) error { _, err := s.Describe(ctx); return err },
		"a repeat":            committing(again),
		"a refusal":           committing(store.Commit{ID: newID(), Ops: []store.Op{put(key("new"), "z", store.Absent())}}),
	}
}

// The attack: the power goes after a reader was told of a commit and before that was synced. The decision that somebody acts
// on is gone, and the next one may be another.
func TestNothingIsToldBeforeItIsSynced(t *testing.T) {
	s, committing, again, disk := unsyncedStore(t)
	answers := map[string]<-chan error{"the commit": committing}
	for name, tell := range tellers(again) {
		answers[name] = started(func() error { return tell(context.Background(), s) })
	}
	for name, answer := range answers {
		unanswered(t, name, answer)
	}
	// What has long been synced is told meanwhile: readers do not wait for the writer.
	if r := get(t, s, key("other")); string(r.Body) != "x" {
		t.Errorf("%+v", r)
	}
	// And a deadline ends the wait.
	ended, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Get(ended, []store.Key{key("new")}); !fault.Is(err, fault.Deadline) {
		t.Errorf("a get that waits past its deadline: %v", err)
	}
	disk.release()
	for name, answer := range answers {
		if err := <-answer; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Another process on the same file reads what this one has written. It cannot see whether that is synced, so it syncs itself.
func TestNothingOfAnotherProcessIsToldBeforeItIsSynced(t *testing.T) {
	here, committing, again, disk := unsyncedStore(t)
	for name, tell := range tellers(again) {
		t.Run(name, func(t *testing.T) {
			there, d := storeOnFile(t, here)
			theirs := holdSyncs(t, d)
			answer := started(func() error { return tell(context.Background(), there) })
			unanswered(t, name, answer)
			theirs.release()
			if err := <-answer; err != nil {
				t.Error(err)
			}
		})
	}
	unanswered(t, "the commit", committing)
	disk.release()
	if err := <-committing; err != nil {
		t.Error(err)
	}
}

// storeOnFile is another store on the same file that was opened before the last commit, so that it knows nothing of it.
func storeOnFile(t *testing.T, of *Store) (*Store, *disk) {
	s, d := storeOnDisk(t, filepath.Dir(of.options.Path))
	s.syncer.durable.Store(1)
	return s, d
}

// An id of a commit that wrote no record has no revision to wait for.
func TestRepeatOfCommitWithoutRecordsIsSynced(t *testing.T) {
	here, d := storeOnDisk(t, t.TempDir())
	commit(t, here, put(key("a"), "x", store.Any()))
	there, _ := storeOnDisk(t, filepath.Dir(here.options.Path))
	held := holdSyncs(t, d)
	nothing := []store.Commit{{ID: newID(), Ops: []store.Op{{Kind: store.OpDelete, Key: key("nobody")}}}}
	call := func() error { _, err := here.Commit(context.Background(), nothing); return err }
	first, second := started(call), started(call)
	unanswered(t, "the first", first)
	unanswered(t, "the repeat", second)
	held.release()
	if err := errors.Join(<-first, <-second); err != nil {
		t.Error(err)
	}
	before := there.syncer.count.Load()
	if _, err := there.Commit(t.Context(), nothing); err != nil || there.syncer.count.Load() == before {
		t.Errorf("a repeat in another process was answered without a sync; %v", err)
	}
}

// One batch is synced while the next is written, and no more: the others wait to be written together.
func TestNextTransactionIsWrittenDuringSync(t *testing.T) {
	s, d := storeOnDisk(t, t.TempDir())
	commit(t, s, put(key("a"), "x", store.Any()))
	done := s.work.transactions.Load()
	held := holdSyncs(t, d)
	var answers []<-chan error
	for i := range 10 {
		answers = append(answers, started(func() error { return tryCommit(t, s, recordCommit(fmt.Sprint(i))) }))
		if i == 0 {
			<-held.began
		}
	}
	for deadline := time.Now().Add(10 * time.Second); s.work.transactions.Load() < done+2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nothing is written during a sync")
		}
	}
	for _, a := range answers {
		unanswered(t, "a commit", a)
	}
	if n := s.work.transactions.Load() - done; n != 2 {
		t.Errorf("%d transactions are waiting for their sync, want 2", n)
	}
	held.release()
	for _, a := range answers {
		if err := <-a; err != nil {
			t.Error(err)
		}
	}
}

// The kernel reports a failed sync once, and calls the pages that it could not write clean: the next sync succeeds, and what
// it would answer for is not on the disk. So nothing that is not durable is told any more until the store is opened again,
// which writes all of it anew.
func TestFailedSyncIsNeverTriedAgain(t *testing.T) {
	for what, suffix := range map[string]string{"the log": "-wal", "the database": ""} {
		t.Run(what, func(t *testing.T) {
			s, d := storeOnDisk(t, t.TempDir())
			if err := tryCommit(t, s, recordCommit("before")); err != nil {
				t.Fatal(err)
			}
			failed := make(chan struct{})
			fail := sync.OnceFunc(func() { close(failed) })
			hook := func(of string) error {
				if of == suffix {
					fail()
					return syscall.EIO
				}
				return nil
			}
			d.sync.Store(&hook)
			if suffix == "" { // It is synced when the log is copied into it, in the background.
				s.writer.checkpoints.wake <- struct{}{}
				<-failed
				for deadline := time.Now().Add(10 * time.Second); s.syncer.failed() == nil && time.Now().Before(deadline); {
					time.Sleep(time.Millisecond)
				}
			}
			c := recordCommit("during")
			for range 2 {
				if err := tryCommit(t, s, c); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "restart the host") {
					t.Errorf("%v, want UNAVAILABLE", err)
				}
				d.sync.Store(nil) // The second try meets a disk that seems well.
			}
			if err := s.Health(t.Context()); !fault.Is(err, fault.Unavailable) {
				t.Errorf("health: %v", err)
			}
			if r := get(t, s, key("before")); r.Version == 0 {
				t.Error("a commit from before is not there")
			}
			if records, err := s.Get(t.Context(), []store.Key{key("during")}); err == nil && records[0].Version != 0 {
				t.Error("a commit is told that is not known to be on the disk")
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if sizeOf(s.options.Path+"-wal") == 0 {
				t.Error("closing has copied what may not be on the disk, and removed the log")
			}
			s = mustOpen(t, s.options)
			if err := tryCommit(t, s, c); err != nil {
				t.Errorf("after a restart: %v", err)
			}
			if get(t, s, key("before")).Version == 0 || get(t, s, key("during")).Version == 0 {
				t.Error("a commit is lost")
			}
		})
	}
}

// With a queue of commits behind it a failed sync fails them all, and a disk without space says so.
func TestFailedSyncFailsAllThatWait(t *testing.T) {
	for _, tt := range []struct {
		err    error
		reason fault.Reason
	}{{syscall.EIO, fault.Unavailable}, {syscall.ENOSPC, fault.Full}} {
		s, d := storeOnDisk(t, t.TempDir())
		commit(t, s, put(key("before"), "x", store.Any()))
		hook := func(string) error { return tt.err }
		d.sync.Store(&hook)
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				if err := tryCommit(t, s, recordCommit(fmt.Sprint(i))); !fault.Is(err, tt.reason) {
					t.Errorf("%v, want %s", err, tt.reason)
				}
			})
		}
		wg.Wait()
	}
}

// Close waits for the sync of what is written, and answers it.
func TestCloseWaitsForSync(t *testing.T) {
	s, committing, _, disk := unsyncedStore(t)
	closing := started(s.Close)
	unanswered(t, "Close", closing)
	unanswered(t, "the commit", committing)
	disk.release()
	if err := errors.Join(<-committing, <-closing); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), []store.Key{key("new")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a get after Close: %v", err)
	}
}
