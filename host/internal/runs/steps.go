package runs

import (
	"context"
	"errors"
	"iter"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var errStop = errors.New("stop")

// History is a run as it was at one moment: its head, its scenario and a walk over its steps.
type History struct {
	Head     gate.Head
	Scenario *gate.Scenario
	// Count is the number of steps.
	Count uint64
	// Steps walks the steps in order, reading them from the store as it goes. It ends with an error when a step is missing
	// or is not the one that was committed.
	Steps iter.Seq2[gate.Step, error]
}

// History reads a run for export.
func (r *Runs) History(ctx context.Context, ref Ref) (History, error) {
	if err := r.registry.Known(ctx, ref.Tenant, ref.Scenario); err != nil {
		return History{}, err
	}
	run, _, err := r.load(ctx, ref)
	if err != nil {
		return History{}, err
	}
	scenario, err := r.scenarioOf(ctx, ref, run)
	if err != nil {
		return History{}, err
	}
	return History{Head: run.Head, Scenario: scenario, Count: run.Steps, Steps: r.steps(ctx, ref, run)}, nil
}

// steps walks the steps up to the loaded head and checks their chain: no step may be missing, added or changed.
func (r *Runs) steps(ctx context.Context, ref Ref, run loaded) iter.Seq2[gate.Step, error] {
	return func(yield func(gate.Step, error) bool) {
		var seen uint64
		chain := ""
		scan := store.Scan{Collection: stepCollection, Tenant: uint64(ref.Tenant), Namespace: uint64(ref.Namespace), Prefix: ref.head().Path, Limit: run.Steps}
		err := r.store.Scan(ctx, scan, func(record store.Record) error {
			var step storedStep
			if err := persist.Decode(record, &step); err != nil {
				return err
			}
			if seen++; step.Number != seen {
				return fault.New(fault.Corrupt, "step %d of run %q is missing", seen, ref.Run)
			}
			chain = link(chain, record.Body)
			if !yield(step.Records, nil) {
				return errStop
			}
			return nil
		})
		if err == nil && (seen != run.Steps || chain != run.Chain) {
			err = fault.New(fault.Corrupt, "the steps of run %q are not those that were committed: their chain is broken", ref.Run)
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(gate.Step{}, r.orRemoved(ctx, ref, err))
		}
	}
}
