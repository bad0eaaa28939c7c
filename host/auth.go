package host

import (
	"context"
	"errors"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
)

// authenticator judges the tokens that the configuration does not have: the auth plugin, or the value in its place; nil where
// there is neither.
func authenticator(cfg Config, plugins *catalog.Catalog) (access.Authenticator, error) {
	plugin := plugins.Auth()
	switch {
	case cfg.Auth != nil && !cfg.Settings.Authenticates():
		// Callers of this machine need no token where nothing asks for one, so a value alone would guard nothing.
		return nil, errors.New(`host.Config.Auth has no plugin "auth" block to stand in for: declare one in Settings`)
	case cfg.Auth != nil:
		return embedded{cfg.Auth}, nil
	case plugin != nil:
		return plugin, nil
	default:
		return nil, nil
	}
}

// embeddedDeadline is how long the value of an embedder may take for a token, as an auth plugin may by default.
const embeddedDeadline = 5 * time.Second

// embedded is the value of an embedder.
type embedded struct{ auth.Authenticator }

func (e embedded) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, embeddedDeadline)
	defer cancel()
	return e.Authenticator.Authenticate(ctx, c)
}

// Epoch is always the same: an embedder who changes what counts opens another host.
func (embedded) Epoch() int64 { return 0 }
