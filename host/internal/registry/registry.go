// Package registry keeps what is defined once and used by many runs: scenarios and data shapes. Both are immutable, and may
// be removed: by retention, or with the backup that was restored.
//
// It validates nothing about a caller: that is for the layers above.
package registry

import (
	"crypto/sha256"
	"errors"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Errors of the registry; their texts are the contract's (mcp contract §4.5, §4.17).
var (
	// ErrScenarioExists: the id is taken by another definition, or this process has accepted the same one before.
	ErrScenarioExists = errors.New("scenario already defined")
	// ErrNoScenario: nobody defined it, or only a tenant whose scenarios the caller may not know of.
	ErrNoScenario = errors.New("scenario not defined")
	// ErrSchemaExists: the same id and version is registered.
	ErrSchemaExists = errors.New("schema already registered")
	// ErrNoSchema: there is no such schema.
	ErrNoSchema = errors.New("schema not found")
	// ErrRegistryFull: the namespace has as many schemas as it may.
	ErrRegistryFull = errors.New("schema registry max entries exceeded")
)

// Registry reads and writes definitions. It is safe for concurrent use.
type Registry struct {
	store     store.Store
	scenarios *cache[scenarioKey, *gate.Scenario]
	shapes    *cache[[sha256.Size]byte, *Shape]

	mu sync.RWMutex
	// accepted are the scenarios that this process has accepted a definition of: only for those a repeat is a conflict.
	accepted map[record]acceptance
}

// acceptance is what was accepted: the revision of the scenario's record, and in whose names.
type acceptance struct {
	revision uint64
	behalf   map[uint64]bool
}

// New makes a registry on a store.
func New(s store.Store) *Registry {
	return &Registry{
		store:     s,
		scenarios: newCache[scenarioKey, *gate.Scenario](maxCachedBytes),
		shapes:    newCache[[sha256.Size]byte, *Shape](maxCachedShapeBytes),
		accepted:  map[record]acceptance{},
	}
}
