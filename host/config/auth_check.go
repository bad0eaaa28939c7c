package config

import (
	"slices"
	"strings"
)

// maxToken is the length in bytes of the longest token that is taken (mcp contract §9.3).
const maxToken = 256

// maxSubject is the length in bytes of the longest subject that is taken (mcp contract §9.3).
const maxSubject = 512

// auth finds what is wrong with callers and their roles. Whether their names are names, and the tools tools, is found where
// they are used.
func (c *checker) auth(cfg *Config) {
	a := &cfg.Auth
	if a.Bearer != nil {
		c.tokens(a.Bearer)
	}
	if a.MTLS != nil {
		c.subjects(a.MTLS)
	}
	if h := a.header(); h != nil && h.From == loopbackProxy && a.Local != nil {
		// Attack stopped: a proxy names no client that shows no certificate, which would come through as a caller of this machine.
		c.problem(h, "Proxy beside local callers", `With client_subject_header { from = "loopback" } a proxy on this machine passes clients on, and auth.local would let in those whom it does not name. Remove local {}, or name the subject of the proxy's own certificate in from.`)
	}
	if cfg.Server.Stdio != nil && a.Local == nil && cfg.Authenticates() {
		c.problem(cfg.Server.Stdio, "Nobody may call over standard input", "server.stdio serves whoever starts the host, who has neither a token nor a certificate. Add local {} to auth, or remove stdio.")
	}
	if a.Tenants == "roles" && !cfg.AuthPlugin() && !slices.ContainsFunc(a.Principals, func(p *Principal) bool { return len(p.Roles) > 0 }) {
		c.problem(&a.Tenants, "Nobody may use a tenant", `auth.tenants = "roles" lets a caller use the tenants that its roles name, and there is no role. Add a principal block with a role.`)
	}
	if len(a.Principals) > maxPrincipals {
		c.problem(a.Principals[maxPrincipals], "Too many principals", "auth may have %d principals.", maxPrincipals)
	}
	for _, p := range a.Principals {
		if len(p.Roles) > maxRoles {
			c.problem(p, "Too many roles", "A principal may have %d roles.", maxRoles)
		}
		for _, r := range p.Roles {
			c.role(r)
		}
	}
}

// header is nil where no proxy is believed.
func (a *Auth) header() *ClientSubjectHeader {
	if a.MTLS == nil {
		return nil
	}
	return a.MTLS.ClientSubjectHeader
}

// Numbers of the mcp contract, §9.3 and §9.9.
const (
	maxPrincipals  = 64
	maxRoles       = 128
	maxSchemaRules = 256
)

func (c *checker) tokens(b *BearerAuth) {
	seen := map[string]bool{}
	for i, token := range b.Tokens {
		switch {
		case token == "" || len(token) > maxToken:
			c.problem(&b.Tokens, "Wrong token", "Item %d of auth.bearer.tokens has %d bytes; a token has 1 to %d.", i+1, len(token), maxToken)
		// What a header loses on the way would be a token that never lets anybody in.
		case !visible(token) || strings.TrimSpace(token) != token:
			c.problem(&b.Tokens, "Wrong token", "Item %d of auth.bearer.tokens must be printable ASCII, without spaces at its ends: a header carries nothing else.", i+1)
		case seen[token]:
			c.problem(&b.Tokens, "Duplicate token", "Item %d of auth.bearer.tokens is there twice.", i+1)
		}
		seen[token] = true
	}
}

func (c *checker) subjects(m *MTLSAuth) {
	for i, subject := range m.Subjects {
		if subject == "" || len(subject) > maxSubject {
			c.problem(&m.Subjects, "Wrong subject", "Item %d of auth.mtls.subjects has %d bytes; a subject has 1 to %d.", i+1, len(subject), maxSubject)
		}
	}
}

// role refuses an id that is written as 0: that is how "in all" is kept, and nobody has it.
func (c *checker) role(r *Role) {
	if strings.TrimSpace(r.Name) == "" {
		c.problem(r, "Wrong role", "The label of a role block is the name of the role; this is blank.")
	}
	for name, field := range map[string]*uint64{"tenant": &r.Tenant, "namespace": &r.Namespace} {
		if *field == 0 && c.places[field] != (place{}) {
			c.problem(field, "Wrong id", "%s of a role begins at 1. Remove it where the role is for all.", name)
		}
	}
}

// feedbackLevels are the levels from little to much.
var feedbackLevels = []string{"summary", "trace", "evidence"}

func (c *checker) feedback(cfg *Config) {
	f := &cfg.Feedback
	rank := func(level string) int { return slices.Index(feedbackLevels, level) }
	for name, field := range map[string]*string{"default": &f.Default, "local_default": &f.LocalDefault} {
		if rank(*field) > rank(f.Max) && rank(f.Max) >= 0 {
			at := field
			if c.places[field] == (place{}) {
				at = &f.Max // what was written, where the default does not fit it
			}
			c.problem(at, "Feedback beyond its limit", "feedback.%s is %s, more than feedback.max, %s. Lower the one or raise the other.", name, *field, f.Max)
		}
	}
	for name, list := range map[string]*[]string{"trace_roles": &f.TraceRoles, "evidence_roles": &f.EvidenceRoles} {
		c.noBlank("feedback."+name, list)
	}
}

// noBlank refuses an empty name in a list that is there to let somebody do something.
func (c *checker) noBlank(name string, list *[]string) {
	if slices.ContainsFunc(*list, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		c.problem(list, "Wrong name", "%s holds a blank name.", name)
	}
}

func (c *checker) schemaACL(cfg *Config) {
	acl := &cfg.Schemas.ACL
	if acl.Signing == "ed25519" && len(acl.SigningKeys) == 0 {
		c.problem(&acl.Signing, "Missing keys", `schemas.acl.signing = "ed25519" needs signing_keys, whose signatures are accepted.`)
	}
	for id, path := range acl.SigningKeys {
		if strings.TrimSpace(id) == "" || path == "" {
			c.problem(&acl.SigningKeys, "Wrong key", "schemas.acl.signing_keys must hold key ids and paths of files, none of them blank.")
			break
		}
	}
	if len(acl.Rules) > maxSchemaRules {
		c.problem(acl.Rules[maxSchemaRules], "Too many rules", "schemas.acl may have %d rules.", maxSchemaRules)
	}
	if acl.Mode == "builtin" && len(acl.Rules) > 0 {
		// Whoever wrote a rule that denies believes that it does.
		c.problem(acl.Rules[0], "Rules without effect", `The rules of schemas.acl count when mode is "custom"; without it the built-in roles decide.`)
	}
	for _, r := range acl.Rules {
		c.schemaRule(r)
	}
}

func (c *checker) schemaRule(r *SchemaRule) {
	if r.Effect != "allow" && r.Effect != "deny" {
		c.problem(r, "Unknown effect", `A rule is "allow" or "deny"; this is %q.%s`, r.Effect, suggestion(r.Effect, []string{"allow", "deny"}))
	}
	c.items("actions of a rule", &r.Actions, "register", "list", "get")
	c.items("policy_classes of a rule", &r.PolicyClasses, "prod", "project", "scratch")
	c.noBlank("roles of a rule", &r.Roles)
	for name, ids := range map[string]*[]uint64{"tenants": &r.Tenants, "namespaces": &r.Namespaces} {
		if slices.Contains(*ids, 0) {
			c.problem(ids, "Wrong id", "%s of a rule holds 0; ids begin at 1.", name)
		}
	}
}

// items refuses an item of a list that is none of those known: a rule with it would match nothing, or too much.
func (c *checker) items(name string, list *[]string, known ...string) {
	for _, item := range *list {
		if slices.Contains(known, item) {
			continue
		}
		hint := ""
		if !c.places[list].hidden {
			hint = suggestion(item, known)
		}
		c.problem(list, "Unknown value", "%s must be of %s; this is %s.%s", name, strings.Join(known, ", "), shown(item, c.places[list].hidden), hint)
	}
}
