package runs

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Removal is what the head of a removed run says for ever: the run is not found, and its id cannot be given another history.
type Removal struct {
	// At is when it was removed, in milliseconds since 1970.
	At int64 `member:"at_unix_ms"`
	// Runpack is where its record is, and ManifestSHA256 the hash of the manifest of that.
	Runpack        string `member:"runpack"`
	ManifestSHA256 string `member:"manifest_sha256"`
	// Swept says that its other records are gone.
	Swept bool `member:"swept"`
}

// Kept is a run as a store keeps it at one moment.
type Kept struct {
	loaded
	path [][]byte
}

// Ref names the run.
func (k *Kept) Ref() Ref {
	return Ref{k.Head.TenantID, k.Head.NamespaceID, k.Head.RunID, k.Head.ScenarioID}
}

// RunHead is the run without its logs.
func (k *Kept) RunHead() *gate.Head { return &k.Head }

// Removal is nil unless the run was removed.
func (k *Kept) Removal() *Removal { return k.Removed }

// Page reads at most limit runs of a namespace after one of an earlier page, nil for the first.
func Page(ctx context.Context, s store.Store, tenant, namespace uint64, after *Kept, limit int) ([]*Kept, error) {
	scan := store.Scan{Collection: headCollection, Tenant: tenant, Namespace: namespace, Limit: uint64(limit)}
	if after != nil {
		scan.StartAfter = after.path
	}
	var page []*Kept
	err := s.Scan(ctx, scan, func(record store.Record) error {
		k := &Kept{loaded: loaded{version: record.Version}, path: record.Key.Path}
		page = append(page, k)
		return persist.Decode(record, &k.storedHead)
	})
	return page, err
}

// LastStep is when the last step was committed, by the clock of the host that did.
func (k *Kept) LastStep(ctx context.Context, s store.Store) (time.Time, error) {
	records, err := s.Get(ctx, []store.Key{k.Ref().step(k.Steps)})
	if err != nil {
		return time.Time{}, err
	}
	if records[0].Version == 0 {
		return time.Time{}, fault.New(fault.Corrupt, "step %d of run %q is missing", k.Steps, k.Head.RunID)
	}
	var step struct { // of storedStep
		CommittedAt int64 `member:"committed_at_unix_ms"`
	}
	err = persist.Decode(records[0], &step)
	return time.UnixMilli(step.CommittedAt), err
}

// Walk walks the steps, as History does.
func (k *Kept) Walk(ctx context.Context, s store.Store) iter.Seq2[gate.Step, error] {
	return (&Runs{store: s}).steps(ctx, k.Ref(), k.loaded)
}

// ErrUsed says that a run was used since it was read.
var ErrUsed = errors.New("the run was used meanwhile")

// Remove removes a run whose record is elsewhere. Its head is replaced first, by one that says so: from then on no host finds the
// run, and none that has it loaded can commit to it. Then Sweep removes the rest. The error is ErrUsed when a host has used the
// run since it was read; nothing is changed then.
func (k *Kept) Remove(ctx context.Context, s store.Store, removal Removal) error {
	// What the run was is kept; what was said in it is not.
	k.Head.LastDecision, k.Head.DispatchTargets = nil, []gate.DispatchTarget{}
	k.Removed = &removal
	if err := k.put(ctx, s); err != nil {
		return err
	}
	return k.Sweep(ctx, s)
}

// put writes the head over the version that is known.
func (k *Kept) put(ctx context.Context, s store.Store) error {
	op := store.Op{Kind: store.OpPut, Key: k.Ref().head(), Body: canonical.Append(nil, k.storedHead, canonical.Declared), Expect: store.Version(k.version)}
	outcomes, err := s.Commit(ctx, []store.Commit{{ID: persist.NewCommitID(), Ops: []store.Op{op}}})
	if err != nil {
		return err
	}
	switch refusal := outcomes[0].Refusal; {
	case refusal == nil:
		k.version = outcomes[0].Versions[0]
		return nil
	case refusal.Reason == store.Conflict:
		return ErrUsed
	default:
		return fault.New(fault.Internal, "the store refused a removal: %s", refusal.Message)
	}
}

// Sweep removes all records of a removed run but its head, in commits of a bounded size. Cut off, it is finished by the next call.
// Two that sweep the same run do not hinder one another: the one that comes second finds nothing left to do.
func (k *Kept) Sweep(ctx context.Context, s store.Store) error {
	ref := k.Ref()
	for _, collection := range []string{triggerCollection, submissionCollection, packetCollection} {
		if err := sweepCollection(ctx, s, ref.scan(collection)); err != nil {
			return err
		}
	}
	// The keys of the steps are known: they are not read again to be removed.
	for from := uint64(1); from <= k.Steps; from += store.MaxOps {
		var ops []store.Op
		for n := from; n <= k.Steps && n < from+store.MaxOps; n++ {
			ops = append(ops, store.Op{Kind: store.OpDelete, Key: ref.step(n)})
		}
		if _, err := commitOne(ctx, s, ops); err != nil {
			return err
		}
	}
	k.Removed.Swept = true
	if err := k.put(ctx, s); !errors.Is(err, ErrUsed) {
		return err
	}
	return nil // somebody else has swept it
}

func sweepCollection(ctx context.Context, s store.Store, scan store.Scan) error {
	scan.Limit = store.MaxOps
	for {
		var ops []store.Op
		err := s.Scan(ctx, scan, func(record store.Record) error {
			ops = append(ops, store.Op{Kind: store.OpDelete, Key: record.Key})
			return nil
		})
		if err != nil || len(ops) == 0 {
			return err
		}
		if _, err := commitOne(ctx, s, ops); err != nil {
			return err
		}
	}
}

// orRemoved is what a call is told that has found a record of its run missing: that there is no such run, when the run was removed
// while the call read it.
func (r *Runs) orRemoved(ctx context.Context, ref Ref, err error) error {
	if !fault.Is(err, fault.Corrupt) {
		return err
	}
	if _, _, loading := r.load(ctx, ref); loading != nil {
		var refusal *gate.Error
		if errors.As(loading, &refusal) && refusal.Reason == gate.RunNotFound {
			return loading
		}
	}
	return err
}
