// Command provider is the model as a plugin, which its configuration breaks.
package main

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence/evidencetest/internal/model"
)

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "evidence-model", Version: "1.0.0",
		OpenEvidence: func(_ context.Context, config json.RawMessage) (evidence.Provider, error) {
			var c struct{ Broken string }
			if err := json.Unmarshal(config, &c); err != nil {
				return nil, err
			}
			if c.Broken == "another query" {
				return &late{}, nil
			}
			return &model.Provider{}, nil
		},
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{Name: "broken", Type: sdk.String, Default: `""`, OneOf: []string{"", "another query"}, Help: "What it does wrong."},
		}},
	})
}

// late answers what it was asked before.
type late struct {
	model.Provider
	mu     sync.Mutex
	before *evidence.Query
}

func (l *late) Query(ctx context.Context, q evidence.Query, about evidence.Context) (evidence.Result, error) {
	l.mu.Lock()
	asked := q
	if l.before != nil && l.before.Check == q.Check {
		asked = *l.before
	}
	l.before = &q
	l.mu.Unlock()
	return l.Provider.Query(ctx, asked, about)
}
