package gate

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// RunConfig is what a run is started with. PolicyTags are read and dropped ([P-12]).
type RunConfig struct {
	TenantID        TenantID         `member:"tenant_id"`
	NamespaceID     NamespaceID      `member:"namespace_id"`
	RunID           RunID            `member:"run_id"`
	ScenarioID      ScenarioID       `member:"scenario_id"`
	DispatchTargets []DispatchTarget `member:"dispatch_targets"`
	PolicyTags      []string         `member:"policy_tags"`
}

// Head is a run without its logs: all that is needed to decide the next trigger. It does not grow with the run.
type Head struct {
	TenantID        TenantID             `member:"tenant_id"`
	NamespaceID     NamespaceID          `member:"namespace_id"`
	RunID           RunID                `member:"run_id"`
	ScenarioID      ScenarioID           `member:"scenario_id"`
	SpecHash        canonical.HashDigest `member:"spec_hash"`
	CurrentStageID  StageID              `member:"current_stage_id"`
	StageEnteredAt  Timestamp            `member:"stage_entered_at"`
	Status          RunStatus            `member:"status"`
	DispatchTargets []DispatchTarget     `member:"dispatch_targets"`
	// Triggers, Decisions, Packets and ToolCalls count the records of the logs.
	Triggers     uint64          `member:"triggers"`
	Decisions    uint64          `member:"decisions"`
	Packets      uint64          `member:"packets"`
	ToolCalls    uint64          `member:"tool_calls"`
	LastDecision *DecisionRecord `member:"last_decision" presence:"O"`
}

// Step is what one call appends to the logs of a run.
type Step struct {
	Trigger    *TriggerRecord    `member:"trigger" presence:"OS"`
	GateEvals  []GateEvalRecord  `member:"gate_evals" presence:"DE"`
	Decision   *DecisionRecord   `member:"decision" presence:"OS"`
	Packets    []PacketRecord    `member:"packets" presence:"DE"`
	Submission *SubmissionRecord `member:"submission" presence:"OS"`
	ToolCall   *ToolCallRecord   `member:"tool_call" presence:"OS"`
}

// Transition is what a call does to a run: the head after it and the step to append. Both are saved or neither is.
type Transition struct {
	Head Head
	Step Step
}

// RunState is a run with all of its logs, as scenario_start answers it (contract §7.1).
type RunState struct {
	TenantID        TenantID             `member:"tenant_id"`
	NamespaceID     NamespaceID          `member:"namespace_id"`
	RunID           RunID                `member:"run_id"`
	ScenarioID      ScenarioID           `member:"scenario_id"`
	SpecHash        canonical.HashDigest `member:"spec_hash"`
	CurrentStageID  StageID              `member:"current_stage_id"`
	StageEnteredAt  Timestamp            `member:"stage_entered_at"`
	Status          RunStatus            `member:"status"`
	DispatchTargets []DispatchTarget     `member:"dispatch_targets"`
	Triggers        []TriggerRecord      `member:"triggers"`
	GateEvals       []GateEvalRecord     `member:"gate_evals"`
	Decisions       []DecisionRecord     `member:"decisions"`
	Packets         []PacketRecord       `member:"packets"`
	Submissions     []SubmissionRecord   `member:"submissions"`
	ToolCalls       []ToolCallRecord     `member:"tool_calls"`
}

// Apply brings the state to where a transition leads.
func (s *RunState) Apply(t Transition) {
	s.TenantID, s.NamespaceID, s.RunID, s.ScenarioID = t.Head.TenantID, t.Head.NamespaceID, t.Head.RunID, t.Head.ScenarioID
	s.SpecHash, s.CurrentStageID, s.StageEnteredAt = t.Head.SpecHash, t.Head.CurrentStageID, t.Head.StageEnteredAt
	s.Status, s.DispatchTargets = t.Head.Status, t.Head.DispatchTargets
	s.Triggers = appendRecord(s.Triggers, t.Step.Trigger)
	s.GateEvals = append(s.GateEvals, t.Step.GateEvals...)
	s.Decisions = appendRecord(s.Decisions, t.Step.Decision)
	s.Packets = append(s.Packets, t.Step.Packets...)
	s.Submissions = appendRecord(s.Submissions, t.Step.Submission)
	s.ToolCalls = appendRecord(s.ToolCalls, t.Step.ToolCall)
}

func appendRecord[R any](log []R, record *R) []R {
	if record == nil {
		return log
	}
	return append(log, *record)
}

// NewRunState returns a state with empty logs, all of which are written even so.
func NewRunState() RunState {
	return RunState{
		Triggers:    []TriggerRecord{},
		GateEvals:   []GateEvalRecord{},
		Decisions:   []DecisionRecord{},
		Packets:     []PacketRecord{},
		Submissions: []SubmissionRecord{},
		ToolCalls:   []ToolCallRecord{},
	}
}
