package config

import "slices"

// Opening is an option that opens what is closed without it.
type Opening struct {
	// Line is where it is set, 0 when that is not known.
	Line int `json:"line"`
	// Option is its name, with the blocks around it.
	Option string `json:"option"`
	// Means is what it lets happen, and what closes it.
	Means string `json:"means"`
}

// Openings are the options of a configuration that open what a host keeps closed by default: those that "config import" sets
// so that a client goes on working, and those that somebody may have set to try something and forgotten.
func (c *Config) Openings() []Opening {
	found := opener{c, []Opening{}}
	found.reach()
	found.trust()
	found.evidence()
	return found.all
}

type opener struct {
	c   *Config
	all []Opening
}

func (o *opener) add(set bool, field any, option, means string) {
	if !set {
		return
	}
	line := 0
	if findings, ok := o.c.Refuse(field, "", "").(*Error); ok && len(findings.Diagnostics) == 1 {
		line = findings.Diagnostics[0].Line
	}
	o.all = append(o.all, Opening{line, option, means})
}

// reach is who may reach the host, and what of the machine they reach.
func (o *opener) reach() {
	c := o.c
	if h := c.Server.HTTP; h != nil {
		o.add(slices.Contains(h.Hosts, "*"), &h.Hosts, "server.http.hosts", `"*" lets requests for any name in, also for one that a web page has bound to this address: name the names that clients use`)
		o.add(h.TLSUpstream, &h.TLSUpstream, "server.http.tls_upstream", "the host speaks no TLS: what is between the proxy and it can be read and changed")
	}
	if m := c.Auth.MTLS; m != nil && m.ClientSubjectHeader != nil {
		from := &m.ClientSubjectHeader.From
		o.add(true, from, "auth.mtls.client_subject_header", "whoever connects as from says can name any client: it must be a proxy that replaces the header")
	}
	o.add(slices.Contains(c.Runpack.Dirs, "/"), &c.Runpack.Dirs, "runpack.dirs", `"/" lets callers write and read runpacks in every folder that the host can: name the folders that they use`)
	o.add(c.Schemas.ACL.AllowLocal && c.Schemas.ACL.Mode == "builtin", &c.Schemas.ACL.AllowLocal, "schemas.acl.allow_local", "local callers may do everything with data shapes, without a role")
	o.add(c.Schemas.ACL.Signing == "presence", &c.Schemas.ACL.Signing, "schemas.acl.signing", `"presence" asks for a signature and verifies none: use "ed25519"`)
	if a := c.Namespace.Authority; a != nil {
		o.add(a.AllowHTTP, &a.AllowHTTP, "namespace.authority.allow_http", "whoever is between can admit namespaces, and reads the token")
	}
}

// trust is what gates believe, and what scenarios may ask.
func (o *opener) trust() {
	c := o.c
	o.add(c.Trust.MinLane == "asserted", &c.Trust.MinLane, "trust.min_lane", "gates open on evidence that nobody has verified, unless their scenario asks for more")
	if d := c.Development; d != nil {
		o.add(d.AcceptAsserted, &d.AcceptAsserted, "development.accept_asserted", "gates open on evidence that nobody has verified, until the time in until")
	}
	o.add(!c.Validation.Strict, &c.Validation.Strict, "validation.strict", "scenarios may compare what can never be equal, or is so by mistake")
	o.add(c.Disclosure.RawValues && !c.Disclosure.RequireProviderOptIn, &c.Disclosure.RequireProviderOptIn, "disclosure.require_provider_opt_in", "evidence_query tells the values of every provider")
}

func (o *opener) evidence() {
	if h := o.c.Evidence.HTTP; h != nil {
		o.add(len(h.AllowPrivate) > 0, &h.AllowPrivate, "evidence.http.allow_private", "scenarios can have the host ask these addresses of its own network")
		o.add(h.AllowHTTP, &h.AllowHTTP, "evidence.http.allow_http", "whoever is between can answer in place of the server")
	}
	for _, e := range o.c.Evidence.MCP {
		name := `evidence.mcp.` + e.ID + "."
		o.add(e.AnyResponseID, &e.AnyResponseID, name+"any_response_id", "an answer to another question is taken")
		o.add(e.InheritEnv, &e.InheritEnv, name+"inherit_env", "the program gets every variable of the host, secrets included")
		o.add(e.AllowHTTP, &e.AllowHTTP, name+"allow_http", "whoever is between can answer in place of the server")
	}
}
