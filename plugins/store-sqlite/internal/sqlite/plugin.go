package sqlite

import (
	"context"
	"encoding/json"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Plugin describes the plugin. vfs is empty outside of tests, see Options.
func Plugin(version, vfs string) sdk.Plugin {
	return sdk.Plugin{
		Name:         "store-sqlite",
		Version:      version,
		Capabilities: []string{"changes"},
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{
				Name: "path", Type: sdk.String, Required: true,
				Help: "Database file, on a local disk. Its folder must exist; an absent file is created, for the plugin's user alone.",
			},
			{
				Name: "busy_timeout", Type: sdk.Duration, Default: `"5s"`, Minimum: "100ms", Maximum: "60s",
				Help: "How long to wait for another process that holds the database's lock before a call is answered as unavailable.",
			},
			{
				Name: "commit_id_lifetime", Type: sdk.Duration, Default: `"24h"`, Minimum: "24h", Maximum: "8760h",
				Help: "How long the id of a commit is kept, so that a repeat of it does nothing twice.",
			},
		}},
		OpenStore: func(ctx context.Context, config json.RawMessage) (store.Store, error) {
			options, err := parseConfig(config)
			if err != nil {
				return nil, err
			}
			options.Logger, options.VFS = sdk.Logger(), vfs
			s, err := Open(ctx, options)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

// parseConfig reads a body that the schema above has accepted.
func parseConfig(config json.RawMessage) (Options, error) {
	var body struct {
		Path             string `json:"path"`
		BusyTimeout      string `json:"busy_timeout"`
		CommitIDLifetime string `json:"commit_id_lifetime"`
	}
	if err := json.Unmarshal(config, &body); err != nil {
		return Options{}, fault.Wrap(fault.Invalid, err, "the config body cannot be read")
	}
	options := Options{Path: body.Path}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{
		{"busy_timeout", body.BusyTimeout, &options.BusyTimeout},
		{"commit_id_lifetime", body.CommitIDLifetime, &options.CommitIDLifetime},
	} {
		var err error
		if *d.to, err = time.ParseDuration(d.text); err != nil {
			return Options{}, fault.Wrap(fault.Invalid, err, "%s: %q is no duration such as \"5s\"", d.name, d.text)
		}
	}
	return options, nil
}
