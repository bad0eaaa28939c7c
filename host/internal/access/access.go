// Package access says who calls and what that caller may do: authentication, principals with their roles, and the rules of
// tools, of the registry of data shapes and of feedback (mcp contract §3). It answers from its configuration alone, but for
// tokens that an Authenticator knows: it reads no store and asks no server.
//
// Whatever it cannot decide it denies.
package access

import (
	"crypto/rand"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Method is how a caller was authenticated, as audit records name it (mcp contract §3.2).
type Method string

// The methods.
const (
	Local  Method = "local"
	Bearer Method = "bearer_token"
	MTLS   Method = "mtls_subject"
	// Embedder is that the program around the host said who calls.
	Embedder Method = "embedder"
)

// Principal is an authenticated caller. It is shared and must not be changed.
type Principal struct {
	// ID names the principal, with the type of its name before a colon: local:stdio, local:loopback, token:HEX,
	// mtls:SUBJECT, oidc:ISSUER#SUBJECT, embedder:NAME. Without types a certificate for the subject "loopback" would have the roles of local
	// callers.
	ID     string
	Method Method
	// Subject is who the method says it is; empty for tokens of the configuration.
	Subject string
	// Fingerprint is the lower-case hexadecimal SHA-256 of the token; empty for other methods.
	Fingerprint string
	// PolicyClass is prod, project or scratch, or empty where none is given.
	PolicyClass string
	// Roles are all roles in the order of the configuration, then those of an Authenticator, those of other tenants included.
	Roles []Role
}

// Role is a role and where it applies: 0 is everywhere.
type Role struct {
	Name      string
	Tenant    gate.TenantID
	Namespace gate.NamespaceID
}

func (r *Role) applies(tenant gate.TenantID, namespace gate.NamespaceID) bool {
	return (!ScopeChecks || r.Tenant == 0 || r.Tenant == tenant) && (r.Namespace == 0 || r.Namespace == namespace)
}

// hasRole reports whether the principal has one of the roles where it would use it.
func (p *Principal) hasRole(names []string, tenant gate.TenantID, namespace gate.NamespaceID) bool {
	return slices.ContainsFunc(p.Roles, func(r Role) bool {
		return r.applies(tenant, namespace) && slices.Contains(names, r.Name)
	})
}

// Denial is why a caller was refused. What it says is for the operator; a client is not told.
type Denial struct {
	// Authenticated: the caller is known, but may not. Otherwise it is not known who calls.
	Authenticated bool
	Detail        string
	// Fault is why nobody could tell who calls; nil where that is known. The same call may be let in later.
	Fault error
}

func (d *Denial) Error() string {
	if d.Authenticated {
		return "unauthorized: " + d.Detail
	}
	return "unauthenticated: " + d.Detail
}

// Options are the rules of a host. The zero value lets nobody in.
type Options struct {
	// Local lets callers on standard input and on loopback addresses in.
	Local bool
	// Tokens are those of callers that are let in, Subjects their certificates' subjects.
	Tokens, Subjects []string
	// Authenticator judges tokens that are not among Tokens; nil when there are no others.
	Authenticator Authenticator
	// Proxy is whose client subject header is believed: the subject of its certificate, or Loopback. Empty is nobody's.
	Proxy string
	// Tools are those that may be called; all when it is empty.
	Tools      []string
	Principals []Entry
	// TenantsByRole lets callers use the tenants only that a role of theirs names, see Policy.Tenant.
	TenantsByRole bool
	Schemas       SchemaRules
	Feedback      FeedbackRules
}

// Loopback is the name of callers on loopback addresses.
const Loopback = "loopback"

const stdio = "stdio"

// Entry is what is known of a principal.
type Entry struct {
	// ID is one that ParseName answers. Of two entries with the same one the last counts.
	ID          string
	PolicyClass string
	Roles       []Role
}

// Policy is the rules of one host. It is safe for concurrent use.
type Policy struct {
	local    map[string]*Principal // by subject; nil when they are not let in
	key      [32]byte              // of the digests of tokens
	tokens   []token
	asker    *asker                // nil where all tokens are known
	subjects map[string]*Principal // nil when certificates are not asked for
	proxy    string
	tools    []string
	entries  map[string]*Entry
	// tenantsByRole: Options.TenantsByRole.
	tenantsByRole bool
	schemas       SchemaRules
	feedback      FeedbackRules
}

// New makes a Policy.
func New(o Options) *Policy {
	p := &Policy{proxy: o.Proxy, tools: o.Tools, entries: map[string]*Entry{}, tenantsByRole: o.TenantsByRole, schemas: o.Schemas, feedback: o.Feedback}
	_, _ = rand.Read(p.key[:]) // which never fails
	for i := range o.Principals {
		p.entries[o.Principals[i].ID] = &o.Principals[i]
	}
	if o.Local {
		p.local = map[string]*Principal{}
		for _, subject := range []string{stdio, Loopback} {
			p.local[subject] = p.principal(Local, localType, subject)
		}
	}
	if o.Authenticator != nil {
		p.asker = newAsker(o.Authenticator)
	}
	for _, text := range o.Tokens {
		p.tokens = append(p.tokens, p.newToken(text))
	}
	if len(o.Subjects) > 0 {
		p.subjects = map[string]*Principal{}
	}
	for _, subject := range o.Subjects {
		p.subjects[subject] = p.principal(MTLS, mtlsType, subject)
	}
	return p
}

// principal is a caller with what is known of it.
func (p *Policy) principal(method Method, kind, subject string) *Principal {
	return p.known(&Principal{ID: kind + subject, Method: method, Subject: subject})
}

func (p *Policy) known(who *Principal) *Principal {
	if e := p.entries[who.ID]; e != nil {
		who.PolicyClass, who.Roles = e.PolicyClass, e.Roles
	}
	return who
}

// AllowTool says why a caller that is known may not call a tool; nil when it may.
func (p *Policy) AllowTool(tool string) *Denial {
	if len(p.tools) > 0 && !slices.Contains(p.tools, tool) {
		return &Denial{Authenticated: true, Detail: "tool not authorized"}
	}
	return nil
}
