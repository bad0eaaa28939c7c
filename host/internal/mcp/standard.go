package mcp

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/modelcontext"
)

// The standard surface: the same tools for stock clients of the Model Context Protocol, at /mcp and on lines of standard
// input. What differs from /rpc is how they are told: results are structuredContent, failures of a tool are results with
// isError, and a decision that holds says what would open it.

// standardPath is where it is served.
const standardPath = "/mcp"

// exchange is a request of the standard surface, kept in its context: who sends it, and the failure of its tool, which the
// protocol takes for a result.
type exchange struct {
	who     caller
	failure *Error
	// leave gives up its slot, before its answer is sent; nil on standard input.
	leave func()
	// call is its tool's call, and done how far the caller knows it to be.
	call *modelcontext.Call
	done uint64
}

type exchangeKey struct{}

func withExchange(ctx context.Context, who caller) context.Context {
	return context.WithValue(ctx, exchangeKey{}, &exchange{who: who})
}

func exchangeOf(ctx context.Context) *exchange {
	if e, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return e
	}
	return &exchange{}
}

// standardHTTP answers POST /mcp.
func (s *Server) standardHTTP(w http.ResponseWriter, r *http.Request) {
	a, refused := s.admit(w, r)
	if refused != nil {
		s.refuseStandard(w, r, refused)
		return
	}
	defer a.leave()
	// Nothing here is open to a caller that is not known; a tool is refused where it is called.
	err := s.allow(a.who, listAction)
	if err == nil {
		err = s.auditable(r.Context())
	}
	if err != nil {
		refused := &refusal{Error: err, who: a.who, received: len(a.body)}
		if who := a.who.denial; who != nil && who.Fault != nil {
			refused.status = http.StatusServiceUnavailable
		}
		s.refuseStandard(w, r, refused)
		return
	}
	ctx := withExchange(r.Context(), a.who)
	exchangeOf(ctx).leave = a.leave
	s.standard.Post(w, r.WithContext(ctx), a.body)
}

// refuseStandard tells a client what refused its request before it was read. The codes of /rpc are not the protocol's, and
// some are the protocol's for something else: the kind says which it is.
func (s *Server) refuseStandard(w http.ResponseWriter, r *http.Request, e *refusal) {
	e = s.recordRefusal(r.Context(), e, func(e *Error) int { return len(standardError(e).Answer()) })
	status := cmp.Or(e.status, codes[e.Code].status, http.StatusOK)
	s.challenge(w, status)
	s.standard.Refuse(w, status, standardError(e.Error))
}

// standardError is an error in the protocol's terms.
func standardError(e *Error) *modelcontext.Error {
	code := modelcontext.InvalidRequest
	if codes[e.Code].retryable || e.Code == Internal {
		code = modelcontext.Internal
	}
	return &modelcontext.Error{Code: code, Message: clip(e.Message), Data: errorMembers(e)}
}

// errorMembers is what is told of an error beside its message, as a JSON object.
func errorMembers(e *Error) []byte {
	row := codes[e.Code]
	return canonical.Append(nil, struct {
		Kind         string `member:"kind"`
		Retryable    bool   `member:"retryable"`
		RetryAfterMS *int64 `member:"retry_after_ms" presence:"OS"`
	}{row.kind, row.retryable || e.Retry, e.retryAfterMS()}, canonical.Declared)
}

// beginLine makes the context of a request on a line of standard input, or refuses the request.
func (s *Server) beginLine(ctx context.Context) (context.Context, *modelcontext.Error) {
	who := s.newCaller(ctx, "stdio", access.Credentials{Stdio: true})
	err := s.auditable(ctx)
	if err != nil {
		who.trail = nil // what is refused for that leaves no line
	} else if err = s.limited(&who); err == nil {
		err = s.allow(who, listAction)
	}
	ctx = withExchange(ctx, who)
	if err != nil {
		exchangeOf(ctx).failure = err
		return ctx, standardError(err)
	}
	return ctx, nil
}

// observe logs and records a request as those of /rpc are. The error is what the client must be told instead of the answer.
func (s *Server) observe(ctx context.Context, o modelcontext.Observation) *modelcontext.Error {
	e := exchangeOf(ctx)
	if e.leave != nil {
		defer e.leave()
	}
	if o.Panic != nil {
		s.Logger.ErrorContext(ctx, "request panicked", "server_correlation_id", e.who.serverID, "panic", fmt.Sprint(o.Panic), "stack", string(o.Stack))
	}
	failure := e.failure
	if o.Err != nil && failure == nil {
		failure = &Error{Code: Code(o.Err.Code), Message: o.Err.Message, cause: o.Err.Unwrap()}
		if o.Err.Code == modelcontext.Internal {
			failure.Code = Internal
		}
	}
	s.logCall(ctx, e.who, clip(o.Method), clip(o.Name), o.Began, failure)
	e.who.trail.named(o.ID)
	became := outcome{method: cmp.Or(auditMethods[o.Method], audit.Other), received: o.Size, sent: o.Answer, failure: failure}
	switch {
	case o.Method == "" && o.Err != nil:
		became.method = audit.Invalid
	case became.method == audit.ToolsCall && isTool(o.Name):
		became.tool = o.Name
	}
	if err := s.record(ctx, &e.who, &became); err != nil {
		return standardError(err)
	}
	return nil
}

// metaError is the member of _meta with the kind of a failure, and whether to try again.
const metaError = "io.github.decision-gate-host/error"

// callStandard makes the standard form of a tool.
func (s *Server) callStandard(t *tool) func(context.Context, *modelcontext.Call) (modelcontext.Result, error) {
	return func(ctx context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		e := exchangeOf(ctx)
		e.call = c
		ctx, release := s.Evidence.Hold(ctx)
		defer release()
		var out any
		var err error
		if refused := s.allow(e.who, t.name); refused != nil {
			err = refused
		} else {
			out, err = t.call(s, ctx, e.who, c.Arguments)
		}
		if err != nil {
			e.failure = asError(err)
			dst := canonical.AppendString([]byte(`"content":[{"type":"text","text":`), clip(e.failure.Message))
			return modelcontext.Result{
				Members: append(dst, `}],"isError":true`...),
				Meta:    append([]byte(`"`+metaError+`":`), errorMembers(e.failure)...),
			}, nil
		}
		structured := canonical.Append(nil, out, canonical.Declared)
		dst := []byte(`"content":[`)
		if held := s.held(ctx, out, c.Arguments); held != nil {
			dst = append(canonical.AppendString(append(dst, `{"type":"text","text":`...), held.Text()), "},"...)
			structured = append(structured[:len(structured)-1], `,"hold":`...)
			structured = append(canonical.Append(structured, *held, canonical.Declared), '}')
		}
		dst = canonical.AppendString(append(dst, `{"type":"text","text":`...), string(structured))
		dst = append(append(dst, `}],"structuredContent":`...), structured...)
		return modelcontext.Result{Members: dst}, nil
	}
}
