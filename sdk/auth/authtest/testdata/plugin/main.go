// Command plugin is the model as a plugin.
package main

import (
	"context"
	"encoding/json"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth/authtest/internal/model"
)

func main() {
	sdk.Serve(sdk.Plugin{
		Name: "auth-model", Version: "1.0.0",
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{{Name: "key", Type: sdk.String, Required: true}}},
		OpenAuth: func(_ context.Context, config json.RawMessage) (auth.Authenticator, error) {
			m := &model.Authenticator{}
			return m, json.Unmarshal(config, m)
		},
	})
}
