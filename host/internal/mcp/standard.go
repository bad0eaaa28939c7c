package mcp

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"net/http"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/audit"
	"github.com/decision-gate-host/decision-gate-host/host/internal/hold"
	"github.com/decision-gate-host/decision-gate-host/host/internal/modelcontext"
)

// The standard surface: the same tools for stock clients of the Model Context Protocol, at /mcp and on lines of standard
// input. What differs from /rpc is how they are told: results are structuredContent, failures of a tool are results with
// isError, and a decision that holds says what would open it.

// standardPath is where it is served.
const standardPath = "/mcp"

// standardTools says of each tool what only the standard surface tells.
//
//go:embed standard.json
var standardTools []byte

// scenarioSchema is the document that input schemas refer to as scenarioSchemaID.
//
//go:embed scenario.schema.json
var scenarioSchema []byte

const scenarioSchemaID = "decision-gate://contract/schemas/scenario.schema.json"

type standardTool struct {
	Name        string          `member:"name"`
	Title       string          `member:"title"`
	Annotations canonical.Value `member:"annotations"`
	Output      canonical.Value `member:"output_schema"`
}

const instructions = `Decision Gate decides whether a run may advance. A scenario has stages, a stage has gates, a gate is a requirement over conditions, and a condition asks an evidence provider. Define a scenario with scenario_define, start a run with scenario_start, and ask with scenario_next: the answer is advance, complete, fail or hold. A hold says which conditions are missing and what would open the stage; change the facts, not the scenario, and ask again with a new trigger_id. The same trigger_id answers the same decision. Ask precheck to try without deciding.`

// newStandard makes the standard surface of the tools in described, which are those of /rpc.
func (s *Server) newStandard(described []listedTool) (*modelcontext.Server, error) {
	tools, err := s.standardTools(described)
	if err != nil {
		return nil, err
	}
	return modelcontext.New(s.standardCatalog(tools), modelcontext.Options{
		MaxMessage:  s.MaxBody,
		MaxInflight: s.MaxInflight,
		Answers:     &s.answers,
		Begin:       s.beginLine,
		Observe:     s.observe,
	})
}

// standardCatalog is what it offers.
func (s *Server) standardCatalog(tools []modelcontext.Tool) modelcontext.Catalog {
	return modelcontext.Catalog{
		Name:         "decision-gate-host",
		Title:        "Decision Gate Host",
		Version:      cmp.Or(s.Version, "unknown"),
		Instructions: instructions,
		Tools:        tools,
		Resources:    s.standardResources(),
		Prompts:      s.prompts(),
		Complete:     s.completePrompt,
	}
}

func (s *Server) standardTools(described []listedTool) ([]modelcontext.Tool, error) {
	var more []standardTool
	v, err := canonical.Parse(standardTools)
	if err == nil {
		err = canonical.Decode(v, &more)
	}
	if err != nil {
		return nil, fmt.Errorf("standard.json: %w", err)
	}
	of := make(map[string]*standardTool, len(more))
	for i := range more {
		of[more[i].Name] = &more[i]
	}
	var tools []modelcontext.Tool
	for _, d := range described {
		known, found := of[d.Name]
		if !found {
			return nil, fmt.Errorf("standard.json does not describe %s", d.Name)
		}
		input, err := wholeSchema(d.InputSchema)
		if err != nil {
			return nil, err
		}
		tools = append(tools, modelcontext.Tool{
			Name: d.Name, Title: &known.Title, Description: d.Description,
			Input: input, Output: &known.Output, Annotations: &known.Annotations,
			Call: s.callStandard(s.tools[d.Name]),
		})
	}
	return tools, nil
}

// wholeSchema puts the schema of a scenario into an input schema that refers to it, under the same id: clients of /rpc have it
// themselves, a stock client has nowhere to get it from.
func wholeSchema(input canonical.Value) (canonical.Value, error) {
	if !bytes.Contains(canonical.AppendValue(nil, input, canonical.Declared), []byte(scenarioSchemaID)) {
		return input, nil
	}
	scenario, err := canonical.Parse(scenarioSchema)
	if err != nil {
		return canonical.Value{}, fmt.Errorf("scenario.schema.json: %w", err)
	}
	definition := []canonical.Member{{Name: "$id", Value: canonical.NewString(scenarioSchemaID)}}
	for _, m := range scenario.Members() {
		if m.Name != "$id" {
			definition = append(definition, m)
		}
	}
	definitions := canonical.NewObject([]canonical.Member{{Name: "scenario", Value: canonical.NewObject(definition)}})
	members := append([]canonical.Member{}, input.Members()...)
	return canonical.NewObject(append(members, canonical.Member{Name: "$defs", Value: definitions})), nil
}

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
		s.refuseStandard(w, r, &refusal{Error: err, who: a.who, received: len(a.body)})
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
	who := s.newCaller("stdio", access.Credentials{Stdio: true})
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

// held explains a result that is a hold, as far as the result itself lets the caller see it; nil for any other.
func (s *Server) held(ctx context.Context, result any, arguments canonical.Value) *hold.Hold {
	switch r := result.(type) {
	case gate.TriggerResult:
		return summarised(r.Decision)
	case nextResult:
		evals, told := r.Feedback.evaluations()
		if r.Decision.Outcome.Kind != gate.Hold || !told {
			return summarised(r.Decision)
		}
		var a nextArguments
		if canonical.Decode(arguments, &a) != nil {
			return nil
		}
		scenario, err := s.Registry.Scenario(ctx, a.Request.TenantID, a.ScenarioID)
		return explained(scenario, err, &r.Decision.StageID, evals)
	case gate.PrecheckResult:
		var a precheckArguments
		if r.Decision.Kind != gate.Hold || canonical.Decode(arguments, &a) != nil {
			return nil
		}
		scenario, err := s.precheckScenario(ctx, &a)
		return explained(scenario, err, a.StageID, r.GateEvaluations)
	default:
		return nil
	}
}

func summarised(d gate.DecisionRecord) *hold.Hold {
	if d.Outcome.Kind != gate.Hold {
		return nil
	}
	return hold.Summary(d.StageID, d.Outcome.Summary.UnmetGates)
}

// explained explains a stage, which is the first one where none is named. That a scenario cannot be read any more is no
// reason to withhold a decision: it goes without an explanation.
func explained(scenario *gate.Scenario, err error, id *gate.StageID, evals []gate.GateEvaluation) *hold.Hold {
	if err != nil {
		return nil
	}
	stage := &scenario.Spec().Stages[0]
	if id != nil {
		var known bool
		if stage, known = scenario.Stage(*id); !known {
			return nil
		}
	}
	return hold.Explain(stage, evals)
}

// standardResources are the documents that clients may read.
func (s *Server) standardResources() []modelcontext.Resource {
	title := "Schema of a scenario"
	resources := []modelcontext.Resource{{
		URI: scenarioSchemaID, Name: "scenario.schema.json", Title: &title,
		Description: "The JSON Schema of what scenario_define takes.", MIMEType: "application/schema+json",
		Read: document(scenarioSchemaID, "application/schema+json", string(scenarioSchema)),
	}}
	if !s.Docs.Resources {
		return resources
	}
	for _, d := range s.Docs.Catalogue.Documents() {
		resources = append(resources, modelcontext.Resource{
			URI: d.URI, Name: d.Title, Description: d.Description, MIMEType: markdown,
			Read: document(d.URI, markdown, d.Text),
		})
	}
	return resources
}

func document(uri, mimeType, text string) func(context.Context, *modelcontext.Call) ([]modelcontext.Contents, error) {
	return func(context.Context, *modelcontext.Call) ([]modelcontext.Contents, error) {
		return []modelcontext.Contents{{URI: uri, MIMEType: mimeType, Text: &text}}, nil
	}
}
