package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Plugin describes the plugin.
func Plugin(version string) sdk.Plugin {
	return sdk.Plugin{
		Name:         "store-postgres",
		Version:      version,
		Capabilities: []string{"changes", "shared"},
		Config: sdk.ConfigSchema{Attributes: []sdk.Attribute{
			{
				Name: "dsn", Type: sdk.String, Required: true, Secret: true,
				Help: "Connection string: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, or the KEY=VALUE form of libpq. Several hosts may be named: the one that takes writes is used.",
			},
			{
				Name: "minimum_tls", Type: sdk.String, Default: `"verify"`, OneOf: []string{tlsVerify, tlsEncrypt, tlsOff},
				Help: "Least protection that the dsn's sslmode must give to a connection that leaves the machine: the server's certificate is verified, the connection is encrypted, or neither.",
			},
			{
				Name: "max_connections", Type: sdk.Integer, Default: `8`, Minimum: "3", Maximum: "200",
				Help: "Number of connections at most; the change feed takes one more. Two write, the others read.",
			},
			{
				Name: "statement_timeout", Type: sdk.Duration, Default: `"30s"`, Minimum: "1s", Maximum: "10m",
				Help: "How long the server may work on one statement. Behind a pooler in transaction mode it is set for the role instead.",
			},
			{
				Name: "lock_timeout", Type: sdk.Duration, Default: `"10s"`, Minimum: "100ms", Maximum: "10m",
				Help: "How long a statement may wait for a lock. Behind a pooler in transaction mode it is set for the role instead.",
			},
			{
				Name: "pooling", Type: sdk.String, Default: `"session"`, OneOf: []string{"session", "transaction"},
				Help: "\"transaction\" when the connection goes through a pooler such as PgBouncer in transaction mode: nothing is then prepared or listened to, and the change feed looks every 100 ms.",
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
			options.Logger = sdk.Logger()
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
		DSN              string `json:"dsn"`
		MinimumTLS       string `json:"minimum_tls"`
		MaxConnections   int    `json:"max_connections"`
		StatementTimeout string `json:"statement_timeout"`
		LockTimeout      string `json:"lock_timeout"`
		Pooling          string `json:"pooling"`
		CommitIDLifetime string `json:"commit_id_lifetime"`
	}
	if err := json.Unmarshal(config, &body); err != nil {
		// The cause may quote the dsn.
		return Options{}, fault.New(fault.Invalid, "the config body cannot be read")
	}
	options := Options{DSN: body.DSN, MinimumTLS: body.MinimumTLS, MaxConnections: body.MaxConnections, Pooler: body.Pooling == "transaction"}
	for _, d := range []struct {
		name, text string
		to         *time.Duration
	}{
		{"statement_timeout", body.StatementTimeout, &options.StatementTimeout},
		{"lock_timeout", body.LockTimeout, &options.LockTimeout},
		{"commit_id_lifetime", body.CommitIDLifetime, &options.CommitIDLifetime},
	} {
		var err error
		if *d.to, err = time.ParseDuration(d.text); err != nil {
			return Options{}, fault.Wrap(fault.Invalid, err, "%s: %q is no duration such as \"5s\"", d.name, d.text)
		}
	}
	return options, nil
}
