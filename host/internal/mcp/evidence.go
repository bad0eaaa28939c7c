package mcp

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
)

type evidenceArguments struct {
	Query   gate.EvidenceQuery   `member:"query"`
	Context gate.EvidenceContext `member:"context"`
}

type evidenceResult struct {
	Result gate.EvidenceResult `member:"result"`
}

// evidenceQuery is mcp contract §4.13: a provider's failure is an answer, and the value is told only where policy allows it.
func (s *Server) evidenceQuery(ctx context.Context, _ caller, a evidenceArguments) (evidenceResult, error) {
	if err := s.Evidence.ValidateQuery(a.Query); err != nil {
		return evidenceResult{}, err
	}
	answered, err := s.Evidence.Ask(ctx, a.Query, a.Context)
	result := evidence.Settle(gate.Answer{Result: answered, Err: err})
	if !s.Disclosed(a.Query.ProviderID) {
		result.Value, result.ContentType = nil, nil
	}
	return evidenceResult{result}, nil
}
