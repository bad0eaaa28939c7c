// Command evidence is an evidence plugin of protocol version 1.0 that answers one check.
package main

import (
	"context"
	"encoding/json"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
)

func main() {
	sdk.Serve(sdk.Plugin{Name: "evidence-frozen", Version: "1.0.0", OpenEvidence: func(context.Context, json.RawMessage) (evidence.Provider, error) {
		return provider{}, nil
	}})
}

type provider struct{}

func (provider) Contract(context.Context) (json.RawMessage, error) {
	return json.RawMessage(`{"name":"n","description":"d","config_schema":{},"notes":[],"checks":[{"check_id":"who"}]}`), nil
}

func (provider) Query(context.Context, evidence.Query, evidence.Context) (evidence.Result, error) {
	return evidence.Answer("frozen", evidence.Verified)
}

func (provider) Close() error { return nil }
