package host_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// calendarHCL is a host with the example of an evidence plugin, declared twice, as two providers.
func calendarHCL(t *testing.T) string {
	t.Helper()
	program := launchtest.Build(t, "../examples/evidence-calendar")
	freeze := `
  config {
    freeze {
      name  = "year-end"
      from  = "2026-12-20T00:00:00Z"
      until = "2027-01-04T06:00:00Z"
    }
  }
}
`
	return hcl + fmt.Sprintf(`
plugin "evidence" "calendar" {
  command         = %q
  health_interval = "100ms"%s
plugin "evidence" "other" {
  command         = %q
  health_interval = "10m"%s
evidence "plugin" "calendar" {
  timeout = "2s"
}
evidence "plugin" "other" {
  timeout = "100ms"
}
`, program, freeze, program, freeze)
}

// The times of triggers, in milliseconds.
var (
	inSummer    = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	atChristmas = time.Date(2026, 12, 25, 0, 0, 0, 0, time.UTC).UnixMilli()
)

// frozenQuestion asks a calendar whether a freeze holds.
func frozenQuestion(provider string) object {
	return object{"provider_id": provider, "check_id": "frozen", "params": object{"environment": "production"}}
}

// defineOn defines a scenario whose one gate wants an answer, and starts a run of it.
func defineOn(f *fixture, name string, query object, expected any) run {
	f.t.Helper()
	f.must("scenario_define", object{"spec": object{
		"scenario_id": name, "namespace_id": 1, "spec_version": "1", "policies": []any{}, "schemas": []any{}, "default_tenant_id": 1,
		"conditions": []object{{"condition_id": "c", "comparator": "equals", "expected": expected, "policy_tags": []any{}, "query": query}},
		"stages": []object{{
			"stage_id": "a", "entry_packets": []any{}, "advance_to": object{"kind": "terminal"}, "on_timeout": "fail",
			"gates": []object{{"gate_id": "g", "requirement": object{"Condition": "c"}}},
		}},
	}}, nil)
	r := run{f, name, name + "-run", 1}
	r.start(false)
	return r
}

// at decides on a run at a time.
func (r run) at(trigger string, millis int64) reply {
	r.t.Helper()
	return r.call("scenario_next", object{"scenario_id": r.scenario, "request": object{
		"run_id": r.id, "tenant_id": 1, "namespace_id": 1, "trigger_id": trigger, "agent_id": "a", "time": object{"kind": "unix_millis", "value": millis},
	}})
}

// outcome is what became of a decision, "advance", "hold", "complete" or whatever; it fails the test when there was none.
func outcome(t *testing.T, r reply) string {
	t.Helper()
	if r.Error != nil {
		t.Fatalf("%+v", r.Error)
	}
	var v verdict
	if err := json.Unmarshal(r.Result, &v); err != nil {
		t.Fatal(err)
	}
	return v.Decision.Outcome.Kind
}

// asked is what evidence_query answers.
type asked struct {
	Result struct {
		Value  *struct{ Value any }
		Lane   string
		Error  *struct{ Code, Message string }
		Anchor *struct {
			Type  string `json:"anchor_type"`
			Value string `json:"anchor_value"`
		} `json:"evidence_anchor"`
		Hash *object `json:"evidence_hash"`
	}
}

func (f *fixture) ask(query object, millis int64) (a asked) {
	f.t.Helper()
	f.must("evidence_query", object{"query": query, "context": object{
		"tenant_id": 1, "namespace_id": 1, "run_id": "r", "scenario_id": "s", "stage_id": "st", "trigger_id": "t",
		"trigger_time": object{"kind": "unix_millis", "value": millis}, "correlation_id": nil,
	}}, &a)
	return a
}

func readiness(t *testing.T, f *fixture) string {
	t.Helper()
	response, err := http.Get(f.URL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(response.StatusCode, " ", string(body))
}

// TestEvidencePlugin decides by what a plugin answers, and shows it as a provider like any other.
func TestEvidencePlugin(t *testing.T) {
	f := openWith(t, t.TempDir(), calendarHCL(t))
	r := defineOn(f, "s", frozenQuestion("calendar"), false)
	if got := outcome(t, r.at("t1", atChristmas)); got != "hold" {
		t.Errorf("at christmas: %s", got)
	}
	if got := outcome(t, r.at("t2", inSummer)); got != "complete" {
		t.Errorf("in summer: %s", got)
	}
	a := f.ask(frozenQuestion("calendar"), atChristmas).Result
	if a.Error != nil || a.Value == nil || a.Value.Value != true || a.Lane != "verified" || a.Hash == nil || a.Anchor == nil || a.Anchor.Value != "year-end" {
		t.Errorf("%+v", a)
	}
	var list struct {
		Providers []struct {
			ID, Transport string
			ProviderID    string `json:"provider_id"`
			Checks        []string
		}
	}
	f.must("providers_list", object{}, &list)
	if text := fmt.Sprint(list); !strings.Contains(text, "mcp calendar [frozen seconds_to_freeze]") || !strings.Contains(text, " other ") {
		t.Error(text)
	}
	var contract struct {
		Source   string
		Contract object
	}
	f.must("provider_contract_get", object{"provider_id": "calendar"}, &contract)
	if contract.Contract["provider_id"] != "calendar" || contract.Contract["transport"] != "mcp" || contract.Source != "file" {
		t.Errorf("%+v", contract)
	}
	wrong := frozenQuestion("calendar")
	wrong["params"] = object{"env": "production"}
	if r := f.call("evidence_query", object{"query": wrong, "context": object{
		"tenant_id": 1, "namespace_id": 1, "run_id": "r", "scenario_id": "s", "stage_id": "st", "trigger_id": "t", "trigger_time": early, "correlation_id": nil,
	}}); r.Error == nil || !strings.HasPrefix(r.Error.Message, "params_invalid: check params invalid for calendar.frozen: ") {
		t.Errorf("%+v", r.Error)
	}
	if got := readiness(t, f); got != `200 {"status":"ready"}` {
		t.Error(got)
	}
}

// TestEvidencePluginHangs stops the processes of two providers, one of which is looked after. Their conditions are unknown,
// those of others are decided meanwhile, and the one that is looked after is back soon.
func TestEvidencePluginHangs(t *testing.T) {
	f := openWith(t, t.TempDir(), calendarHCL(t))
	watched, hung := defineOn(f, "watched", frozenQuestion("calendar"), false), defineOn(f, "hung", frozenQuestion("other"), false)
	healthy := defineOn(f, "healthy", object{"provider_id": "time", "check_id": "before", "params": object{"timestamp": 0}}, true)
	for _, p := range f.Host.Plugins() {
		if p.Kind == "evidence" {
			if err := stopped(p.PID); err != nil {
				t.Fatal(err)
			}
			defer resumed(p.PID) // it ends in order
		}
	}
	const callers = 16
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			trigger := fmt.Sprint("t", i)
			if got := outcome(t, hung.at(trigger, inSummer)); got != "hold" {
				t.Errorf("a provider that hangs: %s", got)
			}
			if got := outcome(t, healthy.at(trigger, inSummer)); got != "hold" {
				t.Errorf("a provider that does not hang: %s", got)
			}
		})
	}
	wg.Wait()
	if e := f.ask(frozenQuestion("other"), inSummer).Result.Error; e == nil || e.Code != "provider_error" || e.Message != "evidence provider error: provider did not answer in time" {
		t.Errorf("%+v", e)
	}
	waitFor(t, "the provider that is looked after to be replaced", func() bool { return f.Host.Plugins()[2].Restarts > 0 })
	waitFor(t, "a decision by it", func() bool { return f.ask(frozenQuestion("calendar"), inSummer).Result.Error == nil })
	if got := outcome(t, watched.at("t", inSummer)); got != "complete" {
		t.Errorf("after a restart: %s", got)
	}
}

// TestEvidencePluginAway kills a provider until its restarts are spent. The host serves others, and says what it lacks.
func TestEvidencePluginAway(t *testing.T) {
	f := openWith(t, t.TempDir(), calendarHCL(t))
	r := defineOn(f, "s", frozenQuestion("calendar"), false)
	const index = 2 // in the order of the configuration
	killed := 0
	waitFor(t, "the restarts to be spent", func() bool {
		p := f.Host.Plugins()[index]
		if p.PID != 0 && p.PID != killed {
			killed = p.PID
			_ = syscall.Kill(killed, syscall.SIGKILL)
		}
		return strings.Contains(p.Reason, "restarted too often")
	})
	if got := readiness(t, f); got != `200 {"status":"ready","degraded":["evidence/calendar"]}` {
		t.Error(got)
	}
	if got := outcome(t, r.at("t", inSummer)); got != "hold" {
		t.Errorf("without its provider: %s", got)
	}
	e := f.ask(frozenQuestion("calendar"), inSummer).Result.Error
	if e == nil || !strings.HasPrefix(e.Message, "evidence provider error: the evidence plugin is away: ") || strings.Contains(e.Message, f.Dir) {
		t.Errorf("%+v", e)
	}
	if e := f.ask(frozenQuestion("other"), inSummer).Result.Error; e != nil {
		t.Errorf("another provider: %+v", e)
	}
}

// goProvider is a provider of an embedder.
type goProvider struct {
	contract string
	answer   func(evidence.Query) (evidence.Result, error)
}

func (p goProvider) Contract(context.Context) (json.RawMessage, error) {
	return json.RawMessage(p.contract), nil
}
func (p goProvider) Close() error { return nil }
func (p goProvider) Query(_ context.Context, q evidence.Query, _ evidence.Context) (evidence.Result, error) {
	return p.answer(q)
}

const deskContract = `{"name":"n","description":"d","config_schema":{},"notes":[],"checks":[{"check_id":"open","description":"d","determinism":"external",
	"params_required":false,"params_schema":{"type":"object"},"result_schema":{"type":"boolean"},"allowed_comparators":["equals"],"anchor_types":[],"content_types":[],"examples":[]}]}`

// TestEmbeddedEvidence opens a host on a Go value in the place of an evidence plugin. Its answers are checked as a plugin's.
func TestEmbeddedEvidence(t *testing.T) {
	settings := config.Default()
	settings.Namespace.AllowDefault, settings.Namespace.DefaultTenants = true, []uint64{1}
	settings.Disclosure.RawValues = true
	settings.Plugins = []*config.Plugin{{Kind: "evidence", Name: "desk", Command: []string{"/nonexistent"}}}
	settings.Evidence.Plugin = []*config.PluginEvidence{{ID: "desk", EvidencePolicy: config.EvidencePolicy{AllowRaw: true}, Timeout: time.Second}}
	var answer evidence.Result
	desk := goProvider{deskContract, func(q evidence.Query) (evidence.Result, error) { return answer, nil }}
	open := func(p evidence.Provider) (*host.Host, error) {
		return host.Open(t.Context(), host.Config{
			Settings: settings, Store: faultystore.New(), Logger: testLog(t), Evidence: map[string]evidence.Provider{"desk": p},
		})
	}
	h, err := open(desk)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.Handler())
	f := &fixture{t: t, Host: h, URL: server.URL}
	question := object{"provider_id": "desk", "check_id": "open"}
	for _, test := range []struct {
		answer evidence.Result
		value  any
		wrong  string
	}{
		{evidence.Result{JSON: json.RawMessage("true"), Lane: evidence.Verified}, true, ""},
		{evidence.Result{JSON: json.RawMessage("tru"), Lane: evidence.Verified}, nil, "what is not JSON"},
		{evidence.Result{JSON: json.RawMessage("true")}, nil, "no lane"},
		{evidence.Result{JSON: json.RawMessage("true"), Lane: evidence.Verified, SHA256: &[32]byte{}}, nil, "evidence hash mismatch"},
	} {
		answer = test.answer
		got := f.ask(question, 0).Result
		switch {
		case test.wrong == "" && (got.Error != nil || got.Value == nil || got.Value.Value != test.value):
			t.Errorf("%+v: %+v", test, got)
		case test.wrong != "" && (got.Error == nil || !strings.Contains(got.Error.Message, test.wrong) || got.Value != nil):
			t.Errorf("%+v: %+v", test, got)
		}
	}
	server.Close()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if h, err := open(goProvider{contract: `{"name":"n"}`}); err == nil || !strings.Contains(err.Error(), `plugin "evidence/desk": `) {
		t.Errorf("a contract that is none: %v, %v", h, err)
	}
}

// TestEvidencePluginSigned holds a provider in the place of a plugin to the signatures that its settings ask for.
func TestEvidencePluginSigned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "desk.pub")
	if err := os.WriteFile(path, public, 0o600); err != nil {
		t.Fatal(err)
	}
	settings := config.Default()
	settings.Namespace.AllowDefault, settings.Namespace.DefaultTenants = true, []uint64{1}
	settings.Evidence.Plugin = []*config.PluginEvidence{{
		ID: "desk", EvidencePolicy: config.EvidencePolicy{Signatures: &config.Signatures{Keys: []string{path}}}, Timeout: time.Second,
	}}
	value := []byte("true")
	signed := fmt.Sprintf(`{"algorithm":"sha256","value":"%x"}`, sha256.Sum256(value))
	sound := &evidence.Signature{Scheme: "ed25519", KeyID: path, Signature: ed25519.Sign(private, []byte(signed))}
	forged := &evidence.Signature{Scheme: "ed25519", KeyID: path, Signature: make([]byte, ed25519.SignatureSize)}
	var signature *evidence.Signature
	desk := goProvider{deskContract, func(evidence.Query) (evidence.Result, error) {
		return evidence.Result{JSON: value, Lane: evidence.Verified, Signature: signature}, nil
	}}
	h, err := host.Open(t.Context(), host.Config{
		Settings: settings, Store: faultystore.New(), Logger: testLog(t), Evidence: map[string]evidence.Provider{"desk": desk},
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.Handler())
	defer h.Close()
	defer server.Close()
	f := &fixture{t: t, Host: h, URL: server.URL}
	for _, test := range []struct {
		signature *evidence.Signature
		want      string
	}{{nil, "missing evidence signature"}, {forged, "signature verification failed"}, {sound, ""}} {
		signature = test.signature
		e := f.ask(object{"provider_id": "desk", "check_id": "open"}, 0).Result.Error
		if test.want == "" && e != nil || test.want != "" && (e == nil || !strings.HasSuffix(e.Message, test.want)) {
			t.Errorf("%+v, want %q", e, test.want)
		}
	}
}

// TestEvidencePluginSettings finds settings that would change nothing, with their line.
func TestEvidencePluginSettings(t *testing.T) {
	path := writeConfig(t, t.TempDir(), hcl+"\nevidence \"plugin\" \"tickets\" {}\n")
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	err = host.Check(host.Config{Settings: settings})
	if err == nil || !strings.Contains(err.Error(), `sets something for a plugin that is not declared`) || !strings.Contains(err.Error(), filepath.Base(path)+" line ") {
		t.Error(err)
	}
}
