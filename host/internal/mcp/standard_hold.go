package mcp

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/hold"
)

// held explains a result that is a hold, as far as the result itself lets the caller see it; nil for any other.
func (s *Server) held(ctx context.Context, result any, arguments canonical.Value) *hold.Hold {
	switch r := result.(type) {
	case gate.TriggerResult:
		return summarised(r.Decision)
	case nextResult:
		evals, told := r.Feedback.evaluations()
		if r.Decision.Outcome.Kind != gate.Hold || !told {
			return summarised(r.Decision)
		}
		var a nextArguments
		if canonical.Decode(arguments, &a) != nil {
			return nil
		}
		scenario, err := s.Registry.Scenario(ctx, a.Request.TenantID, a.ScenarioID)
		return explained(scenario, err, &r.Decision.StageID, evals)
	case gate.PrecheckResult:
		var a precheckArguments
		if r.Decision.Kind != gate.Hold || canonical.Decode(arguments, &a) != nil {
			return nil
		}
		scenario, err := s.precheckScenario(ctx, &a)
		h := explained(scenario, err, a.StageID, r.GateEvaluations)
		if note := hold.AssertedNote(r.GateEvaluations); h != nil && note != "" {
			h.Note = &note
		}
		return h
	default:
		return nil
	}
}

func summarised(d gate.DecisionRecord) *hold.Hold {
	if d.Outcome.Kind != gate.Hold {
		return nil
	}
	return hold.Summary(d.StageID, d.Outcome.Summary.UnmetGates)
}

// explained explains a stage, which is the first one where none is named. That a scenario cannot be read any more is no
// reason to withhold a decision: it goes without an explanation.
func explained(scenario *gate.Scenario, err error, id *gate.StageID, evals []gate.GateEvaluation) *hold.Hold {
	if err != nil {
		return nil
	}
	stage := &scenario.Spec().Stages[0]
	if id != nil {
		var known bool
		if stage, known = scenario.Stage(*id); !known {
			return nil
		}
	}
	return hold.Explain(stage, evals)
}
