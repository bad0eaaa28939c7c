package gate

import (
	"fmt"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// The methods of recorded calls ([P-20]).
const (
	MethodStatus  = "scenario.status"
	MethodNext    = "scenario.next"
	MethodTrigger = "scenario.trigger"
	MethodSubmit  = "scenario.submit"
)

// NextRequest asks a run to go on, in the name of an agent (contract §6.5).
type NextRequest struct {
	RunID         RunID          `member:"run_id"`
	TenantID      TenantID       `member:"tenant_id"`
	NamespaceID   NamespaceID    `member:"namespace_id"`
	TriggerID     TriggerID      `member:"trigger_id"`
	AgentID       string         `member:"agent_id"`
	Time          Timestamp      `member:"time"`
	CorrelationID *CorrelationID `member:"correlation_id" presence:"O"`
}

// TriggerCall is a call that brings a trigger: the request as it is recorded, and the trigger that it stands for.
type TriggerCall struct {
	Method  string
	Request any
	Event   TriggerEvent
}

// Call makes a call of a request to go on.
func (r NextRequest) Call() TriggerCall {
	return TriggerCall{Method: MethodNext, Request: r, Event: TriggerEvent{
		TriggerID:     r.TriggerID,
		TenantID:      r.TenantID,
		NamespaceID:   r.NamespaceID,
		RunID:         r.RunID,
		Kind:          AgentRequestNext,
		Time:          r.Time,
		SourceID:      r.AgentID,
		CorrelationID: r.CorrelationID,
	}}
}

// Call makes a call of a trigger.
func (e TriggerEvent) Call() TriggerCall {
	return TriggerCall{Method: MethodTrigger, Request: e, Event: e}
}

// TriggerResult is the answer to a trigger.
type TriggerResult struct {
	Decision DecisionRecord `member:"decision"`
	Packets  []PacketRecord `member:"packets"`
	Status   RunStatus      `member:"status"`
}

// StatusRequest asks where a run stands.
type StatusRequest struct {
	RunID         RunID          `member:"run_id"`
	TenantID      TenantID       `member:"tenant_id"`
	NamespaceID   NamespaceID    `member:"namespace_id"`
	RequestedAt   Timestamp      `member:"requested_at"`
	CorrelationID *CorrelationID `member:"correlation_id" presence:"O"`
}

// ScenarioStatus says where a run stands.
type ScenarioStatus struct {
	RunID           RunID           `member:"run_id"`
	ScenarioID      ScenarioID      `member:"scenario_id"`
	CurrentStageID  StageID         `member:"current_stage_id"`
	Status          RunStatus       `member:"status"`
	LastDecision    *DecisionRecord `member:"last_decision" presence:"O"`
	IssuedPacketIDs []PacketID      `member:"issued_packet_ids"`
	SafeSummary     *SafeSummary    `member:"safe_summary" presence:"O"`
}

// StatusOf answers where a run stands, and records that it was asked ([P-06]). issued are the ids of all its packets, in
// the order of their issue.
func (h Head) StatusOf(request StatusRequest, issued []PacketID) (Transition, ScenarioStatus) {
	status := ScenarioStatus{
		RunID:           h.RunID,
		ScenarioID:      h.ScenarioID,
		CurrentStageID:  h.CurrentStageID,
		Status:          h.Status,
		LastDecision:    h.LastDecision,
		IssuedPacketIDs: issued,
	}
	if h.LastDecision != nil {
		status.SafeSummary = h.LastDecision.Outcome.Summary
	}
	t := Transition{Head: h}
	t.recordCall(MethodStatus, request, status, request.RequestedAt, request.CorrelationID, nil)
	return t, status
}

// SubmitRequest hands something in to a run.
type SubmitRequest struct {
	RunID         RunID          `member:"run_id"`
	TenantID      TenantID       `member:"tenant_id"`
	NamespaceID   NamespaceID    `member:"namespace_id"`
	SubmissionID  SubmissionID   `member:"submission_id"`
	Payload       PacketPayload  `member:"payload"`
	ContentType   string         `member:"content_type"`
	SubmittedAt   Timestamp      `member:"submitted_at"`
	CorrelationID *CorrelationID `member:"correlation_id" presence:"O"`
}

// SubmitResult is the record of what was handed in.
type SubmitResult struct {
	Record SubmissionRecord `member:"record"`
}

// Submit records a submission, also to a run that has ended (contract §6.10). existing is what has the same id, nil when
// nothing does: equal content answers it again, other content is a conflict, an *Error that comes with a Transition to save.
func (h Head) Submit(request SubmitRequest, existing *SubmissionRecord) (Transition, SubmitResult, error) {
	t := Transition{Head: h}
	if existing != nil && (existing.ContentType != request.ContentType || !existing.Payload.Equal(&request.Payload)) {
		failure := &ToolCallError{
			Code:    "submission_conflict",
			Message: "submission_id conflicts with existing record",
			Details: &ToolCallDetails{Kind: "message", Info: fmt.Sprintf("submission_id=%s", request.SubmissionID)},
		}
		t.recordCall(MethodSubmit, request, *failure, request.SubmittedAt, request.CorrelationID, failure)
		return t, SubmitResult{}, Refuse(SubmissionConflict, request.SubmissionID)
	}
	if existing == nil {
		hash, err := request.Payload.Hash()
		if err != nil {
			return Transition{}, SubmitResult{}, err
		}
		existing = &SubmissionRecord{
			SubmissionID:  request.SubmissionID,
			RunID:         h.RunID,
			Payload:       request.Payload,
			ContentType:   request.ContentType,
			ContentHash:   hash,
			SubmittedAt:   request.SubmittedAt,
			CorrelationID: request.CorrelationID,
		}
		t.Step.Submission = existing
	}
	result := SubmitResult{Record: *existing}
	t.recordCall(MethodSubmit, request, result, request.SubmittedAt, request.CorrelationID, nil)
	return t, result, nil
}

// ProviderMissing says which providers of a scenario cannot be asked (contract §5.6).
type ProviderMissing struct {
	MissingProviders     []string
	RequiredCapabilities []string
	BlockedByPolicy      bool
}

// RefuseMissing records a call that fails because providers are missing: an *Error that comes with a Transition to save.
func (h Head) RefuseMissing(call TriggerCall, missing ProviderMissing) (Transition, error) {
	failure := &ToolCallError{
		Code:    "provider_missing",
		Message: "required evidence providers are missing or blocked",
		Details: &ToolCallDetails{
			Kind:                 "provider_missing",
			MissingProviders:     missing.MissingProviders,
			RequiredCapabilities: missing.RequiredCapabilities,
			BlockedByPolicy:      missing.BlockedByPolicy,
		},
	}
	t := Transition{Head: h}
	t.recordCall(call.Method, call.Request, *failure, call.Event.Time, call.Event.CorrelationID, failure)
	// The text is the reference's debug rendering ([F-27]): clients match on it.
	return t, Refuse(ProvidersMissing, fmt.Sprintf("ProviderMissingError { missing_providers: %s, required_capabilities: %s, blocked_by_policy: %t }",
		debugList(missing.MissingProviders), debugList(missing.RequiredCapabilities), missing.BlockedByPolicy))
}

func debugList(items []string) string {
	out := []byte{'['}
	for i, item := range items {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = strconv.AppendQuote(out, item)
	}
	return string(append(out, ']'))
}

// recordCall appends the record of the call to the step (contract §6.11).
func (t *Transition) recordCall(method string, request, response any, at Timestamp, correlation *CorrelationID, failure *ToolCallError) {
	t.Head.ToolCalls++
	t.Step.ToolCall = &ToolCallRecord{
		CallID:        "call-" + strconv.FormatUint(t.Head.ToolCalls, 10),
		Method:        method,
		RequestHash:   canonical.Hash(request),
		ResponseHash:  canonical.Hash(response),
		CalledAt:      at,
		CorrelationID: correlation,
		Error:         failure,
	}
}
