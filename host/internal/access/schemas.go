package access

import (
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Action is what is done to the registry of data shapes, as audit records name it (mcp contract §3.4).
type Action string

// The actions.
const (
	Register Action = "register"
	List     Action = "list"
	Get      Action = "get"
)

// Roles that the built-in rules know. Their names are case-sensitive (mcp contract §3.3).
const (
	tenantAdmin     = "TenantAdmin"
	namespaceOwner  = "NamespaceOwner"
	namespaceAdmin  = "NamespaceAdmin"
	namespaceWriter = "NamespaceWriter"
	namespaceReader = "NamespaceReader"
	schemaManager   = "SchemaManager"
)

var (
	readers = []string{tenantAdmin, namespaceOwner, namespaceAdmin, namespaceWriter, namespaceReader, schemaManager}
	writers = []string{tenantAdmin, namespaceOwner, namespaceAdmin}
)

// unguarded are the policy classes in which schema managers register. Any other is as production: one that is misspelled must
// not open anything.
var unguarded = []string{"project", "scratch"}

// SchemaRules say who may use the registry of data shapes. The zero value is the built-in rules.
type SchemaRules struct {
	// Custom decides by Rules, and by DefaultAllow where none of them matches, instead of by the built-in roles.
	Custom       bool
	Rules        []SchemaRule
	DefaultAllow bool
	// AllowLocal lets local callers do everything by the built-in rules.
	AllowLocal bool
	Signing    Signing
}

// SchemaRule decides what all of its lists match; an empty list matches everything.
type SchemaRule struct {
	Allow      bool
	Actions    []Action
	Tenants    []gate.TenantID
	Namespaces []gate.NamespaceID
	// Principals are ids that ParseName answers.
	Principals, Roles, PolicyClasses []string
}

// Decision is what the rules of the registry say of one action, as audit records have it (mcp contract §6.4).
type Decision struct {
	Action  Action
	Allowed bool
	Reason  string
}

// Denial is nil when the action is allowed.
func (d *Decision) Denial() *Denial {
	if d.Allowed {
		return nil
	}
	return &Denial{Authenticated: true, Detail: "schema registry access denied (" + d.Reason + "); configure auth.principal or schemas.acl"}
}

// Schemas decides whether the principal may do something to the data shapes of a namespace.
func (p *Policy) Schemas(who *Principal, action Action, tenant gate.TenantID, namespace gate.NamespaceID) Decision {
	decide := p.schemas.builtin
	if p.schemas.Custom {
		decide = p.schemas.custom
	}
	allowed, reason := decide(who, action, tenant, namespace)
	return Decision{action, allowed, reason}
}

func (r *SchemaRules) builtin(who *Principal, action Action, tenant gate.TenantID, namespace gate.NamespaceID) (bool, string) {
	managed := slices.Contains(unguarded, who.PolicyClass) && who.hasRole([]string{schemaManager}, tenant, namespace)
	switch {
	case r.AllowLocal && who.Method == Local:
		return true, "builtin_allow_local_only"
	case action != Register && who.hasRole(readers, tenant, namespace):
		return true, "builtin_allow_read"
	case action != Register:
		return false, "builtin_deny_read"
	case who.hasRole(writers, tenant, namespace), managed:
		return true, "builtin_allow_write"
	default:
		return false, "builtin_deny_write"
	}
}

func (r *SchemaRules) custom(who *Principal, action Action, tenant gate.TenantID, namespace gate.NamespaceID) (bool, string) {
	for i := range r.Rules {
		rule := &r.Rules[i]
		switch {
		case !rule.matches(who, action, tenant, namespace):
			continue
		case rule.Allow:
			return true, "custom_allow"
		default:
			return false, "custom_deny"
		}
	}
	if r.DefaultAllow {
		return true, "default_allow"
	}
	return false, "default_deny"
}

func (r *SchemaRule) matches(who *Principal, action Action, tenant gate.TenantID, namespace gate.NamespaceID) bool {
	return within(r.Actions, action) && (!ScopeChecks || within(r.Tenants, tenant)) && within(r.Namespaces, namespace) &&
		within(r.Principals, who.ID) && within(r.PolicyClasses, who.PolicyClass) &&
		(len(r.Roles) == 0 || who.hasRole(r.Roles, tenant, namespace))
}

func within[T comparable](list []T, v T) bool {
	return len(list) == 0 || slices.Contains(list, v)
}

// Signing is what schemas_register asks of the signing member of a record.
type Signing struct {
	// Required asks for the member, with a key id and a signature that are not blank.
	Required bool
	// Keys, when not nil, are those by whose ids signatures must be of the record.
	Keys map[string]ed25519.PublicKey
}

// ed25519Name is the one algorithm of signatures; a record need not name it.
const ed25519Name = "ed25519"

// Signature is the signing member of a record.
type Signature struct {
	KeyID, Signature string
	// Algorithm is nil where none is named.
	Algorithm *string
}

// CheckSigning says why a record may not be registered with a signature, which is nil where there is none. The message is what
// is signed.
func (p *Policy) CheckSigning(s *Signature, message func() []byte) *Denial {
	rule := &p.schemas.Signing
	switch {
	case !rule.Required && rule.Keys == nil:
		return nil
	case s == nil:
		return &Denial{Authenticated: true, Detail: "schema signing metadata required"}
	case strings.TrimSpace(s.KeyID) == "" || strings.TrimSpace(s.Signature) == "":
		return &Denial{Authenticated: true, Detail: "schema signing metadata invalid"}
	case rule.Keys == nil:
		return nil
	case s.Algorithm != nil && *s.Algorithm != ed25519Name:
		return &Denial{Authenticated: true, Detail: "schema signing algorithm not supported"}
	}
	key, known := rule.Keys[s.KeyID]
	if !known {
		return &Denial{Authenticated: true, Detail: "schema signing key unknown"}
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(s.Signature)
	if err != nil || len(signature) != ed25519.SignatureSize || !ed25519.Verify(key, message(), signature) {
		return &Denial{Authenticated: true, Detail: "schema signature does not verify"}
	}
	return nil
}
