package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// standard sends a body to /mcp as a legacy client does.
func (r *rig) standardPost(body string, change ...func(*http.Request)) (*http.Response, string) {
	r.t.Helper()
	req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/mcp", strings.NewReader(body))
	req.RemoteAddr = "127.0.0.1:1"
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	for _, f := range change {
		f(req)
	}
	return r.http(req)
}

// TestStandardRefusals are those of requests that are not read; they are those of /rpc, told in the protocol's terms.
func TestStandardRefusals(t *testing.T) {
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		status int
		body   string
	}{
		{"a rebound name", func(r *http.Request) { r.Host = "evil.example" }, 403, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"unauthorized","data":{"kind":"unauthorized","retryable":false}}}`},
		{"a page of another origin", header("Origin", "https://evil.example"), 403, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"unauthorized","data":{"kind":"unauthorized","retryable":false}}}`},
		{"what a page may send unasked", header("Content-Type", "text/plain"), 415, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"invalid json-rpc request","data":{"kind":"invalid_request","retryable":false}}}`},
		{"a bad correlation id", header("X-Correlation-Id", "a b"), 400, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"invalid correlation id","data":{"kind":"invalid_correlation_id","retryable":false}}}`},
		{"a body that says it is too large", func(r *http.Request) { r.ContentLength = testMaxBody + 1 }, 413, `{"jsonrpc":"2.0","error":{"code":-32600,"message":"request body too large","data":{"kind":"request_too_large","retryable":false}}}`},
		{"GET", func(r *http.Request) { r.Method = http.MethodGet }, 405, ``},
		{"DELETE", func(r *http.Request) { r.Method = http.MethodDelete }, 405, ``},
		{"another path", func(r *http.Request) { r.URL.Path = "/mcp/" }, 404, ``},
		{"its own page", header("Origin", "http://localhost:8080"), 200, `{"jsonrpc":"2.0","id":1,"result":{}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := newRig(t).standardPost(`{"jsonrpc":"2.0","id":1,"method":"ping"}`, test.change)
			if response.StatusCode != test.status || body != test.body {
				t.Errorf("got %d %s, want %d %s", response.StatusCode, body, test.status, test.body)
			}
		})
	}
}

// TestStandardOverload refuses a request that there is no slot for, before its body is read.
func TestStandardOverload(t *testing.T) {
	r := newRig(t)
	var places []*slot
	for range r.MaxInflight {
		place, _ := r.slots.take(func() bool { return false })
		places = append(places, place)
	}
	response, body := r.standardPost(`{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	if response.StatusCode != 503 || body != `{"jsonrpc":"2.0","error":{"code":-32603,"message":"server overloaded","data":{"kind":"inflight_limit","retryable":true}}}` {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	places[0].leave()
	if response, body := r.standardPost(`{"jsonrpc":"2.0","id":1,"method":"ping"}`); response.StatusCode != 200 {
		t.Errorf("with a slot: %d %s", response.StatusCode, body)
	}
	if r.slots.taken() != r.MaxInflight-1 || r.busy.Load() != 0 {
		t.Errorf("%d slots and %d bytes are taken", r.slots.taken(), r.busy.Load())
	}
}

func standardCall(tool, arguments string) string {
	return strings.Replace(callText(tool, arguments), `"id":7`, `"id":1`, 1)
}

// TestStandardHold asks a gate that holds, at each level that may be asked for: what is told is what the level lets see.
func TestStandardHold(t *testing.T) {
	r := newRig(t)
	spec := strings.Replace(specText("s", "1"), `"expected":true`, `"expected":false`, 1)
	r.must("scenario_define", `{"spec":`+spec+`}`)
	r.must("scenario_start", `{"scenario_id":"s","run_config":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`)
	const full = `"hold":{"stage_id":"a","unmet":[{"gate_id":"g","status":"False","conditions":[{"condition_id":"past","status":"False"}]}],"opens_with":[[{"condition_id":"past","must_be":"True"}]]}`
	const brief = `"hold":{"stage_id":"a","unmet":[{"gate_id":"g"}]}`
	for _, test := range []struct{ name, tool, arguments, hold, text string }{
		{"trace", "scenario_next", nextText("s", "r", "t1", ""), full, `It opens when \"past\" is true.`},
		{"summary", "scenario_next", nextText("s", "r", "t2", `,"feedback":"summary"`), brief, `Gate \"g\" is not met.`},
		{"evidence, which is denied", "scenario_next", nextText("s", "r", "t3", `,"feedback":"evidence"`), full, `It opens when`},
		{"trigger", "scenario_trigger", `{"scenario_id":"s","trigger":{"run_id":"r","tenant_id":1,"namespace_id":1,"trigger_id":"t4","kind":"external_event","time":{"kind":"unix_millis","value":5},"source_id":"x","payload":null,"correlation_id":null}}`, brief, `Gate \"g\" is not met.`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, body := r.standardPost(standardCall(test.tool, test.arguments))
			if !strings.Contains(body, test.hold) || !strings.Contains(body, test.text) {
				t.Errorf("the answer is %s", body)
			}
			if test.hold == brief && strings.Contains(body, "past") {
				t.Errorf("the condition is told: %s", body)
			}
		})
	}
}

// TestPrecheckSaysWhyItHolds prechecks under the lanes of a host that others rely on, where nothing that is handed in counts: a
// model that reads only "past is unknown, it opens when past is true" would hand it in again and again.
func TestPrecheckSaysWhyItHolds(t *testing.T) {
	const precheck = `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","data_shape":{"schema_id":"d","version":"1"},"payload":{"past":PAST}}`
	for lane, noted := range map[gate.TrustLane]bool{gate.Verified: true, gate.Asserted: false} {
		r := newRig(t, func(c *Config) { c.Settings = func() *gate.Settings { return &gate.Settings{MinLane: lane} } })
		r.must("scenario_define", `{"spec":`+specText("s", "1")+`}`)
		r.must("schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"d","version":"1","schema":{"type":"object","properties":{"past":{"type":"boolean"}}},"created_at":{"kind":"logical","value":1}}}`)
		_, body := r.standardPost(standardCall("precheck", strings.Replace(precheck, "PAST", "false", 1)))
		for _, part := range []string{`"note":"What is handed in is asserted`, `\nWhat is handed in is asserted`} {
			if !strings.Contains(body, `"hold":{`) || strings.Contains(body, part) != noted {
				t.Errorf("%s: %s", lane, body)
			}
		}
		if answer := r.must("precheck", strings.Replace(precheck, "PAST", "false", 1)); strings.Contains(answer, "note") {
			t.Errorf("/rpc has a member that its clients refuse: %s", answer)
		}
	}
}

// TestStandardFailures tells failures of a tool as results; what a backend says is not told, but logged.
func TestStandardFailures(t *testing.T) {
	r := newRig(t)
	r.startRun("s", "r")
	r.store.Around(func(context.Context, faultystore.Call, func()) error { return errors.New("password=hunter2") })
	_, body := r.standardPost(standardCall("scenario_next", nextText("s", "r", "t", "")))
	if want := `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"internal error"}],"isError":true,"_meta":{"io.github.decision-gate-host/error":{"kind":"internal","retryable":false}}}}`; body != want {
		t.Errorf("got %s", body)
	}
	if log := r.log.String(); !strings.Contains(log, "hunter2") || !strings.Contains(log, "tool=scenario_next") {
		t.Errorf("the log says %s", log)
	}
}

// TestStandardCancel cancels a call while it reads, and after it was committed: what was committed stays, nothing else is there.
func TestStandardCancel(t *testing.T) {
	for _, committed := range []bool{false, true} {
		r := newRig(t)
		r.startRun("s", "r")
		reached, leave := make(chan struct{}), make(chan struct{})
		var once sync.Once
		stop := map[bool]faultystore.Call{false: faultystore.Get, true: faultystore.Commit}[committed]
		r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
			do()
			if call == stop {
				once.Do(func() {
					close(reached)
					<-leave
				})
			}
			return nil
		})
		response, _ := r.standardPost(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}`)
		session := func(req *http.Request) { req.Header.Set("Mcp-Session-Id", response.Header.Get("Mcp-Session-Id")) }
		done := make(chan string, 1)
		go func() {
			_, body := r.standardPost(standardCall("scenario_next", nextText("s", "r", "t", "")), session)
			done <- body
		}()
		<-reached
		if response, _ := r.standardPost(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, session); response.StatusCode != http.StatusAccepted {
			t.Errorf("cancelling answers %d", response.StatusCode)
		}
		close(leave)
		if body := <-done; body != "" {
			t.Errorf("the cancelled call answers %s", body)
		}
		var status struct {
			Last *struct{} `json:"last_decision"`
		}
		if err := json.Unmarshal([]byte(r.must("scenario_status", `{"scenario_id":"s","request":{"run_id":"r","tenant_id":1,"namespace_id":1,"requested_at":{"kind":"unix_millis","value":9},"correlation_id":null}}`)), &status); err != nil {
			t.Fatal(err)
		}
		if (status.Last != nil) != committed {
			t.Errorf("committed %v, but the last decision is %+v", committed, status.Last)
		}
	}
}

// TestStandardPrompts fills a prompt in one pass: an argument that looks like a place is not filled.
func TestStandardPrompts(t *testing.T) {
	r := newRig(t)
	_, body := r.standardPost(`{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"author_scenario","arguments":{"goal":"{providers}","provider":"env"}}}`)
	if !strings.Contains(body, "goal:\\n\\n{providers}\\n") || !strings.Contains(body, "- env.get: ") || strings.Contains(body, "- time.after: ") {
		t.Errorf("the prompt is %s", body)
	}
	for _, p := range servedPrompts {
		for _, a := range p.arguments {
			if !strings.Contains(*p.text, "{"+a.Name+"}") && a.Name != "provider" {
				t.Errorf("%s has no place for %s", p.name, a.Name)
			}
		}
	}
}

// FuzzStandard sends anything to /mcp: there is always an answer that is none of a failed host.
func FuzzStandard(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`, standardCall("providers_list", "{}"), standardCall("precheck", `{"tenant_id":1}`), `[]`, `{`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`, `{"jsonrpc":"2.0","id":"server-1","result":{}}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scenarios_list","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"progressToken":1}}}`,
	} {
		f.Add([]byte(seed), "2025-11-25", "application/json", "")
		f.Add([]byte(seed), "2026-07-28", "text/event-stream", "stdio")
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, body []byte, revision, accept, session string) {
		response, answer := (&rig{r.Server, t, r.store, r.log}).standardPost(string(body), func(req *http.Request) {
			req.Header["Mcp-Protocol-Version"], req.Header["Accept"], req.Header["Mcp-Session-Id"] = []string{revision}, []string{accept}, []string{session}
		})
		if response.StatusCode >= 500 || strings.Contains(answer, `"code":-32603`) {
			t.Errorf("%d %s", response.StatusCode, answer)
		}
		if log := r.log.String(); strings.Contains(log, "panicked") {
			t.Fatal(log)
		}
	})
}
