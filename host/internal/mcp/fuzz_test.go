package mcp

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// FuzzRouter sends requests of any kind to both surfaces. There is no panic, no status that says that the host has failed but
// that of an overload, no failure in the log, and whatever /rpc and /mcp say is JSON, or events of it.
func FuzzRouter(f *testing.F) {
	plain, strict := &safeLog{}, &safeLog{}
	routers := []*rig{
		newRig(f, failuresTo(plain)),
		newRig(f, failuresTo(strict), func(c *Config) {
			c.EventStream = true
			c.Access = access.New(access.Options{Tokens: []string{"plain"}})
		}),
	}
	routers[0].startRun("s", "r")
	addSeeds(f)
	f.Fuzz(func(t *testing.T, method, path, headers string, body []byte, guarded bool) {
		head := method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n\r\n"
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil || len(body) > 2*testMaxBody {
			return // the server of net/http has answered it
		}
		request.RemoteAddr = "127.0.0.1:1"
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		which, log := routers[0], plain
		if guarded {
			which, log = routers[1], strict
		}
		w := httptest.NewRecorder()
		which.Handler().ServeHTTP(w, request)
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable || w.Code < 200 {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if failures := log.String(); failures != "" {
			t.Errorf("the log tells of failures:\n%s", failures)
		}
		if which.slots.taken() != 0 || which.busy.Load() != 0 {
			t.Errorf("%d slots and %d bytes are taken afterwards", which.slots.taken(), which.busy.Load())
		}
		checkBody(t, w)
	})
}

// failuresTo writes what an operator has to act on into a log of its own: no client can make the host fail.
func failuresTo(log *safeLog) func(*Config) {
	return func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError}))
	}
}

// checkBody reads an answer by its content type; an empty one has none.
func checkBody(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	text := w.Body.Bytes()
	switch kind := w.Header().Get("Content-Type"); {
	case len(text) == 0:
		return
	case kind == "application/json":
		if !json.Valid(text) {
			t.Errorf("no JSON: %.300q", text)
		}
	case kind == "text/event-stream":
		for line := range bytes.Lines(text) {
			data, isData := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("data:"))
			if isData && len(bytes.TrimSpace(data)) > 0 && !json.Valid(data) {
				t.Errorf("an event that is no JSON: %.300q", line)
			}
		}
	default:
		t.Errorf("content type %q: %.300q", kind, text)
	}
}

// addSeeds adds the recorded exchanges, and calls of every tool on both surfaces.
func addSeeds(f *testing.F) {
	f.Helper()
	recorded, err := os.Open("../../testdata/wire_cases.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	defer recorded.Close()
	for d := json.NewDecoder(recorded); ; {
		var line struct {
			Request struct {
				Method, Path string
				Headers      map[string]any
				Body         string
			}
		}
		if err := d.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			f.Fatal(err)
		}
		headers := ""
		for name, value := range line.Request.Headers {
			if text, one := value.(string); one && len(text) < 1000 {
				headers += "\r\n" + name + ": " + text
			}
		}
		if len(line.Request.Body) < testMaxBody {
			f.Add(line.Request.Method, line.Request.Path, strings.TrimPrefix(headers, "\r\n"), []byte(line.Request.Body), false)
		}
	}
	const accept = "Accept: application/json, text/event-stream\r\nContent-Type: application/json"
	arguments := map[string]string{
		"scenario_define":           `{"spec":` + specText("t", "1") + `}`,
		"scenario_next":             nextText("s", "r", "t", `,"feedback":"trace"`),
		"scenario_status":           `{"scenario_id":"s","request":{"tenant_id":1,"namespace_id":1,"run_id":"r","requested_at":{"kind":"unix_millis","value":1},"correlation_id":null}}`,
		"scenario_submit":           `{"scenario_id":"s","request":{"run_id":"r","tenant_id":1,"namespace_id":1,"submission_id":"x","payload":{"kind":"json","value":{}},"content_type":"application/json","submitted_at":{"kind":"logical","value":1},"correlation_id":null}}`,
		"evidence_query":            `{"query":{"provider_id":"env","check_id":"get","params":{"key":"DEPLOY_ENV"}},"context":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":{"kind":"logical","value":1},"correlation_id":null}}`,
		"precheck":                  `{"tenant_id":1,"namespace_id":1,"scenario_id":"s","spec":null,"stage_id":"a","data_shape":{"schema_id":"d","version":"1"},"payload":{"past":true}}`,
		"schemas_register":          `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"d","version":"1","schema":{"type":"object"},"description":null,"created_at":{"kind":"logical","value":1}}}`,
		"schemas_list":              `{"tenant_id":1,"namespace_id":1,"cursor":null,"limit":1}`,
		"scenarios_list":            `{"tenant_id":1,"namespace_id":1,"cursor":"","limit":1}`,
		"runpack_verify":            `{"runpack_dir":"../..","manifest_path":"manifest.json"}`,
		"decision_gate_docs_search": `{"query":"gate \" OR","max_sections":1}`,
	}
	for _, tool := range ToolNames() {
		given := arguments[tool]
		if given == "" {
			given = "{}"
		}
		f.Add("POST", "/rpc", "X-Correlation-Id: c", []byte(callText(tool, given)), true)
		f.Add("POST", "/rpc", "Authorization: Bearer plain", []byte(callText(tool, given)), true)
		f.Add("POST", "/mcp", accept, []byte(callText(tool, given)), false)
		f.Add("POST", "/mcp", accept+"\r\nMCP-Protocol-Version: 2026-07-28", []byte(callText(tool, given)), false)
	}
	for _, method := range []string{"initialize", "ping", "notifications/cancelled", "resources/read", "prompts/get", "completion/complete", "server/discover", "logging/setLevel"} {
		f.Add("POST", "/mcp", accept, []byte(`{"jsonrpc":"2.0","id":"`+method+`","method":"`+method+`","params":{"protocolVersion":"2025-11-25","capabilities":{},"name":"x","uri":"decision-gate://docs/x","arguments":{}}}`), false)
	}
}
