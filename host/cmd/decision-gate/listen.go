package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/listener"
)

// exposeVariable opts in to listening beyond loopback, as --allow-non-loopback does (mcp contract §10.3).
const exposeVariable = "DECISION_GATE_ALLOW_NON_LOOPBACK"

// truths are the values of exposeVariable, in lower case.
var truths = map[string]bool{
	"1": true, "true": true, "yes": true, "y": true, "on": true,
	"0": false, "false": false, "no": false, "n": false, "off": false,
}

// exposed refuses to listen beyond loopback unless whoever starts the host has said that it is meant: a file that was copied
// from elsewhere says nothing of this machine.
func exposed(http *config.HTTP, flag bool) error {
	if http == nil {
		return nil
	}
	if text, given := os.LookupEnv(exposeVariable); given {
		allowed, known := truths[strings.ToLower(text)]
		if !known {
			return refused("Invalid value for %s: %s. Expected true/false/1/0/yes/no/on/off.", exposeVariable, printable(text))
		}
		flag = flag || allowed
	}
	if !http.Loopback() && !flag {
		return refused("Refusing to bind to non-loopback address %s. Set --allow-non-loopback or %s=1 to opt in.", http.Listen, exposeVariable)
	}
	return nil
}

func refused(format string, args ...any) error {
	return &exitError{code: exitNo, err: fmt.Errorf(format, args...)}
}

// entrance is where HTTP clients come in.
type entrance struct {
	net.Listener
	connections *listener.Connections
	tls         *tls.Config // nil in clear text
}

// listen opens the entrance; nil when only standard input is served.
func listen(settings *config.Config, log *slog.Logger) (*entrance, error) {
	h := settings.Server.HTTP
	if h == nil {
		return nil, nil
	}
	secure, err := host.TLSConfig(settings, log)
	if err != nil {
		return nil, err
	}
	inner, err := net.Listen(network(h.Listen), h.Listen)
	if err != nil {
		return nil, fmt.Errorf("%w: stop what listens there, or choose another address in server.http.listen", err)
	}
	// The name localhost is whatever the machine says that it is.
	if at, err := netip.ParseAddrPort(inner.Addr().String()); h.Loopback() && (err != nil || !at.Addr().Unmap().IsLoopback()) {
		inner.Close()
		return nil, refused("Refusing to bind to %s, which %s is on this machine: that is beyond loopback. Name the address in server.http.listen.", inner.Addr(), h.Listen)
	}
	// Connections take files, which the host and its folders of runpacks need as well.
	connections := listener.NewConnections(int(settings.Server.MaxConnections))
	return &entrance{connections.Listen(inner), connections, secure}, nil
}

// close frees the address; the entrance may be nil.
func (e *entrance) close() {
	if e != nil {
		e.Close()
	}
}

// network is that of an address. Go takes 0.0.0.0 for every address of the machine, of IPv6 as well: a firewall that was set
// up for what the configuration says would be passed by.
func network(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().Is4() {
		return "tcp4"
	}
	return "tcp"
}

// url is the address as clients write it.
func (e *entrance) url() string {
	if e.tls != nil {
		return "https://" + e.Addr().String()
	}
	return "http://" + e.Addr().String()
}

// maxHeaderBytes is the size in bytes of the largest header of a request: each connection can take as much memory. The
// largest that the contract knows is that of a token, of 8 KiB.
const maxHeaderBytes = 64 << 10

// maxStreams is how many requests one connection of HTTP/2 may have at a time; one more waits.
const maxStreams = 128

// server cuts off clients that stall, so that they cannot hold connections for ever.
func (e *entrance) server(settings config.Server, handler http.Handler) *http.Server {
	s := &http.Server{
		Handler:           handler,
		TLSConfig:         e.tls,
		ReadHeaderTimeout: settings.ReadHeaderTimeout,
		ReadTimeout:       settings.ReadTimeout,
		IdleTimeout:       settings.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Protocols:         new(http.Protocols),
		// A client that takes nothing any more, or has gone without a word, holds its streams otherwise.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: settings.IdleTimeout, PingTimeout: settings.ReadHeaderTimeout, WriteByteTimeout: settings.ReadTimeout},
	}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(e.tls != nil)
	s.Protocols.SetUnencryptedHTTP2(e.tls == nil) // by prior knowledge (mcp contract §1.3)
	e.connections.Serve(s)
	return s
}

func (e *entrance) serve(s *http.Server) error {
	if e.tls != nil {
		return s.ServeTLS(e, "", "")
	}
	return s.Serve(e)
}

// tellPosture says how far the host is open, so that an operator sees it at the start and not after an incident (mcp contract
// §2.8, §10.3).
func tellPosture(c *config.Config, log *slog.Logger) {
	auth := authMethods(c)
	log.Info("security posture",
		"transport", strings.Join(transports(&c.Server), ","),
		"auth", strings.Join(auth, ","),
		"tls", encryption(c.Server.HTTP),
		"allow_default_namespace", c.Namespace.AllowDefault,
		"development", c.Development != nil,
		"schemas.acl.allow_local", c.Schemas.ACL.AllowLocal,
		"schemas.acl.signing", c.Schemas.ACL.Signing,
		"validation.strict", c.Validation.Strict,
		"rate_limit", limitText(c.Server.RateLimit),
		"audit", c.Audit != nil)
	localOnly := slices.Equal(auth, []string{"local"})
	if localOnly {
		log.Info("only callers of this machine are let in, whoever they are: every process of it can call every tool")
	}
	if c.Schemas.ACL.AllowLocal && c.Schemas.ACL.Mode == "builtin" {
		level := slog.LevelWarn
		if localOnly {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, "schemas.acl.allow_local is true: local callers may register data shapes without a role")
	}
	if h := c.Server.HTTP; h != nil && h.TLSUpstream && slices.Contains(auth, "local") {
		log.Warn("server.http.tls_upstream says that a proxy is in front: everybody whom it lets through from this machine is a local caller, who needs no credentials")
	}
	if h := c.Server.HTTP; h != nil && !h.Loopback() {
		log.Warn("SECURITY WARNING: Decision Gate is exposed on the network. Verify firewall rules and credentials; this exposure is intentional.",
			"bind", h.Listen, "auth", strings.Join(auth, ","), "tls", encryption(h), "audit", c.Audit != nil, "rate_limit", limitText(c.Server.RateLimit))
	}
}

func transports(s *config.Server) (names []string) {
	if s.HTTP != nil {
		names = append(names, "http")
	}
	if s.Stdio != nil {
		names = append(names, "stdio")
	}
	return names
}

// authMethods are the ways in which callers may show who they are.
func authMethods(c *config.Config) (names []string) {
	a := &c.Auth
	if a.Local != nil || !c.Authenticates() {
		names = append(names, "local")
	}
	if a.Bearer != nil {
		names = append(names, "bearer")
	}
	if a.MTLS != nil {
		names = append(names, "mtls")
	}
	if c.AuthPlugin() {
		names = append(names, "plugin")
	}
	return names
}

func encryption(h *config.HTTP) string {
	switch {
	case h == nil:
		return "none"
	case h.TLS != nil && h.TLS.ClientCA != "":
		return "server, with client certificates"
	case h.TLS != nil:
		return "server"
	case h.TLSUpstream:
		return "upstream"
	default:
		return "none"
	}
}

func limitText(r *config.RateLimit) string {
	if r == nil {
		return "none"
	}
	return fmt.Sprintf("%d in %s", r.MaxRequests, r.Window)
}

// tailPatience is the time that answers have to leave when the host stops, after their calls have ended.
const tailPatience = time.Second
