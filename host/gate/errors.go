package gate

import "fmt"

// Reason is why the engine refuses a call (contract §6.14).
type Reason uint8

// The reasons.
const (
	InvalidSpec Reason = iota
	ScenarioMismatch
	NamespaceMismatch
	RunExists
	RunNotFound
	RunNotActive
	SubmissionConflict
	EvidenceTooLarge
	PayloadTooLarge
	UnknownStage
	Unresolved
	TimeKindMismatch
	TimeoutCalculation
	PolicyDenied
	PolicyFailed
	DispatchFailed
	ProvidersMissing
)

// texts are normative: those of packet issuing become the reason of a decision and are hashed.
var texts = [...]string{
	InvalidSpec:        "invalid scenario spec: %v",
	ScenarioMismatch:   "scenario mismatch for run: %v",
	NamespaceMismatch:  "namespace mismatch for run: %v",
	RunExists:          "run already exists: %v",
	RunNotFound:        "run not found: %v",
	RunNotActive:       "run is not active: %v",
	SubmissionConflict: "submission_id conflict: %v",
	EvidenceTooLarge:   "evidence payload exceeds size limit (%v > %v)",
	PayloadTooLarge:    "payload exceeds size limit (%v > %v)",
	UnknownStage:       "unknown stage identifier: %v",
	Unresolved:         "gate resolution failed: %v",
	TimeKindMismatch:   "trigger time kind mismatch: %v",
	TimeoutCalculation: "timeout calculation error: %v",
	PolicyDenied:       "policy denied disclosure",
	PolicyFailed:       "policy decision error: %v",
	DispatchFailed:     "dispatch error: %v",
	ProvidersMissing:   "provider validation failed: %v",
}

// Error is a refusal of the engine. Nothing is to be saved after it, but where a Transition comes with it.
type Error struct {
	Reason Reason
	text   string
}

func (e *Error) Error() string { return e.text }

// Refuse makes an error with the contract's text for a reason.
func Refuse(reason Reason, args ...any) *Error {
	return &Error{Reason: reason, text: fmt.Sprintf(texts[reason], args...)}
}
