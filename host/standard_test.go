package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// standardClient calls tools at /mcp. It is as strict as the clients that check structured content against the schemas that a
// server declares.
type standardClient struct {
	t       *testing.T
	url     string
	outputs map[string]*jsonschema.Schema
}

type standardAnswer struct {
	Result struct {
		Content []struct {
			Type, Text string
		}
		StructuredContent json.RawMessage
		IsError           bool
		Meta              map[string]struct {
			Kind      string
			Retryable bool
		} `json:"_meta"`
		Tools []struct {
			Name         string
			InputSchema  any
			OutputSchema any
		}
	}
	Error *rpcError
}

func (c *standardClient) post(method string, params any) (a standardAnswer) {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, c.url+"/mcp", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Protocol-Version", "2025-11-25")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		c.t.Errorf("%s answers %d", method, response.StatusCode)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		c.t.Fatalf("%v in %.300s", err, raw)
	}
	return a
}

// newStandardClient lists the tools; every schema must compile by itself.
func newStandardClient(t *testing.T, url string) *standardClient {
	t.Helper()
	c := &standardClient{t: t, url: url, outputs: map[string]*jsonschema.Schema{}}
	for _, tool := range c.post("tools/list", map[string]any{}).Result.Tools {
		c.outputs[tool.Name] = compileAlone(t, tool.Name+" output", tool.OutputSchema)
		compileAlone(t, tool.Name+" input", tool.InputSchema)
	}
	return c
}

// compiledAlone keeps what compileAlone made, by the text of the schema: every host has the same.
var compiledAlone sync.Map

func compileAlone(t *testing.T, name string, schema any) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	if known, found := compiledAlone.Load(string(text)); found {
		return known.(*jsonschema.Schema)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	err = compiler.AddResource("mem:"+strings.ReplaceAll(name, " ", "/"), schema)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	compiled, err := compiler.Compile("mem:" + strings.ReplaceAll(name, " ", "/"))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	compiledAlone.Store(string(text), compiled)
	return compiled
}

// call calls a tool and tells the answer as /rpc would have given it. status is that of /rpc, of which this surface has none.
func (c *standardClient) call(tool string, arguments json.RawMessage, status, code int) reply {
	c.t.Helper()
	a := c.post("tools/call", map[string]any{"name": tool, "arguments": arguments})
	if a.Error != nil {
		return reply{Status: status, Error: a.Error}
	}
	if a.Result.IsError {
		failure := a.Result.Meta["io.github.decision-gate-host/error"]
		told := &rpcError{Code: code, Message: a.Result.Content[0].Text}
		told.Data.Kind, told.Data.Retryable = failure.Kind, failure.Retryable
		return reply{Status: status, Error: told}
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(a.Result.StructuredContent))
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.outputs[tool].Validate(value); err != nil {
		c.t.Errorf("%s answers what its schema forbids: %v", tool, err)
	}
	last := a.Result.Content[len(a.Result.Content)-1]
	if last.Type != "text" || last.Text != string(a.Result.StructuredContent) {
		c.t.Errorf("%s says otherwise in its text: %.200s", tool, last.Text)
	}
	return reply{Status: status, Result: c.withoutHold(tool, a)}
}

// withoutHold checks that what holds, and nothing else, says what is missing, and leaves that out.
func (c *standardClient) withoutHold(tool string, a standardAnswer) json.RawMessage {
	c.t.Helper()
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(a.Result.StructuredContent, &members); err != nil {
		c.t.Fatal(err)
	}
	type outcome struct {
		Kind    string
		Summary struct {
			UnmetGates []string `json:"unmet_gates"`
		}
	}
	var decided struct {
		outcome
		Outcome outcome
	}
	if decision, found := members["decision"]; found {
		if err := json.Unmarshal(decision, &decided); err != nil {
			c.t.Fatal(err)
		}
	}
	if tool != "precheck" {
		decided.outcome = decided.Outcome
	}
	told, holds := members["hold"]
	if holds != (decided.outcome.Kind == "hold") {
		c.t.Errorf("%s: %s is told with the hold %.200s", tool, decided.outcome.Kind, told)
	}
	if !holds {
		return a.Result.StructuredContent
	}
	var hold struct {
		Unmet []struct {
			GateID string `json:"gate_id"`
		}
	}
	if err := json.Unmarshal(told, &hold); err != nil {
		c.t.Fatal(err)
	}
	var gates []string
	for _, g := range hold.Unmet {
		gates = append(gates, g.GateID)
	}
	if !slices.Equal(gates, decided.outcome.Summary.UnmetGates) || !strings.HasPrefix(a.Result.Content[0].Text, "Hold: ") {
		c.t.Errorf("%s: unmet are %v, told are %v: %s", tool, decided.outcome.Summary.UnmetGates, gates, a.Result.Content[0].Text)
	}
	delete(members, "hold")
	rest, err := json.Marshal(members)
	if err != nil {
		c.t.Fatal(err)
	}
	return rest
}

// TestRecordedSequencesStandard replays the recorded sequences at /mcp, with a store that needs no process: what a tool does is
// the same, how it is told is the protocol's.
func TestRecordedSequencesStandard(t *testing.T) {
	setups, sequences := readSequences(t)
	plugins(t) // before many ask at once
	t.Run("all", func(t *testing.T) {
		for _, s := range sequences {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				replayStandard(t, s, setups[s.Config])
			})
		}
	})
}

func replayStandard(t *testing.T, s toolSequence, setup *recordedSetup) {
	r := newReplay(t, setup)
	backend := faultystore.New()
	path := writeConfig(t, r.dir, r.hcl)
	client, stop := serveStandard(t, path, backend)
	for i, step := range s.Steps {
		switch {
		case step.Restart:
			stop()
			client, stop = serveStandard(t, path, backend)
		case step.Write != "":
			r.write(r.fill.Replace(step.Write), r.fill.Replace(step.Text))
		case step.Mkdir != "":
			if err := os.MkdirAll(r.fill.Replace(step.Mkdir), 0o700); err != nil {
				t.Fatal(err)
			}
		default:
			code := 0
			if step.Error != nil {
				code = step.Error.Code
			}
			got := client.call(step.Tool, json.RawMessage(r.fill.Replace(string(step.Arguments))), step.Status, code)
			decided := func(d decidedCall) bool { return d.sequence == s.Name && d.step == i }
			if slices.ContainsFunc(decidedCalls, decided) || got.Error != nil && got.Error.Data.Kind == "" {
				continue // the protocol's own error, of a call that is none
			}
			step.Result = json.RawMessage(r.fill.Replace(string(step.Result)))
			if problem := step.compare(t, got); problem != "" {
				t.Errorf("step %d: %s of %.300s: %s", i, step.Tool, step.Arguments, problem)
			}
		}
	}
	stop()
}

func serveStandard(t *testing.T, path string, backend store.Store) (*standardClient, func()) {
	t.Helper()
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Store: backend, Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.Handler())
	return newStandardClient(t, server.URL), func() {
		server.Close()
		if err := h.Close(); err != nil {
			t.Error(fmt.Errorf("close: %w", err))
		}
	}
}
