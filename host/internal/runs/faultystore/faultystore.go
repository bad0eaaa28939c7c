// Package faultystore is a store in memory that counts its calls and fails as a test tells it to: before a commit, after it,
// slowly, with damaged records. It is for tests of the layers above; nothing in it is durable, and it is no example for a plugin.
package faultystore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Call names a method of the store.
type Call string

// The calls.
const (
	Get    Call = "get"
	Scan   Call = "scan"
	Commit Call = "commit"
)

// Store is the store. It is safe for concurrent use.
type Store struct {
	mu       sync.Mutex
	records  map[string]store.Record // by encoded key
	removed  map[string]store.Change // by encoded key
	changed  chan struct{}           // closed by the next commit
	done     map[[16]byte]store.Outcome
	revision uint64
	counts   map[Call]int
	around   func(ctx context.Context, call Call, do func()) error
}

// New makes an empty store.
func New() *Store {
	return &Store{records: map[string]store.Record{}, removed: map[string]store.Change{}, changed: make(chan struct{}), done: map[[16]byte]store.Outcome{}, counts: map[Call]int{}}
}

// Around has every call go through f from now on: do makes the call, and f's error is its answer. Without calling do nothing
// happens; an error after do is an answer that was lost. nil ends it.
func (s *Store) Around(f func(ctx context.Context, call Call, do func()) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.around = f
}

// Counts returns the number of calls of each kind since it was asked last.
func (s *Store) Counts() map[Call]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	s.counts = map[Call]int{}
	return counts
}

// Edit changes the bodies of a collection behind the back of the host, with sums that fit; nil removes a record. It returns
// the number of records that it changed.
func (s *Store) Edit(collection string, edit func(key store.Key, body []byte) []byte) (changed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, record := range s.records {
		if record.Key.Collection != collection {
			continue
		}
		body := edit(record.Key, slices.Clone(record.Body))
		switch {
		case body == nil:
			delete(s.records, name)
		case string(body) != string(record.Body):
			record.Body, record.SHA256 = body, sha256.Sum256(body)
			s.records[name] = record
		default:
			continue
		}
		changed++
	}
	return changed
}

// Touch gives every record of a collection a new version, as another host's commit would.
func (s *Store) Touch(collection string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, record := range s.records {
		if record.Key.Collection == collection {
			s.revision++
			record.Version, record.Revision = s.revision, s.revision
			s.records[name] = record
		}
	}
}

// Len is the number of records of a collection.
func (s *Store) Len(collection string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, record := range s.records {
		if record.Key.Collection == collection {
			n++
		}
	}
	return n
}

func (s *Store) through(ctx context.Context, call Call, do func()) error {
	s.mu.Lock()
	s.counts[call]++
	around := s.around
	s.mu.Unlock()
	locked := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
	}
	if around != nil {
		return around(ctx, call, locked)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	locked()
	return nil
}

// Describe answers the limits of the protocol.
func (s *Store) Describe(context.Context) (store.Description, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.Description{
		Changes: true, MaxBodyBytes: store.MaxBody, MaxOps: store.MaxOps, MaxCommits: store.MaxCommits, MaxKeys: store.MaxKeys,
		CommitIDLifetime: store.CommitIDLifetime, Revision: s.revision,
	}, nil
}

// Get answers records.
func (s *Store) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	records := make([]store.Record, len(keys))
	err := s.through(ctx, Get, func() {
		for i, key := range keys {
			records[i] = s.at(key)
		}
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

func (s *Store) at(key store.Key) store.Record {
	if record, ok := s.records[string(store.AppendKey(nil, key))]; ok {
		return record
	}
	return store.Record{Key: key}
}

// Scan yields the records of a range as they were when it began.
func (s *Store) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	var found []store.Record
	err := s.through(ctx, Scan, func() {
		for _, name := range slices.Sorted(maps.Keys(s.records)) {
			record := s.records[name]
			key := record.Key
			if key.Collection != scan.Collection || key.Tenant != scan.Tenant || key.Namespace != scan.Namespace || !store.HasPrefix(key.Path, scan.Prefix) {
				continue
			}
			if len(scan.StartAfter) > 0 && (store.Key{Path: key.Path}).Compare(store.Key{Path: scan.StartAfter}) <= 0 {
				continue
			}
			found = append(found, record)
		}
	})
	if err != nil {
		return err
	}
	for i, record := range found {
		if scan.Limit > 0 && uint64(i) == scan.Limit {
			break
		}
		if err := yield(record); err != nil {
			return err
		}
	}
	return nil
}

// Commit applies commits.
func (s *Store) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	outcomes := make([]store.Outcome, len(commits))
	err := s.through(ctx, Commit, func() {
		for i, commit := range commits {
			outcomes[i] = s.commit(commit)
		}
	})
	if err != nil {
		return nil, err
	}
	return outcomes, nil
}

func (s *Store) commit(commit store.Commit) store.Outcome {
	if outcome, repeat := s.done[commit.ID]; repeat {
		return outcome
	}
	if refusal := commit.Check(); refusal != nil {
		return store.Outcome{Refusal: refusal}
	}
	for i, op := range commit.Ops {
		if refusal := s.refusal(i, op); refusal != nil {
			return store.Outcome{Refusal: refusal}
		}
	}
	outcome := store.Outcome{Versions: make([]uint64, len(commit.Ops))}
	for i, op := range commit.Ops {
		s.revision++
		body := op.Body
		if op.Kind == store.OpAdd {
			body = binary.BigEndian.AppendUint64(nil, counter(s.at(op.Key))+uint64(op.Delta))
		}
		name := string(store.AppendKey(nil, op.Key))
		if op.Kind == store.OpDelete {
			delete(s.records, name)
			s.removed[name] = store.Change{Revision: s.revision, Key: op.Key, Deleted: true}
			continue
		}
		delete(s.removed, name)
		s.records[name] = store.Record{Key: op.Key, Version: s.revision, Revision: s.revision, Body: slices.Clone(body), SHA256: sha256.Sum256(body)}
		outcome.Versions[i] = s.revision
	}
	outcome.Revision = s.revision
	s.done[commit.ID] = outcome
	close(s.changed)
	s.changed = make(chan struct{})
	return outcome
}

func (s *Store) refusal(i int, op store.Op) *store.Refusal {
	current := s.at(op.Key)
	switch {
	case op.Kind != store.OpAdd && !op.Expect.Met(current.Version):
		return &store.Refusal{Reason: store.Conflict, Op: i, Version: current.Version}
	case op.Kind == store.OpAdd && op.Delta > 0 && counter(current)+uint64(op.Delta) > op.Max:
		return &store.Refusal{Reason: store.Limit, Op: i, Version: current.Version}
	default:
		return nil
	}
}

func counter(record store.Record) uint64 {
	if len(record.Body) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(record.Body)
}

// pageChanges is how many changes are told at once: more than a commit has, and as it comes, so that a page may end amid one.
const pageChanges = 300

// Changes tells changes, a few at a time, and follows.
func (s *Store) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	for first := true; ; first = false {
		set, wake := s.after(after)
		if first || len(set.Changes) > 0 {
			if err := yield(set); err != nil {
				return err
			}
			after = set.Complete
			continue
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fault.Wrap(fault.ReasonOf(ctx.Err()), ctx.Err(), "the call ended")
		}
	}
}

func (s *Store) after(after uint64) (store.ChangeSet, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := store.ChangeSet{Complete: s.revision}
	for _, record := range s.records {
		if record.Revision > after {
			set.Changes = append(set.Changes, store.Change{Revision: record.Revision, Key: record.Key})
		}
	}
	for _, change := range s.removed {
		if change.Revision > after {
			set.Changes = append(set.Changes, change)
		}
	}
	slices.SortFunc(set.Changes, func(a, b store.Change) int { return cmp.Compare(a.Revision, b.Revision) })
	if len(set.Changes) > pageChanges {
		set.Changes = set.Changes[:pageChanges]
		set.Complete = set.Changes[pageChanges-1].Revision
	}
	return set, s.changed
}

// Close does nothing.
func (s *Store) Close() error { return nil }
