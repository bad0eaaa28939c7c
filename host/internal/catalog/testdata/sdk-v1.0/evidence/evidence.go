// Package evidence is what an evidence plugin implements: somebody who can be asked, by name of a check and with
// parameters, for a value that a gate compares.
//
// A provider answers; it decides nothing, and what it answers is checked by the host before it counts. The words MUST and
// MUST NOT below are asserted by the conformance kit in package evidencetest.
package evidence

import (
	"context"
	"encoding/json"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Limits of the protocol, in bytes. A larger answer costs its condition: the host takes it for no answer.
const (
	// MaxContract is the size of the largest contract.
	MaxContract = 1 << 20
	// MaxValue is the size of the largest value: of raw bytes, of JSON text as it is sent, and of its canonical form (core
	// contract §5.2).
	MaxValue = 1 << 20
	// MaxDetails is the size of the details of the largest error.
	MaxDetails = 64 << 10
	// MaxText is the size of the longest anchor value, reference, key id and error message. They are kept with every run.
	MaxText = 4096
	// MaxName is the size of the longest anchor type, content type, signature scheme and error code.
	MaxName = 255
	// MaxSignature is the size of the largest signature: enough for any scheme that is in use.
	MaxSignature = 16 << 10
)

// Provider answers questions. All calls are safe for concurrent use and honour the context, whose deadline is the host's.
// An error says that there is no answer; only the message of a *fault.Error (package sdk/fault) reaches the host, where
// it is recorded with the run: it MUST NOT name a secret or a path.
type Provider interface {
	// Contract says what can be asked: one JSON object with the members name, description, config_schema, checks and notes
	// of a capability contract (mcp contract §5.4). The provider's id is the operator's to give. It MUST be the same each
	// time: it is what scenarios are checked against when they are defined.
	Contract(ctx context.Context) (json.RawMessage, error)

	// Query answers one question. An unknown check, missing parameters and wrong ones MUST be refused, as INVALID or with an
	// error in the result: a value would be taken for the answer to what was meant. A check that its contract calls
	// deterministic MUST answer the same for the same parameters, one that it calls time_dependent for the same parameters
	// and time. Answers of one tenant MUST NOT depend on what another asked.
	Query(ctx context.Context, q Query, c Context) (Result, error)

	// Close ends the provider.
	Close() error
}

// Query is a question.
type Query struct {
	// Provider is the name that the configuration gives the plugin.
	Provider string
	// Check is a check_id of the contract, when the query came through RegisterServer.
	Check string
	// Params is valid JSON text, numbers as the scenario has them; nil when there is none.
	Params json.RawMessage
}

// Context is what a provider sees of the call that needs the evidence. Ids are any Unicode text.
type Context struct {
	Tenant, Namespace             uint64
	Run, Scenario, Stage, Trigger string
	// Time is the trigger's. A provider that asks a clock instead answers differently when a call is repeated.
	Time Time
	// Correlation names the call in logs; empty when the client gave no id.
	Correlation string
}

// Time is that of a trigger: Unix milliseconds, or a tick of a logical clock.
type Time struct {
	Logical    bool
	UnixMillis int64
	Tick       uint64
}

// Lane is how far evidence may be trusted.
type Lane string

// The lanes.
const (
	// Verified is what the provider has seen for itself.
	Verified Lane = "verified"
	// Asserted is what the provider passes on.
	Asserted Lane = "asserted"
)

// Result is an answer.
type Result struct {
	// JSON is a value as JSON text, and Bytes one of raw bytes. At most one is not nil; when both are, there is no value,
	// which makes "exists" false. The text "null" is a value.
	JSON  json.RawMessage
	Bytes []byte
	// Lane MUST be set, unless there is an Error.
	Lane Lane
	// Error says why there is no answer that counts: the condition is unknown, whatever the value.
	Error *Error
	// SHA256 is the hash of Bytes, or of the canonical form of JSON (RFC 8785). It may be left out; a wrong one is refused.
	SHA256 *[32]byte
	// Ref is the URI of the evidence; empty when there is none.
	Ref string
	// Anchor ties the evidence to what it is about, such as a commit.
	Anchor *Anchor
	// Signature is over the hash (mcp contract §5.5).
	Signature *Signature
	// ContentType is that of the value; empty when it says nothing.
	ContentType string
}

// Error is part of an answer, and recorded: it holds no secret.
type Error struct {
	Code, Message string
	// Details is JSON text; nil when there is nothing to add.
	Details json.RawMessage
}

// Anchor is of a type that the contract lists.
type Anchor struct{ Type, Value string }

// Signature names its key as the operator's configuration does.
type Signature struct {
	Scheme, KeyID string
	Signature     []byte
}

// Answer is a result with a value in JSON.
func Answer(value any, lane Lane) (Result, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return Result{}, fault.Wrap(fault.Internal, err, "the answer cannot be written as JSON")
	}
	return Result{JSON: text, Lane: lane, ContentType: "application/json"}, nil
}

// Check says what a host refuses in a result whatever it was asked, nil when it is fine.
func (r *Result) Check() error {
	switch {
	case r.JSON != nil && r.Bytes != nil:
		return wrong("two values, one in JSON and one of bytes")
	case r.JSON == nil && r.Bytes == nil && r.SHA256 != nil:
		return wrong("the hash of a value that is not there")
	case r.Lane != Verified && r.Lane != Asserted && (r.Lane != "" || r.Error == nil):
		return wrong("no lane, or one that does not exist: %.40q", r.Lane)
	case r.Error != nil && r.Error.Code == "":
		return wrong("an error without a code")
	}
	for _, part := range r.parts() {
		if part.size > part.limit {
			return wrong("%s of %d bytes, more than %d", part.name, part.size, part.limit)
		}
	}
	if r.JSON != nil && !json.Valid(r.JSON) || r.Error != nil && r.Error.Details != nil && !json.Valid(r.Error.Details) {
		return wrong("what is not JSON")
	}
	return nil
}

type part struct {
	name        string
	size, limit int
}

func (r *Result) parts() []part {
	parts := []part{
		{"a value", max(len(r.JSON), len(r.Bytes)), MaxValue},
		{"a reference", len(r.Ref), MaxText},
		{"a content type", len(r.ContentType), MaxName},
	}
	if e := r.Error; e != nil {
		parts = append(parts, part{"an error code", len(e.Code), MaxName}, part{"an error message", len(e.Message), MaxText}, part{"error details", len(e.Details), MaxDetails})
	}
	if a := r.Anchor; a != nil {
		parts = append(parts, part{"an anchor type", len(a.Type), MaxName}, part{"an anchor value", len(a.Value), MaxText})
	}
	if s := r.Signature; s != nil {
		parts = append(parts, part{"a signature scheme", len(s.Scheme), MaxName}, part{"a key id", len(s.KeyID), MaxText}, part{"a signature", len(s.Signature), MaxSignature})
	}
	return parts
}

// wrong is the error of an answer that the protocol does not allow. It quotes nothing of it but a name: it is recorded.
func wrong(format string, args ...any) error {
	return fault.New(fault.Internal, "the evidence plugin broke the protocol: it answered "+format, args...)
}
