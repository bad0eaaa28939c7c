// Package registry keeps what is defined once and used by many runs: scenarios and data shapes. Both are immutable.
//
// It validates nothing about a caller: that is for the layers above.
package registry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
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
	store store.Store

	mu          sync.RWMutex
	scenarios   map[scenarioKey]cachedScenario
	cachedBytes int // the sizes of the scenarios
	// accepted are the scenarios that this process has accepted a definition of: only for those a repeat is a conflict.
	accepted map[[sha256.Size]byte]bool
}

type cachedScenario struct {
	*gate.Scenario
	size int // in bytes, as stored
}

// New makes a registry on a store.
func New(s store.Store) *Registry {
	return &Registry{store: s, scenarios: map[scenarioKey]cachedScenario{}, accepted: map[[sha256.Size]byte]bool{}}
}

// NewCommitID makes an id that is unique and ordered by time, as stores index best: milliseconds, then random bytes.
func NewCommitID() (id [16]byte) {
	var now [8]byte
	binary.BigEndian.PutUint64(now[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], now[2:])
	_, _ = rand.Read(id[6:]) // never fails
	return id
}

// decode reads a stored body. One that cannot be read is corrupt, not the caller's fault: the cause is told as text, since
// as an error it could be taken for one about the caller's own input.
func decode(record store.Record, target any) error {
	v, err := canonical.ParseRecord(record.Body)
	if err == nil {
		err = canonical.Decode(v, target)
	}
	if err != nil {
		return fault.New(fault.Corrupt, "stored %s record cannot be read: %v", record.Key.Collection, err)
	}
	return nil
}
