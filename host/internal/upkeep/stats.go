package upkeep

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Stats is what takes the space of a store.
type Stats struct {
	Scopes  []ScopeStats `json:"scopes"`
	Records uint64       `json:"records"`
	Bytes   uint64       `json:"bytes"`
}

// ScopeStats is what takes the space of a scope: bodies, without keys and whatever the backend adds.
type ScopeStats struct {
	Scope
	Records uint64 `json:"records"`
	Bytes   uint64 `json:"bytes"`
}

// Measure reads every record of a store.
func Measure(ctx context.Context, s store.Store) (Stats, error) {
	stats := Stats{Scopes: []ScopeStats{}}
	found, err := scopes(ctx, s)
	if err != nil {
		return stats, err
	}
	for _, scope := range found {
		one := ScopeStats{Scope: scope}
		err := s.Scan(ctx, store.Scan{Collection: scope.Collection, Tenant: scope.Tenant, Namespace: scope.Namespace}, func(record store.Record) error {
			one.Records++
			one.Bytes += uint64(len(record.Body))
			return nil
		})
		if err != nil {
			return stats, err
		}
		stats.Scopes = append(stats.Scopes, one)
		stats.Records += one.Records
		stats.Bytes += one.Bytes
	}
	return stats, nil
}
