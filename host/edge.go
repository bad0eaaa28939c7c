package host

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/listener"
	"github.com/decision-gate-host/decision-gate-host/host/internal/mcp"
	"github.com/decision-gate-host/decision-gate-host/host/internal/ratelimit"
)

// TLSConfig is what server.http.tls asks of a listener, nil when there is no such block. Files that change are read again at
// the next handshake; the logger is told. The error has the line of the file that cannot be used.
func TLSConfig(c *config.Config, logger *slog.Logger) (*tls.Config, error) {
	if c.Server.HTTP == nil || c.Server.HTTP.TLS == nil {
		return nil, nil
	}
	certificates, err := listener.NewCertificates(tlsFiles(c.Server.HTTP.TLS), logger)
	if err != nil {
		return nil, refuseTLS(c, err)
	}
	return certificates.Config(), nil
}

func tlsFiles(t *config.TLS) listener.Files {
	return listener.Files{Cert: t.Cert, Key: t.Key, ClientCA: t.ClientCA, RequireClientCert: t.RequireClientCert}
}

func refuseTLS(c *config.Config, err error) error {
	var wrong *listener.FileError
	if !errors.As(err, &wrong) {
		return err
	}
	t := c.Server.HTTP.TLS
	for _, f := range []struct {
		name string
		path *string
	}{{"cert", &t.Cert}, {"key", &t.Key}, {"client_ca", &t.ClientCA}} {
		if *f.path != wrong.Path {
			continue
		}
		path := wrong.Path
		if absolute, err := filepath.Abs(path); err == nil {
			path = absolute
		}
		return c.Refuse(f.path, "File cannot be used for TLS", "%s of server.http.tls: %s %s.", f.name, c.Shown(f.path, path), wrong.Problem)
	}
	return err
}

// checkTLS finds files of TLS that cannot be used.
func checkTLS(c *config.Config) error {
	_, err := TLSConfig(c, slog.New(slog.DiscardHandler)) // expiry is told when it is served
	return err
}

// hosts are the names that requests may be for: those of the settings, and the embedder's.
func hosts(cfg Config) []string {
	names := cfg.Hosts
	if cfg.Settings.Server.HTTP != nil {
		names = slices.Concat(names, cfg.Settings.Server.HTTP.Hosts)
	}
	if slices.Contains(names, mcp.AnyHost) {
		return []string{mcp.AnyHost}
	}
	return names
}

// limiter counts the requests of callers; nil when nobody asked for it.
func limiter(c *config.Config) *ratelimit.Limiter {
	r := c.Server.RateLimit
	if r == nil {
		return nil
	}
	return ratelimit.New(ratelimit.Options{MaxRequests: r.MaxRequests, Window: r.Window, MaxEntries: int(r.MaxEntries)})
}

// Drain refuses new requests, as overloaded, and has /readyz say that the host is not ready. It returns when the requests
// that are served have ended, or the context has. Call it before the server is shut down, so that whoever sends requests to
// several hosts can turn to another.
func (h *Host) Drain(ctx context.Context) error { return h.server.Drain(ctx) }
