package upkeep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// retainPage is how many heads of runs are read at a time, and retainAtOnce how many runs are exported at a time.
	retainPage   = 64
	retainAtOnce = 4
)

// RetainOptions say which runs to remove, and where their records go.
type RetainOptions struct {
	// Before is the time before which the last step of a run was.
	Before time.Time
	// To takes the runpacks.
	To Destination
	// Anchors and Security stand in their manifests.
	Anchors  gate.AnchorPolicy
	Security *runpack.SecurityContext
	// DryRun removes nothing and exports nothing.
	DryRun bool
	// Progress is told every now and then; nil tells nobody.
	Progress func(Progress)
}

// Retained is what Retain came to.
type Retained struct {
	DryRun bool `json:"dry_run"`
	// Runs were looked at. Of these Active go on, and Recent were finished or used not long ago enough.
	Runs   int `json:"runs"`
	Active int `json:"active"`
	Recent int `json:"recent"`
	// Removed have their record in a runpack now; of a dry run, those that would be removed.
	Removed int `json:"removed"`
	// Completed are removals that were cut off before.
	Completed int `json:"completed"`
	// Used were used while they were exported, and stay.
	Used int `json:"used_meanwhile"`
	// Kept counts what cannot be exported, and stays; Findings say why, of the first.
	Kept     int       `json:"kept"`
	Findings []Finding `json:"findings"`
}

// Retain removes finished runs whose last step is old, each once its runpack is written and verified. Hosts may serve the store
// meanwhile: a run that is used in between stays. Cut off at any moment it leaves runs that can be read, or that are not found and
// whose records the next call removes.
func Retain(ctx context.Context, s store.Store, options RetainOptions) (*Retained, error) {
	r := &retainer{store: s, registry: registry.New(s), RetainOptions: options, done: Retained{DryRun: options.DryRun, Findings: []Finding{}}}
	all, err := scopes(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, scope := range all {
		if scope.Collection != runs.Collections()[0] {
			continue
		}
		if err := r.namespace(ctx, scope); err != nil {
			return &r.done, err
		}
	}
	return &r.done, nil
}

type retainer struct {
	RetainOptions
	store    store.Store
	registry *registry.Registry

	mu   sync.Mutex
	done Retained
}

func (r *retainer) namespace(ctx context.Context, scope Scope) error {
	var after *runs.Kept
	for {
		page, err := runs.Page(ctx, r.store, scope.Tenant, scope.Namespace, after, retainPage)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := r.page(ctx, page); err != nil {
			return err
		}
		after = page[len(page)-1]
		if r.Progress != nil {
			r.Progress(Progress{Doing: "retaining", Records: uint64(r.done.Runs)})
		}
	}
}

// page looks at runs, a few at a time; the first error ends it when those under way are done.
func (r *retainer) page(ctx context.Context, page []*runs.Kept) error {
	places := make(chan struct{}, retainAtOnce)
	errs := make([]error, len(page))
	var wg sync.WaitGroup
	for i, k := range page {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if errs[i] = ctx.Err(); errs[i] == nil {
				errs[i] = r.run(ctx, k)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// count changes the report.
func (r *retainer) count(change func(*Retained)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.done)
}

func (r *retainer) keep(k *runs.Kept, why error) {
	r.count(func(done *Retained) {
		if done.Kept++; done.Kept <= maxFindings {
			ref := k.Ref()
			done.Findings = append(done.Findings, Finding{Tenant: uint64(ref.Tenant), Namespace: uint64(ref.Namespace), Run: string(ref.Run), Problem: why.Error()})
		}
	})
}

func (r *retainer) run(ctx context.Context, k *runs.Kept) error {
	if removal := k.Removal(); removal != nil {
		if removal.Swept || r.DryRun {
			return nil
		}
		r.count(func(done *Retained) { done.Completed++ })
		return k.Sweep(ctx, r.store)
	}
	r.count(func(done *Retained) { done.Runs++ })
	if k.RunHead().Status == gate.Active {
		r.count(func(done *Retained) { done.Active++ })
		return nil
	}
	last, err := k.LastStep(ctx, r.store)
	if fault.Is(err, fault.Corrupt) {
		r.keep(k, err)
		return nil
	}
	if err != nil {
		return err
	}
	if !last.Before(r.Before) {
		r.count(func(done *Retained) { done.Recent++ })
		return nil
	}
	return r.retire(ctx, k, last)
}

// retire exports a run, verifies what was written, and removes the run.
func (r *retainer) retire(ctx context.Context, k *runs.Kept, last time.Time) error {
	head := k.RunHead()
	scenario, err := r.registry.ForRun(ctx, head.TenantID, head.ScenarioID, head.SpecHash)
	if errors.Is(err, registry.ErrNoScenario) {
		r.keep(k, fmt.Errorf("its scenario %q with the hash %s is not defined: define it, so that the run can be exported", head.ScenarioID, head.SpecHash.Value))
		return nil
	}
	if err != nil {
		return err
	}
	if r.DryRun {
		r.count(func(done *Retained) { done.Removed++ })
		return nil
	}
	place, manifest, err := r.To.export(ctx, runpack.Input{
		Spec: *scenario.Spec(), SpecHash: head.SpecHash, TenantID: head.TenantID, NamespaceID: head.NamespaceID, RunID: head.RunID,
		Steps: k.Walk(ctx, r.store),
		// Of the run and not of now: exported again after a failure, the bundle is the same.
		GeneratedAt:  gate.Timestamp{Kind: gate.UnixMillis, Millis: last.UnixMilli()},
		AnchorPolicy: r.Anchors, Security: r.Security, ManifestPath: runpack.DefaultManifest, Verify: true,
	})
	var unsound *unsoundError
	var artifact *runpack.ArtifactError
	switch {
	case errors.As(err, &unsound), errors.As(err, &artifact), fault.Is(err, fault.Corrupt), errors.Is(err, runpack.ErrSpecHash):
		if artifact != nil && artifact.Cause != nil {
			err = fmt.Errorf("%w: %w", err, artifact.Cause)
		}
		r.keep(k, err)
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("run %q of tenant %d, namespace %d: %w", head.RunID, head.TenantID, head.NamespaceID, err)
	}
	err = k.Remove(ctx, r.store, runs.Removal{At: time.Now().UnixMilli(), Runpack: place, ManifestSHA256: manifest})
	if errors.Is(err, runs.ErrUsed) {
		r.count(func(done *Retained) { done.Used++ })
		return nil
	}
	if err == nil {
		r.count(func(done *Retained) { done.Removed++ })
	}
	return err
}
