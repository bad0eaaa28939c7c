package interop

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// open starts a host with its records in memory.
func open(t *testing.T) *host.Host {
	t.Helper()
	settings := config.Default()
	settings.Evidence.Env = &config.EnvEvidence{Allow: []string{"DEPLOY_ENV"}, Values: map[string]string{"DEPLOY_ENV": "staging"}, MaxValueBytes: 100, MaxKeyBytes: 100}
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Store: faultystore.New(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// spec is a scenario of one stage that opens in production, or when somebody has said so.
const spec = `{"scenario_id":"deploy","namespace_id":2,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,
	"stages":[{"stage_id":"gate","entry_packets":[],"gates":[{"gate_id":"place","requirement":{"Or":[{"Condition":"is_prod"},{"Condition":"is_staging"}]}},
		{"gate_id":"never","requirement":{"Condition":"is_prod"}}],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],
	"conditions":[
		{"condition_id":"is_prod","query":{"provider_id":"env","check_id":"get","params":{"key":"DEPLOY_ENV"}},"comparator":"equals","expected":"production","policy_tags":[]},
		{"condition_id":"is_staging","query":{"provider_id":"env","check_id":"get","params":{"key":"DEPLOY_ENV"}},"comparator":"equals","expected":"staging","policy_tags":[]}]}`

// steps are the calls of a client that gates something: each result must hold what is told.
var steps = []struct {
	tool, arguments string
	failed          bool
	holds           []string
}{
	{"scenario_define", `{"spec":` + spec + `}`, false, []string{`"scenario_id":"deploy"`}},
	{"scenario_start", `{"scenario_id":"deploy","run_config":{"tenant_id":1,"namespace_id":2,"run_id":"r","scenario_id":"deploy","dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`, false, []string{`"run_id":"r"`}},
	{"scenario_next", `{"scenario_id":"deploy","request":{"run_id":"r","tenant_id":1,"namespace_id":2,"trigger_id":"t","agent_id":"a","time":{"kind":"unix_millis","value":5}}}`, false,
		[]string{`"kind":"hold"`, `"opens_with":[[{"condition_id":"is_prod","must_be":"True"}]]`, `It opens when \"is_prod\" is true.`}},
	{"scenario_next", `{"scenario_id":"none","request":{"run_id":"r","tenant_id":1,"namespace_id":2,"trigger_id":"t","agent_id":"a","time":{"kind":"unix_millis","value":5}}}`, true, []string{"not defined"}},
	{"scenario_status", `{"scenario_id":1}`, true, []string{"scenario_id"}},
}

// TestGoSDK drives a host with the official Go SDK: by both revisions over HTTP, and over lines of standard input.
func TestGoSDK(t *testing.T) {
	transports := map[string]func(t *testing.T) mcp.Transport{
		"http": func(t *testing.T) mcp.Transport {
			server := httptest.NewServer(open(t).Handler())
			t.Cleanup(server.Close)
			return &mcp.StreamableClientTransport{Endpoint: server.URL + "/mcp"}
		},
		"stdio": func(t *testing.T) mcp.Transport {
			h := open(t)
			in, toHost := io.Pipe()
			fromHost, out := io.Pipe()
			served := make(chan error, 1)
			go func() { served <- h.ServeStdio(context.Background(), in, out) }()
			t.Cleanup(func() {
				toHost.Close()
				if err := <-served; err != nil {
					t.Error(err)
				}
			})
			return &mcp.IOTransport{Reader: fromHost, Writer: toHost}
		},
	}
	for name, transport := range transports {
		for _, revision := range []string{"2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"} {
			t.Run(name+" "+revision, func(t *testing.T) {
				client := mcp.NewClient(&mcp.Implementation{Name: "interop", Version: "1"}, nil)
				session, err := client.Connect(t.Context(), transport(t), &mcp.ClientSessionOptions{ProtocolVersion: revision})
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				if got := session.InitializeResult(); got.ProtocolVersion != revision || !strings.Contains(got.Instructions, "scenario_next") {
					t.Errorf("the host says %+v", got)
				}
				drive(t, session, revision)
			})
		}
	}
}

func drive(t *testing.T, session *mcp.ClientSession, revision string) {
	ctx := t.Context()
	listed, err := session.ListTools(ctx, nil)
	if err != nil || len(listed.Tools) < 14 || listed.Tools[0].Annotations == nil || listed.Tools[0].OutputSchema == nil {
		t.Fatalf("tools/list: %+v, %v", listed, err)
	}
	for _, step := range steps {
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: step.tool, Arguments: json.RawMessage(step.arguments)})
		if err != nil {
			t.Fatalf("%s: %v", step.tool, err)
		}
		text, err := json.Marshal(result)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range step.holds {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s answers %.600s, want %s in it", step.tool, text, part)
			}
		}
		if result.IsError != step.failed || step.failed == (result.StructuredContent != nil) {
			t.Errorf("%s: failed is %v, want %v: %.300s", step.tool, result.IsError, step.failed, text)
		}
	}
	if _, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "no_such_tool"}); err == nil || !strings.Contains(err.Error(), "unknown tool") {
		t.Errorf("a tool that is not there: %v", err)
	}
	prompt, err := session.GetPrompt(ctx, &mcp.GetPromptParams{Name: "author_scenario", Arguments: map[string]string{"goal": "ship on Fridays only"}})
	if err != nil || len(prompt.Messages) != 1 || !strings.Contains(prompt.Messages[0].Content.(*mcp.TextContent).Text, "ship on Fridays only") {
		t.Errorf("the prompt is %+v, %v", prompt, err)
	}
	resources, err := session.ListResources(ctx, nil)
	if err != nil || len(resources.Resources) == 0 {
		t.Fatalf("resources/list: %+v, %v", resources, err)
	}
	for _, r := range resources.Resources {
		if read, err := session.ReadResource(ctx, &mcp.ReadResourceParams{URI: r.URI}); err != nil || len(read.Contents) != 1 || read.Contents[0].Text == "" {
			t.Errorf("%s: %+v, %v", r.URI, read, err)
		}
	}
	if revision < "2026-07-28" {
		if err := session.Ping(ctx, nil); err != nil {
			t.Errorf("ping: %v", err)
		}
	}
	values, err := session.Complete(ctx, &mcp.CompleteParams{Ref: &mcp.CompleteReference{Type: "ref/prompt", Name: "author_scenario"}, Argument: mcp.CompleteParamsArgument{Name: "provider", Value: "e"}})
	if err != nil || len(values.Completion.Values) != 1 || values.Completion.Values[0] != "env" {
		t.Errorf("completion: %+v, %v", values, err)
	}
}
