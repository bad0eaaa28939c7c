package access

import (
	"math"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TenantDecision is whether a caller may use a tenant, and by which rule, as audit records have it (mcp contract §3.7).
type TenantDecision struct {
	Allowed bool
	Reason  string
}

// The reasons of decisions about tenants. noop_allow is that nobody was asked.
const (
	noopAllow = "noop_allow"
	roleAllow = "role_allow"
	roleDeny  = "role_deny"
)

// Denial is nil when the tenant may be used.
func (d *TenantDecision) Denial() *Denial {
	if d.Allowed {
		return nil
	}
	return &Denial{Authenticated: true, Detail: "tenant access denied (" + d.Reason + "); give the caller a role in the tenant, in auth.principal"}
}

// Tenant decides whether the principal may use a tenant, nil for what is no tenant's own and shared by all, and a namespace.
// Where tenants go by roles, a role that names the tenant lets in, and one that names none lets into every tenant; what is
// shared is for the latter alone: whoever writes there is read by all.
func (p *Policy) Tenant(who *Principal, tenant *gate.TenantID, namespace gate.NamespaceID) TenantDecision {
	if !p.tenantsByRole {
		return TenantDecision{true, noopAllow}
	}
	allowed := len(who.Roles) > 0
	if ScopeChecks {
		allowed = slices.ContainsFunc(who.Roles, func(r Role) bool {
			if tenant == nil {
				return r.Tenant == 0 && r.applies(0, namespace)
			}
			return r.applies(*tenant, namespace)
		})
	}
	if allowed {
		return TenantDecision{true, roleAllow}
	}
	return TenantDecision{false, roleDeny}
}

// Held are the tenants that a principal is held to. The zero value is none at all.
type Held struct {
	// Everywhere says that it is held to none, and Tenants is empty.
	Everywhere bool
	Tenants    []gate.TenantID
}

// Has says whether the tenant is among those that the principal may use.
func (h Held) Has(tenant gate.TenantID) bool {
	return h.Everywhere || slices.Contains(h.Tenants, tenant)
}

// Held are the tenants that the principal is held to, in the order of its roles.
func (p *Policy) Held(who *Principal) (h Held) {
	if !p.tenantsByRole {
		return Held{Everywhere: true}
	}
	for _, r := range who.Roles {
		if r.Tenant == 0 {
			return Held{Everywhere: true}
		}
		if !slices.Contains(h.Tenants, r.Tenant) {
			h.Tenants = append(h.Tenants, r.Tenant)
		}
	}
	return h
}

// nobody is a tenant without records.
const nobody gate.TenantID = math.MaxUint64

// OnBehalf is the tenant in whose name the principal's call touches the store; 0 when it is held to none. It is one that the
// principal has a role in, whatever tenant the call names: comparing the two is for the store.
func (p *Policy) OnBehalf(who *Principal, named *gate.TenantID) gate.TenantID {
	held := p.Held(who)
	switch {
	case held.Everywhere:
		return 0
	case len(held.Tenants) == 0:
		return nobody // Tenant refuses it
	case named != nil && held.Has(*named):
		return *named
	default:
		return held.Tenants[0]
	}
}
