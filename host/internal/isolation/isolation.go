// Package isolation attacks a host from two tenants at once, to show that neither learns anything of the other: random calls
// of every tool on both surfaces, with ids that collide or nearly do, with the other's tenant and the other's ids, while each
// tenant works for itself as well. Everything that a tenant stores holds a secret of its own, its canary; every byte that the
// other one is answered is searched for it.
//
// It looks for three things: the canary in any form, a call that succeeds in the name of the other tenant, and an answer that
// tells what exists there from what does not.
package isolation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Options are a trial.
type Options struct {
	// Settings are those of the host that is started: its plugins and their lock. Who may call, the tools, the evidence and
	// the folders of runpacks are the trial's own.
	Settings *config.Config
	// Folder is for evidence and runpacks; the caller removes it.
	Folder string
	// Store, when set, takes the place of the store plugin.
	Store store.Store
	// Substitutes says that the store answers with a record of the caller's own where the one of another tenant is asked for, as
	// one does that has nothing but row-level security: a call in another's name may succeed then, as long as it leaks nothing.
	Substitutes bool
	// Operations is the number of random calls, Clients how many there are of each tenant.
	Operations, Clients int
	// Seed makes the calls. The same one makes the same calls; in what order they meet is the machine's.
	Seed uint64
	// Progress is told now and then how many calls were made.
	Progress func(done, all int)
	Logger   *slog.Logger
}

// stopAfter is the number of findings after which a trial ends: more of them say nothing new.
const stopAfter = 10

// trial is what the clients of both tenants share.
type trial struct {
	options Options
	door    *door
	parties [2]*party
	count   *count
	calls   atomic.Int64
	stop    context.CancelFunc

	mu       sync.Mutex
	findings []Finding
	failed   error
}

// Run makes a trial on a host that it starts and ends. An error is that the trial could not be made; what it found is in the
// report.
func Run(ctx context.Context, o Options) (_ *Report, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	t := &trial{options: o, count: newCount(), stop: cancel, parties: [2]*party{newParty(0), newParty(1)}}
	if t.door, err = open(ctx, o, t.parties); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.door.close()) }()
	for i, p := range t.parties {
		err := t.furnish(ctx, p)
		var refused *refusedError
		if i > 0 && errors.As(err, &refused) {
			// The first tenant was not refused the same: the first one is why.
			t.found(refused.Finding)
			t.stop()
		} else if err != nil {
			return nil, fmt.Errorf("tenant %d could not be furnished: %w", p.tenant, err)
		}
	}
	var clients sync.WaitGroup
	for i := range 2 * o.Clients {
		clients.Go(func() { t.client(ctx, i) })
	}
	clients.Wait()
	if t.failed != nil {
		return nil, t.failed
	}
	if len(t.findings) == 0 && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	report := t.count.report()
	report.Seed, report.Operations, report.Seconds = o.Seed, int(t.calls.Load()), time.Since(began).Seconds()
	report.ScopeChecks, report.Findings = access.ScopeChecks, append(report.Findings, t.findings...)
	return report, nil
}

// client makes calls until all are made: those of one tenant, by turns of what is random.
func (t *trial) client(ctx context.Context, number int) {
	c := t.newClient(number)
	for ctx.Err() == nil {
		n := int(t.calls.Add(1))
		if n > t.options.Operations {
			t.calls.Add(-1)
			return
		}
		if err := c.step(ctx, n); err != nil && ctx.Err() == nil {
			t.fail(err)
			return
		}
		if t.options.Progress != nil && n%progressEvery == 0 {
			t.options.Progress(n, t.options.Operations)
		}
	}
}

// progressEvery is the number of calls between two reports of progress.
const progressEvery = 5000

func (t *trial) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
	t.stop()
}

func (t *trial) found(f Finding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.findings) < stopAfter {
		t.findings = append(t.findings, f)
	}
	if len(t.findings) == stopAfter {
		t.stop()
	}
}
