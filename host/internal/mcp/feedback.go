package mcp

import (
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// feedbackLevel is how much of an evaluation the caller of scenario_next is told (mcp contract §3.10).
type feedbackLevel string

const (
	summaryFeedback  feedbackLevel = "summary"
	traceFeedback    feedbackLevel = "trace"
	evidenceFeedback feedbackLevel = "evidence"
)

// Names returns the levels that a request may name.
func (feedbackLevel) Names() []string {
	return []string{string(summaryFeedback), string(traceFeedback), string(evidenceFeedback)}
}

// localFeedback is what a caller on loopback or on standard input is told unless it asks for another level, and the most
// that it is told.
const localFeedback = traceFeedback

type feedback struct {
	Level           feedbackLevel          `member:"level"`
	DeniedReason    *string                `member:"denied_reason" presence:"OS"`
	GateEvaluations *[]gate.GateEvaluation `member:"gate_evaluations" presence:"OS"`
}

// newFeedback tells of the evaluations what the caller asked for and may know.
func newFeedback(asked *feedbackLevel, evals []gate.GateEvalRecord) *feedback {
	wanted := localFeedback
	if asked != nil {
		wanted = *asked
	}
	f := &feedback{Level: wanted}
	if wanted == evidenceFeedback {
		f.Level = localFeedback
		reason := fmt.Sprintf("feedback level denied (requested=%s, allowed=%s)", wanted, f.Level)
		f.DeniedReason = &reason
	}
	if f.Level == traceFeedback {
		traced := make([]gate.GateEvaluation, len(evals))
		for i := range evals {
			traced[i] = evals[i].Evaluation
		}
		f.GateEvaluations = &traced
	}
	return f
}
