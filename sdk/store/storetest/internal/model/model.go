// Package model is the store that the conformance kit compares others with: the rules of package store written as plainly
// as possible, in memory, under one lock. It refuses to be fast, and it is not a backend of the product: only tests link it.
package model

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Data is what a store keeps. Several Stores on one Data behave like several processes on one database.
type Data struct {
	mu       sync.Mutex
	revision uint64
	records  map[string]store.Record
	deleted  map[string]store.Change
	ids      map[[16]byte]remembered
	changed  chan struct{}
}

// remembered is a successful commit: what was asked and what was answered.
type remembered struct {
	ops     [32]byte
	outcome store.Outcome
}

// New makes an empty Data.
func New() *Data {
	return &Data{
		records: map[string]store.Record{},
		deleted: map[string]store.Change{},
		ids:     map[[16]byte]remembered{},
		changed: make(chan struct{}),
	}
}

// Store serves a Data.
type Store struct {
	data *Data
	done chan struct{}
	once sync.Once
}

// Open answers a new Store on the data.
func (d *Data) Open() *Store { return &Store{data: d, done: make(chan struct{})} }

// Close ends the store; the data stays. Later calls answer UNAVAILABLE.
func (s *Store) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func (s *Store) usable(ctx context.Context) error {
	select {
	case <-s.done:
		return fault.New(fault.Unavailable, "the store is closed")
	default:
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.ReasonOf(err), err, "the call ended")
	}
	return nil
}

// Describe answers the limits of the protocol, which are this store's own.
func (s *Store) Describe(ctx context.Context) (store.Description, error) {
	if err := s.usable(ctx); err != nil {
		return store.Description{}, err
	}
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	return store.Description{
		Changes: true, MaxBodyBytes: store.MaxBody, MaxOps: store.MaxOps, MaxCommits: store.MaxCommits, MaxKeys: store.MaxKeys,
		CommitIDLifetime: store.CommitIDLifetime, Revision: s.data.revision,
	}, nil
}

// Get answers records, all read under one lock.
func (s *Store) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if len(keys) > store.MaxKeys {
		return nil, fault.New(fault.Invalid, "%d keys, the limit is %d", len(keys), store.MaxKeys)
	}
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	records := make([]store.Record, len(keys))
	for i, key := range keys {
		if err := key.Validate(); err != nil {
			return nil, err
		}
		records[i] = s.data.get(key)
	}
	return records, nil
}

func (d *Data) get(key store.Key) store.Record {
	if record, ok := d.records[Name(key)]; ok {
		return record
	}
	return store.Record{Key: key}
}

// Scan yields a snapshot taken under the lock.
func (s *Store) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	for _, record := range s.data.Range(scan) {
		if err := s.usable(ctx); err != nil {
			return err
		}
		if err := yield(record); err != nil {
			return err
		}
	}
	return nil
}

// Range answers the records of a scan in order.
func (d *Data) Range(scan store.Scan) []store.Record {
	d.mu.Lock()
	var found []store.Record
	for _, record := range d.records {
		if inRange(scan, record.Key) {
			found = append(found, record)
		}
	}
	d.mu.Unlock()
	slices.SortFunc(found, func(a, b store.Record) int { return ComparePaths(a.Key.Path, b.Key.Path) })
	if scan.Reverse {
		slices.Reverse(found)
	}
	if scan.Limit > 0 && uint64(len(found)) > scan.Limit {
		found = found[:scan.Limit]
	}
	return found
}

func inRange(scan store.Scan, key store.Key) bool {
	if key.Collection != scan.Collection || key.Tenant != scan.Tenant || key.Namespace != scan.Namespace {
		return false
	}
	if len(key.Path) < len(scan.Prefix) || ComparePaths(key.Path[:len(scan.Prefix)], scan.Prefix) != 0 {
		return false
	}
	if len(scan.StartAfter) == 0 {
		return true
	}
	order := ComparePaths(key.Path, scan.StartAfter)
	if scan.Reverse {
		return order < 0
	}
	return order > 0
}

// ComparePaths is the order of paths: segment by segment, bytewise, a path before those that it begins.
func ComparePaths(a, b [][]byte) int { return slices.CompareFunc(a, b, bytes.Compare) }

// Name is a key as one string, different for different keys.
func Name(key store.Key) string {
	return fmt.Sprintf("%s/%d/%d/%q", key.Collection, key.Tenant, key.Namespace, key.Path)
}

// Commit applies each commit under the lock.
func (s *Store) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	if err := checkRequest(commits); err != nil {
		return nil, err
	}
	s.data.mu.Lock()
	defer s.data.mu.Unlock()
	outcomes := make([]store.Outcome, len(commits))
	for i, commit := range commits {
		outcomes[i] = s.data.apply(commit)
	}
	close(s.data.changed)
	s.data.changed = make(chan struct{})
	return outcomes, nil
}

func (d *Data) apply(commit store.Commit) store.Outcome {
	sum := commit.Digest()
	if first, ok := d.ids[commit.ID]; ok {
		if first.ops != sum {
			return store.Outcome{Refusal: refuse(store.Invalid, 0, "the commit id was used with other ops")}
		}
		return first.outcome
	}
	writes, refusal := d.evaluate(commit)
	if refusal != nil {
		return store.Outcome{Refusal: refusal}
	}
	d.revision++
	outcome := store.Outcome{Revision: d.revision, Versions: make([]uint64, len(writes))}
	for i, record := range writes {
		outcome.Versions[i] = record.Version
		d.write(record)
	}
	d.ids[commit.ID] = remembered{ops: sum, outcome: outcome}
	return outcome
}

// evaluate answers the record that each op leaves behind, with Version 0 for a removed one.
func (d *Data) evaluate(commit store.Commit) ([]store.Record, *store.Refusal) {
	if refusal := commit.Check(); refusal != nil {
		return nil, refusal
	}
	writes := make([]store.Record, len(commit.Ops))
	for i, op := range commit.Ops {
		body, refusal := evaluateOp(op, d.get(op.Key))
		if refusal != nil {
			refusal.Op = i
			return nil, refusal
		}
		writes[i] = store.Record{Key: op.Key, Revision: d.revision + 1}
		if op.Kind != store.OpDelete {
			// The revision as version: it grows for ever, so no version comes back after a delete.
			writes[i].Version, writes[i].Body, writes[i].SHA256 = d.revision+1, body, sha256.Sum256(body)
		}
	}
	return writes, nil
}

// evaluateOp answers the new body of the op's record.
func evaluateOp(op store.Op, current store.Record) ([]byte, *store.Refusal) {
	if op.Kind != store.OpAdd {
		if !op.Expect.Met(current.Version) {
			return nil, refuse(store.Conflict, current.Version, "")
		}
		return bytes.Clone(op.Body), nil
	}
	var value uint64
	switch {
	case current.Version != 0 && len(current.Body) != 8:
		return nil, refuse(store.Invalid, current.Version, "the record is no counter")
	case current.Version != 0:
		value = binary.BigEndian.Uint64(current.Body)
	}
	// As unsigned numbers, because the magnitude of MinInt64 is no int64.
	down := uint64(-(op.Delta + 1)) + 1
	switch {
	case op.Delta < 0 && down > value, op.Delta > 0 && (value > op.Max || uint64(op.Delta) > op.Max-value):
		return nil, refuse(store.Limit, current.Version, "")
	}
	return binary.BigEndian.AppendUint64(nil, value+uint64(op.Delta)), nil
}

func (d *Data) write(record store.Record) {
	name := Name(record.Key)
	if record.Version == 0 {
		if _, ok := d.records[name]; ok {
			delete(d.records, name)
			d.deleted[name] = store.Change{Revision: record.Revision, Key: record.Key, Deleted: true}
		}
		return
	}
	d.records[name] = record
	delete(d.deleted, name)
}

// Changes tells the last change of every record changed after the revision, and follows.
func (s *Store) Changes(ctx context.Context, after uint64, yield func(store.ChangeSet) error) error {
	for {
		if err := s.usable(ctx); err != nil {
			return err
		}
		set, changed := s.data.changesAfter(after)
		if set.Complete > after || len(set.Changes) > 0 {
			if err := yield(set); err != nil {
				return err
			}
			after = set.Complete
		}
		select {
		case <-changed:
		case <-ctx.Done():
		case <-s.done:
		}
	}
}

func (d *Data) changesAfter(after uint64) (store.ChangeSet, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	set := store.ChangeSet{Complete: max(d.revision, after)}
	for _, record := range d.records {
		if record.Revision > after {
			set.Changes = append(set.Changes, store.Change{Revision: record.Revision, Key: record.Key})
		}
	}
	for _, change := range d.deleted {
		if change.Revision > after {
			set.Changes = append(set.Changes, change)
		}
	}
	slices.SortFunc(set.Changes, func(a, b store.Change) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), a.Key.Compare(b.Key))
	})
	return set, d.changed
}

func checkRequest(commits []store.Commit) error {
	if len(commits) > store.MaxCommits {
		return fault.New(fault.Invalid, "%d commits, the limit is %d", len(commits), store.MaxCommits)
	}
	for _, commit := range commits {
		for _, op := range commit.Ops {
			if len(op.Body) > store.MaxBody {
				return fault.New(fault.TooLarge, "a body of %d bytes, the limit is %d", len(op.Body), store.MaxBody)
			}
		}
	}
	return nil
}

func refuse(reason store.RefusalReason, version uint64, message string) *store.Refusal {
	return &store.Refusal{Reason: reason, Version: version, Message: message}
}
