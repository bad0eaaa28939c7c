package database

import (
	"fmt"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// History is a run as this host keeps one: a head, and steps that appended what is in its logs.
type History struct {
	Head  gate.Head
	Steps []gate.Step
}

// Convert divides the logs of a run into steps. The open-source server keeps whole logs, so which records one call made is
// found again by the hashes of its tool calls; a call that brought no new record is a step of its own. Whatever the division,
// each log is the same from end to end, and so is every runpack. It refuses a run of which this host could not go on to decide
// as the open-source server would: records out of their order, ids that occur twice, a state that its decisions do not lead to.
func Convert(state *gate.RunState) (*History, error) {
	c := converter{state: state, calls: state.ToolCalls, evals: state.GateEvals, packets: state.Packets}
	for _, check := range []func() error{c.checkDecisions, c.checkSubmissions, c.checkCalls, c.follow} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	if err := c.divide(); err != nil {
		return nil, err
	}
	return &History{Head: c.head(), Steps: c.steps}, nil
}

type converter struct {
	state *gate.RunState
	steps []gate.Step
	// calls, evals and packets are those that no step has yet.
	calls   []gate.ToolCallRecord
	evals   []gate.GateEvalRecord
	packets []gate.PacketRecord
}

// checkDecisions sees that every trigger has its decision, in their places and once only.
func (c *converter) checkDecisions() error {
	s := c.state
	if len(s.Triggers) != len(s.Decisions) {
		return fmt.Errorf("it has %d triggers and %d decisions", len(s.Triggers), len(s.Decisions))
	}
	seen := make(map[gate.TriggerID]bool, len(s.Triggers))
	for i := range s.Triggers {
		trigger, decision, n := &s.Triggers[i], &s.Decisions[i], uint64(i+1)
		event := &trigger.Event
		switch {
		case trigger.Seq != n:
			return fmt.Errorf("trigger %d has the number %d", n, trigger.Seq)
		case decision.Seq != n || decision.DecisionID != numbered("decision-", i):
			return fmt.Errorf("decision %d has the number %d and the id %q", n, decision.Seq, decision.DecisionID)
		case decision.TriggerID != event.TriggerID:
			return fmt.Errorf("decision %d is on trigger %q, and not on %q", n, decision.TriggerID, event.TriggerID)
		case event.TenantID != s.TenantID || event.NamespaceID != s.NamespaceID || event.RunID != s.RunID:
			return fmt.Errorf("trigger %d is of another run", n)
		case seen[event.TriggerID]:
			return fmt.Errorf("trigger id %q occurs twice", event.TriggerID)
		}
		seen[event.TriggerID] = true
	}
	return nil
}

func (c *converter) checkSubmissions() error {
	seen := make(map[gate.SubmissionID]bool, len(c.state.Submissions))
	for i := range c.state.Submissions {
		submission := &c.state.Submissions[i]
		switch {
		case submission.RunID != c.state.RunID:
			return fmt.Errorf("submission %d is of another run", i+1)
		case seen[submission.SubmissionID]:
			return fmt.Errorf("submission id %q occurs twice", submission.SubmissionID)
		}
		seen[submission.SubmissionID] = true
	}
	return nil
}

func (c *converter) checkCalls() error {
	for i := range c.calls {
		if id := c.calls[i].CallID; id != numbered("call-", i) {
			return fmt.Errorf("tool call %d has the id %q", i+1, id)
		}
	}
	return nil
}

// numbered is the id of the record at an index.
func numbered(prefix string, i int) string { return prefix + strconv.Itoa(i+1) }

// follow sees that the run stands where its decisions lead (contract §6.6): the next decision is made from there.
func (c *converter) follow() error {
	s := c.state
	status, stage, entered := gate.Active, s.CurrentStageID, s.StageEnteredAt
	for i := range s.Decisions {
		d := &s.Decisions[i]
		switch {
		case status != gate.Active:
			return fmt.Errorf("decision %d comes after the run has ended", i+1)
		case i > 0 && d.StageID != stage:
			return fmt.Errorf("decision %d is on stage %q, and the run is on %q", i+1, d.StageID, stage)
		case d.Outcome.Kind == gate.Start && (i > 0 || d.TriggerID != gate.InitTrigger):
			return fmt.Errorf("decision %d starts a run that has begun", i+1)
		}
		stage = d.StageID
		switch d.Outcome.Kind {
		case gate.Start:
			stage, entered = d.Outcome.StageID, d.DecidedAt
		case gate.Advance:
			stage, entered = d.Outcome.ToStage, d.DecidedAt
		case gate.Complete:
			status = gate.Completed
		case gate.Fail:
			status = gate.Failed
		}
	}
	switch {
	case status != s.Status:
		return fmt.Errorf("its status is %s, and its decisions make it %s", s.Status, status)
	case stage != s.CurrentStageID:
		return fmt.Errorf("it stands on stage %q, and its decisions lead to %q", s.CurrentStageID, stage)
	case entered != s.StageEnteredAt:
		return fmt.Errorf("it has entered its stage at another time than its decisions say")
	}
	return nil
}

func (c *converter) divide() error {
	decided, handed := 0, 0
	if len(c.state.Decisions) > 0 && c.state.Decisions[0].Outcome.Kind == gate.Start {
		c.decision(0, nil)
		decided = 1
	} else {
		c.steps = append(c.steps, gate.Step{}) // A start without packets records nothing.
	}
	brought, handing := c.requestsOf(decided), c.requestOf(handed)
	for i := range c.calls {
		call := &c.calls[i]
		switch {
		case call.Error == nil && call.RequestHash == brought[call.Method] && decided < len(c.state.Triggers):
			c.decision(decided, call)
			decided++
			brought = c.requestsOf(decided)
		case call.Error == nil && call.Method == gate.MethodSubmit && call.RequestHash == handing && handed < len(c.state.Submissions):
			c.steps = append(c.steps, gate.Step{Submission: &c.state.Submissions[handed], ToolCall: call})
			handed++
			handing = c.requestOf(handed)
		default:
			c.steps = append(c.steps, gate.Step{ToolCall: call})
		}
	}
	// What no call is found to have brought is kept without one: to say what that means is for the verifier of runpacks.
	for ; decided < len(c.state.Triggers); decided++ {
		c.decision(decided, nil)
	}
	for ; handed < len(c.state.Submissions); handed++ {
		c.steps = append(c.steps, gate.Step{Submission: &c.state.Submissions[handed]})
	}
	switch {
	case len(c.evals) > 0:
		return fmt.Errorf("a record of gate %q is of trigger %q, which does not exist or has its records elsewhere", c.evals[0].Evaluation.GateID, c.evals[0].TriggerID)
	case len(c.packets) > 0:
		return fmt.Errorf("packet %q is of decision %q, which does not exist or has its packets elsewhere", c.packets[0].Envelope.PacketID, c.packets[0].DecisionID)
	}
	return nil
}

// decision appends the step of the i-th decision.
func (c *converter) decision(i int, call *gate.ToolCallRecord) {
	step := gate.Step{Trigger: &c.state.Triggers[i], Decision: &c.state.Decisions[i], ToolCall: call}
	n := 0
	for n < len(c.evals) && c.evals[n].TriggerID == step.Decision.TriggerID {
		n++
	}
	step.GateEvals, c.evals = c.evals[:n:n], c.evals[n:]
	n = 0
	for n < len(c.packets) && c.packets[n].DecisionID == step.Decision.DecisionID {
		n++
	}
	step.Packets, c.packets = c.packets[:n:n], c.packets[n:]
	c.steps = append(c.steps, step)
}

// requestsOf are the hashes of the requests that can have brought the i-th trigger, by the methods of their calls
// (contract §6.11).
func (c *converter) requestsOf(i int) map[string]canonical.HashDigest {
	if i >= len(c.state.Triggers) {
		return nil
	}
	event := &c.state.Triggers[i].Event
	requests := map[string]canonical.HashDigest{gate.MethodTrigger: canonical.Hash(*event)}
	if event.Kind == gate.AgentRequestNext && event.Payload == nil {
		requests[gate.MethodNext] = canonical.Hash(gate.NextRequest{
			RunID: event.RunID, TenantID: event.TenantID, NamespaceID: event.NamespaceID, TriggerID: event.TriggerID,
			AgentID: event.SourceID, Time: event.Time, CorrelationID: event.CorrelationID,
		})
	}
	return requests
}

// requestOf is the hash of the request that handed in the i-th submission.
func (c *converter) requestOf(i int) canonical.HashDigest {
	if i >= len(c.state.Submissions) {
		return canonical.HashDigest{}
	}
	s := &c.state.Submissions[i]
	return canonical.Hash(gate.SubmitRequest{
		RunID: s.RunID, TenantID: c.state.TenantID, NamespaceID: c.state.NamespaceID, SubmissionID: s.SubmissionID,
		Payload: s.Payload, ContentType: s.ContentType, SubmittedAt: s.SubmittedAt, CorrelationID: s.CorrelationID,
	})
}

func (c *converter) head() gate.Head {
	s := c.state
	head := gate.Head{
		TenantID: s.TenantID, NamespaceID: s.NamespaceID, RunID: s.RunID, ScenarioID: s.ScenarioID, SpecHash: s.SpecHash,
		CurrentStageID: s.CurrentStageID, StageEnteredAt: s.StageEnteredAt, Status: s.Status, DispatchTargets: s.DispatchTargets,
		Triggers: uint64(len(s.Triggers)), Decisions: uint64(len(s.Decisions)), Packets: uint64(len(s.Packets)), ToolCalls: uint64(len(s.ToolCalls)),
	}
	if n := len(s.Decisions); n > 0 {
		head.LastDecision = &s.Decisions[n-1]
	}
	return head
}

// State is the document that the open-source server would have of the history.
func (h *History) State() *gate.RunState {
	state := gate.NewRunState()
	for _, step := range h.Steps {
		state.Apply(gate.Transition{Head: h.Head, Step: step})
	}
	return &state
}
