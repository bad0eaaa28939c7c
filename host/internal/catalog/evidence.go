package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// maxQuery bounds a query whose caller has no deadline of its own: a gate waits for its evidence.
const maxQuery = 30 * time.Second

// Evidence is a plugin that answers questions.
type Evidence struct {
	// Name is the provider id.
	Name string
	// Contract is the JSON that the plugin gave when it started, not yet checked but for its size. A process with another
	// one does not take its place.
	Contract json.RawMessage
	Provider evidence.Provider
}

// Evidence is the evidence plugins, in the order of the configuration.
func (c *Catalog) Evidence() []Evidence {
	var out []Evidence
	for _, s := range c.plugins {
		if p := s.program; p.plugin.Kind == kindEvidence {
			out = append(out, Evidence{Name: p.plugin.Name, Contract: p.contract, Provider: &providerClient{plugin: s}})
		}
	}
	return out
}

// Degraded names the evidence plugins that are not ready, whatever keeps them from it. Only the conditions that ask them
// suffer, so they do not count in Ready.
func (c *Catalog) Degraded() []string {
	var out []string
	for _, s := range c.plugins {
		if s.program.plugin.Kind == kindEvidence && s.status().State != Ready {
			out = append(out, processName(s.program.plugin))
		}
	}
	return out
}

// providerClient is an evidence.Provider whose calls go to whichever process lives.
type providerClient struct {
	plugin *supervisor
}

func (p *providerClient) Contract(context.Context) (json.RawMessage, error) {
	return p.plugin.program.contract, nil
}

// Query is made once. Made again after a crash, a question that crashes the plugin would do so until its restarts are
// spent, and take the answers of all others with it.
func (p *providerClient) Query(ctx context.Context, q evidence.Query, c evidence.Context) (result evidence.Result, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.plugin.pace.Load().query)
	defer cancel()
	err = p.plugin.call(ctx, false, func(ctx context.Context, session *session) (err error) {
		result, err = session.provider.Query(ctx, q, c)
		return err
	})
	return result, err
}

// Close does nothing: the catalog ends the plugin.
func (p *providerClient) Close() error { return nil }

// readContract asks a plugin that has just been configured what it can be asked. Scenarios were checked against the first
// answer, so a process with another one must not answer them: it is refused as if it had not started.
func (p *program) readContract(ctx context.Context, provider evidence.Provider) error {
	if p.plugin.Kind != kindEvidence {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.pace.configure)
	defer cancel()
	contract, err := provider.Contract(ctx)
	if err != nil {
		return fmt.Errorf("it does not say what it can be asked: %w", err)
	}
	if p.contract == nil {
		p.contract = slices.Clone(contract)
		return nil
	}
	before, err := canonical.Parse(p.contract)
	now, errNow := canonical.Parse(contract)
	if errors.Join(err, errNow) != nil || !canonical.Equal(before, now) {
		return fault.New(fault.Invalid, "its contract is another one than when the host started: restart the host")
	}
	return nil
}
