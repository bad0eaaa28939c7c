package runpack

import (
	"crypto/sha256"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// maxIssued is how many bytes of packet ids are kept to derive the answers to status calls; the answers after are counted
// as unverifiable. Each such answer holds all ids, so that deriving them costs the product of both.
const maxIssued = 64 << 10

// callCheck derives the hashes of tool calls from the other records (contract §6.11), as far as those hold what was hashed:
// the first call of each trigger, of each submission, and every status. Calls are in the order of the steps, which tells
// what state each has seen.
type callCheck struct {
	v           *inspection
	calls       *log[gate.ToolCallRecord]
	submissions *log[gate.SubmissionRecord]
	seen        map[[sha256.Size]byte]bool // hashes of the ids of submissions
	issued      []gate.PacketID
	issuedBytes int
	// want is the call that handed in the next submission.
	want *gate.ToolCallRecord
	// held are findings on calls before the one that is looked for. Should it not be there, they follow from that.
	held Findings
	lost bool
}

func newCallCheck(v *inspection, logs *logs) *callCheck {
	return &callCheck{v: v, calls: logs.toolCalls, submissions: logs.submissions, seen: map[[sha256.Size]byte]bool{}}
}

// answer reads the calls up to the one that brought the step's trigger; before and after are the run around the step.
func (c *callCheck) answer(s *step, before, after gate.Head) error {
	defer c.issue(s)
	if s.started() || c.lost {
		return nil
	}
	event := &s.trigger.Event
	requests := map[string]canonical.HashDigest{gate.MethodTrigger: canonical.Hash(*event)}
	if event.Kind == gate.AgentRequestNext && event.Payload == nil {
		requests[gate.MethodNext] = canonical.Hash(gate.NextRequest{
			RunID: event.RunID, TenantID: event.TenantID, NamespaceID: event.NamespaceID, TriggerID: event.TriggerID,
			AgentID: event.SourceID, Time: event.Time, CorrelationID: event.CorrelationID,
		})
	}
	for c.calls.head != nil {
		call, err := c.pop()
		if err != nil {
			return err
		}
		if hash, known := requests[call.Method]; call.Error != nil || !known || hash != call.RequestHash {
			if err := c.other(call, before); err != nil {
				return err
			}
			continue
		}
		response := canonical.Hash(gate.TriggerResult{Decision: *s.decision, Packets: s.packets, Status: after.Status})
		c.require(call, response == call.ResponseHash, "the response is not the recorded decision with its packets")
		c.require(call, call.CalledAt == event.Time && equalPointers(call.CorrelationID, event.CorrelationID),
			"the call has another time or correlation than its trigger")
		c.release()
		return nil
	}
	c.lost = true
	c.held = Findings{}
	c.v.findings.add(CheckToolCall, s.place(), "no tool call has the trigger as its request")
	return nil
}

// issue notes the packets of a step for the answers to status calls.
func (c *callCheck) issue(s *step) {
	for i := range s.packets {
		id := s.packets[i].Envelope.PacketID
		if c.issuedBytes += len(id); c.issuedBytes <= maxIssued {
			c.issued = append(c.issued, id)
		}
	}
}

// rest reads the calls after the last trigger.
func (c *callCheck) rest(head gate.Head) error {
	for c.calls.head != nil {
		call, err := c.pop()
		if err != nil {
			return err
		}
		if err := c.other(call, head); err != nil {
			return err
		}
	}
	c.release()
	if record := c.submissions.head; record != nil && !c.lost {
		c.v.findings.add(CheckSubmission, inFile(SubmissionsPath), "no tool call hands in submission %s", record.SubmissionID)
	}
	return nil
}

func (c *callCheck) pop() (*gate.ToolCallRecord, error) {
	c.v.findings.Checked.ToolCalls++
	call, err := c.calls.pop()
	if err == nil {
		want := "call-" + strconv.FormatUint(c.v.findings.Checked.ToolCalls, 10)
		c.require(call, call.CallID == want, "the call stands in the place of %s", want)
	}
	return call, err
}

func (c *callCheck) require(call *gate.ToolCallRecord, holds bool, format string, args ...any) {
	if !holds {
		c.held.add(CheckToolCall, place{CallID: &call.CallID}, format, args...)
	}
}

func (c *callCheck) release() {
	for _, f := range c.held.Findings {
		c.v.findings.add(f.Check, f, "%s", f.Message)
	}
	c.v.findings.Omitted += c.held.Omitted
	c.held = Findings{}
}

// other checks a call that brought no new trigger.
func (c *callCheck) other(call *gate.ToolCallRecord, head gate.Head) error {
	unverifiable := &c.v.findings.Unverifiable
	switch {
	case call.Error != nil:
		unverifiable.Requests++
		c.require(call, canonical.Hash(*call.Error) == call.ResponseHash, "the response is not the recorded error")
	case call.Method == gate.MethodStatus:
		c.status(call, head)
	case call.Method == gate.MethodSubmit:
		return c.submit(call, head)
	case call.Method == gate.MethodNext || call.Method == gate.MethodTrigger:
		// A repeat, or a call on a run that has ended: its trigger is not recorded.
		unverifiable.Requests++
		unverifiable.Responses++
	default:
		c.require(call, false, "there is no method %q", call.Method)
	}
	return nil
}

func (c *callCheck) status(call *gate.ToolCallRecord, head gate.Head) {
	t, _ := head.StatusOf(gate.StatusRequest{
		RunID: head.RunID, TenantID: head.TenantID, NamespaceID: head.NamespaceID, RequestedAt: call.CalledAt, CorrelationID: call.CorrelationID,
	}, c.issued)
	c.require(call, t.Step.ToolCall.RequestHash == call.RequestHash, "the request is not a status request of this run at that time")
	if c.issuedBytes > maxIssued {
		c.v.findings.Unverifiable.Responses++
		return
	}
	c.require(call, t.Step.ToolCall.ResponseHash == call.ResponseHash, "the response is not the status of the run at that step")
}

// submit checks a submission and the call that handed it in; a call whose request is another one is a repeat.
func (c *callCheck) submit(call *gate.ToolCallRecord, head gate.Head) error {
	if c.want == nil && c.submissions.head != nil {
		c.expect(head)
	}
	if c.want == nil || c.want.RequestHash != call.RequestHash {
		c.v.findings.Unverifiable.Requests++
		c.v.findings.Unverifiable.Responses++
		return nil
	}
	c.require(call, c.want.ResponseHash == call.ResponseHash, "the response is not the recorded submission")
	c.require(call, c.want.CalledAt == call.CalledAt && equalPointers(c.want.CorrelationID, call.CorrelationID),
		"the call has another time or correlation than its submission")
	c.want = nil
	_, err := c.submissions.pop()
	return err
}

// expect checks the next submission and derives the call that handed it in.
func (c *callCheck) expect(head gate.Head) {
	record := c.submissions.head
	c.v.findings.Checked.Submissions++
	t, result, err := head.Submit(gate.SubmitRequest{
		RunID: record.RunID, TenantID: head.TenantID, NamespaceID: head.NamespaceID, SubmissionID: record.SubmissionID,
		Payload: record.Payload, ContentType: record.ContentType, SubmittedAt: record.SubmittedAt, CorrelationID: record.CorrelationID,
	}, nil)
	if err != nil {
		c.v.findings.add(CheckSubmission, inFile(SubmissionsPath), "submission %s: %v", record.SubmissionID, err)
		c.want = &gate.ToolCallRecord{}
		return
	}
	if result.Record.ContentHash != record.ContentHash {
		c.v.findings.add(CheckPayload, inFile(SubmissionsPath), "submission %s: the content hash is not that of the payload", record.SubmissionID)
	}
	key := sha256.Sum256([]byte(record.SubmissionID))
	if record.RunID != head.RunID || c.seen[key] {
		c.v.findings.add(CheckSubmission, inFile(SubmissionsPath), "submission %s is of another run, or a second one of its id", record.SubmissionID)
	}
	c.seen[key] = true
	c.want = t.Step.ToolCall
}
