package gate

// InitTrigger is the id of the trigger that stands for the start of a run; it is taken when entry packets were issued ([P-08]).
const InitTrigger TriggerID = "init"

// Start begins a run (contract §6.3). With issuePackets the first stage's packets are issued under a first decision; without,
// they never are. That there is no such run yet is for the caller to see to. After an error nothing is to be saved.
func (s *Scenario) Start(config RunConfig, startedAt Timestamp, issuePackets bool, set *Settings) (Transition, error) {
	switch {
	case config.ScenarioID != s.spec.ScenarioID:
		return Transition{}, Refuse(ScenarioMismatch, config.ScenarioID)
	case config.NamespaceID != s.spec.NamespaceID:
		return Transition{}, Refuse(NamespaceMismatch, config.NamespaceID)
	}
	first := &s.spec.Stages[0]
	t := Transition{Head: Head{
		TenantID:        config.TenantID,
		NamespaceID:     config.NamespaceID,
		RunID:           config.RunID,
		ScenarioID:      s.spec.ScenarioID,
		SpecHash:        s.hash,
		CurrentStageID:  first.StageID,
		StageEnteredAt:  startedAt,
		Status:          Active,
		DispatchTargets: config.DispatchTargets,
	}}
	if !issuePackets {
		return t, nil
	}
	decision := &DecisionRecord{
		DecisionID: "decision-1",
		Seq:        1,
		TriggerID:  InitTrigger,
		StageID:    first.StageID,
		DecidedAt:  startedAt,
		Outcome:    DecisionOutcome{Kind: Start, StageID: first.StageID},
	}
	packets, err := t.Head.issue(first, decision, set)
	if err != nil {
		return Transition{}, err
	}
	t.Step = Step{
		Trigger: &TriggerRecord{Seq: 1, Event: TriggerEvent{
			TriggerID:   InitTrigger,
			TenantID:    config.TenantID,
			NamespaceID: config.NamespaceID,
			RunID:       config.RunID,
			Kind:        ExternalEvent,
			Time:        startedAt,
			SourceID:    "system",
		}},
		Decision: decision,
		Packets:  packets,
	}
	t.Head.Triggers, t.Head.Decisions, t.Head.Packets, t.Head.LastDecision = 1, 1, uint64(len(packets)), decision
	return t, nil
}
