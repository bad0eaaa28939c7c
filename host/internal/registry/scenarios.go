package registry

import (
	"bytes"
	"context"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const scenarioCollection = "scenarios"

// sharedTenant is the id space of scenarios without a tenant of their own, which every tenant looks into second.
const sharedTenant gate.TenantID = 0

// maxCachedBytes bounds the scenarios that are kept compiled, by the size of what is stored.
const maxCachedBytes = 64 << 20

// scenarioKey is where a scenario is. What is kept in memory is kept for whoever it was read in the name of, since the store
// may answer others otherwise; what is shared is for all.
type scenarioKey struct {
	tenant gate.TenantID
	id     gate.ScenarioID
	behalf uint64
}

func keyOf(ctx context.Context, tenant gate.TenantID, id gate.ScenarioID) scenarioKey {
	k := scenarioKey{tenant: tenant, id: id}
	if tenant != sharedTenant {
		k.behalf = persist.Behalf(ctx)
	}
	return k
}

func (k scenarioKey) store() store.Key {
	return store.Key{Collection: scenarioCollection, Tenant: uint64(k.tenant), Path: [][]byte{store.Segment(string(k.id))}}
}

func spaceOf(spec *gate.ScenarioSpec) gate.TenantID {
	if spec.DefaultTenantID == nil {
		return sharedTenant
	}
	return *spec.DefaultTenantID
}

// storedScenario is the body of a scenario's record. Numbers of the spec keep their kinds: on them decisions depend.
type storedScenario struct {
	Spec gate.ScenarioSpec    `member:"spec"`
	Hash canonical.HashDigest `member:"spec_hash"`
}

// Define stores a scenario in the id space of its tenant. An identical definition that this process has not itself accepted
// is accepted again, because clients define at every start; everything else is ErrScenarioExists.
func (r *Registry) Define(ctx context.Context, scenario *gate.Scenario) error {
	key := keyOf(ctx, spaceOf(scenario.Spec()), scenario.Spec().ScenarioID)
	body := canonical.Append(nil, storedScenario{*scenario.Spec(), scenario.Hash()}, canonical.Declared)
	outcomes, err := r.store.Commit(ctx, []store.Commit{{ID: persist.NewCommitID(), Ops: []store.Op{
		{Kind: store.OpPut, Key: key.store(), Body: body, Expect: store.Absent()},
	}}})
	if err != nil {
		return err
	}
	revision := outcomes[0].Revision
	if refusal := outcomes[0].Refusal; refusal != nil {
		if refusal.Reason != store.Conflict {
			return fault.New(fault.Internal, "the store refused a scenario: %s", refusal.Message)
		}
		var existing *gate.Scenario
		existing, revision, err = r.load(ctx, key)
		if err != nil {
			return err
		}
		if existing == nil || existing.Hash() != scenario.Hash() || !sameSpec(existing, scenario) {
			return ErrScenarioExists
		}
	}
	return r.accept(key, revision)
}

// accept is an error when this process has accepted the scenario before, unless that one was removed since.
func (r *Registry) accept(key scenarioKey, revision uint64) error {
	of := recordOf(key.store())
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.accepted[of]
	if before.revision < revision {
		r.accepted[of] = acceptance{revision, map[uint64]bool{key.behalf: true}}
		return nil
	}
	before.behalf[key.behalf] = true
	return ErrScenarioExists
}

// sameSpec compares with number kinds: two specs with the same hash can decide differently ([F-09]).
func sameSpec(a, b *gate.Scenario) bool {
	return string(canonical.Append(nil, *a.Spec(), canonical.Declared)) == string(canonical.Append(nil, *b.Spec(), canonical.Declared))
}

// Defined reports whether a definition with this id would conflict: without telling whose it is, it answers for the id
// space that the spec would go to, and to those only in whose name one was accepted there.
func (r *Registry) Defined(ctx context.Context, spec *gate.ScenarioSpec) bool {
	key := keyOf(ctx, spaceOf(spec), spec.ScenarioID)
	r.mu.RLock()
	accepted := r.accepted[recordOf(key.store())]
	known := accepted.behalf[key.behalf] || key.behalf == 0 && accepted.revision > 0
	r.mu.RUnlock()
	if !known {
		return false
	}
	// It may have been removed since, or be younger than the backup that was restored.
	existing, _, err := r.load(ctx, key)
	return err != nil || existing != nil
}

// Scenario finds a scenario for a tenant: in its own id space, else in the shared one. The error is ErrNoScenario when there is none.
func (r *Registry) Scenario(ctx context.Context, tenant gate.TenantID, id gate.ScenarioID) (*gate.Scenario, error) {
	own, shared := keyOf(ctx, tenant, id), keyOf(ctx, sharedTenant, id)
	if s := r.scenarios.get(own); s != nil {
		return s, nil
	}
	// A scenario of the tenant's own may have come since the shared one was cached: the store is asked for both at once.
	epoch := r.scenarios.now()
	records, err := r.store.Get(ctx, []store.Key{own.store(), shared.store()})
	if err != nil {
		return nil, err
	}
	for i, key := range []scenarioKey{own, shared} {
		if records[i].Version > 0 {
			return r.compile(epoch, key, records[i])
		}
	}
	return nil, ErrNoScenario
}

// ForRun finds the scenario that a run was started with, by its hash: from the cache without asking the store, so that a
// call on a run costs one read, the run's own. The error is ErrNoScenario when there is no such scenario.
func (r *Registry) ForRun(ctx context.Context, tenant gate.TenantID, id gate.ScenarioID, hash canonical.HashDigest) (*gate.Scenario, error) {
	for _, space := range []gate.TenantID{tenant, sharedTenant} {
		if s := r.scenarios.get(keyOf(ctx, space, id)); s != nil && s.Hash() == hash {
			return s, nil
		}
	}
	for _, space := range []gate.TenantID{tenant, sharedTenant} {
		s, _, err := r.load(ctx, keyOf(ctx, space, id))
		if err != nil {
			return nil, err
		}
		if s != nil && s.Hash() == hash {
			return s, nil
		}
	}
	return nil, ErrNoScenario
}

// Known returns ErrNoScenario unless the tenant has such a scenario, without asking the store when it is cached.
func (r *Registry) Known(ctx context.Context, tenant gate.TenantID, id gate.ScenarioID) error {
	if r.scenarios.get(keyOf(ctx, tenant, id)) != nil || r.scenarios.get(keyOf(ctx, sharedTenant, id)) != nil {
		return nil
	}
	_, err := r.Scenario(ctx, tenant, id)
	return err
}

// load also answers the revision of the scenario's record. There may be none.
func (r *Registry) load(ctx context.Context, key scenarioKey) (*gate.Scenario, uint64, error) {
	epoch := r.scenarios.now()
	records, err := r.store.Get(ctx, []store.Key{key.store()})
	if err != nil || records[0].Version == 0 {
		return nil, 0, err
	}
	scenario, err := r.compile(epoch, key, records[0])
	return scenario, records[0].Revision, err
}

func (r *Registry) compile(epoch uint64, key scenarioKey, record store.Record) (*gate.Scenario, error) {
	if s := r.scenarios.at(key, record.Revision); s != nil {
		return s, nil
	}
	var stored storedScenario
	if err := persist.Decode(record, &stored); err != nil {
		return nil, err
	}
	scenario, err := gate.Compile(stored.Spec)
	if err != nil || scenario.Hash() != stored.Hash {
		return nil, fault.New(fault.Corrupt, "a stored scenario does not match its hash")
	}
	r.scenarios.put(epoch, key, scenario, record)
	return scenario, nil
}

// ScenarioSummary is one line of a list.
type ScenarioSummary struct {
	ScenarioID  gate.ScenarioID      `member:"scenario_id"`
	NamespaceID gate.NamespaceID     `member:"namespace_id"`
	SpecHash    canonical.HashDigest `member:"spec_hash"`
}

// Scenarios lists the scenarios of a namespace that a tenant may use, its own and the shared ones, by id, at most limit
// after the one named. An id that is not in the list starts it from the beginning (mcp contract §4.18).
func (r *Registry) Scenarios(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, after *gate.ScenarioID, limit int) ([]ScenarioSummary, error) {
	if after != nil {
		known, err := r.listed(ctx, tenant, namespace, *after)
		if err != nil {
			return nil, err
		}
		if !known {
			after = nil
		}
	}
	own, err := r.scanScenarios(ctx, tenant, namespace, after, limit)
	if err != nil {
		return nil, err
	}
	shared, err := r.scanScenarios(ctx, sharedTenant, namespace, after, limit)
	if err != nil {
		return nil, err
	}
	all := append(own, shared...)
	// In the order of their keys, which is that of the ids but for very long ones: a page goes on where the scan does.
	slices.SortStableFunc(all, func(a, b ScenarioSummary) int {
		return bytes.Compare(store.Segment(string(a.ScenarioID)), store.Segment(string(b.ScenarioID)))
	})
	// A tenant's own scenario hides the shared one of the same id, as it does when it is used.
	all = slices.CompactFunc(all, func(a, b ScenarioSummary) bool { return a.ScenarioID == b.ScenarioID })
	return all[:min(limit, len(all))], nil
}

// summarize reads of a stored scenario what a list shows.
func summarize(record store.Record) (ScenarioSummary, error) {
	var stored struct { // of storedScenario
		Spec struct {
			ScenarioID  gate.ScenarioID  `member:"scenario_id"`
			NamespaceID gate.NamespaceID `member:"namespace_id"`
		} `member:"spec"`
		Hash canonical.HashDigest `member:"spec_hash"`
	}
	err := persist.Decode(record, &stored)
	return ScenarioSummary{stored.Spec.ScenarioID, stored.Spec.NamespaceID, stored.Hash}, err
}

// listed reports whether the list of a namespace holds an id. It looks into both id spaces, as the list does: a tenant's own
// scenario in another namespace does not take the shared one of the same id from the list, where it may end a page.
func (r *Registry) listed(ctx context.Context, tenant gate.TenantID, namespace gate.NamespaceID, id gate.ScenarioID) (bool, error) {
	records, err := r.store.Get(ctx, []store.Key{keyOf(ctx, tenant, id).store(), keyOf(ctx, sharedTenant, id).store()})
	if err != nil {
		return false, err
	}
	for _, record := range records {
		if record.Version == 0 {
			continue
		}
		summary, err := summarize(record)
		if err != nil {
			return false, err
		}
		if summary.NamespaceID == namespace {
			return true, nil
		}
	}
	return false, nil
}

// scanScenarios walks one id space until limit scenarios of the namespace are found.
func (r *Registry) scanScenarios(ctx context.Context, space gate.TenantID, namespace gate.NamespaceID, after *gate.ScenarioID, limit int) ([]ScenarioSummary, error) {
	scan := store.Scan{Collection: scenarioCollection, Tenant: uint64(space)}
	if after != nil {
		scan.StartAfter = [][]byte{store.Segment(string(*after))}
	}
	var found []ScenarioSummary
	err := r.store.Scan(ctx, scan, func(record store.Record) error {
		summary, err := summarize(record)
		if err != nil {
			return err
		}
		if summary.NamespaceID == namespace {
			found = append(found, summary)
		}
		if len(found) == limit {
			return errEnough
		}
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return found, err
}
