package gate

import (
	"math"
	"strings"
)

// next finds the stage that follows (contract §6.7); nil means that the run completes. A run is routed when all gates of its
// stage have the same status: True, or what a timeout makes of them. A rule that names a gate outside of the stage sees it
// Unknown ([P-09]).
func (s *Scenario) next(stage *StageSpec, gates Truth) (*StageSpec, error) {
	switch stage.AdvanceTo.Kind {
	case Linear:
		if i := s.stages[stage.StageID] + 1; i < len(s.spec.Stages) {
			return &s.spec.Stages[i], nil
		}
		return nil, nil
	case Fixed:
		return s.target(stage.AdvanceTo.StageID)
	case Branch:
		own := make(map[GateID]bool, len(stage.Gates))
		for i := range stage.Gates {
			own[stage.Gates[i].GateID] = true
		}
		for _, rule := range stage.AdvanceTo.Branches {
			status := Unknown
			if own[rule.GateID] {
				status = gates
			}
			if strings.EqualFold(string(status), string(rule.Outcome)) {
				return s.target(rule.NextStageID)
			}
		}
		if stage.AdvanceTo.Default != nil {
			return s.target(*stage.AdvanceTo.Default)
		}
		return nil, Refuse(Unresolved, "no branch matched")
	default:
		return nil, nil
	}
}

func (s *Scenario) target(id StageID) (*StageSpec, error) {
	stage, ok := s.Stage(id)
	if !ok {
		return nil, Refuse(UnknownStage, id)
	}
	return stage, nil
}

// timedOut reports whether a tick finds its stage overdue (contract §6.8).
func timedOut(stage *StageSpec, entered Timestamp, event *TriggerEvent) (bool, error) {
	if event.Kind != Tick || stage.Timeout == nil {
		return false, nil
	}
	limit := stage.Timeout.TimeoutMS
	switch {
	case entered.Kind != event.Time.Kind:
		return false, Refuse(TimeKindMismatch, "timeout evaluation requires matching timestamp kinds")
	case entered.Kind == Logical && entered.Tick > math.MaxUint64-limit:
		return false, Refuse(TimeoutCalculation, "timeout deadline overflow")
	case entered.Kind == Logical:
		return event.Time.Tick >= entered.Tick+limit, nil
	case limit > math.MaxInt64:
		return false, Refuse(TimeoutCalculation, "timeout_ms exceeds i64 range")
	case entered.Millis > math.MaxInt64-int64(limit):
		return false, Refuse(TimeoutCalculation, "timeout deadline overflow")
	default:
		return event.Time.Millis >= entered.Millis+int64(limit), nil
	}
}
