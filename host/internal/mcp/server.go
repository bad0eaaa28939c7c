// Package mcp is the surface of the host: JSON-RPC over HTTP and over Content-Length framed standard input, with the tools
// of Decision Gate (mcp contract §1, §2, §4). It turns what a client sends into calls of the layers below and their
// answers, and their failures, into what clients of Decision Gate expect, byte for byte.
//
// It decides nothing about scenarios or runs.
package mcp

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/delivery"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/modelcontext"
	"github.com/decision-gate-host/decision-gate-host/host/internal/ratelimit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/internal/strict"
	sdkrunpack "github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// Config is what the surface stands on.
type Config struct {
	// Version is that of the program, as clients are told.
	Version  string
	Runs     *runs.Runs
	Registry *registry.Registry
	Evidence *evidence.Registry
	// Settings are those of a call that begins now.
	Settings func() *gate.Settings
	// Security is how the host is run, as runpacks say.
	Security Security
	// Audit takes a record of every request; nil is none. AuditPayloads has it hold what precheck was handed and answered.
	Audit         *audit.Log
	AuditPayloads bool
	// Authority is asked about every namespace; nil is none.
	Authority Authority
	Runpacks  sdkrunpack.Sink // nil when there is no runpack plugin
	Logger    *slog.Logger
	Ready     func() bool
	// Degraded names what is not ready but only some scenarios need; nil names nothing.
	Degraded func() []string
	// Access says who calls and what they may do.
	Access *access.Policy
	// Authenticate, when set, says who sends a request over HTTP, instead of Access.
	Authenticate func(*http.Request) (name string, err error)
	Namespace    NamespaceRule
	Schemas      SchemaLimits
	// Strict says which comparators scenarios may use; its zero value is the strictest.
	Strict strict.Rules
	// Disclosed says of a provider whether evidence_query returns its values.
	Disclosed func(gate.ProviderID) bool
	// Tools says which tools are served.
	Tools ToolRule
	// Discovery says what clients may learn of providers, Docs what they may read.
	Discovery DiscoveryRule
	Docs      Docs
	// RunpackDirs are the folders that runpack_export may write to and runpack_verify may read; none by default, because
	// any other would let a caller write and read files of the host.
	RunpackDirs []string
	// Redact makes runpack_export withhold the values that Disclosed does not allow.
	Redact bool
	// MaxArtifact is the size in bytes of the largest artifact that is verified.
	MaxArtifact int64
	// MaxBody is the size in bytes of the largest request.
	MaxBody int64
	// MaxInflight is how many requests are served at a time; one more is refused.
	MaxInflight int
	// Hosts are the names, without port, that requests may be for beside those of loopback; AnyHost alone is every name.
	Hosts []string
	// EventStream has /rpc answer with a server-sent event each (mcp contract §1.4).
	EventStream bool
	// Limiter refuses callers that ask too often; nil refuses nobody.
	Limiter *ratelimit.Limiter
}

// SchemaLimits bound the schema registry.
type SchemaLimits struct {
	MaxBytes   int
	MaxEntries uint64
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	Config
	tools       map[string]*tool
	list        []byte // the answer to tools/list, which never changes
	correlation *correlationIDs
	slots       *slots
	busy        atomic.Int64 // bytes of the bodies that are being served
	// warnNamespace is for the one warning that namespace 1 must be allowed.
	warnNamespace sync.Once
	unaudited     atomic.Bool // the audit log could not be written when it was last tried
	// standard is the surface for stock clients of the Model Context Protocol.
	standard *modelcontext.Server
	answers  delivery.Answers
}

// New makes a Server.
func New(config Config) (*Server, error) {
	s := &Server{
		Config:      config,
		correlation: newCorrelationIDs(),
		slots:       newSlots(config.MaxInflight),
		answers:     delivery.Answers{Timeout: writeTimeout, Limit: max(minLate, config.MaxInflight)},
	}
	return s, s.describeTools()
}

// answer is what goes back to a client.
type answer struct {
	body   []byte
	status int
}

func failed(id *canonical.Value, err *Error) answer {
	body, status := appendError(nil, id, err)
	return answer{body, status}
}

// Drain refuses new requests, as overloaded, and says on /readyz that the host is not ready, until it is closed. It returns
// when those that are served have ended, or the context has.
func (s *Server) Drain(ctx context.Context) error { return s.slots.drain(ctx) }

// serve answers one request, once it is recorded.
func (s *Server) serve(ctx context.Context, who caller, body []byte) answer {
	o := outcome{method: audit.Invalid, received: len(body)}
	req, hasID, err := parseRequest(body)
	var id *canonical.Value
	if hasID {
		id = &req.id
	}
	who.trail.named(id)
	if err := s.auditable(ctx); err != nil {
		return failed(id, err)
	}
	a := s.answer(ctx, who, &req, id, err, &o)
	o.sent = len(a.body)
	if err := s.record(ctx, &who, &o); err != nil {
		return failed(id, err)
	}
	return a
}

// answer answers a request, which may be malformed. A panic ends the request, not the host and not the loop of a transport.
func (s *Server) answer(ctx context.Context, who caller, req *request, id *canonical.Value, malformed *Error, o *outcome) (a answer) {
	began := time.Now()
	defer func() {
		if p := recover(); p != nil {
			s.Logger.ErrorContext(ctx, "request panicked", "server_correlation_id", who.serverID, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			o.failure = refuse(Internal, "internal error")
			a = failed(id, o.failure)
		}
	}()
	if o.failure = malformed; malformed != nil {
		s.logCall(ctx, who, "invalid", "", began, malformed)
		return failed(id, malformed)
	}
	o.method = cmp.Or(auditMethods[req.method], audit.Other)
	var result []byte
	result, o.tool, o.failure = s.dispatch(ctx, who, req)
	s.logCall(ctx, who, req.method, o.tool, began, o.failure)
	if o.failure != nil {
		return failed(id, o.failure)
	}
	return answer{appendResult(nil, req.id, result), http.StatusOK}
}

func (s *Server) dispatch(ctx context.Context, who caller, req *request) (result []byte, name string, _ *Error) {
	switch req.method {
	case listAction:
		return s.list, "", s.allow(who, listAction)
	case "tools/call":
		var params struct {
			Name      string          `member:"name"`
			Arguments canonical.Value `member:"arguments"`
		}
		if err := canonical.Decode(req.params, &params); err != nil {
			return nil, "", errToolParams
		}
		if !isTool(params.Name) {
			return nil, "", errUnknownTool
		}
		if err := s.allow(who, params.Name); err != nil {
			return nil, params.Name, err
		}
		t, ok := s.tools[params.Name]
		if !ok {
			return nil, params.Name, errUnknownTool
		}
		result, err := s.callTool(ctx, who, t, params.Arguments)
		return result, t.name, err
	case "resources/list", "resources/read":
		result, err := s.resources(who, req)
		return result, "", err
	default:
		return nil, "", errUnknownMethod
	}
}

func (s *Server) callTool(ctx context.Context, who caller, t *tool, arguments canonical.Value) ([]byte, *Error) {
	ctx, release := s.Evidence.Hold(ctx)
	defer release()
	out, err := t.call(s, ctx, who, arguments)
	if err != nil {
		return nil, asError(err)
	}
	result := []byte(`{"content":[{"type":"json","json":`)
	result = canonical.Append(result, out, canonical.Declared)
	return append(result, `}]}`...), nil
}
