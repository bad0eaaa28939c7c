package config

import (
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// http finds what a listener lacks to be reached from another machine, where whoever can connect could otherwise decide, read
// along or be impersonated (mcp contract §10.3).
func (c *checker) http(cfg *Config) {
	h := cfg.Server.HTTP
	if h == nil {
		return
	}
	c.tls(cfg, h)
	c.hosts(h)
	if slices.Contains(h.Hosts, "*") && h.TLS == nil && (cfg.Auth.Local != nil || !cfg.Authenticates()) {
		// Attack stopped: a web page whose name is rebound to 127.0.0.1 asks the host by its own name, from a browser of this
		// machine. With TLS it has no certificate for that name.
		c.problem(&h.Hosts, "Any name beside local callers", `With hosts = ["*"] web pages could ask the host in the name of a caller of this machine, who needs no credentials. Name the hosts, or have callers show who they are: bearer or mtls in auth or an auth plugin, and no local {}.`)
	}
	field := &h.Listen
	host, port, err := net.SplitHostPort(*field)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if _, addrErr := netip.ParseAddr(host); err != nil || (host != "localhost" && addrErr != nil) {
		c.problem(field, "Not a listen address", `server.http.listen must be IP:port or localhost:port, such as "127.0.0.1:8080"; this is %s.`, c.quote(field))
		return
	}
	if h.Loopback() {
		return
	}
	const summary = "Listener beyond loopback refused"
	if !cfg.Authenticates() {
		c.problem(field, summary, "Without auth the host does not know its callers, so %s would let everybody who reaches this machine decide. Declare auth with bearer or mtls or an auth plugin, or listen on 127.0.0.1 or [::1].", c.quote(field))
	}
	if h.TLS == nil && !h.TLSUpstream {
		c.problem(field, summary, "On %s credentials and decisions would cross the network in clear text. Declare tls in server.http, or set tls_upstream = true where a proxy in front ends TLS.", c.quote(field))
	}
	if h.TLS == nil && cfg.Auth.certificates() {
		c.problem(field, summary, "auth.mtls is by certificates, and without tls the host sees none of them. Declare tls with client_ca in server.http, or client_subject_header in auth.mtls where a proxy names the client.")
	}
	// The proxy is on this machine, or could be: then everybody who passes it would be a local caller.
	if h.TLSUpstream && cfg.Auth.Local != nil {
		c.problem(cfg.Auth.Local, summary, "Behind a proxy on this machine every caller comes from a loopback address, and auth.local would let all of them in. Remove local {}.")
	}
	if len(h.Hosts) == 0 {
		c.problem(field, summary, `Clients reach %s by a name that the host cannot know. Set hosts in server.http, such as ["gate.example.com"]; ["*"] takes any name, where no browser can reach the host.`, c.quote(field))
	}
}

// metrics refuses to serve beyond loopback what asks nobody who it is.
func (c *checker) metrics(cfg *Config) {
	m := cfg.Server.Metrics
	if m != nil && !(&HTTP{Listen: m.Listen}).Loopback() {
		c.problem(&m.Listen, "Not a loopback address", `server.metrics.listen must be a loopback IP:port or localhost:port, such as "127.0.0.1:9464"; this is %s.`, c.quote(&m.Listen))
	}
}

// Loopback reports whether only this machine can reach the listener.
func (h *HTTP) Loopback() bool {
	host, _, _ := net.SplitHostPort(h.Listen)
	addr, _ := netip.ParseAddr(host)
	return host == "localhost" || addr.Unmap().IsLoopback()
}

func (c *checker) tls(cfg *Config, h *HTTP) {
	if h.TLS == nil {
		return
	}
	t := h.TLS
	for _, f := range []struct {
		name  string
		value *string
	}{{"cert", &t.Cert}, {"key", &t.Key}, {"client_ca", &t.ClientCA}} {
		_, written := c.places[f.value]
		if written && (*f.value == "" || strings.TrimSpace(filepath.Base(*f.value)) == "") {
			c.problem(f.value, "Missing file", "%s in server.http.tls must name a PEM file.", f.name)
		}
	}
	// Whoever wrote it believes that strangers are kept out, while none is asked for a certificate.
	if _, written := c.places[&t.RequireClientCert]; written && t.RequireClientCert && t.ClientCA == "" {
		c.problem(&t.RequireClientCert, "Client certificates without a CA", "require_client_cert needs client_ca, the certificates that client certificates must be issued by.")
	}
	if cfg.Auth.certificates() && t.ClientCA == "" {
		c.problem(t, "Client certificates without a CA", "auth is by client certificates, so tls in server.http needs client_ca, the certificates that they must be issued by.")
	}
}

// hosts refuses what no Host header can be equal to: it would keep everybody out.
func (c *checker) hosts(h *HTTP) {
	if slices.Contains(h.Hosts, "*") && len(h.Hosts) > 1 {
		c.problem(&h.Hosts, "Wrong host", `hosts in server.http takes either names or "*" alone, which is any name.`)
		return
	}
	for _, name := range h.Hosts {
		_, addrErr := netip.ParseAddr(name)
		if name != "*" && addrErr != nil && (name == "" || strings.ContainsAny(name, ":/*[]@ ")) {
			c.problem(&h.Hosts, "Wrong host", `hosts in server.http lists names or addresses without scheme, port and wildcards, such as "gate.example.com"; this is %s.`, shown(name, c.places[&h.Hosts].hidden))
		}
	}
}

// Authenticates reports whether callers must show who they are, unless auth.local lets them in.
func (c *Config) Authenticates() bool {
	return c.Auth.Bearer != nil || c.Auth.MTLS != nil || c.AuthPlugin()
}

// AuthPlugin reports whether a plugin judges tokens.
func (c *Config) AuthPlugin() bool {
	return slices.ContainsFunc(c.Plugins, func(p *Plugin) bool { return p.Kind == "auth" })
}

// certificates reports whether that is by a certificate which the host itself verifies.
func (a *Auth) certificates() bool {
	return a.MTLS != nil && (a.MTLS.ClientSubjectHeader == nil || a.MTLS.ClientSubjectHeader.From != loopbackProxy)
}

// loopbackProxy stands for whatever connects from this machine, in client_subject_header.
const loopbackProxy = "loopback"
