package fault_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// The normative table: what a plugin in any language must answer, and what the host makes of it.
func TestReasonsCrossTheWire(t *testing.T) {
	for reason, test := range map[fault.Reason]struct {
		code  codes.Code
		retry bool
	}{
		fault.Invalid:       {codes.InvalidArgument, false},
		fault.NotFound:      {codes.NotFound, false},
		fault.TooLarge:      {codes.OutOfRange, false},
		fault.Denied:        {codes.PermissionDenied, false},
		fault.Unavailable:   {codes.Unavailable, true},
		fault.Deadline:      {codes.DeadlineExceeded, true},
		fault.Corrupt:       {codes.DataLoss, false},
		fault.Locked:        {codes.FailedPrecondition, false},
		fault.Unimplemented: {codes.Unimplemented, false},
		fault.Full:          {codes.ResourceExhausted, true},
		fault.Internal:      {codes.Internal, false},
	} {
		wire := fault.ToStatus(fmt.Errorf("wrapped: %w", fault.Wrap(reason, errors.New("secret"), "message")))
		if status.Code(wire) != test.code {
			t.Errorf("%s: code %s, want %s", reason, status.Code(wire), test.code)
		}
		back := fault.FromStatus(wire)
		if fault.ReasonOf(back) != reason || back.Error() != "message" || fault.Retryable(back) != test.retry {
			t.Errorf("%s: came back as %v", reason, back)
		}
	}
}

// The attack: read a DSN out of an error.
func TestOnlyClassifiedMessagesCross(t *testing.T) {
	for err, want := range map[error]fault.Reason{
		errors.New("dial postgres://user:secret@host"):          fault.Internal,
		fmt.Errorf("secret: %w", context.DeadlineExceeded):      fault.Deadline,
		fmt.Errorf("secret: %w", context.Canceled):              fault.Unavailable,
		fault.Wrap(fault.Denied, errors.New("secret"), "no"):    fault.Denied,
		fmt.Errorf("secret: %w", fault.New(fault.Locked, "no")): fault.Locked,
	} {
		wire := fault.ToStatus(err)
		if strings.Contains(wire.Error(), "secret") || !fault.Is(fault.FromStatus(wire), want) {
			t.Errorf("%v crosses as %v", err, wire)
		}
	}
}

func TestFromStatusWithoutOurReason(t *testing.T) {
	lie, err := status.New(codes.Internal, "x").WithDetails(&errdetails.ErrorInfo{Domain: fault.Domain, Reason: "NOT_FOUND"})
	if err != nil {
		t.Fatal(err)
	}
	for err, want := range map[error]fault.Reason{
		nil: "",
		status.Error(codes.ResourceExhausted, "message too large"): fault.TooLarge,
		status.Error(codes.Unavailable, "connection refused"):      fault.Unavailable,
		status.Error(codes.Canceled, "cancelled"):                  fault.Unavailable,
		status.Error(codes.DeadlineExceeded, "late"):               fault.Deadline,
		status.Error(codes.Unknown, "Python exception"):            fault.Internal,
		status.Error(codes.Unauthenticated, "who"):                 fault.Internal,
		lie.Err(): fault.Internal,
	} {
		if got := fault.ReasonOf(fault.FromStatus(err)); got != want {
			t.Errorf("%v is %q, want %q", err, got, want)
		}
	}
}

func TestRecover(t *testing.T) {
	var log strings.Builder
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	call := func(f func() error) (err error) {
		defer fault.Recover(&err)
		return f()
	}
	if err := call(func() error { panic("secret") }); !fault.Is(err, fault.Internal) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a panic became %v", err)
	}
	if !strings.Contains(log.String(), "secret") || !strings.Contains(log.String(), "fault_test.go") {
		t.Errorf("the log does not tell of the panic: %s", log.String())
	}
	want := errors.New("plain")
	if err := call(func() error { return want }); !errors.Is(err, want) {
		t.Errorf("an error became %v", err)
	}
}
