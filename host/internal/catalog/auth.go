package catalog

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
)

// Auth is an auth plugin.
type Auth struct {
	plugin *supervisor
}

// Auth is the auth plugin, nil when none was declared.
func (c *Catalog) Auth() *Auth {
	plugin := c.kind(kindAuth)
	if plugin == nil {
		return nil
	}
	return &Auth{plugin}
}

// Authenticate asks whichever process lives, within the plugin's deadline. It is asked once: a token that crashes the plugin
// would otherwise do so until its restarts are spent, and then nobody could be let in.
func (a *Auth) Authenticate(ctx context.Context, c auth.Credential) (answer auth.Answer, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.plugin.pace.Load().auth)
	defer cancel()
	err = a.plugin.call(ctx, false, func(ctx context.Context, session *session) (err error) {
		answer, err = session.auth.Authenticate(ctx, c)
		return err
	})
	if err != nil {
		return auth.Answer{}, err
	}
	return answer, nil
}

// Epoch is another number for every process: one that has taken the place of another may have other settings.
func (a *Auth) Epoch() int64 {
	a.plugin.mu.Lock()
	defer a.plugin.mu.Unlock()
	return a.plugin.began.UnixNano()
}
