package runpack

import (
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Status is the outcome of a verification.
type Status string

// The outcomes.
const (
	Pass Status = "pass"
	Fail Status = "fail"
)

// Names returns the outcomes that a document may name.
func (Status) Names() []string { return []string{string(Pass), string(Fail)} }

func statusOf(failed bool) Status {
	if failed {
		return Fail
	}
	return Pass
}

// Report is what verification found. Its first three members are the report of contract §9.5 and never say more.
type Report struct {
	Status       Status   `member:"status"`
	CheckedFiles uint64   `member:"checked_files"`
	Errors       []string `member:"errors"`
	// DecisionGate is what the further checks found; the report that is put into a bundle has none ([P-23]).
	DecisionGate *Findings `member:"decision_gate" presence:"OS"`
}

// Verdict is the outcome of all checks together.
func (r *Report) Verdict() Status {
	return statusOf(r.Status != Pass || r.DecisionGate != nil && r.DecisionGate.Status != Pass)
}

// Limits of what a report lists: a bundle of a million broken records must not become a report of the same size.
const (
	maxErrors   = 10_000
	maxFindings = 1_000
	maxSteps    = 100
)

// Findings are the results of the checks beyond contract §9.5.
type Findings struct {
	Status   Status    `member:"status"`
	Findings []Finding `member:"findings"`
	// Omitted counts findings and errors of the report that are not listed.
	Omitted uint64 `member:"omitted"`
	// Checked counts what the checks have seen.
	Checked Checked `member:"checked"`
	// Unverifiable counts what a bundle does not hold enough to check.
	Unverifiable Unverifiable `member:"unverifiable"`
	// Replay is there when replay was asked for.
	Replay *ReplayReport `member:"replay" presence:"OS"`
	// Notes say what a passing report does not prove.
	Notes []string `member:"notes"`
}

// Checked counts records.
type Checked struct {
	Decisions   uint64 `member:"decisions"`
	Gates       uint64 `member:"gates"`
	Evidence    uint64 `member:"evidence"`
	Signed      uint64 `member:"signed_evidence"`
	Packets     uint64 `member:"packets"`
	Submissions uint64 `member:"submissions"`
	ToolCalls   uint64 `member:"tool_calls"`
	// unsigned counts evidence with a value and no signature.
	unsigned uint64
	// withheld counts evidence whose value is withheld.
	withheld uint64
}

// Unverifiable counts hashes over something that is not in the bundle.
type Unverifiable struct {
	// Requests and Responses are of tool calls: repeats, refusals, answers of ended runs.
	Requests  uint64 `member:"tool_call_requests"`
	Responses uint64 `member:"tool_call_responses"`
	// Receipts are of dispatchers whose receipts cannot be derived.
	Receipts uint64 `member:"receipts"`
}

// ReplayReport says what replay derived again.
type ReplayReport struct {
	// Decisions counts those that were derived again, not those with a value that is withheld.
	Decisions uint64 `member:"decisions"`
	// Ambiguous are conditions whose verdict depends on whether a number was written 1 or 1.0, which a bundle does not hold.
	Ambiguous Steps `member:"ambiguous_number_kind"`
	// Unreplayable are decisions that depend on what a bundle does not hold: a dispatcher, a policy, the time of
	// the start, a value that is withheld.
	Unreplayable Steps `member:"unreplayable"`
}

// Steps counts steps and lists the first.
type Steps struct {
	Count uint64    `member:"count"`
	Steps []Finding `member:"steps"`
}

func (s *Steps) add(f Finding) {
	s.Count++
	if len(s.Steps) < maxSteps {
		s.Steps = append(s.Steps, f)
	}
}

// Check names what a finding is about.
type Check string

// The checks.
const (
	CheckManifest   Check = "manifest"
	CheckUnlisted   Check = "unlisted_file"
	CheckCanonical  Check = "canonical_form"
	CheckReadable   Check = "readable"
	CheckSpec       Check = "scenario_spec"
	CheckSequence   Check = "sequence"
	CheckEvidence   Check = "evidence_hash"
	CheckPayload    Check = "payload_hash"
	CheckReceipt    Check = "receipt"
	CheckSubmission Check = "submission"
	CheckToolCall   Check = "tool_call"
	CheckReplay     Check = "replay"
)

// Names returns the checks.
func (Check) Names() []string {
	return []string{
		string(CheckManifest), string(CheckUnlisted), string(CheckCanonical), string(CheckReadable), string(CheckSpec), string(CheckSequence),
		string(CheckEvidence), string(CheckPayload), string(CheckReceipt), string(CheckSubmission), string(CheckToolCall), string(CheckReplay),
	}
}

// Finding is one thing that is wrong, and where.
type Finding struct {
	Check       Check             `member:"check"`
	Message     string            `member:"message"`
	Path        *string           `member:"path" presence:"OS"`
	DecisionSeq *uint64           `member:"decision_seq" presence:"OS"`
	TriggerID   *gate.TriggerID   `member:"trigger_id" presence:"OS"`
	GateID      *gate.GateID      `member:"gate_id" presence:"OS"`
	ConditionID *gate.ConditionID `member:"condition_id" presence:"OS"`
	PacketID    *gate.PacketID    `member:"packet_id" presence:"OS"`
	CallID      *string           `member:"call_id" presence:"OS"`
}

// String is the finding as one line.
func (f Finding) String() string {
	text := string(f.Check) + ": " + f.Message
	for _, place := range []struct {
		name  string
		value any
		set   bool
	}{
		{"file", deref(f.Path), f.Path != nil},
		{"decision", deref(f.DecisionSeq), f.DecisionSeq != nil},
		{"trigger", deref(f.TriggerID), f.TriggerID != nil},
		{"gate", deref(f.GateID), f.GateID != nil},
		{"condition", deref(f.ConditionID), f.ConditionID != nil},
		{"packet", deref(f.PacketID), f.PacketID != nil},
		{"call", deref(f.CallID), f.CallID != nil},
	} {
		if place.set {
			text += fmt.Sprintf(" [%s %v]", place.name, place.value)
		}
	}
	return text
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// place is where a finding is: parts that do not apply are nil.
type place = Finding

func (f *Findings) add(check Check, at place, format string, args ...any) {
	f.Status = Fail
	if len(f.Findings) >= maxFindings {
		f.Omitted++
		return
	}
	at.Check, at.Message = check, fmt.Sprintf(format, args...)
	f.Findings = append(f.Findings, at)
}

func inFile(path string) place { return place{Path: &path} }

// The notes of a report.
const (
	noteUnsigned = "the evidence carries no signatures: a bundle in which evidence and verdicts were rewritten together cannot be told from a genuine one"
	notePartly   = "%d of %d evidence records with a value carry no signature: where they were rewritten together with the verdicts, it cannot be told"
	noteUnproven = "signatures of evidence are not checked here: the providers' keys are not in the bundle"
	noteNoReplay = "verdicts were not derived again from the evidence: replay was not asked for"
	noteRedacted = "the manifest is marked as redacted: the values of %d of %d evidence records are withheld, and the verdicts on these could not be derived again: they are taken as recorded"
)
