package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/guide"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// rig is a server on a store that fails when told to.
type rig struct {
	*Server
	t     testing.TB
	store *faultystore.Store
	log   *safeLog
}

// safeLog keeps what is logged.
type safeLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

const testMaxBody = 1 << 16

func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	providers, err := evidence.New(evidence.Options{Time: &evidence.TimeOptions{AllowLogical: true}, JSON: &evidence.JSONOptions{Root: t.TempDir(), RootID: "files", MaxBytes: 1000}, Env: &evidence.EnvOptions{Values: map[string]string{"DEPLOY_ENV": "production"}, MaxValueBytes: 1000, MaxKeyBytes: 100}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = providers.Close() })
	log := &safeLog{}
	documents, err := guide.New(guide.Options{Own: true, MaxDocBytes: 1 << 20, MaxTotalBytes: 1 << 20, MaxDocs: 32, MaxSections: 10, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	store := faultystore.New()
	definitions := registry.New(store)
	settings := func() *gate.Settings { return &gate.Settings{MinLane: gate.Asserted} }
	config := Config{
		Access: access.New(localAccess), Runs: runs.New(store, definitions, providers, settings, "test"), Registry: definitions, Evidence: providers, Settings: settings,
		Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Ready:  func() bool { return true }, Namespace: NamespaceRule{AllowDefault: true, DefaultTenants: []gate.TenantID{1}},
		Schemas: SchemaLimits{MaxBytes: 1 << 12, MaxEntries: 100}, Disclosed: func(gate.ProviderID) bool { return true },
		Discovery: DiscoveryRule{MaxBytes: 1 << 20}, Docs: Docs{Catalogue: documents, Search: true, Resources: true},
		MaxArtifact: 1 << 20, MaxBody: testMaxBody, MaxInflight: 4,
	}
	for _, f := range change {
		f(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{s, t, store, log}
}

// answered is a decoded answer.
type answered struct {
	Jsonrpc string
	ID      json.RawMessage
	Result  json.RawMessage
	Error   *struct {
		Code    int
		Message string
		Data    struct {
			Kind      string
			Retryable bool
			RequestID *string `json:"request_id"`
		}
	}
}

func callText(tool, arguments string) string {
	return `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"` + tool + `","arguments":` + arguments + `}}`
}

func decodeAnswer(t testing.TB, body []byte) (a answered) {
	t.Helper()
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return a
}

// localAccess lets callers of this machine do everything.
var localAccess = access.Options{
	Local:    true,
	Schemas:  access.SchemaRules{AllowLocal: true},
	Feedback: access.FeedbackRules{Default: access.Summary, LocalDefault: access.Trace, Max: access.Trace, Trace: access.Audience{Principals: []string{"local:loopback", "local:stdio"}}},
}

// local is a caller of this machine.
func (r *rig) local() caller {
	return r.newCaller(context.Background(), "http", access.Credentials{Peer: netip.MustParseAddr("127.0.0.1")})
}

// call calls a tool.
func (r *rig) call(tool, arguments string) answered {
	r.t.Helper()
	return decodeAnswer(r.t, r.serve(context.Background(), r.local(), []byte(callText(tool, arguments))).body)
}

// must calls a tool that must succeed, and returns its result.
func (r *rig) must(tool, arguments string) string {
	r.t.Helper()
	a := r.call(tool, arguments)
	if a.Error != nil {
		r.t.Fatalf("%s: %+v", tool, *a.Error)
	}
	var result struct {
		Content []struct{ JSON json.RawMessage }
	}
	if err := json.Unmarshal(a.Result, &result); err != nil {
		r.t.Fatal(err)
	}
	return string(result.Content[0].JSON)
}

// refused calls a tool that must refuse with a code and a message.
func (r *rig) refused(code Code, message, tool, arguments string) {
	r.t.Helper()
	if a := r.call(tool, arguments); a.Error == nil || a.Error.Code != int(code) || a.Error.Message != message {
		r.t.Errorf("%s %s: got %+v, want %d %s", tool, arguments, a.Error, code, message)
	}
}

// http serves the handler and sends it a request.
func (r *rig) http(req *http.Request) (*http.Response, string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, req)
	body, _ := io.ReadAll(w.Result().Body)
	return w.Result(), string(body)
}

func post(body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/rpc", strings.NewReader(body))
	req.RemoteAddr = "127.0.0.1:1"
	req.Header.Set("Content-Type", "application/json")
	return req
}

const listTools = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// specText is a scenario of one stage that the clock passes.
func specText(id, tenant string) string {
	return `{"scenario_id":"` + id + `","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":` + tenant + `,
	"stages":[{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"Condition":"past"}}],"advance_to":{"kind":"fixed","stage_id":"a"},"on_timeout":"fail"}],
	"conditions":[{"condition_id":"past","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]}]}`
}

// startRun defines a scenario and starts a run of it.
func (r *rig) startRun(id, run string) {
	r.t.Helper()
	r.must("scenario_define", `{"spec":`+specText(id, "1")+`}`)
	r.must("scenario_start", `{"scenario_id":"`+id+`","run_config":{"tenant_id":1,"namespace_id":1,"run_id":"`+run+`","scenario_id":"`+id+`","dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`)
}

func nextText(id, run, trigger, more string) string {
	return `{"scenario_id":"` + id + `","request":{"run_id":"` + run + `","tenant_id":1,"namespace_id":1,"trigger_id":"` + trigger + `","agent_id":"a","time":{"kind":"unix_millis","value":5}}` + more + `}`
}
