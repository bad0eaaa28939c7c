// Package runs carries the calls on a run: it loads the head, gathers the evidence, has package gate decide, and commits
// head, step and marks together. One read and one commit a call; the cost of a call does not grow with its run.
//
// Calls on one run queue in their host. Between hosts the head's version decides: the one that comes second loads again.
package runs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Evidence asks providers.
type Evidence interface {
	// Gather asks all conditions at once, each within timeout; a provider that hangs or fails costs its own conditions only.
	Gather(ctx context.Context, conditions []gate.ConditionSpec, ec gate.EvidenceContext, timeout time.Duration) map[gate.ConditionID]gate.Answer
	// Missing says which providers of a scenario cannot be asked, nil when all can.
	Missing(spec *gate.ScenarioSpec) *gate.ProviderMissing
}

// evidenceTimeout is the time that one condition may take: more than a provider's own timeouts, which say better what
// happened, and little enough that the client is still there.
const evidenceTimeout = 10 * time.Second

// Runs carries calls on runs. It is safe for concurrent use.
type Runs struct {
	// MaxClockSkew is how far a caller's time in milliseconds may be from the host's clock, where it is recorded as something
	// new; 0 is any. It is set before the first call.
	MaxClockSkew time.Duration

	store     store.Store
	registry  *registry.Registry
	evidence  Evidence
	settings  func() *gate.Settings
	host      string
	now       func() time.Time
	waitLines queues
}

// New makes a Runs. It asks for the settings once a call, since some of them end at a time; host names this process in the
// steps that it commits.
func New(s store.Store, scenarios *registry.Registry, evidence Evidence, settings func() *gate.Settings, host string) *Runs {
	return &Runs{store: s, registry: scenarios, evidence: evidence, settings: settings, host: host, now: time.Now, waitLines: newQueues()}
}

// Ref names a run and the scenario under which it is called.
type Ref struct {
	Tenant    gate.TenantID
	Namespace gate.NamespaceID
	Run       gate.RunID
	Scenario  gate.ScenarioID
}

// The collections of a run. Ids are path segments; logs are records of their own, so that nothing in a head grows.
const (
	headCollection       = "runs"
	stepCollection       = "run_steps"
	triggerCollection    = "run_triggers"
	submissionCollection = "run_submissions"
	packetCollection     = "run_packets"
)

func (r Ref) key(collection string, path ...[]byte) store.Key {
	return store.Key{
		Collection: collection,
		Tenant:     uint64(r.Tenant),
		Namespace:  uint64(r.Namespace),
		Path:       append([][]byte{store.Segment(string(r.Run))}, path...),
	}
}

// scan walks a collection of the run.
func (r Ref) scan(collection string) store.Scan {
	return store.Scan{Collection: collection, Tenant: uint64(r.Tenant), Namespace: uint64(r.Namespace), Prefix: r.head().Path}
}

func (r Ref) head() store.Key         { return r.key(headCollection) }
func (r Ref) step(n uint64) store.Key { return r.key(stepCollection, store.Uint64Segment(n)) }

// packets is the key of the entry for the packets that are issued when n were before.
func (r Ref) packets(n uint64) store.Key { return r.key(packetCollection, store.Uint64Segment(n)) }

func (r Ref) trigger(id gate.TriggerID) store.Key {
	return r.key(triggerCollection, store.Segment(string(id)))
}
func (r Ref) submission(id gate.SubmissionID) store.Key {
	return r.key(submissionCollection, store.Segment(string(id)))
}

// storedHead is the body of a run's head. Chain is the hash of the chain of its steps: each link is the SHA-256 of the
// link before and the SHA-256 of the step's bytes, so that a missing or changed step is found.
type storedHead struct {
	Head  gate.Head `member:"head"`
	Steps uint64    `member:"steps"`
	Chain string    `member:"chain"`
	// Removed is there once the run was removed: its steps are gone, or will be.
	Removed *Removal `member:"removed" presence:"OS"`
}

// storedStep is the body of a step: what the call appended to the logs, and beside it, outside of everything that is hashed
// for runpacks, which host committed it and when by that host's clock.
type storedStep struct {
	Number      uint64    `member:"step"`
	Host        string    `member:"host"`
	CommittedAt int64     `member:"committed_at_unix_ms"`
	Records     gate.Step `member:"records"`
}

// storedMark is the body of a trigger or submission mark: the step that holds its record.
type storedMark struct {
	Step uint64 `member:"step"`
}

// storedPackets is the body of a step's entry in the list of issued packets. It is one record however many packets the step
// issues, because a commit has a limited number of ops.
type storedPackets struct {
	PacketIDs []gate.PacketID `member:"packet_ids"`
}

func link(chain string, step []byte) string {
	sum := sha256.Sum256(step)
	next := sha256.New()
	previous, _ := hex.DecodeString(chain) // written by link; a wrong one breaks the chain, which is the point
	next.Write(previous)
	next.Write(sum[:])
	return hex.EncodeToString(next.Sum(nil))
}

// loaded is a run as the store has it.
type loaded struct {
	storedHead
	version uint64
}

// load reads the head and, in the same read, one more record of the run. A run of another scenario is not found: nobody
// learns by it that there is one.
func (r *Runs) load(ctx context.Context, ref Ref, beside ...store.Key) (loaded, []store.Record, error) {
	records, err := r.store.Get(ctx, append([]store.Key{ref.head()}, beside...))
	if err != nil {
		return loaded{}, nil, err
	}
	run := loaded{version: records[0].Version}
	if run.version == 0 {
		return loaded{}, nil, gate.Refuse(gate.RunNotFound, ref.Run)
	}
	if err := persist.Decode(records[0], &run.storedHead); err != nil {
		return loaded{}, nil, err
	}
	if run.Head.ScenarioID != ref.Scenario || run.Removed != nil {
		return loaded{}, nil, gate.Refuse(gate.RunNotFound, ref.Run)
	}
	return run, records[1:], nil
}

// loadStep reads the step that a mark points to.
func (r *Runs) loadStep(ctx context.Context, ref Ref, mark store.Record) (*gate.Step, error) {
	var m storedMark
	if err := persist.Decode(mark, &m); err != nil {
		return nil, err
	}
	records, err := r.store.Get(ctx, []store.Key{ref.step(m.Step)})
	if err != nil {
		return nil, err
	}
	if records[0].Version == 0 {
		return nil, fault.New(fault.Corrupt, "step %d of a run is missing", m.Step)
	}
	var step storedStep
	if err := persist.Decode(records[0], &step); err != nil {
		return nil, err
	}
	if step.Number != m.Step {
		return nil, fault.New(fault.Corrupt, "step %d of a run says that it is step %d", m.Step, step.Number)
	}
	return &step.Records, nil
}
