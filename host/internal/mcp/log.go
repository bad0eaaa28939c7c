package mcp

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// logLevel is an error's where an operator has to act, a warning's where the cause is known to the log alone, and otherwise
// that of details: what clients do wrong, or their leaving, must not fill the log.
func logLevel(err *Error) slog.Level {
	var denial *access.Denial
	switch {
	case err != nil && errors.As(err.cause, &denial) && denial.Fault != nil && !fault.Retryable(denial.Fault):
		return slog.LevelWarn // what an auth plugin broke; that it is away, its own lines tell
	case err == nil || err.cause == nil && err.Code != Internal || errors.Is(err.cause, context.Canceled) || errors.As(err.cause, &denial):
		return slog.LevelDebug
	case err.Code == Internal:
		return slog.LevelError
	default:
		return slog.LevelWarn
	}
}

func (s *Server) logCall(ctx context.Context, who caller, method, tool string, began time.Time, err *Error) {
	level := logLevel(err)
	if !s.Logger.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", method),
		slog.String("transport", who.transport),
		slog.String("server_correlation_id", who.serverID),
		slog.Duration("took", time.Since(began)),
	}
	if tool != "" {
		attrs = append(attrs, slog.String("tool", tool))
	}
	if who.correlationID != "" {
		attrs = append(attrs, slog.String("correlation_id", who.correlationID))
	}
	if err != nil {
		attrs = append(attrs, slog.Int("code", int(err.Code)), slog.String("error", clip(err.Message)))
		if cause := errors.Unwrap(err); cause != nil {
			attrs = append(attrs, slog.String("cause", clip(cause.Error())))
		}
	}
	s.Logger.LogAttrs(ctx, level, "request", attrs...)
}
