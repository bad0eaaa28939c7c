package gate

// PrecheckRequest asks what a stage would decide on given evidence.
type PrecheckRequest struct {
	// StageID is nil for the first stage.
	StageID  *StageID                       `member:"stage_id" presence:"O"`
	Evidence map[ConditionID]EvidenceResult `member:"evidence"`
}

// PrecheckResult is what would be decided, as an outcome, not as a record.
type PrecheckResult struct {
	Decision        DecisionOutcome  `member:"decision"`
	GateEvaluations []GateEvaluation `member:"gate_evaluations"`
}

// Precheck evaluates a stage on evidence that the caller gives (contract §6.12): no run, no provider, no timeout, no
// packets, no anchors. What is not given is missing, in the asserted lane.
func (s *Scenario) Precheck(request PrecheckRequest, set *Settings) (PrecheckResult, error) {
	stage := &s.spec.Stages[0]
	if request.StageID != nil {
		var err error
		if stage, err = s.target(*request.StageID); err != nil {
			return PrecheckResult{}, err
		}
	}
	answers := make(map[ConditionID]Answer, len(request.Evidence))
	for _, c := range s.Conditions(stage) {
		result, given := request.Evidence[c.ConditionID]
		if !given {
			result.Lane = Asserted
		}
		answers[c.ConditionID] = Answer{Result: result}
	}
	unanchored := *set
	unanchored.Anchors = AnchorPolicy{}
	evals, err := s.Evaluate("", stage, answers, &unanchored)
	if err != nil {
		return PrecheckResult{}, err
	}
	result := PrecheckResult{GateEvaluations: make([]GateEvaluation, len(evals))}
	for i := range evals {
		result.GateEvaluations[i] = evals[i].Evaluation
	}
	if unmet := unmetGates(evals); len(unmet) > 0 {
		result.Decision = hold(unmet)
		return result, nil
	}
	next, err := s.next(stage, True)
	switch {
	case err != nil:
		return PrecheckResult{}, err
	case next == nil:
		result.Decision = DecisionOutcome{Kind: Complete, StageID: stage.StageID}
	default:
		result.Decision = DecisionOutcome{Kind: Advance, FromStage: stage.StageID, ToStage: next.StageID}
	}
	return result, nil
}
