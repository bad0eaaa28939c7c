package mcp

import (
	"context"
	"net/http"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/ratelimit"
)

// caller says who calls and how. Of principal and denial exactly one is set.
type caller struct {
	transport string // "http", "sse" or "stdio"
	// serverID names the call in the log; correlationID is the client's own name for it.
	serverID, correlationID string
	credentials             access.Credentials
	principal               *access.Principal
	denial                  *access.Denial
	trail                   *trail // nil where there is no audit log
}

// newCaller authenticates whoever sent the credentials. What comes of it is told no sooner than the contract has it: to
// tools and resources, not to a request that cannot be read (mcp contract §3.1).
func (s *Server) newCaller(ctx context.Context, transport string, credentials access.Credentials) caller {
	who := caller{transport: transport, serverID: s.correlation.next(), credentials: credentials, trail: s.newTrail()}
	who.principal, who.denial = s.Access.Authenticate(ctx, &who.credentials)
	return who
}

// identify finds out who sends a request over HTTP.
func (s *Server) identify(r *http.Request) caller {
	credentials := access.FromRequest(r)
	if s.Authenticate == nil {
		return s.newCaller(r.Context(), "http", credentials)
	}
	who := caller{transport: "http", serverID: s.correlation.next(), credentials: credentials, trail: s.newTrail()}
	name, err := s.Authenticate(r)
	if err != nil {
		who.denial = &access.Denial{Detail: err.Error()}
		return who
	}
	who.principal, who.denial = s.Access.Named(name)
	return who
}

// challenge tells an unauthenticated client that a token is asked for, where one is (mcp contract §2.1).
func (s *Server) challenge(w http.ResponseWriter, status int) {
	if status == http.StatusUnauthorized && s.Authenticate == nil && s.Access.Challenges() {
		w.Header().Set("WWW-Authenticate", `Bearer realm="decision-gate"`)
	}
}

// limited counts a request, and refuses it to a caller that asks too often. A caller that is not known is counted by its
// address, whatever it shows: made-up tokens would otherwise be a caller each (mcp contract §2.4).
func (s *Server) limited(who *caller) *Error {
	if s.Limiter == nil {
		return nil
	}
	counted := ratelimit.Caller{Peer: who.credentials.Peer}
	if who.principal != nil {
		counted.Principal = who.principal.ID
	}
	retryAfter, allowed := s.Limiter.Allow(counted, time.Now())
	if allowed {
		return nil
	}
	return &Error{Code: RateLimited, Message: "rate limit exceeded", RetryAfter: retryAfter}
}

// listAction is the action of whoever asks for anything but a tool (mcp contract §3.1).
const listAction = "tools/list"

// allow refuses an action to a caller that is not known, or may not.
func (s *Server) allow(who caller, action string) *Error {
	denial := who.denial
	switch {
	case denial != nil:
	case who.principal == nil:
		// Nobody asked who it is: that must not open anything.
		denial = &access.Denial{Detail: "not authenticated"}
	case action != listAction:
		denial = s.Access.AllowTool(action)
	}
	s.recordAuthz(&who, action, denial)
	switch {
	case denial == nil:
		return nil
	case denial.Authenticated:
		return denied(denial)
	case denial.Fault != nil:
		// Not 401: a client would throw a good token away.
		refused := asError(denial.Fault)
		refused.cause = denial
		return refused
	default:
		return &Error{Code: Unauthenticated, Message: "unauthenticated", cause: denial}
	}
}

// denied is what a caller is told that may not. Why is for the audit record.
func denied(why *access.Denial) *Error {
	return &Error{Code: Unauthorized, Message: "unauthorized", cause: why}
}
