// Command provider is the model as a plugin.
package main

import (
	"context"
	"encoding/json"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence/evidencetest/internal/model"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "evidence-model", Version: "1.0.0", OpenEvidence: func(context.Context, json.RawMessage) (evidence.Provider, error) {
		return &model.Provider{}, nil
	}})
}
