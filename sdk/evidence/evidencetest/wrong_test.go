package evidencetest

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence/evidencetest/internal/model"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// wrongProvider breaks one promise.
type wrongProvider struct {
	name, caughtBy string
	wrap           func(evidence.Provider) evidence.Provider
	wire           func(pb.EvidenceServer) pb.EvidenceServer
}

var wrongProviders = []wrongProvider{
	{name: "comparators out of order", caughtBy: "Contract", wrap: onContract(`["equals", "not_equals", "in_set"]`, `["in_set", "equals"]`)},
	{name: "no such comparator", caughtBy: "Contract", wrap: onContract(`"greater_than"`, `"greater"`)},
	{name: "no such determinism", caughtBy: "Contract", wrap: onContract(`"time_dependent"`, `"sometimes"`)},
	{name: "no examples", caughtBy: "Contract", wrap: onContract(`[{"description": "Two letters.", "params": {"text": "ab"}, "result": [97, 98]}]`, `[]`)},
	{name: "two checks of one id", caughtBy: "Contract", wrap: onContract(`"check_id": "asked"`, `"check_id": "echo"`)},
	{name: "says its own id", caughtBy: "Contract", wrap: onContract(`"notes": []`, `"notes": [], "provider_id": "model"`)},
	{name: "a misspelled member", caughtBy: "Contract", wrap: onContract(`"content_types"`, `"contentTypes"`)},
	{name: "a schema that is none", caughtBy: "Contract", wrap: onContract(`"result_schema": {"type": "array"}`, `"result_schema": "array"`)},
	{name: "another contract each time", caughtBy: "Contract", wrap: func(p evidence.Provider) evidence.Provider { return &changing{Provider: p} }},
	{name: "a wrong example", caughtBy: "Examples", wrap: onContract(`"result": "Thursday"`, `"result": "Friday"`)},
	{name: "an external example that fails", caughtBy: "Examples", wrap: failing("asked")},
	{name: "an error in the result", caughtBy: "Examples", wrap: onResult(func(r *evidence.Result) { r.Error = &evidence.Error{Code: "x"} })},
	{name: "numbers are floats", caughtBy: "Numbers", wrap: onResult(throughFloats)},
	{name: "no lane", caughtBy: "Answers", wrap: onResult(func(r *evidence.Result) { r.Lane = "" })},
	{name: "another content type", caughtBy: "Answers", wrap: onResult(func(r *evidence.Result) { r.ContentType = "text/html" })},
	{name: "another anchor", caughtBy: "Answers", wrap: onResult(func(r *evidence.Result) { r.Anchor = &evidence.Anchor{Type: "night"} })},
	{name: "another hash", caughtBy: "Answers", wrap: onResult(func(r *evidence.Result) {
		if r.SHA256 != nil {
			r.SHA256[0] ^= 1
		}
	})},
	{name: "answers any check", caughtBy: "UnknownCheck", wire: func(s pb.EvidenceServer) pb.EvidenceServer { return anyCheck{EvidenceServer: s} }},
	{name: "trims the name of a check", caughtBy: "UnknownCheck", wire: func(s pb.EvidenceServer) pb.EvidenceServer { return trimming{EvidenceServer: s} }},
	{name: "takes any params", caughtBy: "HostileParams", wrap: onParams(func(params json.RawMessage) json.RawMessage {
		if len(params) == 0 || params[0] != '{' {
			return json.RawMessage("{}")
		}
		return params
	})},
	{name: "missing params are the default", caughtBy: "HostileParams", wire: func(s pb.EvidenceServer) pb.EvidenceServer { return defaulting{EvidenceServer: s} }},
	{name: "panics on an array", caughtBy: "HostileParams", wrap: onParams(func(params json.RawMessage) json.RawMessage {
		if strings.HasPrefix(string(params), "[") {
			panic("an array")
		}
		return params
	})},
	{name: "never again after large params", caughtBy: "LargeParams", wrap: func(p evidence.Provider) evidence.Provider { return &overwhelmed{Provider: p} }},
	{name: "signed tenants", caughtBy: "Ids", wrap: onContext(func(c evidence.Context) error {
		if c.Tenant > math.MaxInt64 {
			return fault.New(fault.Invalid, "a negative tenant")
		}
		return nil
	})},
	{name: "ids must not be empty", caughtBy: "Ids", wrap: onContext(func(c evidence.Context) error {
		if c.Run == "" {
			return fault.New(fault.Invalid, "a run without id")
		}
		return nil
	})},
	{name: "needs a correlation id", caughtBy: "Ids", wrap: onContext(func(c evidence.Context) error {
		if c.Correlation == "" {
			return fault.New(fault.Invalid, "no correlation id")
		}
		return nil
	})},
	{name: "counts what is deterministic", caughtBy: "Determinism", wrap: func(p evidence.Provider) evidence.Provider { return &tiring{Provider: p} }},
	{name: "answers by the run", caughtBy: "Determinism", wrap: onContext(func(c evidence.Context) error {
		if c.Run == "run-3" {
			return fault.New(fault.Unavailable, "not this run")
		}
		return nil
	})},
	{name: "remembers failures", caughtBy: "Tenants", wrap: func(p evidence.Provider) evidence.Provider {
		return &cached{Provider: p, failures: map[string]error{}}
	}},
	{name: "caches by the check", caughtBy: "Tenants", wrap: func(p evidence.Provider) evidence.Provider {
		return &cached{Provider: p, answers: map[string]evidence.Result{}}
	}},
	{name: "one question at a time, the last one's", caughtBy: "Concurrent", wrap: func(p evidence.Provider) evidence.Provider { return &shared{Provider: p} }},
	{name: "loses a worker with each cancelled question", caughtBy: "Cancel", wrap: func(p evidence.Provider) evidence.Provider { return newPool(p) }},
	{name: "loses a worker with each late question", caughtBy: "Deadline", wrap: func(p evidence.Provider) evidence.Provider { return newPool(p) }},
	{name: "takes what is not JSON", caughtBy: "Wire", wire: func(s pb.EvidenceServer) pb.EvidenceServer { return anyParams{EvidenceServer: s} }},
}

// onContract alters the text of the contract.
func onContract(before, after string) func(evidence.Provider) evidence.Provider {
	return func(p evidence.Provider) evidence.Provider {
		text := strings.Replace(string(model.ContractJSON), before, after, 1)
		if text == string(model.ContractJSON) {
			panic("the contract does not have " + before)
		}
		return altersContract{p, text}
	}
}

type altersContract struct {
	evidence.Provider
	text string
}

func (p altersContract) Contract(context.Context) (json.RawMessage, error) {
	return json.RawMessage(p.text), nil
}

type changing struct {
	evidence.Provider
	n atomic.Int32
}

func (p *changing) Contract(context.Context) (json.RawMessage, error) {
	return json.RawMessage(strings.Replace(string(model.ContractJSON), "what it is given.", fmt.Sprint(p.n.Add(1)), 1)), nil
}

// asking alters questions and answers.
type asking struct {
	evidence.Provider
	do func(context.Context, evidence.Query, evidence.Context) (evidence.Result, error)
}

func (p asking) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	return p.do(ctx, q, c)
}

func onResult(alter func(*evidence.Result)) func(evidence.Provider) evidence.Provider {
	return func(p evidence.Provider) evidence.Provider {
		return asking{p, func(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
			r, err := p.Query(ctx, q, c)
			alter(&r)
			return r, err
		}}
	}
}

func onParams(alter func(json.RawMessage) json.RawMessage) func(evidence.Provider) evidence.Provider {
	return func(p evidence.Provider) evidence.Provider {
		return asking{p, func(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
			q.Params = alter(q.Params)
			return p.Query(ctx, q, c)
		}}
	}
}

func onContext(check func(evidence.Context) error) func(evidence.Provider) evidence.Provider {
	return func(p evidence.Provider) evidence.Provider {
		return asking{p, func(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
			if err := check(c); err != nil {
				return evidence.Result{}, err
			}
			return p.Query(ctx, q, c)
		}}
	}
}

func failing(check string) func(evidence.Provider) evidence.Provider {
	return func(p evidence.Provider) evidence.Provider {
		return asking{p, func(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
			if q.Check == check {
				return evidence.Result{}, fault.New(fault.Unavailable, "nobody there")
			}
			return p.Query(ctx, q, c)
		}}
	}
}

func throughFloats(r *evidence.Result) {
	var v any
	if json.Unmarshal(r.JSON, &v) == nil {
		r.JSON, _ = json.Marshal(v)
	}
}

type anyCheck struct{ pb.EvidenceServer }

func (s anyCheck) Query(ctx context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	answer, err := s.EvidenceServer.Query(ctx, req)
	if err != nil {
		return &pb.QueryResponse{Value: &pb.QueryResponse_Json{Json: []byte("false")}, Lane: pb.EvidenceLane_EVIDENCE_LANE_VERIFIED}, nil
	}
	return answer, nil
}

type trimming struct{ pb.EvidenceServer }

func (s trimming) Query(ctx context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	if req.GetQuery() != nil {
		req.Query.CheckId = strings.Trim(req.Query.CheckId, " \x00")
	}
	return s.EvidenceServer.Query(ctx, req)
}

type defaulting struct{ pb.EvidenceServer }

func (s defaulting) Query(ctx context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	if q := req.GetQuery(); q.GetCheckId() == "bytes" && (q.GetParamsJson() == nil || string(q.GetParamsJson()) == "{}") {
		q.ParamsJson = []byte(`{"text":""}`)
	}
	return s.EvidenceServer.Query(ctx, req)
}

type anyParams struct{ pb.EvidenceServer }

func (s anyParams) Query(ctx context.Context, req *pb.QueryRequest) (*pb.QueryResponse, error) {
	if q := req.GetQuery(); q != nil && !json.Valid(q.GetParamsJson()) {
		q.ParamsJson = []byte(`{"value":1}`)
	}
	return s.EvidenceServer.Query(ctx, req)
}

type overwhelmed struct {
	evidence.Provider
	over atomic.Bool
}

func (p *overwhelmed) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	if len(q.Params) > 1<<19 {
		p.over.Store(true)
	}
	if p.over.Load() {
		return evidence.Result{}, fault.New(fault.Unavailable, "no memory left")
	}
	return p.Provider.Query(ctx, q, c)
}

// tiring answers something else the third time.
type tiring struct {
	evidence.Provider
	n atomic.Int32
}

func (p *tiring) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	if q.Check == "weekday" && p.n.Add(1) > 2 {
		return evidence.Answer("Friday", evidence.Verified)
	}
	return p.Provider.Query(ctx, q, c)
}

// cached keeps failures, or answers, by check.
type cached struct {
	evidence.Provider
	mu       sync.Mutex
	failures map[string]error
	answers  map[string]evidence.Result
}

func (p *cached) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.failures[q.Check]; err != nil {
		return evidence.Result{}, err
	}
	if r, ok := p.answers[q.Check]; ok {
		return r, nil
	}
	r, err := p.Provider.Query(ctx, q, c)
	switch {
	case err != nil && p.failures != nil:
		p.failures[q.Check] = err
	case err == nil && p.answers != nil:
		p.answers[q.Check] = r
	}
	return r, err
}

// shared has room for one question.
type shared struct {
	evidence.Provider
	mu   sync.Mutex
	last evidence.Query
}

func (p *shared) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	p.mu.Lock()
	p.last = q
	p.mu.Unlock()
	time.Sleep(time.Millisecond) // others come in between
	p.mu.Lock()
	q = p.last
	p.mu.Unlock()
	return p.Provider.Query(ctx, q, c)
}

// pool has workers that it does not get back from questions that were given up.
type pool struct {
	evidence.Provider
	workers chan struct{}
}

func newPool(p evidence.Provider) evidence.Provider {
	return &pool{p, make(chan struct{}, 16)}
}

func (p *pool) Query(ctx context.Context, q evidence.Query, c evidence.Context) (evidence.Result, error) {
	select {
	case p.workers <- struct{}{}:
	case <-ctx.Done():
		return evidence.Result{}, ctx.Err()
	}
	// Work that takes longer than an abandoned question has, and not as long as one that is waited for.
	select {
	case <-time.After(5 * time.Millisecond):
		<-p.workers
		return p.Provider.Query(ctx, q, c)
	case <-ctx.Done():
		return evidence.Result{}, ctx.Err() // and the worker is lost
	}
}
