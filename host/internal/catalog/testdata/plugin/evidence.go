package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

func serveEvidence() {
	sdk.Serve(sdk.Plugin{
		Name: "evidence-test", Version: "1.0.0",
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "who", Type: sdk.String},
			{Name: "contract", Type: sdk.String, Help: "File with the contract."},
			{Name: "unready", Type: sdk.String, Help: "File that says why the provider is not ready."},
		}},
		OpenEvidence: func(_ context.Context, config json.RawMessage) (evidence.Provider, error) {
			p := &provider{}
			return p, json.Unmarshal(config, &p.settings)
		},
	})
}

// provider answers who it is, or does what the check asks for.
type provider struct {
	settings struct{ Who, Contract, Unready string }
}

const checks = `{"name":"n","description":"d","config_schema":{},"notes":[],"checks":[{"check_id":"who"},{"check_id":"crash"},{"check_id":"hang"},{"check_id":"busy"}]}`

func (p *provider) Contract(context.Context) (json.RawMessage, error) {
	if p.settings.Contract == "" {
		return json.RawMessage(checks), nil
	}
	return os.ReadFile(p.settings.Contract)
}

func (p *provider) Query(ctx context.Context, q evidence.Query, _ evidence.Context) (evidence.Result, error) {
	switch q.Check {
	case "crash":
		os.Exit(5)
	case "hang":
		<-ctx.Done()
		return evidence.Result{}, ctx.Err()
	case "busy":
		return evidence.Result{}, fault.New(fault.Unavailable, "the tracker is down")
	}
	return evidence.Answer(p.settings.Who, evidence.Verified)
}

// Health is what the file "unready" says.
func (p *provider) Health(context.Context) error {
	text, err := os.ReadFile(p.settings.Unready)
	if errors.Is(err, os.ErrNotExist) || p.settings.Unready == "" {
		return nil
	}
	return fault.New(fault.Unavailable, "%s", text)
}

func (p *provider) Close() error { return nil }
