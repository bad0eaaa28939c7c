package upkeep

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/internal/walk"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Size is a number of records and the bytes of their bodies, without keys and whatever the backend adds.
type Size struct {
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

func (s *Size) add(record *store.Record) {
	s.Records++
	s.Bytes += uint64(len(record.Body))
}

// Stats is what takes the space of a store.
type Stats struct {
	Size
	// Scopes are in the order of their keys.
	Scopes []ScopeStats `json:"scopes"`
	// LargestRecords and LargestRuns come with the largest first.
	LargestRecords []RecordStats `json:"largest_records"`
	LargestRuns    []RunStats    `json:"largest_runs"`
}

// ScopeStats is what takes the space of a scope.
type ScopeStats struct {
	Scope
	Size
}

// RecordStats is a record by its key and size.
type RecordStats struct {
	Record string `json:"record"`
	Bytes  uint64 `json:"bytes"`
}

// RunStats is a run and the size of its records of all kinds.
type RunStats struct {
	Tenant    uint64 `json:"tenant"`
	Namespace uint64 `json:"namespace"`
	Run       string `json:"run"`
	Size
}

// Measure reads every record of a store, and keeps so many of the largest records and runs. Progress may be nil.
func Measure(ctx context.Context, s store.Store, largest int, progress func(Progress)) (*Stats, error) {
	s = steadily(s)
	m := &measuring{
		progress: progress,
		records:  top[store.Key]{limit: largest},
		runs:     top[RunStats]{limit: largest},
	}
	all, err := scopes(ctx, s)
	if err != nil {
		return nil, err
	}
	seen := map[Scope]bool{}
	for _, scope := range all {
		if !ofRuns(scope.Collection) {
			err = m.scope(ctx, s, scope)
		} else if of := (Scope{Tenant: scope.Tenant, Namespace: scope.Namespace}); !seen[of] {
			seen[of] = true
			err = m.ofRuns(ctx, s, of)
		}
		if err != nil {
			return nil, err
		}
	}
	return m.stats(), nil
}

// measuring is a measurement under way.
type measuring struct {
	Stats
	progress func(Progress)
	records  top[store.Key]
	runs     top[RunStats]
}

func (m *measuring) stats() *Stats {
	slices.SortFunc(m.Scopes, func(a, b ScopeStats) int { return a.Compare(b.Scope) })
	m.LargestRecords, m.LargestRuns = []RecordStats{}, []RunStats{}
	for _, e := range m.records.entries {
		m.LargestRecords = append(m.LargestRecords, RecordStats{keyName(e.value), e.bytes})
	}
	for _, e := range m.runs.entries {
		m.LargestRuns = append(m.LargestRuns, e.value)
	}
	if m.Scopes == nil {
		m.Scopes = []ScopeStats{}
	}
	return &m.Stats
}

func (m *measuring) add(record *store.Record, to *Size) {
	to.add(record)
	m.Size.add(record)
	m.records.offer(uint64(len(record.Body)), record.Key)
	if m.progress != nil && m.Records%batchRecords == 0 {
		m.progress(Progress{Doing: "reading", Records: m.Records, Bytes: m.Bytes})
	}
}

func (m *measuring) scope(ctx context.Context, s store.Store, scope Scope) error {
	size := ScopeStats{Scope: scope}
	err := s.Scan(ctx, scope.scan(), func(record store.Record) error {
		m.add(&record, &size.Size)
		return nil
	})
	m.Scopes = append(m.Scopes, size)
	return err
}

// ofRuns walks the collections of runs side by side, so that the size of each run is known when the next begins.
func (m *measuring) ofRuns(ctx context.Context, s store.Store, of Scope) error {
	collections := runs.Collections()
	sizes, cursors := make([]ScopeStats, len(collections)), make([]*walk.Cursor, len(collections))
	for i, collection := range collections {
		sizes[i].Scope = Scope{collection, of.Tenant, of.Namespace}
		cursors[i] = walk.New(ctx, s, sizes[i].scan())
	}
	for {
		run, err := firstRun(cursors)
		if err != nil {
			return err
		}
		if run == nil {
			break
		}
		one := RunStats{Tenant: of.Tenant, Namespace: of.Namespace, Run: runName(run)}
		for i, cursor := range cursors {
			for {
				record, err := cursor.Peek()
				if err != nil {
					return err
				}
				if record == nil || !bytes.Equal(record.Key.Path[0], run) {
					break
				}
				one.add(record)
				m.add(record, &sizes[i].Size)
				cursor.Next()
			}
		}
		m.runs.offer(one.Bytes, one)
	}
	for _, size := range sizes {
		if size.Records > 0 {
			m.Scopes = append(m.Scopes, size)
		}
	}
	return nil
}

// firstRun is the first run that any cursor stands before, nil at the end.
func firstRun(cursors []*walk.Cursor) (run []byte, err error) {
	for _, cursor := range cursors {
		record, err := cursor.Peek()
		if err != nil {
			return nil, err
		}
		if record != nil && (run == nil || bytes.Compare(record.Key.Path[0], run) < 0) {
			run = record.Key.Path[0]
		}
	}
	return run, nil
}

// top keeps the largest of what it is offered, with the largest first.
type top[T any] struct {
	limit   int
	entries []sized[T]
}

type sized[T any] struct {
	bytes uint64
	value T
}

func (t *top[T]) offer(bytes uint64, value T) {
	if len(t.entries) == t.limit && (t.limit == 0 || bytes <= t.entries[t.limit-1].bytes) {
		return
	}
	at, _ := slices.BinarySearchFunc(t.entries, bytes, func(e sized[T], bytes uint64) int {
		if e.bytes == bytes {
			return -1 // after those that came before
		}
		return cmp.Compare(bytes, e.bytes)
	})
	t.entries = slices.Insert(t.entries, at, sized[T]{bytes, value})
	t.entries = t.entries[:min(len(t.entries), t.limit)]
}
