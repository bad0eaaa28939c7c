package upkeep

import (
	"context"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/internal/walk"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// maxSuspects is how many records that differ are kept until the copy has caught up with them.
	maxSuspects = 1024
	// maxRounds is how often a record that differs is looked at again, because it was written to in between.
	maxRounds = 8
	// maxNamed is how many records that differ are named.
	maxNamed = 20
)

// Comparison is of the records of two stores.
type Comparison struct {
	// Scopes are what the target holds.
	Scopes []ScopeStats `json:"scopes"`
	// Compared are the records of which both stores have the same.
	Compared uint64 `json:"records_compared"`
	// Changing are those that the source's hosts wrote to whenever they were looked at. They are copied like all others.
	Changing uint64 `json:"records_changing"`
	// Different is how many are not the same, and Differences name the first of them.
	Different   uint64   `json:"records_different"`
	Differences []string `json:"differences"`
}

// comparer walks two stores side by side.
type comparer struct {
	*copier
	Comparison
	suspects []store.Key
}

// compare compares every record of the source with that of the target. The source may be written to meanwhile: what differs
// is looked at again when the copy has caught up.
func (c *copier) compare(ctx context.Context) (Comparison, error) {
	m := &comparer{copier: c, Comparison: Comparison{Scopes: []ScopeStats{}, Differences: []string{}}}
	all, err := scopes(ctx, c.from)
	if err != nil {
		return m.Comparison, err
	}
	there, err := scopes(ctx, c.target)
	if err != nil {
		return m.Comparison, err
	}
	all = append(all, there...)
	slices.SortFunc(all, Scope.Compare)
	c.done.Doing, c.done.Records, c.done.Bytes, c.done.Position, c.done.End = "comparing", 0, 0, 0, 0
	for _, scope := range slices.Compact(all) {
		if scope.Collection == ownCollection {
			continue
		}
		if err := m.scope(ctx, scope); err != nil {
			return m.Comparison, err
		}
	}
	return m.Comparison, m.look(ctx)
}

// scope merges a scope of both stores.
func (m *comparer) scope(ctx context.Context, scope Scope) error {
	source, target := walk.New(ctx, m.from, scope.scan()), walk.New(ctx, m.target, scope.scan())
	stats := ScopeStats{Scope: scope}
	for {
		a, err := source.Peek()
		if err != nil {
			return fmt.Errorf("the source: %w", err)
		}
		b, err := target.Peek()
		if err != nil {
			return fmt.Errorf("the target: %w", err)
		}
		if a == nil && b == nil {
			break
		}
		order := comparePresent(a, b)
		if order >= 0 {
			stats.add(b)
		}
		switch {
		case order != 0:
			m.suspects = append(m.suspects, pick(order, a, b).Key)
		case a.SHA256 != b.SHA256:
			m.suspects = append(m.suspects, a.Key)
		default:
			m.same(b)
		}
		if order <= 0 {
			source.Next()
		}
		if order >= 0 {
			target.Next()
		}
		if len(m.suspects) >= maxSuspects {
			if err := m.look(ctx); err != nil {
				return err
			}
		}
	}
	if stats.Records > 0 {
		m.Scopes = append(m.Scopes, stats)
	}
	return nil
}

func (m *comparer) same(record *store.Record) {
	m.Compared++
	if m.done.Records++; m.done.Records%batchRecords == 0 {
		m.tell()
	}
	m.done.Bytes += uint64(len(record.Body))
}

// comparePresent orders two records of a scope; one that is not there comes last.
func comparePresent(a, b *store.Record) int {
	switch {
	case b == nil:
		return -1
	case a == nil:
		return 1
	default:
		return walk.ComparePaths(a.Key.Path, b.Key.Path)
	}
}

func pick(order int, a, b *store.Record) *store.Record {
	if order < 0 {
		return a
	}
	return b
}

// look looks at the suspects again: what the source holds, then, when the copy has caught up, what both hold. A record that
// the source had all the while must be the same in the target.
func (m *comparer) look(ctx context.Context) error {
	for round := 0; len(m.suspects) > 0; round++ {
		if round == maxRounds {
			m.Changing += uint64(len(m.suspects))
			m.suspects = nil
			break
		}
		before, err := m.versions(ctx, m.from)
		if err != nil {
			return err
		}
		description, err := describe(ctx, m.from)
		if err != nil {
			return err
		}
		doing := m.done
		if err := m.feed.reach(ctx, description.Revision, m.take(ctx)); err != nil {
			return err
		}
		m.done = doing
		there, err := m.versions(ctx, m.target)
		if err != nil {
			return err
		}
		after, err := m.versions(ctx, m.from)
		if err != nil {
			return err
		}
		var changing []store.Key
		for i, key := range m.suspects {
			switch {
			case after[i].present() == there[i].present() && after[i].SHA256 == there[i].SHA256:
				m.Compared++
			case before[i].Version != after[i].Version:
				changing = append(changing, key)
			default:
				if m.Different++; m.Different <= maxNamed {
					m.Differences = append(m.Differences, difference(key, after[i], there[i]))
				}
			}
		}
		m.suspects = changing
	}
	return nil
}

// state is a record without its body.
type state struct {
	Version uint64
	SHA256  [32]byte
}

func (s state) present() bool { return s.Version > 0 }

// versions reads the suspects one by one, since any of them may be as large as a record can be.
func (m *comparer) versions(ctx context.Context, s store.Store) ([]state, error) {
	states := make([]state, len(m.suspects))
	for i, key := range m.suspects {
		record, err := get(ctx, s, key)
		if err != nil {
			return nil, err
		}
		states[i] = state{Version: record.Version}
		if record.Version > 0 {
			states[i].SHA256 = record.SHA256
		}
	}
	return states, nil
}

func difference(key store.Key, source, target state) string {
	what := "differs"
	switch {
	case !target.present():
		what = "is missing in the target"
	case !source.present():
		what = "is only in the target"
	}
	return fmt.Sprintf("%s %s", keyName(key), what)
}
