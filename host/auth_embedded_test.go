package host_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
)

// goAuthenticator is an authenticator of an embedder.
type goAuthenticator func(auth.Credential) (auth.Answer, error)

func (a goAuthenticator) Authenticate(_ context.Context, c auth.Credential) (auth.Answer, error) {
	return a(c)
}
func (goAuthenticator) Close() error { return nil }

// TestEmbeddedAuth opens a host on a Go value in the place of an auth plugin. Its answers are checked as a plugin's.
func TestEmbeddedAuth(t *testing.T) {
	settings := config.Default()
	judge := goAuthenticator(func(c auth.Credential) (auth.Answer, error) {
		p := &auth.Principal{Subject: "alice", Issuer: "desk", Expires: time.Now().Add(time.Hour), Roles: []auth.Role{{Name: "TenantAdmin", Tenant: 1}}}
		switch c.Bearer {
		case "alice":
			return auth.Answer{Principal: p}, nil
		case "nobody":
			p.Subject = ""
			return auth.Answer{Principal: p}, nil
		default:
			return auth.Deny("nobody knows it"), nil
		}
	})
	open := func() (*host.Host, error) {
		return host.Open(t.Context(), host.Config{Settings: settings, Store: faultystore.New(), Logger: testLog(t), Auth: judge})
	}
	// Attack: callers of this machine are let in, because nothing says that anybody is asked.
	if h, err := open(); err == nil || !strings.Contains(err.Error(), `plugin "auth"`) {
		t.Errorf("a value that stands for no plugin: %v, %v", h, err)
	}
	settings.Plugins = []*config.Plugin{{Kind: "auth", Name: "desk", Command: []string{"/nonexistent"}}}
	h, err := open()
	if err != nil {
		t.Fatal(err)
	}
	f := serveHost(t, h, "")
	f.want("known", "alice", 1, "let in")
	f.want("known, elsewhere", "alice", 2, "unauthorized")
	f.want("not known", "bob", 1, "unauthenticated")
	f.want("no token", "", 1, "unauthenticated")
	for _, surface := range surfaces {
		if got := f.said(surface, "nobody", 1); got == "let in" || got == "unauthorized" {
			t.Errorf("an answer that the protocol does not allow, at %s: %s", surface, got)
		}
	}
}
