// Package journal is a store of decisions for one process: everything in memory, and every commit in one file before it is
// answered. It shows what a Go value must do to hold a host's runs, and passes the conformance kit.
//
// What it promises: a commit that was answered is in the file, synced, and is there after a crash; a commit that was cut off
// by one is not there at all. What it refuses: a file that another process has open, one that was damaged in its middle, and
// one of a later version. What it does not do: forget. Memory and file grow with every commit, and all is read at the next
// start; a program with more than some hundred thousand decisions wants a database.
package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Store is an open journal. It is safe for concurrent use.
type Store struct {
	// commits is held by one commit at a time, through its write and its sync. So the file has at most one frame that is not
	// synced, the last, and nothing is read that is not durable yet.
	commits chan struct{}
	file    *os.File
	// broken is the first write that failed. What the file holds since is not known before it is read again.
	broken error

	// mu guards the rest. It is never held while the disk is waited for.
	mu     sync.RWMutex
	data   *memory
	closed bool
}

// Open opens the journal at a path, and makes it where it is not there. Its folder must exist.
func Open(path string) (*Store, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // evidence is for this user alone
	if err != nil {
		return nil, fault.Wrap(fault.Denied, err, "the journal cannot be opened")
	}
	s := &Store{commits: make(chan struct{}, 1), file: file, data: newMemory()}
	if err := s.load(path); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

func (s *Store) load(path string) error {
	// Two processes would each overwrite what the other wrote. The lock ends with the process, however that ends.
	if err := syscall.Flock(int(s.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fault.Wrap(fault.Denied, err, "the journal is in use: end the other process, or give this one a journal of its own")
	}
	if err := readFrames(s.file, time.Now().Add(-store.CommitIDLifetime), s.data); err != nil {
		return err
	}
	s.data.sort()
	// A new file is lost with its folder's entry. An old one may have been cut by readFrames.
	return errors.Join(s.file.Sync(), syncFolder(filepath.Dir(path)))
}

func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Close ends the store, after the commit in progress. It may be called twice.
func (s *Store) Close() error {
	s.commits <- struct{}{}
	defer func() { <-s.commits }()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.file.Close()
}

// usable says why a call cannot be made.
func (s *Store) usable(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return fault.New(fault.Unavailable, "the journal is closed")
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.ReasonOf(err), err, "the call ended")
	}
	return nil
}

// Describe answers the limits of the protocol: the journal has none of its own.
func (s *Store) Describe(ctx context.Context) (store.Description, error) {
	if err := s.usable(ctx); err != nil {
		return store.Description{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return store.Description{
		MaxBodyBytes: store.MaxBody, MaxOps: store.MaxOps, MaxCommits: store.MaxCommits, MaxKeys: store.MaxKeys,
		CommitIDLifetime: store.CommitIDLifetime, Revision: s.data.revision,
	}, nil
}

// Get answers the records as of one moment.
func (s *Store) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		records[i] = s.data.get(string(store.AppendKey(nil, key))).record(key)
	}
	return records, nil
}

// scanPage is how many records a scan takes at a time: commits wait while it does.
const scanPage = 256

// Scan answers pages, each as of its own moment.
func (s *Store) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	within := newSpan(scan)
	for left := scan.Limit; ; {
		if err := s.usable(ctx); err != nil {
			return err
		}
		s.mu.RLock()
		page := s.data.page(&within, scanPage)
		s.mu.RUnlock()
		for _, found := range page {
			key, err := store.ParseKey([]byte(found.key))
			if err != nil {
				return err
			}
			if err := yield(found.record(key)); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
		if len(page) < scanPage {
			return nil
		}
	}
}

// Commit writes what all commits do as one frame, syncs it, and shows and answers it then.
func (s *Store) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	select {
	case s.commits <- struct{}{}:
		defer func() { <-s.commits }()
	case <-ctx.Done():
	}
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if s.broken != nil {
		return nil, fault.Wrap(fault.Unavailable, s.broken, "the journal could not be written: make space or repair the disk, then restart")
	}
	// Only commits change the memory, and this is the only one.
	batch := &batch{base: s.data, now: time.Now(), written: map[string]value{}, answered: map[[16]byte]answer{}, revision: s.data.revision}
	outcomes := make([]store.Outcome, len(commits))
	for i, commit := range commits {
		outcomes[i] = batch.apply(commit)
	}
	if len(batch.effects) == 0 {
		return outcomes, nil
	}
	if err := writeFrame(s.file, batch.effects); err != nil {
		s.broken = err
		reason := fault.Unavailable
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			reason = fault.Full
		}
		return nil, fault.Wrap(reason, err, "the journal could not be written: make space or repair the disk, then restart")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, effect := range batch.effects {
		s.data.apply(effect)
	}
	return outcomes, nil
}

// Changes is for several hosts on one store; a journal has one.
func (s *Store) Changes(context.Context, uint64, func(store.ChangeSet) error) error {
	return fault.New(fault.Unimplemented, "the journal has no change feed")
}

// errFormat is what every refusal of a file wraps.
var errFormat = errors.New("not a journal that this program can read")

func damaged(at int64, what string) error {
	return fault.Wrap(fault.Corrupt, errFormat, "%s", fmt.Sprintf("the journal is damaged at byte %d (%s): restore it from a backup", at, what))
}
