package mcp

import (
	"cmp"
	"context"
	"errors"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/authority"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
)

// scope is where a call works: the tenant, which a scenario need not have, and the namespace.
type scope struct {
	tenant    *gate.TenantID
	namespace gate.NamespaceID
}

// scoped are the arguments of tools that work in a namespace, and that not everybody may use in every namespace.
type scoped interface{ scope() scope }

func (a defineArguments) scope() scope   { return scope{a.Spec.DefaultTenantID, a.Spec.NamespaceID} }
func (a startArguments) scope() scope    { return scope{&a.RunConfig.TenantID, a.RunConfig.NamespaceID} }
func (a statusArguments) scope() scope   { return scope{&a.Request.TenantID, a.Request.NamespaceID} }
func (a nextArguments) scope() scope     { return scope{&a.Request.TenantID, a.Request.NamespaceID} }
func (a submitArguments) scope() scope   { return scope{&a.Request.TenantID, a.Request.NamespaceID} }
func (a triggerArguments) scope() scope  { return scope{&a.Trigger.TenantID, a.Trigger.NamespaceID} }
func (a evidenceArguments) scope() scope { return scope{&a.Context.TenantID, a.Context.NamespaceID} }
func (a exportArguments) scope() scope   { return scope{&a.TenantID, a.NamespaceID} }
func (a shapeRecord) scope() scope       { return scope{&a.Record.TenantID, a.Record.NamespaceID} }
func (a schemaArguments) scope() scope   { return scope{&a.TenantID, a.NamespaceID} }
func (a listArguments) scope() scope     { return scope{&a.TenantID, a.NamespaceID} }
func (a precheckArguments) scope() scope { return scope{&a.TenantID, a.NamespaceID} }

// usage is how much of a metric a call takes (mcp contract §3.8).
type usage struct {
	metric string
	units  uint64
}

// toolCall is what every call takes.
var toolCall = usage{"tool_calls", 1}

// usageOf is what a call takes beside that.
func usageOf(arguments any) []usage {
	switch a := arguments.(type) {
	case startArguments:
		return []usage{{"runs_started", 1}}
	case evidenceArguments:
		return []usage{{"evidence_queries", 1}}
	case exportArguments:
		return []usage{{"runpack_exports", 1}}
	case shapeRecord:
		size := len(canonical.AppendValue(nil, a.Record.Schema, canonical.Declared))
		return []usage{{"schemas_written", 1}, {"registry_entries", 1}, {"storage_bytes", uint64(size)}}
	default:
		return nil
	}
}

// enter is what stands before the work of a tool, in the order of mcp contract §3.8: whether the caller may use the tenant, and
// has the units left, which nobody counts yet, and whether the namespace may be used. The context that it returns names to the
// store in whose name it is called.
func (s *Server) enter(ctx context.Context, who caller, tool string, arguments any) (context.Context, error) {
	in, ok := arguments.(scoped)
	if !ok {
		return ctx, nil
	}
	where := in.scope()
	if err := s.allowTenant(who, tool, where); err != nil {
		return ctx, err
	}
	_, registers := arguments.(shapeRecord)
	if !registers {
		s.recordUsage(who, tool, where, toolCall)
	}
	if err := s.allowNamespace(ctx, who, where); err != nil {
		return ctx, err
	}
	if registers {
		s.recordUsage(who, tool, where, toolCall)
	}
	if who.trail != nil { // a data shape is written out only to be measured for the record
		s.recordUsage(who, tool, where, usageOf(arguments)...)
	}
	return persist.OnBehalf(ctx, uint64(s.Access.OnBehalf(who.principal, where.tenant))), nil
}

// allowTenant refuses a tenant to callers that may not use it. Whatever the tenant has or has not is not looked at: the
// answer is the same for all of it.
func (s *Server) allowTenant(who caller, tool string, where scope) error {
	decision := s.Access.Tenant(who.principal, where.tenant, where.namespace)
	s.recordTenant(who, tool, where, &decision)
	if denial := decision.Denial(); denial != nil {
		return denied(denial)
	}
	return nil
}

// Authority knows which namespaces there are.
type Authority interface {
	// Ensure returns nil when the namespace may be used. requestID names the call to the authority.
	Ensure(ctx context.Context, namespace uint64, requestID string) error
}

// ensureNamespace asks the authority. Whatever it answers but yes is a no: a server that cannot be reached must not open
// what it would have kept shut. What exactly is wrong is for the log.
func (s *Server) ensureNamespace(ctx context.Context, who caller, namespace gate.NamespaceID) error {
	if s.Authority == nil {
		return nil
	}
	err := s.Authority.Ensure(ctx, uint64(namespace), cmp.Or(who.correlationID, who.serverID))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, authority.ErrToken), errors.Is(err, authority.ErrRequestID):
		return &Error{Code: InvalidParams, Message: err.Error(), cause: err}
	case errors.Is(err, authority.ErrNotFound), errors.Is(err, authority.ErrDenied):
		// Clients can ask for namespaces that are not there as often as they like: that must not fill the log.
		return refuse(Unauthorized, "unauthorized")
	default:
		return &Error{Code: Unauthorized, Message: "unauthorized", cause: err}
	}
}

// decimal is an id as audit lines have it.
func decimal[N ~uint64](id N) string { return strconv.FormatUint(uint64(id), 10) }
