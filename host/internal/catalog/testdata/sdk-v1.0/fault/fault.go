// Package fault is the error model between the host and its plugins: a small set of reasons that survive the wire, and
// what the host does about each.
package fault

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain is the ErrorInfo domain of every error that a plugin answers.
const Domain = "decision-gate"

// Reason is why a call failed. The table of reasons is normative: the kits assert the codes, the host acts on the reasons.
type Reason string

// The reasons.
const (
	// Invalid: the request is wrong. A bug of the host: it logs and does not retry.
	Invalid Reason = "INVALID"
	// NotFound: no such bundle or file. (An absent record is an answer, not an error.) No retry.
	NotFound Reason = "NOT_FOUND"
	// TooLarge: a limit on size was passed. No retry.
	TooLarge Reason = "TOO_LARGE"
	// Denied: the backend refuses to work for the plugin: credentials, permissions, files that are not its own. No retry;
	// the plugin counts as degraded.
	Denied Reason = "DENIED"
	// Unavailable: the backend cannot be reached now. The host retries with the same commit id until its deadline.
	Unavailable Reason = "UNAVAILABLE"
	// Deadline: the call did not end in time. Retried like Unavailable.
	Deadline Reason = "DEADLINE"
	// Corrupt: stored bytes are not what was written. No retry, alarm.
	Corrupt Reason = "CORRUPT"
	// Locked: an object lock forbids it. No retry.
	Locked Reason = "LOCKED"
	// Unimplemented: the backend lacks the capability.
	Unimplemented Reason = "UNIMPLEMENTED"
	// Full: no space or quota left in the backend. Readiness turns red; the client may retry later.
	Full Reason = "FULL"
	// Internal is everything that the plugin did not classify. No retry.
	Internal Reason = "INTERNAL"
)

// reasonCodes is the normative table of gRPC codes.
var reasonCodes = map[Reason]codes.Code{
	Invalid:       codes.InvalidArgument,
	NotFound:      codes.NotFound,
	TooLarge:      codes.OutOfRange,
	Denied:        codes.PermissionDenied,
	Unavailable:   codes.Unavailable,
	Deadline:      codes.DeadlineExceeded,
	Corrupt:       codes.DataLoss,
	Locked:        codes.FailedPrecondition,
	Unimplemented: codes.Unimplemented,
	Full:          codes.ResourceExhausted,
	Internal:      codes.Internal,
}

// Error is a classified error.
type Error struct {
	Reason Reason
	// Message is for an operator: it names what failed and what to do, and holds no secret.
	Message string
	// Err is the cause, kept inside the process: it never crosses the wire.
	Err error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error with a reason.
func New(reason Reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a reason and a message that may be shown.
func Wrap(reason Reason, err error, format string, args ...any) *Error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), Err: err}
}

// ReasonOf classifies any error: nil is "", a context's end is Deadline or Unavailable, an unclassified one Internal.
func ReasonOf(err error) Reason {
	var fault *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &fault):
		return fault.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return Deadline
	case errors.Is(err, context.Canceled):
		return Unavailable
	default:
		return Internal
	}
}

// Is reports whether err has the reason.
func Is(err error, reason Reason) bool { return ReasonOf(err) == reason }

// Retryable reports whether the same call may succeed when it is made again.
func Retryable(err error) bool {
	switch ReasonOf(err) {
	case Unavailable, Deadline, Full:
		return true
	default:
		return false
	}
}

// ToStatus is the error as it crosses the wire. Only a classified error's message crosses: an unclassified one may hold
// a path, a DSN or a secret, and is answered as "internal error".
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	reason := ReasonOf(err)
	message := "internal error"
	var fault *Error
	switch {
	case errors.As(err, &fault):
		message = fault.Message
	case reason != Internal:
		message = string(reason)
	}
	st, detailErr := status.New(reasonCodes[reason], message).WithDetails(&errdetails.ErrorInfo{Domain: Domain, Reason: string(reason)})
	if detailErr != nil {
		return status.Error(reasonCodes[reason], message)
	}
	return st.Err()
}

// FromStatus classifies what came over the wire. ResourceExhausted without our reason is gRPC's own message limit, so
// TooLarge, not Full.
func FromStatus(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		return err
	}
	for _, detail := range st.Details() {
		info, ok := detail.(*errdetails.ErrorInfo)
		if !ok || info.GetDomain() != Domain {
			continue
		}
		// A plugin is not trusted to name a reason that the table does not have.
		if reason := Reason(info.GetReason()); reasonCodes[reason] == st.Code() {
			return &Error{Reason: reason, Message: st.Message()}
		}
	}
	return &Error{Reason: fromCode(st.Code()), Message: st.Message()}
}

func fromCode(code codes.Code) Reason {
	switch code {
	case codes.ResourceExhausted:
		return TooLarge
	case codes.Canceled:
		return Unavailable
	}
	for reason, c := range reasonCodes {
		if c == code {
			return reason
		}
	}
	return Internal
}
