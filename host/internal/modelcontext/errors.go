package modelcontext

import (
	"errors"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Code is the code of a JSON-RPC error. Codes from -32099 to -32020 are the protocol's own: nothing else may be told with
// them (revision 2026-07-28, error codes).
type Code int64

// The codes.
const (
	ParseError     Code = -32700
	InvalidRequest Code = -32600
	MethodNotFound Code = -32601
	InvalidParams  Code = -32602
	Internal       Code = -32603
	// ResourceNotFound is only of legacy revisions; modern ones say InvalidParams.
	ResourceNotFound Code = -32002

	HeaderMismatch      Code = -32020
	MissingCapability   Code = -32021
	UnsupportedRevision Code = -32022
)

// Error is an error of the protocol: what a client is told that used it wrongly, or that cannot be served.
type Error struct {
	Code    Code
	Message string
	// Data is a JSON value, or nothing.
	Data []byte
	// cause is for the log.
	cause error
}

func (e *Error) Error() string { return e.Message }

// Answer is the message of an error that belongs to no request.
func (e *Error) Answer() []byte { return appendError(nil, nil, e) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

func refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: clip(fmt.Sprintf(format, args...))}
}

// maxMessage is the length in bytes of the longest message of an error: messages repeat names, which are as long as whoever
// sends them likes.
const maxMessage = 1 << 10

func clip(text string) string {
	if len(text) <= maxMessage {
		return text
	}
	end := maxMessage
	for text[end]&0xc0 == 0x80 { // not inside a character
		end--
	}
	return text[:end] + "…"
}

// asError is what a client is told of a failure; only an *Error is told as it is.
func asError(err error) *Error {
	var told *Error
	if errors.As(err, &told) {
		return told
	}
	return &Error{Code: Internal, Message: "internal error", cause: err}
}

// appendError appends the answer to a message that was refused. Without an id there is none: null is not one here.
func appendError(dst []byte, id *canonical.Value, e *Error) []byte {
	dst = append(dst, opening...)
	if id != nil {
		dst = appendID(dst, *id)
	}
	dst = fmt.Appendf(dst, `,"error":{"code":%d,"message":`, e.Code)
	dst = canonical.AppendString(dst, e.Message)
	if e.Data != nil {
		dst = append(append(dst, `,"data":`...), e.Data...)
	}
	return append(dst, "}}"...)
}
