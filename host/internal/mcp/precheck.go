package mcp

import (
	"context"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

type precheckArguments struct {
	TenantID    gate.TenantID      `member:"tenant_id"`
	NamespaceID gate.NamespaceID   `member:"namespace_id"`
	ScenarioID  *gate.ScenarioID   `member:"scenario_id" presence:"O"`
	Spec        *gate.ScenarioSpec `member:"spec" presence:"O"`
	StageID     *gate.StageID      `member:"stage_id" presence:"O"`
	DataShape   registry.ShapeRef  `member:"data_shape"`
	Payload     canonical.Value    `member:"payload"`
}

// precheck is mcp contract §4.19; the order of the checks is the contract's.
func (s *Server) precheck(ctx context.Context, who caller, a precheckArguments) (gate.PrecheckResult, error) {
	// What a payload is told to lack says what the data shape is.
	if err := s.allowSchemas(who, access.Get, a.TenantID, a.NamespaceID, &a.DataShape); err != nil {
		return gate.PrecheckResult{}, err
	}
	shape, err := s.matchesShape(ctx, &a)
	if err != nil {
		return gate.PrecheckResult{}, err
	}
	scenario, err := s.precheckScenario(ctx, &a)
	if err != nil {
		return gate.PrecheckResult{}, err
	}
	if owner := scenario.Spec().DefaultTenantID; access.ScopeChecks && owner != nil && *owner != a.TenantID {
		return gate.PrecheckResult{}, refuse(Unauthorized, "unauthorized")
	}
	if err := shape.Judge(scenario, s.Strict.Shape); err != nil {
		return gate.PrecheckResult{}, refuse(InvalidParams, "%v", err)
	}
	evidence, err := assertedEvidence(scenario.Spec(), a.Payload)
	if err != nil {
		return gate.PrecheckResult{}, err
	}
	return scenario.Precheck(gate.PrecheckRequest{StageID: a.StageID, Evidence: evidence}, s.Settings())
}

// matchesShape returns the data shape that the payload must match, and does.
func (s *Server) matchesShape(ctx context.Context, a *precheckArguments) (*registry.Shape, error) {
	shape, err := s.Registry.Shape(ctx, a.TenantID, a.NamespaceID, a.DataShape)
	if err != nil {
		return nil, err
	}
	problems, err := shape.Validate(a.Payload)
	if err != nil {
		return nil, refuse(InvalidParams, "invalid schema: %v", err)
	}
	if len(problems) > 0 {
		return nil, refuse(InvalidParams, "payload does not match schema: %s", strings.Join(problems, "; "))
	}
	return shape, nil
}

func (s *Server) precheckScenario(ctx context.Context, a *precheckArguments) (*gate.Scenario, error) {
	switch {
	case a.Spec == nil && a.ScenarioID == nil:
		return nil, refuse(InvalidParams, "scenario_id or spec is required")
	case a.Spec == nil:
		scenario, err := s.Registry.Scenario(ctx, a.TenantID, *a.ScenarioID)
		if err == nil && scenario.Spec().NamespaceID != a.NamespaceID {
			err = refuse(NotFound, "scenario not in namespace")
		}
		return scenario, err
	case a.ScenarioID != nil && *a.ScenarioID != a.Spec.ScenarioID:
		return nil, refuse(InvalidParams, "scenario_id does not match spec")
	case a.Spec.NamespaceID != a.NamespaceID:
		return nil, refuse(InvalidParams, "namespace_id does not match spec")
	}
	if err := s.allowConditions(a.Spec); err != nil {
		return nil, err
	}
	return gate.Compile(*a.Spec)
}

// assertedEvidence is what the payload says of each condition, by its id. A payload that is no object speaks of the one
// condition that there is. All of it is asserted, whatever the caller would like.
func assertedEvidence(spec *gate.ScenarioSpec, payload canonical.Value) (map[gate.ConditionID]gate.EvidenceResult, error) {
	asserted := func(v canonical.Value) gate.EvidenceResult {
		return gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}, Lane: gate.Asserted}
	}
	evidence := map[gate.ConditionID]gate.EvidenceResult{}
	if payload.Kind() != canonical.Object {
		if len(spec.Conditions) != 1 {
			return nil, refuse(InvalidParams, "payload must be an object keyed by condition ids")
		}
		evidence[spec.Conditions[0].ConditionID] = asserted(payload)
		return evidence, nil
	}
	for _, m := range payload.Members() {
		evidence[gate.ConditionID(m.Name)] = asserted(m.Value)
	}
	return evidence, nil
}
