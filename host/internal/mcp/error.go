package mcp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Code is a JSON-RPC error code; with it go a kind, an HTTP status and whether to retry (mcp contract §2.6).
type Code int

// The codes.
const (
	InvalidRequest       Code = -32600
	MethodNotFound       Code = -32601
	InvalidParams        Code = -32602
	Unauthenticated      Code = -32001
	Unauthorized         Code = -32003
	NotFound             Code = -32004
	Conflict             Code = -32009
	ControlPlane         Code = -32030
	RunpackFailed        Code = -32040
	Internal             Code = -32050
	TooLarge             Code = -32070
	RateLimited          Code = -32071
	Overloaded           Code = -32072
	InvalidCorrelationID Code = -32073
)

// codes is the central table. The HTTP status of an error is a part of the contract: clients tell errors apart by it.
var codes = map[Code]struct {
	kind      string
	status    int
	retryable bool
}{
	InvalidRequest:       {"invalid_request", http.StatusBadRequest, false},
	MethodNotFound:       {"method_not_found", http.StatusBadRequest, false},
	InvalidParams:        {"invalid_params", http.StatusBadRequest, false},
	Unauthenticated:      {"unauthenticated", http.StatusUnauthorized, false},
	Unauthorized:         {"unauthorized", http.StatusForbidden, false},
	NotFound:             {"not_found", http.StatusOK, false},
	Conflict:             {"conflict", http.StatusOK, false},
	ControlPlane:         {"control_plane", http.StatusOK, false},
	RunpackFailed:        {"runpack", http.StatusOK, false},
	Internal:             {"internal", http.StatusOK, false},
	TooLarge:             {"request_too_large", http.StatusRequestEntityTooLarge, false},
	RateLimited:          {"rate_limited", http.StatusTooManyRequests, true},
	Overloaded:           {"inflight_limit", http.StatusServiceUnavailable, true},
	InvalidCorrelationID: {"invalid_correlation_id", http.StatusBadRequest, false},
}

// Error is what a client is told. It holds no path, no stack and nothing of a plugin's inside.
type Error struct {
	Code    Code
	Message string
	// Retry says that the same call may succeed later, where the code alone does not.
	Retry bool
	// RetryAfter is the time after which it may, where that is known; 0 where it is not.
	RetryAfter time.Duration
	// answer says that the answer is what failed: the request was good, and the HTTP status is that of an answer.
	answer bool
	// cause is for the log.
	cause error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// retryAfterMS is RetryAfter in whole milliseconds, rounded up; nil where it is not known.
func (e *Error) retryAfterMS() *int64 {
	if e.RetryAfter <= 0 {
		return nil
	}
	ms := int64((e.RetryAfter + time.Millisecond - 1) / time.Millisecond)
	return &ms
}

// maxMessage is the length in bytes of the longest text that a client or the log is told: texts repeat ids, which are as long
// as whoever sends them likes, and a client could fill the disk of the log with them.
const maxMessage = 4 << 10

// clip shortens a text without cutting a character in two.
func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// faults says of each reason of a plugin's failure what the client is told (architecture of the error model): never the
// plugin's own words, which may name a host, a path or a credential.
var faults = map[fault.Reason]Error{
	fault.Invalid:       {Code: Internal, Message: "a backend refused the request"},
	fault.NotFound:      {Code: NotFound, Message: "not found in the backend"},
	fault.TooLarge:      {Code: TooLarge, Message: "the record is larger than the backend takes"},
	fault.Denied:        {Code: Internal, Message: "a backend refuses to work for this host; the operator's log says why"},
	fault.Unavailable:   {Code: Internal, Message: "a backend is not available; try again", Retry: true},
	fault.Deadline:      {Code: Internal, Message: "a backend did not answer in time; try again", Retry: true},
	fault.Corrupt:       {Code: Internal, Message: "stored data is damaged; the operator's log says which"},
	fault.Locked:        {Code: RunpackFailed, Message: "the bundle is locked"},
	fault.Unimplemented: {Code: Internal, Message: "a backend lacks the capability"},
	fault.Full:          {Code: Internal, Message: "a backend is out of space; try again later", Retry: true},
	fault.Internal:      {Code: Internal, Message: "internal error"},
}

// sentinels are the errors of the layers below that have a code of their own.
var sentinels = []struct {
	err  error
	code Code
}{
	{registry.ErrNoScenario, NotFound},
	{registry.ErrNoSchema, NotFound},
	{registry.ErrScenarioExists, Conflict},
	{registry.ErrSchemaExists, Conflict},
	{registry.ErrRegistryFull, Conflict},
	{runpack.ErrSpecHash, RunpackFailed},
}

// asError says how a failure of a tool is told to the client.
func asError(err error) *Error {
	var told *Error
	var capability *evidence.CapabilityError
	var refusal *gate.Error
	var artifact *runpack.ArtifactError
	var large *runpack.TooLargeError
	var manifest *runpack.ManifestError
	var step *runs.StepTooLargeError
	var skew *runs.ClockSkewError
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &capability):
		return refuse(InvalidParams, "%s", capability)
	case errors.As(err, &refusal):
		if refusal.Reason == gate.SubmissionConflict {
			return refuse(Conflict, "%s", refusal)
		}
		return refuse(ControlPlane, "%s", refusal)
	case errors.As(err, &skew):
		return refuse(InvalidParams, "%s", skew)
	case errors.As(err, &step):
		return &Error{Code: TooLarge, Message: step.Error(), cause: err}
	case errors.As(err, &artifact):
		return &Error{Code: RunpackFailed, Message: artifact.Error(), cause: err}
	case errors.As(err, &large):
		return &Error{Code: RunpackFailed, Message: large.Error(), cause: err}
	case errors.As(err, &manifest):
		return &Error{Code: RunpackFailed, Message: manifest.Error(), cause: err}
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return refuse(s.code, "%s", s.err)
		}
	}
	if errors.Is(err, context.Canceled) {
		return &Error{Code: Internal, Message: "the call was cancelled", Retry: true, cause: err}
	}
	known, listed := faults[fault.ReasonOf(err)]
	if !listed {
		// A store that an embedder passes may have invented a reason.
		known = faults[fault.Internal]
	}
	known.cause = err
	return &known
}
