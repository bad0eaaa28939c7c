package config

import (
	"net/netip"
	"strings"
	"testing"
)

// TestOpenings opens everything that Openings knows, one by one: each is found, by its name, and nothing is found in a
// configuration that opens nothing.
func TestOpenings(t *testing.T) {
	if open := Default().Openings(); len(open) != 0 {
		t.Errorf("by default: %+v", open)
	}
	mcp := &MCPEvidence{ID: "ci"}
	for option, open := range map[string]func(c *Config){
		"server.http.hosts":                  func(c *Config) { c.Server.HTTP.Hosts = []string{"*"} },
		"server.http.tls_upstream":           func(c *Config) { c.Server.HTTP.TLSUpstream = true },
		"auth.mtls.client_subject_header":    func(c *Config) { c.Auth.MTLS = &MTLSAuth{ClientSubjectHeader: &ClientSubjectHeader{From: "loopback"}} },
		"runpack.dirs":                       func(c *Config) { c.Runpack.Dirs = []string{"/srv", "/"} },
		"schemas.acl.allow_local":            func(c *Config) { c.Schemas.ACL.AllowLocal = true },
		"schemas.acl.signing":                func(c *Config) { c.Schemas.ACL.Signing = "presence" },
		"namespace.authority.allow_http":     func(c *Config) { c.Namespace.Authority = &Authority{AllowHTTP: true} },
		"trust.min_lane":                     func(c *Config) { c.Trust.MinLane = "asserted" },
		"development.accept_asserted":        func(c *Config) { c.Development = &Development{AcceptAsserted: true} },
		"validation.strict":                  func(c *Config) { c.Validation.Strict = false },
		"disclosure.require_provider_opt_in": func(c *Config) { c.Disclosure = Disclosure{RawValues: true} },
		"evidence.http.allow_private": func(c *Config) {
			c.Evidence.HTTP = &HTTPEvidence{AllowPrivate: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
		},
		"evidence.http.allow_http":        func(c *Config) { c.Evidence.HTTP = &HTTPEvidence{AllowHTTP: true} },
		"evidence.mcp.ci.any_response_id": func(c *Config) { mcp.AnyResponseID = true; c.Evidence.MCP = []*MCPEvidence{mcp} },
		"evidence.mcp.ci.inherit_env":     func(c *Config) { *mcp = MCPEvidence{ID: "ci", InheritEnv: true}; c.Evidence.MCP = []*MCPEvidence{mcp} },
		"evidence.mcp.ci.allow_http":      func(c *Config) { *mcp = MCPEvidence{ID: "ci", AllowHTTP: true}; c.Evidence.MCP = []*MCPEvidence{mcp} },
	} {
		*mcp = MCPEvidence{ID: "ci"}
		c := Default()
		open(c)
		if got := c.Openings(); len(got) != 1 || got[0].Option != option || strings.TrimSpace(got[0].Means) == "" {
			t.Errorf("%s: %+v", option, got)
		}
	}
}
