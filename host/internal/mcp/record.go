package mcp

import (
	"cmp"
	"context"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

// trail is the audit lines of a request that is being served. They are written together, before the request is answered.
type trail struct {
	// requestID is the JSON text of the request's id; nil as long as it is not known.
	requestID *string
	// authz is the last decision about the caller: at /mcp the one about a tool comes after one about everything there is.
	authz *audit.ToolAuthz
	lines []byte
}

// newTrail is nil where there is no audit log.
func (s *Server) newTrail() *trail {
	if s.Audit == nil {
		return nil
	}
	return &trail{}
}

func (t *trail) add(e audit.Event) { t.lines = audit.AppendLine(t.lines, e) }

// named keeps the id of the request, as errors tell it. It is shortened, as are the other names that clients choose: a request
// has several lines, and long names would fill the disk of the log with little effort.
func (t *trail) named(id *canonical.Value) {
	if t != nil && id != nil {
		text := clip(string(canonical.AppendValue(nil, *id, canonical.Declared)))
		t.requestID = &text
	}
}

// optional is nil for an empty text.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// clipped is a name as lines have it; nil stays nil.
func clipped[T ~string](name *T) *string {
	if name == nil {
		return nil
	}
	text := clip(string(*name))
	return &text
}

func now() int64 { return time.Now().UnixMilli() }

func (c *caller) peerIP() *string {
	if !c.credentials.Peer.IsValid() {
		return nil
	}
	text := c.credentials.Peer.Unmap().String()
	return &text
}

func (c *caller) principalID() string {
	if c.principal == nil {
		return ""
	}
	return c.principal.ID
}

// clientSubject is the subject of a certificate that was verified, by the host or by a proxy that it trusts. A header that
// anybody may write is none: it would let a client put another's name into the log.
func (c *caller) clientSubject() *string {
	if c.principal == nil || c.principal.Method != access.MTLS {
		return nil
	}
	return &c.principal.Subject
}

// recordAuthz keeps whether the caller was let in (mcp contract §6.1).
func (s *Server) recordAuthz(who *caller, action string, denial *access.Denial) {
	if who.trail == nil {
		return
	}
	e := &audit.ToolAuthz{
		Decision: audit.Allow, Action: action, Transport: who.transport, PeerIP: who.peerIP(),
		ClientCorrelationID: optional(who.correlationID), ServerCorrelationID: who.serverID,
	}
	if denial != nil {
		reason := denial.Error()
		e.Decision, e.Reason = audit.Deny, &reason
	} else {
		method := string(who.principal.Method)
		e.AuthMethod, e.Subject, e.TokenFingerprint = &method, optional(who.principal.Subject), optional(who.principal.Fingerprint)
	}
	who.trail.authz = e
}

// noopAllow is the reason where nobody was asked (mcp contract §3.8).
const noopAllow = "noop_allow"

func (w *scope) ids() (tenant, namespace *string) {
	if w.tenant != nil {
		text := decimal(*w.tenant)
		tenant = &text
	}
	text := decimal(w.namespace)
	return tenant, &text
}

// recordTenant records whether the caller may use the tenant (mcp contract §6.5).
func (s *Server) recordTenant(who caller, tool string, where scope, d *access.TenantDecision) {
	if who.trail == nil {
		return
	}
	tenant, namespace := where.ids()
	who.trail.add(audit.Tenant{
		TimestampMS: now(), RequestID: who.trail.requestID, ClientCorrelationID: optional(who.correlationID), ServerCorrelationID: who.serverID,
		Tool: tool, Allowed: d.Allowed, Reason: d.Reason, PrincipalID: who.principalID(), TenantID: tenant, NamespaceID: namespace,
	})
}

// recordUsage records that the caller has the units left that a call takes (mcp contract §6.6).
func (s *Server) recordUsage(who caller, tool string, where scope, takes ...usage) {
	if who.trail == nil {
		return
	}
	tenant, namespace := where.ids()
	for _, u := range takes {
		who.trail.add(audit.Usage{
			TimestampMS: now(), RequestID: who.trail.requestID, ClientCorrelationID: optional(who.correlationID), ServerCorrelationID: who.serverID,
			Tool: tool, TenantID: tenant, NamespaceID: namespace, PrincipalID: who.principalID(),
			Metric: u.metric, Units: u.units, Allowed: true, Reason: noopAllow,
		})
	}
}

// recordSchemas records what the rules of the registry of data shapes say (mcp contract §6.4). The shape is nil for a list.
func (s *Server) recordSchemas(who caller, d access.Decision, tenant gate.TenantID, namespace gate.NamespaceID, shape *registry.ShapeRef) {
	if who.trail == nil {
		return
	}
	e := audit.Registry{
		TimestampMS: now(), RequestID: who.trail.requestID, ClientCorrelationID: optional(who.correlationID), ServerCorrelationID: who.serverID,
		TenantID: decimal(tenant), NamespaceID: decimal(namespace), Action: string(d.Action), Allowed: d.Allowed, Reason: d.Reason,
		PrincipalID: who.principalID(), Roles: []string{},
	}
	if shape != nil {
		e.SchemaID, e.SchemaVersion = clipped(&shape.SchemaID), clipped(&shape.Version)
	}
	if p := who.principal; p != nil {
		e.PolicyClass = optional(p.PolicyClass)
		for _, r := range p.Roles {
			e.Roles = append(e.Roles, r.Name)
		}
	}
	who.trail.add(e)
}

// auditedPrecheck is precheck with its audit line, which only an answer gets (mcp contract §6.3).
func (s *Server) auditedPrecheck(ctx context.Context, who caller, a precheckArguments) (gate.PrecheckResult, error) {
	result, err := s.precheck(ctx, who, a)
	if err != nil || who.trail == nil {
		return result, err
	}
	e := audit.Precheck{
		TimestampMS: now(), ClientCorrelationID: optional(who.correlationID), ServerCorrelationID: who.serverID,
		TenantID: decimal(a.TenantID), NamespaceID: decimal(a.NamespaceID),
		ScenarioID: clipped(a.ScenarioID), StageID: clipped(a.StageID),
		SchemaID: clip(a.DataShape.SchemaID), SchemaVersion: clip(a.DataShape.Version),
		RequestHash: canonical.Hash(a), ResponseHash: canonical.Hash(result), Redaction: audit.HashOnly,
	}
	if s.AuditPayloads {
		e.Redaction = audit.Payload
		if e.Request, err = asValue(a); err == nil {
			e.Response, err = asValue(result)
		}
		if err != nil {
			return result, err
		}
	}
	who.trail.add(e)
	return result, nil
}

// asValue is a struct as a JSON value.
func asValue(v any) (canonical.Value, error) {
	return canonical.Parse(canonical.Append(nil, v, canonical.Declared))
}

// outcome is what became of a request.
type outcome struct {
	method   audit.Method
	tool     string
	received int // bytes of the request
	sent     int // bytes of the answer
	failure  *Error
	// label says why the client's correlation id was refused; empty when it was not.
	label string
}

// auditMethods are the methods that lines name.
var auditMethods = map[string]audit.Method{
	"tools/list": audit.ToolsList, "tools/call": audit.ToolsCall, "resources/list": audit.ResourcesList, "resources/read": audit.ResourcesRead,
}

// unknownKind is the kind of errors that have no row in the table of codes (mcp contract §2.6).
const unknownKind = "unknown"

// record writes the lines of a request. An error is what the client must be told instead of the answer: an answer that
// nobody could hold against the host later is none.
func (s *Server) record(ctx context.Context, who *caller, o *outcome) *Error {
	t := who.trail
	if t == nil {
		return nil
	}
	var lines []byte
	if t.authz != nil {
		t.authz.RequestID = t.requestID
		lines = audit.AppendLine(nil, *t.authz)
	}
	e := audit.Request{
		TimestampMS: now(), RequestID: t.requestID, ClientCorrelationID: optional(who.correlationID), ServerCorrelationID: cmp.Or(who.serverID, audit.Missing),
		Transport: who.transport, PeerIP: who.peerIP(), Method: o.method, Tool: optional(o.tool), Outcome: audit.OK,
		RequestBytes: uint64(o.received), ResponseBytes: uint64(o.sent), ClientSubject: who.clientSubject(), Redaction: audit.Full,
	}
	if o.tool == "evidence_query" {
		e.Redaction = audit.Evidence
	}
	if o.failure != nil {
		code, kind := int64(o.failure.Code), cmp.Or(codes[o.failure.Code].kind, unknownKind)
		e.Outcome, e.ErrorCode, e.ErrorKind = audit.Failed, &code, &kind
	}
	lines = audit.AppendLine(append(lines, t.lines...), e)
	if o.label != "" {
		message := "correlation_id_rejected: " + o.label
		lines = audit.AppendLine(lines, audit.Security{
			TimestampMS: now(), ServerCorrelationID: &who.serverID, Kind: audit.InvalidCorrelationID, Message: &message,
			DevPermissive: s.Security.Development, NamespaceAuthority: "n/a",
		})
	}
	return s.audited(ctx, s.Audit.Write(lines))
}

// auditable refuses a request before its work while what was done before is not in the audit log.
func (s *Server) auditable(ctx context.Context) *Error { return s.audited(ctx, s.Audit.Ready()) }

// errUnaudited is what clients are told; the log says why.
var errUnaudited = &Error{Code: Internal, Message: "the call cannot be recorded in the audit log; try again later", Retry: true}

// audited makes an error of one of the audit log. The host's log has it once, and when it is over.
func (s *Server) audited(ctx context.Context, err error) *Error {
	if err == nil {
		if s.unaudited.Load() && s.unaudited.Swap(false) {
			s.Logger.InfoContext(ctx, "the audit log is written again; nothing of it is missing")
		}
		return nil
	}
	if !s.unaudited.Swap(true) {
		s.Logger.ErrorContext(ctx, "the audit log cannot be written: calls are refused until it can; make room, or mend its folder", "error", err)
	}
	return errUnaudited
}

// recordRefusal records a request that was refused before it was read, and returns why it is refused now.
func (s *Server) recordRefusal(ctx context.Context, r *refusal, size func(*Error) int) *refusal {
	if err := s.auditable(ctx); err != nil {
		return &refusal{Error: err}
	}
	o := outcome{method: audit.Invalid, received: r.received, sent: size(r.Error), failure: r.Error, label: r.label}
	if err := s.record(ctx, &r.who, &o); err != nil {
		return &refusal{Error: err}
	}
	return r
}
