//go:build !noscopechecks

package access

import (
	"fmt"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestTenants is the table of who may use which tenant, and in whose name the store is called.
func TestTenants(t *testing.T) {
	one, two, shared := gate.TenantID(1), gate.TenantID(2), (*gate.TenantID)(nil)
	roles := func(roles ...Role) *Principal { return &Principal{ID: "token:0", Method: Bearer, Roles: roles} }
	nobody, anybody := roles(), roles(Role{Name: "A"})
	inOne, inBoth := roles(Role{Name: "A", Tenant: 1}), roles(Role{Name: "A", Tenant: 1}, Role{Name: "B", Tenant: 2})
	narrow, inNamespace := roles(Role{Name: "A", Tenant: 1, Namespace: 5}), roles(Role{Name: "A", Namespace: 5})
	for name, test := range map[string]struct {
		who       *Principal
		tenant    *gate.TenantID
		namespace gate.NamespaceID
		want      string // reason, and the tenant that the store is told
	}{
		"without a role":                 {nobody, &one, 2, "role_deny 18446744073709551615"},
		"without a role, shared":         {nobody, shared, 2, "role_deny 18446744073709551615"},
		"a role in the tenant":           {inOne, &one, 2, "role_allow 1"},
		"a role in another":              {inOne, &two, 2, "role_deny 1"},
		"shared, of one tenant":          {inOne, shared, 2, "role_deny 1"},
		"both, the first":                {inBoth, &one, 2, "role_allow 1"},
		"both, the second":               {inBoth, &two, 2, "role_allow 2"},
		"both, shared":                   {inBoth, shared, 2, "role_deny 1"},
		"everywhere":                     {anybody, &two, 2, "role_allow 0"},
		"everywhere, shared":             {anybody, shared, 2, "role_allow 0"},
		"in the namespace":               {narrow, &one, 5, "role_allow 1"},
		"in another namespace":           {narrow, &one, 6, "role_deny 1"},
		"a namespace of all, in it":      {inNamespace, &two, 5, "role_allow 0"},
		"a namespace of all, in another": {inNamespace, &two, 6, "role_deny 0"},
		"a namespace of all, shared":     {inNamespace, shared, 5, "role_allow 0"},
		"another namespace, shared":      {inNamespace, shared, 6, "role_deny 0"},
	} {
		p := New(Options{TenantsByRole: true})
		d := p.Tenant(test.who, test.tenant, test.namespace)
		if got := fmt.Sprint(d.Reason, " ", p.OnBehalf(test.who, test.tenant)); got != test.want || d.Allowed != (d.Denial() == nil) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
		p = New(Options{})
		d = p.Tenant(test.who, test.tenant, test.namespace)
		if got := fmt.Sprint(d.Reason, " ", p.OnBehalf(test.who, test.tenant)); got != "noop_allow 0" || !p.Held(test.who).Has(7) {
			t.Errorf("%s, when tenants do not go by roles: %s", name, got)
		}
	}
	if h := New(Options{TenantsByRole: true}).Held(nobody); h.Everywhere || h.Has(1) || h.Has(0) {
		t.Errorf("a caller without a role is held to %+v", h)
	}
}
