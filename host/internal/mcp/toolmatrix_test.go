package mcp

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// toolRow is what a tool is asked for that there is not, and the code of the answer; without arguments it says why the tool
// cannot be asked for anything of the kind.
type toolRow struct {
	name    string
	missing string
	code    Code
	never   string
}

const (
	missingRun = `"run_id":"absent","tenant_id":1,"namespace_id":1`
	someTime   = `{"kind":"logical","value":1}`
)

var toolRows = []toolRow{
	{name: "scenario_define", never: "it makes what it names"},
	{name: "scenario_start", missing: `{"scenario_id":"absent","run_config":{` + missingRun + `,"scenario_id":"absent","dispatch_targets":[],"policy_tags":[]},"started_at":` + someTime + `,"issue_entry_packets":false}`, code: NotFound},
	{name: "scenario_status", missing: `{"scenario_id":"absent","request":{` + missingRun + `,"requested_at":` + someTime + `}}`, code: NotFound},
	{name: "scenario_next", missing: `{"scenario_id":"absent","request":{` + missingRun + `,"trigger_id":"t","agent_id":"a","time":` + someTime + `}}`, code: NotFound},
	{name: "scenario_submit", missing: `{"scenario_id":"absent","request":{` + missingRun + `,"submission_id":"s","payload":{"kind":"json","value":1},"content_type":"x","submitted_at":` + someTime + `}}`, code: NotFound},
	{name: "scenario_trigger", missing: `{"scenario_id":"absent","trigger":{` + missingRun + `,"trigger_id":"t","kind":"external_event","time":` + someTime + `,"source_id":"s","payload":null}}`, code: NotFound},
	// What a host has no provider or check for is a wrong question, not something that is not there (mcp contract §4.6).
	{name: "evidence_query", missing: `{"query":{"provider_id":"absent","check_id":"x"},"context":{` + missingRun + `,"scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":` + someTime + `}}`, code: InvalidParams},
	{name: "runpack_export", missing: `{"scenario_id":"absent",` + missingRun + `,"generated_at":` + someTime + `,"include_verification":false}`, code: NotFound},
	{name: "runpack_verify", missing: `{"runpack_dir":"/absent","manifest_path":"manifest.json"}`, code: RunpackFailed},
	{name: "providers_list", never: "it names nothing"},
	{name: "provider_contract_get", missing: `{"provider_id":"absent"}`, code: InvalidParams},
	{name: "provider_check_schema_get", missing: `{"provider_id":"time","check_id":"absent"}`, code: InvalidParams},
	{name: "schemas_register", never: "it makes what it names"},
	{name: "schemas_list", never: "a namespace without data shapes has an empty list"},
	{name: "schemas_get", missing: `{"tenant_id":1,"namespace_id":1,"schema_id":"absent","version":"1"}`, code: NotFound},
	{name: "scenarios_list", never: "a namespace without scenarios has an empty list"},
	{name: "precheck", missing: `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","data_shape":{"schema_id":"absent","version":"1"},"payload":{}}`, code: NotFound},
	{name: "decision_gate_docs_search", never: "a search without a match finds nothing"},
}

// surfaceAnswer is what a surface answered, in the terms of both.
type surfaceAnswer struct {
	status    int
	kind      string
	challenge string
}

// askTool sends a call of a tool to a surface, with a token where there is one.
func (r *rig) askTool(surface, token, tool, arguments string) surfaceAnswer {
	r.t.Helper()
	req := post(callText(tool, arguments))
	req.URL.Path = surface
	req.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	response, body := r.http(req)
	var a struct {
		Error *struct {
			Code int
			Data struct{ Kind string }
		}
		Result struct {
			IsError bool
			Meta    map[string]struct{ Kind string } `json:"_meta"`
		}
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		r.t.Fatalf("%s %s: %v in %q", surface, tool, err, body)
	}
	got := surfaceAnswer{status: response.StatusCode, challenge: response.Header.Get("WWW-Authenticate")}
	switch {
	case a.Error != nil:
		got.kind = cmp.Or(a.Error.Data.Kind, strconv.Itoa(a.Error.Code)) // the protocol's own errors have no kind
	case a.Result.IsError:
		got.kind = a.Result.Meta[metaError].Kind
	}
	return got
}

// TestToolMatrix calls each tool on both surfaces as everybody does who must not get through, and for what is not there.
func TestToolMatrix(t *testing.T) {
	admin := access.Options{Tokens: []string{"admin"}, Schemas: access.SchemaRules{Custom: true, DefaultAllow: true}}
	r := newRig(t, func(c *Config) { c.Access = access.New(admin) })
	challenge := `Bearer realm="decision-gate"`
	if len(toolRows) != len(served) {
		t.Errorf("%d tools are asked, %d are served", len(toolRows), len(served))
	}
	for _, row := range toolRows {
		other := admin
		other.Tools = []string{"providers_list"}
		if row.name == "providers_list" {
			other.Tools = []string{"precheck"}
		}
		limited := newRig(t, func(c *Config) { c.Access = access.New(other) })
		type cell struct {
			rig              *rig
			token, arguments string
			rpc, standard    surfaceAnswer
		}
		cells := map[string]cell{
			"unauthenticated": {r, "", `{}`, surfaceAnswer{401, "unauthenticated", challenge}, surfaceAnswer{401, "unauthenticated", challenge}},
			"wrong token":     {r, "guess", `{}`, surfaceAnswer{401, "unauthenticated", challenge}, surfaceAnswer{401, "unauthenticated", challenge}},
			"denied":          {limited, "admin", `{}`, surfaceAnswer{403, "unauthorized", ""}, surfaceAnswer{200, "unauthorized", ""}},
			"bad params":      {r, "admin", `"x"`, surfaceAnswer{400, "invalid_params", ""}, surfaceAnswer{200, "-32602", ""}},
			"too large":       {r, "admin", `"` + strings.Repeat("x", testMaxBody) + `"`, surfaceAnswer{413, "request_too_large", ""}, surfaceAnswer{413, "request_too_large", ""}},
		}
		if row.name != "providers_list" { // it reads no arguments
			cells["bad arguments"] = cell{r, "admin", `{}`, surfaceAnswer{400, "invalid_params", ""}, surfaceAnswer{200, "invalid_params", ""}}
		}
		switch {
		case row.missing != "":
			kind := codes[row.code]
			cells["not found"] = cell{r, "admin", row.missing, surfaceAnswer{kind.status, kind.kind, ""}, surfaceAnswer{200, kind.kind, ""}}
		case row.never == "":
			t.Errorf("%s: nothing says why it cannot be asked for what is not there", row.name)
		}
		for name, c := range cells {
			if got := c.rig.askTool("/rpc", c.token, row.name, c.arguments); got != c.rpc {
				t.Errorf("%s, %s at /rpc: %+v, want %+v", row.name, name, got, c.rpc)
			}
			if got := c.rig.askTool(standardPath, c.token, row.name, c.arguments); got != c.standard {
				t.Errorf("%s, %s at /mcp: %+v, want %+v", row.name, name, got, c.standard)
			}
		}
	}
}

// TestNothingIsOpen sends everything that is not a tool to the standard surface without a token: the protocol would answer
// some of it before it knows who asks.
func TestNothingIsOpen(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Access = access.New(access.Options{Tokens: []string{"t"}}) })
	for _, body := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}`,
		`{"jsonrpc":"2.0","method":"notifications/initialized"}`, `{"jsonrpc":"2.0","id":1,"method":"ping"}`, `{"jsonrpc":"2.0","id":1,"method":"server/discover"}`,
		listTools, listResources, `{"jsonrpc":"2.0","id":1,"method":"prompts/list"}`, `{"jsonrpc":"2.0","id":1,"method":"nothing"}`, `{`, ``,
	} {
		response, text := r.standardPost(body)
		if response.StatusCode != 401 || response.Header.Get("WWW-Authenticate") == "" || !strings.Contains(text, `"unauthenticated"`) {
			t.Errorf("%s: %d %s", body, response.StatusCode, text)
		}
	}
	// On /rpc, what cannot be read or is not there is told first (mcp contract §3.1).
	for body, status := range map[string]int{`{`: 400, `{"jsonrpc":"2.0","id":1,"method":"nothing"}`: 400, callText("nothing", `{}`): 400, listTools: 401, listResources: 401} {
		response, text := r.http(post(body))
		if response.StatusCode != status || (response.Header.Get("WWW-Authenticate") != "") != (status == 401) {
			t.Errorf("%s: %d %s", body, response.StatusCode, text)
		}
	}
}

// TestDeniedBeforeExistence asks the registry for what is there and what is not, without a role: the answers are the same.
func TestDeniedBeforeExistence(t *testing.T) {
	r := newRig(t)
	const shape = `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"there","version":"1","schema":{"type":"object"},"created_at":{"kind":"logical","value":1}}}`
	r.must("schemas_register", shape)
	r.Access = access.New(access.Options{Local: true})
	for tool, arguments := range map[string][]string{
		"schemas_get":      {`{"tenant_id":1,"namespace_id":1,"schema_id":"there","version":"1"}`, `{"tenant_id":1,"namespace_id":1,"schema_id":"absent","version":"1"}`},
		"schemas_list":     {`{"tenant_id":1,"namespace_id":1}`, `{"tenant_id":1,"namespace_id":1,"limit":0}`, `{"tenant_id":1,"namespace_id":1,"cursor":""}`},
		"schemas_register": {shape, strings.Replace(shape, `{"type":"object"}`, `{"type":"none"}`, 1)},
		"precheck":         {`{"tenant_id":1,"namespace_id":1,"scenario_id":"s","data_shape":{"schema_id":"there","version":"1"},"payload":[]}`, `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","data_shape":{"schema_id":"absent","version":"1"},"payload":{}}`},
	} {
		for _, a := range arguments {
			r.refused(Unauthorized, "unauthorized", tool, a)
		}
	}
	if log := r.log.String(); strings.Contains(log, "level=WARN") {
		t.Errorf("who is denied again and again fills the log: %s", log)
	}
}

// TestEmbedderAuthenticates: the program around the host says who calls, and no header does.
func TestEmbedderAuthenticates(t *testing.T) {
	id, err := access.ParseName("embedder:alice")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) {
		c.Access = access.New(access.Options{Local: true, Tokens: []string{"t"}, Principals: []access.Entry{{ID: id, Roles: []access.Role{{Name: "NamespaceReader"}}}}})
		c.Authenticate = func(r *http.Request) (string, error) {
			if name := r.Header.Get("X-Session"); name != "" {
				return strings.TrimPrefix(name, "nobody"), nil
			}
			return "", errors.New("hunter2 is not a session")
		}
	})
	const list = `{"tenant_id":1,"namespace_id":1}`
	for _, test := range []struct {
		session, token string
		status         int
	}{{"alice", "", 200}, {"bob", "", 403}, {"nobody", "", 401}, {"", "", 401}, {"", "t", 401}} {
		req := post(callText("schemas_list", list))
		req.RemoteAddr = "192.0.2.1:1"
		if test.session != "" {
			req.Header.Set("X-Session", test.session)
		}
		if test.token != "" {
			req.Header.Set("Authorization", "Bearer "+test.token)
		}
		response, body := r.http(req)
		if response.StatusCode != test.status || strings.Contains(body, "hunter2") || response.Header.Get("WWW-Authenticate") != "" {
			t.Errorf("%+v: %d %s", test, response.StatusCode, body)
		}
	}
}

// TestStdioNeedsLocal: whoever is on standard input has neither a token nor a certificate.
func TestStdioNeedsLocal(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Access = access.New(access.Options{Tokens: []string{"t"}}) })
	for _, body := range []string{listTools + "\n", "Content-Length: 46\r\n\r\n" + listTools} {
		var out strings.Builder
		if err := r.ServeStdio(t.Context(), strings.NewReader(body), &out); !errors.Is(err, errNoStdio) || out.Len() > 0 {
			t.Errorf("%v, %q", err, out.String())
		}
	}
}

// TestPrecheckNeedsGet: being allowed to list data shapes is not being allowed to try payloads on them.
func TestPrecheckNeedsGet(t *testing.T) {
	r := newRig(t)
	const precheck = `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","data_shape":{"schema_id":"absent","version":"1"},"payload":{}}`
	for action, code := range map[access.Action]Code{access.Get: NotFound, access.List: Unauthorized, access.Register: Unauthorized} {
		rules := access.SchemaRules{Custom: true, Rules: []access.SchemaRule{{Allow: true, Actions: []access.Action{action}}}}
		r.Access = access.New(access.Options{Local: true, Schemas: rules})
		if a := r.call("precheck", precheck); a.Error == nil || a.Error.Code != int(code) {
			t.Errorf("with %s alone: %+v", action, a.Error)
		}
	}
}

// TestNobodyAsked serves a request of which nobody asked who sends it: a transport that forgets to must not open anything.
func TestNobodyAsked(t *testing.T) {
	r := newRig(t)
	for _, body := range []string{listTools, listResources, callText("providers_list", `{}`)} {
		if a := r.serve(t.Context(), caller{transport: "http"}, []byte(body)); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}
