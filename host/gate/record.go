package gate

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// TriggerKind is what caused a call.
type TriggerKind string

// The kinds of triggers.
const (
	AgentRequestNext TriggerKind = "agent_request_next"
	Tick             TriggerKind = "tick"
	ExternalEvent    TriggerKind = "external_event"
	BackendEvent     TriggerKind = "backend_event"
)

// Names returns the kinds that a document may name.
func (TriggerKind) Names() []string {
	return []string{string(AgentRequestNext), string(Tick), string(ExternalEvent), string(BackendEvent)}
}

// TriggerEvent asks for a decision (contract §6.5).
type TriggerEvent struct {
	TriggerID     TriggerID      `member:"trigger_id"`
	TenantID      TenantID       `member:"tenant_id"`
	NamespaceID   NamespaceID    `member:"namespace_id"`
	RunID         RunID          `member:"run_id"`
	Kind          TriggerKind    `member:"kind"`
	Time          Timestamp      `member:"time"`
	SourceID      string         `member:"source_id"`
	Payload       *PacketPayload `member:"payload" presence:"O"`
	CorrelationID *CorrelationID `member:"correlation_id" presence:"O"`
}

// TriggerRecord is a trigger in the log of its run; Seq counts from 1.
type TriggerRecord struct {
	Seq   uint64       `member:"seq"`
	Event TriggerEvent `member:"event"`
}

// GateEvalRecord is the evaluation of one gate with the evidence it saw, sorted by condition id while the trace follows
// the tree ([P-16]).
type GateEvalRecord struct {
	TriggerID  TriggerID        `member:"trigger_id"`
	StageID    StageID          `member:"stage_id"`
	Evaluation GateEvaluation   `member:"evaluation"`
	Evidence   []EvidenceRecord `member:"evidence"`
}

// GateEvaluation is the outcome of one gate.
type GateEvaluation struct {
	GateID GateID       `member:"gate_id"`
	Status Truth        `member:"status"`
	Trace  []TraceEntry `member:"trace"`
}

// TraceEntry is one visit of a leaf of the requirement tree.
type TraceEntry struct {
	ConditionID ConditionID `member:"condition_id"`
	Status      Truth       `member:"status"`
}

// EvidenceRecord is the evidence for one condition and what it came to.
type EvidenceRecord struct {
	ConditionID ConditionID    `member:"condition_id"`
	Status      Truth          `member:"status"`
	Result      EvidenceResult `member:"result"`
}

// DecisionRecord is a decision. StageID is the stage before the move ([P-25]).
type DecisionRecord struct {
	DecisionID    string          `member:"decision_id"`
	Seq           uint64          `member:"seq"`
	TriggerID     TriggerID       `member:"trigger_id"`
	StageID       StageID         `member:"stage_id"`
	DecidedAt     Timestamp       `member:"decided_at"`
	Outcome       DecisionOutcome `member:"outcome"`
	CorrelationID *CorrelationID  `member:"correlation_id" presence:"O"`
}

// OutcomeKind is what was decided.
type OutcomeKind string

// The kinds of outcomes.
const (
	Start    OutcomeKind = "start"
	Complete OutcomeKind = "complete"
	Advance  OutcomeKind = "advance"
	Hold     OutcomeKind = "hold"
	Fail     OutcomeKind = "fail"
)

// Names returns the kinds that a document may name.
func (OutcomeKind) Names() []string {
	return []string{string(Start), string(Complete), string(Advance), string(Hold), string(Fail)}
}

// DecisionOutcome is what was decided (contract §7.3).
type DecisionOutcome struct {
	Kind      OutcomeKind  `member:"kind"`
	StageID   StageID      `member:"stage_id" variant:"start,complete"`
	FromStage StageID      `member:"from_stage" variant:"advance"`
	ToStage   StageID      `member:"to_stage" variant:"advance"`
	Timeout   bool         `member:"timeout" variant:"advance"`
	Summary   *SafeSummary `member:"summary" variant:"hold"`
	Reason    string       `member:"reason" variant:"fail"`
}

// SafeSummary says of a hold which gates are unmet, without any evidence.
type SafeSummary struct {
	Status     string   `member:"status"`
	UnmetGates []GateID `member:"unmet_gates"`
	RetryHint  *string  `member:"retry_hint" presence:"O"`
	PolicyTags []string `member:"policy_tags"`
}

// PacketEnvelope describes an issued packet. StageID is the stage being entered ([P-25]).
type PacketEnvelope struct {
	ScenarioID    ScenarioID           `member:"scenario_id"`
	RunID         RunID                `member:"run_id"`
	StageID       StageID              `member:"stage_id"`
	PacketID      PacketID             `member:"packet_id"`
	SchemaID      string               `member:"schema_id"`
	ContentType   string               `member:"content_type"`
	ContentHash   canonical.HashDigest `member:"content_hash"`
	Visibility    VisibilityPolicy     `member:"visibility"`
	Expiry        *Timestamp           `member:"expiry" presence:"O"`
	CorrelationID *CorrelationID       `member:"correlation_id" presence:"O"`
	IssuedAt      Timestamp            `member:"issued_at"`
}

// VisibilityPolicy says who may see a packet.
type VisibilityPolicy struct {
	Labels     []string `member:"labels"`
	PolicyTags []string `member:"policy_tags"`
}

// PacketRecord is an issued packet in the log of its run.
type PacketRecord struct {
	Envelope   PacketEnvelope    `member:"envelope"`
	Payload    PacketPayload     `member:"payload"`
	Receipts   []DispatchReceipt `member:"receipts"`
	DecisionID string            `member:"decision_id"`
}

// TargetKind is the kind of a receiver of packets.
type TargetKind string

// Names returns the kinds that a document may name.
func (TargetKind) Names() []string { return []string{"agent", "session", "external", "channel"} }

// DispatchTarget is a receiver of packets.
type DispatchTarget struct {
	Kind      TargetKind `member:"kind"`
	AgentID   string     `member:"agent_id" variant:"agent"`
	SessionID string     `member:"session_id" variant:"session"`
	System    string     `member:"system" variant:"external"`
	Target    string     `member:"target" variant:"external"`
	Channel   string     `member:"channel" variant:"channel"`
}

// DispatchReceipt is the proof that a packet was handed to a target (contract §6.9).
type DispatchReceipt struct {
	DispatchID   string               `member:"dispatch_id"`
	Target       DispatchTarget       `member:"target"`
	ReceiptHash  canonical.HashDigest `member:"receipt_hash"`
	DispatchedAt Timestamp            `member:"dispatched_at"`
	Dispatcher   string               `member:"dispatcher"`
}

// SubmissionRecord is what was handed in to a run.
type SubmissionRecord struct {
	SubmissionID  SubmissionID         `member:"submission_id"`
	RunID         RunID                `member:"run_id"`
	Payload       PacketPayload        `member:"payload"`
	ContentType   string               `member:"content_type"`
	ContentHash   canonical.HashDigest `member:"content_hash"`
	SubmittedAt   Timestamp            `member:"submitted_at"`
	CorrelationID *CorrelationID       `member:"correlation_id" presence:"O"`
}

// ToolCallRecord is one call on a run, by the hashes of its request and response (contract §6.11). Methods are spelled with
// a dot, unlike the tools ([P-20]).
type ToolCallRecord struct {
	CallID        string               `member:"call_id"`
	Method        string               `member:"method"`
	RequestHash   canonical.HashDigest `member:"request_hash"`
	ResponseHash  canonical.HashDigest `member:"response_hash"`
	CalledAt      Timestamp            `member:"called_at"`
	CorrelationID *CorrelationID       `member:"correlation_id" presence:"O"`
	Error         *ToolCallError       `member:"error" presence:"O"`
}

// ToolCallError is the error of a call that is recorded although it failed.
type ToolCallError struct {
	Code    string           `member:"code"`
	Message string           `member:"message"`
	Details *ToolCallDetails `member:"details" presence:"O"`
}

// DetailsKind is the form of the details of a ToolCallError.
type DetailsKind string

// Names returns the forms that a document may name.
func (DetailsKind) Names() []string { return []string{"provider_missing", "message"} }

// ToolCallDetails are the details of a ToolCallError.
type ToolCallDetails struct {
	Kind                 DetailsKind `member:"kind"`
	MissingProviders     []string    `member:"missing_providers" variant:"provider_missing"`
	RequiredCapabilities []string    `member:"required_capabilities" variant:"provider_missing"`
	BlockedByPolicy      bool        `member:"blocked_by_policy" variant:"provider_missing"`
	Info                 string      `member:"info" variant:"message"`
}

// RunStatus is the state of a run.
type RunStatus string

// The states of a run.
const (
	Active    RunStatus = "active"
	Completed RunStatus = "completed"
	Failed    RunStatus = "failed"
)

// Names returns the states that a document may name.
func (RunStatus) Names() []string { return []string{string(Active), string(Completed), string(Failed)} }
