package mcp

import (
	"context"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// feedback is what the caller of scenario_next is told of an evaluation beside the decision (mcp contract §3.10).
type feedback struct {
	Level           access.Level           `member:"level"`
	DeniedReason    *string                `member:"denied_reason" presence:"OS"`
	GateEvaluations *[]gate.GateEvaluation `member:"gate_evaluations" presence:"OS"`
	GateRecords     *[]gate.GateEvalRecord `member:"gate_records" presence:"OS"`
}

// newFeedback tells of the evaluations what the caller asked for and may know; nil when that is nothing that the decision
// does not say.
func (s *Server) newFeedback(ctx context.Context, who caller, a *nextArguments, evals []gate.GateEvalRecord) (*feedback, error) {
	wanted, told := s.Access.Feedback(who.principal, a.Feedback, a.Request.TenantID, a.Request.NamespaceID)
	if told == access.Summary && wanted == told && a.Feedback == nil {
		return nil, nil
	}
	f := &feedback{Level: told}
	if told != wanted {
		reason := fmt.Sprintf("feedback level denied (requested=%s, allowed=%s)", wanted, told)
		f.DeniedReason = &reason
	}
	switch told {
	case access.Trace:
		traced := make([]gate.GateEvaluation, len(evals))
		for i := range evals {
			traced[i] = evals[i].Evaluation
		}
		f.GateEvaluations = &traced
	case access.Evidence:
		records, err := s.disclosed(ctx, a, evals)
		if err != nil {
			return nil, err
		}
		f.GateRecords = &records
	}
	return f, nil
}

// disclosed are the evaluations without the values that evidence_query would not tell either.
func (s *Server) disclosed(ctx context.Context, a *nextArguments, evals []gate.GateEvalRecord) ([]gate.GateEvalRecord, error) {
	scenario, err := s.Registry.Scenario(ctx, a.Request.TenantID, a.ScenarioID)
	if err != nil {
		return nil, err
	}
	open := map[gate.ConditionID]bool{}
	for i := range scenario.Spec().Conditions {
		c := &scenario.Spec().Conditions[i]
		open[c.ConditionID] = s.Disclosed(c.Query.ProviderID)
	}
	records := slices.Clone(evals)
	for i := range records {
		records[i].Evidence = slices.Clone(records[i].Evidence)
		for j := range records[i].Evidence {
			if e := &records[i].Evidence[j]; !open[e.ConditionID] {
				e.Result.Value, e.Result.ContentType = nil, nil
			}
		}
	}
	return records, nil
}

// evaluations are those that the caller is told of, if any.
func (f *feedback) evaluations() (evals []gate.GateEvaluation, told bool) {
	switch {
	case f == nil || f.GateEvaluations == nil && f.GateRecords == nil:
		return nil, false
	case f.GateEvaluations != nil:
		return *f.GateEvaluations, true
	}
	for _, r := range *f.GateRecords {
		evals = append(evals, r.Evaluation)
	}
	return evals, true
}
