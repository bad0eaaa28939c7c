package runs

import (
	"context"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// ImportedHost stands in imported steps where others name the host that committed them. No host has such a name.
const ImportedHost = "open-source Decision Gate"

// importBytes is the size in bytes of bodies from which no further record joins a commit of an import: well below a message.
const importBytes = 8 << 20

// Imported is a run that the open-source Decision Gate has decided so far. What is stored of it depends on nothing else, so
// that a second import of the same finds that it is there.
type Imported struct {
	Head  gate.Head
	Steps []gate.Step
	// SavedAt is when it was last saved, in milliseconds since 1970: the time of its steps.
	SavedAt int64
}

// DifferentError says that another history of the run is stored.
type DifferentError struct{ Reason string }

func (e *DifferentError) Error() string { return e.Reason }

// CheckImport says what Import would do: whether the run is there already. The error is a *DifferentError where another is.
func CheckImport(ctx context.Context, s store.Store, run *Imported) (present bool, err error) {
	i, err := newImporting(s, run)
	if err != nil {
		return false, err
	}
	return i.present(ctx)
}

// Import stores a run, and answers that it is present where that was done before; it may have gone on since. The head comes
// last, so that hosts see all of a run or nothing; an import that was cut off is begun anew by the next. The error is a
// *DifferentError when the id belongs to another history, a *StepTooLargeError, or of the store.
func Import(ctx context.Context, s store.Store, run *Imported) (present bool, err error) {
	i, err := newImporting(s, run)
	if err != nil {
		return false, err
	}
	if present, err = i.present(ctx); err != nil || present {
		return present, err
	}
	refusal, err := i.write(ctx)
	if err != nil || refusal == nil {
		return false, err
	}
	if refusal.Op > 0 {
		// Records without a head: those of an import that was cut off.
		if err := i.clear(ctx); err != nil {
			return false, err
		}
		if refusal, err = i.write(ctx); err != nil || refusal == nil {
			return false, err
		}
	}
	// Somebody came first.
	if present, err = i.present(ctx); err == nil && !present {
		err = fault.New(fault.Unavailable, "somebody else writes the same run; import it again")
	}
	return present, err
}

// importing is a run on its way into a store.
type importing struct {
	store store.Store
	ref   Ref
	head  storedHead
	ops   []store.Op // all but that of the head
}

func newImporting(s store.Store, run *Imported) (*importing, error) {
	head := &run.Head
	i := &importing{store: s, ref: Ref{head.TenantID, head.NamespaceID, head.RunID, head.ScenarioID}, head: storedHead{Head: *head}}
	before := loaded{}
	for n := range run.Steps {
		number := uint64(n + 1)
		step := canonical.Append(nil, storedStep{Number: number, Host: ImportedHost, CommittedAt: run.SavedAt, Records: run.Steps[n]}, canonical.Declared)
		if len(step) > maxStep {
			return nil, &StepTooLargeError{Bytes: len(step)}
		}
		i.head.Steps, i.head.Chain = number, link(i.head.Chain, step)
		i.ops = append(i.ops, store.Op{Kind: store.OpPut, Key: i.ref.step(number), Body: step, Expect: store.Absent()})
		i.ops = append(i.ops, marks(i.ref, before, number, gate.Transition{Step: run.Steps[n]})...)
		before.Head.Packets += uint64(len(run.Steps[n].Packets))
	}
	return i, nil
}

// present says whether the store has the run.
func (i *importing) present(ctx context.Context) (bool, error) {
	records, err := i.store.Get(ctx, []store.Key{i.ref.head()})
	if err != nil || records[0].Version == 0 {
		return false, err
	}
	var there storedHead
	if err := persist.Decode(records[0], &there); err != nil {
		return false, err
	}
	if there.Removed != nil {
		if there.Steps == i.head.Steps && there.Chain == i.head.Chain && there.Head.SpecHash == i.head.Head.SpecHash {
			return true, nil
		}
		return false, &DifferentError{fmt.Sprintf("the store has removed another history of this run, whose record is in %s", there.Removed.Runpack)}
	}
	same := there.Chain == i.head.Chain && declared(there.Head) == declared(i.head.Head)
	switch {
	case there.Steps == i.head.Steps && same:
		return true, nil
	case there.Steps <= i.head.Steps, !sameStart(&there.Head, &i.head.Head):
		return false, i.different(there.Steps)
	}
	chain, seen := "", uint64(0)
	scan := i.ref.scan(stepCollection)
	scan.Limit = i.head.Steps
	err = i.store.Scan(ctx, scan, func(record store.Record) error {
		chain = link(chain, record.Body)
		seen++
		return nil
	})
	if err == nil && (seen != i.head.Steps || chain != i.head.Chain) {
		err = i.different(there.Steps)
	}
	return err == nil, err
}

func (i *importing) different(steps uint64) error {
	return &DifferentError{fmt.Sprintf("the store has another history of this run: %d steps there, %d in the database, and they do not begin alike or the run stands elsewhere", steps, i.head.Steps)}
}

// declared is a head as text, to be compared.
func declared(head gate.Head) string { return string(canonical.Append(nil, head, canonical.Declared)) }

// sameStart says whether two heads can be of one run at two times.
func sameStart(a, b *gate.Head) bool {
	return a.ScenarioID == b.ScenarioID && a.SpecHash == b.SpecHash && slices.Equal(a.DispatchTargets, b.DispatchTargets)
}

// write commits all records, the head with the last of them. The refusal is of the first op that the store refuses, which is
// op 0 when there is a head.
func (i *importing) write(ctx context.Context) (*store.Refusal, error) {
	for rest := i.ops; ; {
		n, size := 0, 0
		for n < len(rest) && n < store.MaxOps-1 && (n == 0 || size+len(rest[n].Body) <= importBytes) {
			size += len(rest[n].Body)
			n++
		}
		// Removing what must be absent changes nothing, and is refused as soon as a host has started such a run.
		first := store.Op{Kind: store.OpDelete, Key: i.ref.head(), Expect: store.Absent()}
		if n == len(rest) {
			first = store.Op{Kind: store.OpPut, Key: i.ref.head(), Body: canonical.Append(nil, i.head, canonical.Declared), Expect: store.Absent()}
		}
		refusal, err := commitOne(ctx, i.store, append([]store.Op{first}, rest[:n]...))
		if err != nil || refusal != nil {
			return refusal, err
		}
		if rest = rest[n:]; len(rest) == 0 {
			return nil, nil
		}
	}
}

// commitOne makes one commit. The refusal is a conflict; others are errors.
func commitOne(ctx context.Context, s store.Store, ops []store.Op) (*store.Refusal, error) {
	outcomes, err := s.Commit(ctx, []store.Commit{{ID: persist.NewCommitID(), Ops: ops}})
	if err != nil {
		return nil, err
	}
	refusal := outcomes[0].Refusal
	if refusal != nil && refusal.Reason != store.Conflict {
		return nil, fault.New(fault.Internal, "the store refused a run: %s", refusal.Message)
	}
	return refusal, nil
}

// clear removes what an import that was cut off has left. Records without a head that are no such are the remains of something
// worse, and stay for whoever looks into it.
func (i *importing) clear(ctx context.Context) error {
	err := i.store.Scan(ctx, i.ref.scan(stepCollection), func(record store.Record) error {
		var step struct { // of storedStep
			Host string `member:"host"`
		}
		if err := persist.Decode(record, &step); err != nil {
			return err
		}
		if step.Host != ImportedHost {
			return fault.New(fault.Corrupt, "the store holds steps of run %q and no head: restore a backup before the run is imported", i.ref.Run)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// The steps last: they say what the others are.
	for _, collection := range []string{triggerCollection, submissionCollection, packetCollection, stepCollection} {
		if err := i.clearCollection(ctx, collection); err != nil {
			return err
		}
	}
	return nil
}

func (i *importing) clearCollection(ctx context.Context, collection string) error {
	scan := i.ref.scan(collection)
	scan.Limit = store.MaxOps - 1
	for {
		ops := []store.Op{{Kind: store.OpDelete, Key: i.ref.head(), Expect: store.Absent()}}
		err := i.store.Scan(ctx, scan, func(record store.Record) error {
			ops = append(ops, store.Op{Kind: store.OpDelete, Key: record.Key, Expect: store.Version(record.Version)})
			return nil
		})
		if err != nil || len(ops) == 1 {
			return err
		}
		refusal, err := commitOne(ctx, i.store, ops)
		if err == nil && refusal != nil {
			err = fault.New(fault.Unavailable, "somebody else writes the same run; import it again")
		}
		if err != nil {
			return err
		}
	}
}
