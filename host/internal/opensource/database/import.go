package database

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// batchItems and batchBytes bound what is imported at once, so that commits share their syncs and memory stays bounded.
	batchItems = 32
	batchBytes = 4 << 20
	// maxListed bounds the refusals and scenarios that are kept; all are counted.
	maxListed = 1000
)

// Refusal is a run or data shape that was not taken over.
type Refusal struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// Count is of runs or data shapes.
type Count struct {
	// Imported are new in the store, or would be when it was only checked.
	Imported int `json:"imported"`
	// Present were there already.
	Present int `json:"present"`
}

// Scenario is one that imported runs were started with.
type Scenario struct {
	Tenant    gate.TenantID    `json:"tenant_id"`
	Namespace gate.NamespaceID `json:"namespace_id"`
	ID        gate.ScenarioID  `json:"scenario_id"`
	SpecHash  string           `json:"spec_hash"`
	// Defined says that the store has it. Until then its runs are not found.
	Defined bool `json:"defined"`
}

// Report is what an import came to.
type Report struct {
	Runs   Count `json:"runs"`
	Shapes Count `json:"data_shapes"`
	// Refused counts what was not taken over, Refusals are the first of them.
	Refused   int        `json:"refused"`
	Refusals  []Refusal  `json:"refusals"`
	Scenarios []Scenario `json:"scenarios"`
}

// Importer takes runs and data shapes over into a store.
type Importer struct {
	Store    store.Store
	Registry *registry.Registry
	// MaxShapes bounds the data shapes of a namespace.
	MaxShapes uint64
	// Check stores nothing, and reports what an import would do.
	Check bool
	// Progress is called after each batch with how many of all items are done; nil calls nobody.
	Progress func(done, all int)

	report    Report
	scenarios map[Scenario]bool
}

// Import reads a stream to its end. A run that is not taken over is in the report and costs no other; the error is of the
// stream or of the store, and the report is then of what was done before.
func (i *Importer) Import(ctx context.Context, in *Reader) (*Report, error) {
	i.report, i.scenarios = Report{Refusals: []Refusal{}, Scenarios: []Scenario{}}, map[Scenario]bool{}
	done, all := 0, in.Begin.Runs+in.Begin.Shapes
	for {
		batch, last, err := nextBatch(in)
		if err != nil {
			return &i.report, cmp.Or(ctx.Err(), err)
		}
		if err := i.batch(ctx, batch); err != nil {
			return &i.report, err
		}
		if done += len(batch); i.Progress != nil {
			i.Progress(done, all)
		}
		if last {
			break
		}
	}
	return &i.report, i.lookUp(ctx)
}

func nextBatch(in *Reader) (batch []*Item, last bool, err error) {
	for size := 0; len(batch) < batchItems && size < batchBytes; {
		item, err := in.Next()
		if errors.Is(err, io.EOF) {
			return batch, true, nil
		}
		if err != nil {
			return nil, false, err
		}
		batch = append(batch, item)
		if item.Run != nil {
			size += len(item.Run.State)
		} else {
			size += len(item.Shape.Schema)
		}
	}
	return batch, false, nil
}

// taken is what became of an item.
type taken struct {
	present bool
	head    *gate.Head // of a run
	err     error
}

func (i *Importer) batch(ctx context.Context, batch []*Item) error {
	results := make([]taken, len(batch))
	var wg sync.WaitGroup
	for n, item := range batch {
		wg.Go(func() {
			if item.Err != nil {
				results[n].err = &refusalError{item.Err}
			} else if item.Run != nil {
				results[n] = i.run(ctx, item.Run)
			} else {
				results[n] = i.shape(ctx, item.Shape)
			}
		})
	}
	wg.Wait()
	for n, item := range batch {
		if err := i.count(item, &results[n]); err != nil {
			return err
		}
	}
	return nil
}

// refusalError is an error of one item, and not of the store.
type refusalError struct{ cause error }

func (e *refusalError) Error() string { return e.cause.Error() }

func (i *Importer) run(ctx context.Context, row *Row) taken {
	history, err := row.History()
	if err != nil {
		return taken{err: &refusalError{err}}
	}
	run := &runs.Imported{Head: history.Head, Steps: history.Steps, SavedAt: row.SavedAt}
	store := runs.Import
	if i.Check {
		store = runs.CheckImport
	}
	present, err := store(ctx, i.Store, run)
	var other *runs.DifferentError
	var large *runs.StepTooLargeError
	if errors.As(err, &other) || errors.As(err, &large) || fault.Is(err, fault.Corrupt) {
		err = &refusalError{err}
	}
	return taken{present, &history.Head, err}
}

func (i *Importer) shape(ctx context.Context, row *ShapeRow) taken {
	shape, err := row.Shape()
	if err != nil {
		return taken{err: &refusalError{err}}
	}
	present, err := i.Registry.Holds(ctx, *shape)
	if err == nil && !present && !i.Check {
		if err = i.Registry.Register(ctx, *shape, i.MaxShapes); errors.Is(err, registry.ErrSchemaExists) {
			present, err = i.Registry.Holds(ctx, *shape) // somebody came first
		}
	}
	switch {
	case errors.Is(err, registry.ErrSchemaExists):
		err = &refusalError{errors.New("the store has another data shape of this id and version")}
	case errors.Is(err, registry.ErrRegistryFull):
		err = &refusalError{errors.New("its namespace has as many data shapes as it may: raise schemas.max_entries in the configuration")}
	}
	return taken{present: present, err: err}
}

func (i *Importer) count(item *Item, result *taken) error {
	var refusal *refusalError
	switch {
	case errors.As(result.err, &refusal):
		if i.report.Refused++; i.report.Refused <= maxListed {
			i.report.Refusals = append(i.report.Refusals, Refusal{item.Name, refusal.Error()})
		}
		return nil
	case result.err != nil:
		return result.err
	}
	count := &i.report.Shapes
	if item.Run != nil {
		count = &i.report.Runs
		h := result.head
		if len(i.scenarios) < maxListed {
			i.scenarios[Scenario{Tenant: h.TenantID, Namespace: h.NamespaceID, ID: h.ScenarioID, SpecHash: h.SpecHash.Value}] = true
		}
	}
	if result.present {
		count.Present++
	} else {
		count.Imported++
	}
	return nil
}

// lookUp finds which scenarios the store has.
func (i *Importer) lookUp(ctx context.Context) error {
	for s := range i.scenarios {
		_, err := i.Registry.ForRun(ctx, s.Tenant, s.ID, canonical.HashDigest{Algorithm: canonical.SHA256, Value: s.SpecHash})
		if err != nil && !errors.Is(err, registry.ErrNoScenario) {
			return err
		}
		s.Defined = err == nil
		i.report.Scenarios = append(i.report.Scenarios, s)
	}
	slices.SortFunc(i.report.Scenarios, func(a, b Scenario) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.ID, b.ID), cmp.Compare(a.SpecHash, b.SpecHash))
	})
	return nil
}
