package mcp

import (
	"context"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// NamespaceRule says who may use the default namespace, 1 (mcp contract §3.9).
type NamespaceRule struct {
	AllowDefault   bool
	DefaultTenants []gate.TenantID
}

// defaultNamespace is the namespace that not every tenant may use.
const defaultNamespace gate.NamespaceID = 1

// allowNamespace refuses the default namespace to tenants that may not use it; a missing tenant may not. Then the authority
// is asked. What exactly is wrong is not told (mcp contract §3.9), but in the log.
func (s *Server) allowNamespace(ctx context.Context, who caller, where scope) error {
	if where.namespace != defaultNamespace || s.Namespace.AllowDefault && (!access.ScopeChecks || where.tenant != nil && slices.Contains(s.Namespace.DefaultTenants, *where.tenant)) {
		return s.ensureNamespace(ctx, who, where.namespace)
	}
	s.warnNamespace.Do(func() {
		// Once: a client that tries again and again must not fill the log.
		s.Logger.Warn("namespace 1 was refused; where it is wanted, set namespace.allow_default and name the tenant in namespace.default_tenants, and in default_tenant_id of the scenario")
	})
	return refuse(Unauthorized, "unauthorized")
}

// allowConditions refuses a spec with a condition that cannot be asked.
func (s *Server) allowConditions(spec *gate.ScenarioSpec) error {
	for i := range spec.Conditions {
		if err := s.Evidence.ValidateCondition(spec.Conditions[i]); err != nil {
			return err
		}
	}
	return nil
}

// allowComparators refuses a spec whose comparators do not fit what their checks answer.
func (s *Server) allowComparators(spec *gate.ScenarioSpec) error {
	err := s.Strict.Results(spec.Conditions, func(c *gate.ConditionSpec) canonical.Value { return s.Evidence.ResultSchema(&c.Query) })
	if err != nil {
		return refuse(InvalidParams, "%v", err)
	}
	return nil
}
