package gate

import "strconv"

// Recorded is what a trigger decided when it came first.
type Recorded struct {
	Decision DecisionRecord
	Packets  []PacketRecord
}

// Ask returns the conditions whose answers a trigger needs: none when the run has ended, the trigger is a repeat, or its
// stage has timed out.
func (s *Scenario) Ask(head *Head, event *TriggerEvent, repeat bool, set *Settings) []ConditionSpec {
	stage, known := s.Stage(head.CurrentStageID)
	if head.Status != Active || repeat || !known {
		return nil
	}
	if overdue, err := timedOut(stage, head.StageEnteredAt, event); overdue || err != nil {
		return nil
	}
	conditions := s.Conditions(stage)
	if set.ShuffleSeed != nil {
		shuffle(conditions, *set.ShuffleSeed)
	}
	return conditions
}

// Context is what providers see of a trigger (contract §5.3).
func (h *Head) Context(event *TriggerEvent) EvidenceContext {
	return EvidenceContext{
		TenantID:      h.TenantID,
		NamespaceID:   h.NamespaceID,
		RunID:         h.RunID,
		ScenarioID:    h.ScenarioID,
		StageID:       h.CurrentStageID,
		TriggerID:     event.TriggerID,
		TriggerTime:   event.Time,
		CorrelationID: event.CorrelationID,
	}
}

// Trigger decides on a trigger (contract §6.6) and records the call that brought it. recorded is what the same trigger
// decided before, nil when it is new; answers are those to what Ask asked for. After an error nothing is to be saved ([P-15]).
func (s *Scenario) Trigger(head Head, call TriggerCall, recorded *Recorded, answers map[ConditionID]Answer, set *Settings) (Transition, TriggerResult, error) {
	t, err := s.decide(head, &call.Event, recorded, answers, set)
	if err != nil {
		return Transition{}, TriggerResult{}, err
	}
	result := TriggerResult{Decision: t.decision, Packets: t.packets, Status: t.head.Status}
	transition := Transition{Head: t.head, Step: t.step}
	transition.recordCall(call.Method, call.Request, result, call.Event.Time, call.Event.CorrelationID, nil)
	return transition, result, nil
}

// decided is what a trigger came to: a decision that is new, with its step, or an earlier one.
type decided struct {
	head     Head
	step     Step
	decision DecisionRecord
	packets  []PacketRecord
}

func (s *Scenario) decide(head Head, event *TriggerEvent, recorded *Recorded, answers map[ConditionID]Answer, set *Settings) (decided, error) {
	if head.Status != Active {
		// Whatever the trigger id, and unrecorded ([P-05]). The last decision of an ended run is complete or fail: no packets.
		if head.LastDecision == nil {
			return decided{}, Refuse(RunNotActive, runStatusNames[head.Status])
		}
		return decided{head: head, decision: *head.LastDecision, packets: []PacketRecord{}}, nil
	}
	if recorded != nil {
		// By the id only ([P-07]).
		return decided{head: head, decision: recorded.Decision, packets: recorded.Packets}, nil
	}
	stage, ok := s.Stage(head.CurrentStageID)
	if !ok {
		return decided{}, Refuse(UnknownStage, head.CurrentStageID)
	}
	overdue, err := timedOut(stage, head.StageEnteredAt, event)
	if err != nil {
		return decided{}, err
	}
	if overdue {
		return s.conclude(head, event, stage, nil, true, set)
	}
	evals, err := s.Evaluate(event.TriggerID, stage, answers, set)
	if err != nil {
		return decided{}, err
	}
	return s.conclude(head, event, stage, evals, false, set)
}

var runStatusNames = map[RunStatus]string{Active: "Active", Completed: "Completed", Failed: "Failed"}

// conclude makes the decision of a new trigger from the evaluations of its stage, or from the stage's timeout.
func (s *Scenario) conclude(head Head, event *TriggerEvent, stage *StageSpec, evals []GateEvalRecord, overdue bool, set *Settings) (decided, error) {
	head.Triggers++
	head.Decisions++
	d := decided{head: head, packets: []PacketRecord{}}
	d.step.Trigger = &TriggerRecord{Seq: head.Triggers, Event: *event}
	d.step.GateEvals = evals
	d.decision = DecisionRecord{
		DecisionID:    "decision-" + strconv.FormatUint(head.Decisions, 10),
		Seq:           head.Decisions,
		TriggerID:     event.TriggerID,
		StageID:       stage.StageID,
		DecidedAt:     event.Time,
		CorrelationID: event.CorrelationID,
	}
	if err := s.settle(&d, stage, evals, overdue, set); err != nil {
		return decided{}, err
	}
	d.step.Decision = &d.decision
	d.step.Packets = d.packets
	d.head.Packets += uint64(len(d.packets))
	d.head.LastDecision = &d.decision
	return d, nil
}

// settle finds the outcome and moves the head (contract §6.6-11, §6.8).
func (s *Scenario) settle(d *decided, stage *StageSpec, evals []GateEvalRecord, overdue bool, set *Settings) error {
	gates := True
	switch {
	case overdue && stage.OnTimeout == FailOnTimeout:
		d.fail("timeout")
		return nil
	case overdue && stage.OnTimeout == AlternateBranch:
		gates = Unknown
	case !overdue:
		if unmet := unmetGates(evals); len(unmet) > 0 {
			d.decision.Outcome = hold(unmet)
			return nil
		}
	}
	// A routing error is an error of the call, not a decision.
	next, err := s.next(stage, gates)
	if err != nil {
		return err
	}
	if next == nil {
		// A timeout that completes the run leaves no mark ([P-11]).
		d.head.Status = Completed
		d.decision.Outcome = DecisionOutcome{Kind: Complete, StageID: stage.StageID}
		return nil
	}
	d.decision.Outcome = DecisionOutcome{Kind: Advance, FromStage: stage.StageID, ToStage: next.StageID, Timeout: overdue}
	packets, err := d.head.issue(next, &d.decision, set)
	if err != nil {
		d.fail(err.Error())
		return nil
	}
	d.packets = packets
	d.head.CurrentStageID = next.StageID
	// The time of the moving trigger, of whatever kind ([P-26]).
	d.head.StageEnteredAt = d.decision.DecidedAt
	return nil
}

func (d *decided) fail(reason string) {
	d.head.Status = Failed
	d.decision.Outcome = DecisionOutcome{Kind: Fail, Reason: reason}
}

func unmetGates(evals []GateEvalRecord) []GateID {
	var unmet []GateID
	for i := range evals {
		if evals[i].Evaluation.Status != True {
			unmet = append(unmet, evals[i].Evaluation.GateID)
		}
	}
	return unmet
}

// hold always has the same hint and no tags ([P-12]).
func hold(unmet []GateID) DecisionOutcome {
	hint := retryHintOnHold
	return DecisionOutcome{Kind: Hold, Summary: &SafeSummary{Status: summaryStatusHold, UnmetGates: unmet, RetryHint: &hint, PolicyTags: []string{}}}
}
