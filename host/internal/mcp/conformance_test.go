package mcp

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/modelcontext"
)

// npm is the folder that "make setup" installs the pinned programs of other people into, relative to this one.
const npm = "../../../.bin/npm/node_modules"

// suiteTimeout ends a suite that hangs; it takes some seconds.
const suiteTimeout = 3 * time.Minute

// TestConformance runs the official conformance suite of the protocol against the production router: the scenarios that a
// revision requires, over the wire of that revision. The suite calls tools, resources and prompts by names of its own, which
// are added to those of the host.
func TestConformance(t *testing.T) {
	suite, err := filepath.Abs(filepath.Join(npm, "@modelcontextprotocol/conformance/dist/index.js"))
	if err != nil {
		t.Fatal(err)
	}
	for revision, required := range map[string]int{"2025-11-25": 30, "2026-07-28": 37} {
		t.Run(revision, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.MaxInflight = 64 })
			if r.standard, err = modelcontext.New(withFixture(t, r.Server), modelcontext.Options{
				MaxMessage: testMaxBody, Answers: &r.answers, Observe: r.observe,
			}); err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(r.Handler())
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
			defer cancel()
			cmd := exec.CommandContext(ctx, node(t), suite, "server", "--url", server.URL+"/mcp", "--requirements", revision)
			cmd.Dir = t.TempDir() // it writes its findings to where it is
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, failures(out))
			}
			// A suite that ran nothing must not pass for one that found nothing.
			if passed := len(passedScenario.FindAll(out, -1)); passed < required {
				t.Errorf("%d scenarios passed, want at least %d:\n%s", passed, required, out)
			}
		})
	}
}

var passedScenario = regexp.MustCompile(`(?m)^✓ [a-z0-9-]+: [1-9][0-9]* passed, 0 failed`)

// failures are the lines of the suite's output that say what failed.
func failures(out []byte) string {
	var lines []string
	for line := range strings.SplitSeq(string(out), "\n") {
		if strings.Contains(line, "FAILURE") || strings.Contains(line, "✗") || strings.Contains(line, "failed") || strings.Contains(line, "rror") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// node is the JavaScript runtime, of the version that the suite needs.
func node(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(npm, "node-*/bin/node"))
	if err != nil || len(found) != 1 {
		t.Fatalf("%v is not one runtime: run \"make setup\" (%v)", found, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// withFixture adds what the suite asks for to the catalog of a server.
func withFixture(t *testing.T, s *Server) modelcontext.Catalog {
	t.Helper()
	var list struct {
		Tools []listedTool `member:"tools"`
	}
	if err := canonical.Decode(parsed(string(s.list)), &list); err != nil {
		t.Fatal(err)
	}
	tools, err := s.standardTools(list.Tools)
	if err != nil {
		t.Fatal(err)
	}
	text := func(what string) []byte {
		return append(canonical.AppendString([]byte(`"content":[{"type":"text","text":`), what), `}]`...)
	}
	c := s.standardCatalog(tools)
	add := func(name string, call func(context.Context, *modelcontext.Call) (modelcontext.Result, error)) {
		c.Tools = append(c.Tools, modelcontext.Tool{Name: name, Description: "A tool of the conformance suite.", Input: parsed(`{"type":"object"}`), Call: call})
	}
	answers := func(name, members string) {
		add(name, func(context.Context, *modelcontext.Call) (modelcontext.Result, error) {
			return modelcontext.Result{Members: []byte(members)}, nil
		})
	}
	const image = `{"type":"image","data":"iVBORw0KGgo=","mimeType":"image/png"}`
	const embedded = `{"type":"resource","resource":{"uri":"test://embedded-resource","mimeType":"text/plain","text":"This is an embedded resource content."}}`
	answers("test_simple_text", `"content":[{"type":"text","text":"This is a simple text response for testing."}]`)
	answers("test_image_content", `"content":[`+image+`]`)
	answers("test_audio_content", `"content":[{"type":"audio","data":"UklGRg==","mimeType":"audio/wav"}]`)
	answers("test_embedded_resource", `"content":[`+embedded+`]`)
	answers("test_multiple_content_types", `"content":[{"type":"text","text":"Multiple content types test:"},`+image+`,`+embedded+`]`)
	answers("test_error_handling", `"content":[{"type":"text","text":"This tool intentionally returns an error for testing"}],"isError":true`)
	add("test_tool_with_logging", func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		for _, what := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
			c.Log("info", what)
		}
		return modelcontext.Result{Members: text("done")}, nil
	})
	add("test_logging_tool", c.Tools[len(c.Tools)-1].Call)
	add("test_tool_with_progress", func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		for _, done := range []uint64{0, 50, 100} {
			c.Progress(done, 100, "")
		}
		return modelcontext.Result{Members: text("done")}, nil
	})
	add("test_missing_capability", func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		return modelcontext.Result{Members: text("done")}, c.Require("sampling")
	})
	asks := func(name, capability, method string, params func(*modelcontext.Call) string) {
		add(name, func(ctx context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
			if err := c.Require(capability); err != nil {
				return modelcontext.Result{}, err
			}
			answer, err := c.Ask(ctx, method, canonical.AppendValue(nil, parsed(params(c)), canonical.Declared))
			if err != nil {
				return modelcontext.Result{}, err
			}
			return modelcontext.Result{Members: text("The client says " + string(canonical.AppendValue(nil, answer, canonical.Declared)))}, nil
		})
	}
	quoted := func(c *modelcontext.Call, name string) string {
		return string(canonical.AppendString(nil, argument(c, name)))
	}
	asks("test_sampling", "sampling", "sampling/createMessage", func(c *modelcontext.Call) string {
		return `{"messages":[{"role":"user","content":{"type":"text","text":` + quoted(c, "prompt") + `}}],"maxTokens":100}`
	})
	form := func(message, properties string) string {
		return `{"message":` + message + `,"requestedSchema":{"type":"object","properties":` + properties + `}}`
	}
	asks("test_elicitation", "elicitation", "elicitation/create", func(c *modelcontext.Call) string {
		return form(quoted(c, "message"), `{"username":{"type":"string"},"email":{"type":"string"}}`)
	})
	asks("test_elicitation_sep1034_defaults", "elicitation", "elicitation/create", func(*modelcontext.Call) string {
		return form(`"defaults"`, `{"name":{"type":"string","default":"John Doe"},"age":{"type":"integer","default":30},"score":{"type":"number","default":95.5},
			"status":{"type":"string","enum":["active","inactive","pending"],"default":"active"},"verified":{"type":"boolean","default":true}}`)
	})
	asks("test_elicitation_sep1330_enums", "elicitation", "elicitation/create", func(*modelcontext.Call) string {
		return form(`"enums"`, `{"untitledSingle":{"type":"string","enum":["option1","option2","option3"]},
			"titledSingle":{"type":"string","oneOf":[{"const":"value1","title":"First Option"},{"const":"value2","title":"Second Option"},{"const":"value3","title":"Third Option"}]},
			"legacyEnum":{"type":"string","enum":["opt1","opt2","opt3"],"enumNames":["Option One","Option Two","Option Three"]},
			"untitledMulti":{"type":"array","items":{"type":"string","enum":["option1","option2","option3"]}},
			"titledMulti":{"type":"array","items":{"anyOf":[{"const":"value1","title":"First Choice"},{"const":"value2","title":"Second Choice"},{"const":"value3","title":"Third Choice"}]}}}`)
	})
	add("json_schema_2020_12_tool", c.Tools[0].Call)
	c.Tools[len(c.Tools)-1].Input = parsed(`{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"address":{"$anchor":"addressDef","type":"object"}},
		"properties":{"address":{"$ref":"#/$defs/address"}},"allOf":[{"anyOf":[{"required":["phone"]},{"required":["email"]}]}],
		"if":{"required":["a"]},"then":{"required":["b"]},"else":{"required":["c"]},"additionalProperties":false}`)
	addRounds(add, text)
	addDocuments(&c)
	addPrompts(&c)
	return c
}

func parsed(text string) canonical.Value {
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return v
}

// The requests that an incomplete result of the suite's tools holds.
const (
	elicit = `{"method":"elicitation/create","params":{"message":"What?","requestedSchema":{"type":"object","properties":{"name":{"type":"string"}}}}}`
	sample = `{"method":"sampling/createMessage","params":{"messages":[{"role":"user","content":{"type":"text","text":"What is the capital of France?"}}],"maxTokens":100}}`
	roots  = `{"method":"roots/list","params":{}}`
)

// addRounds adds the tools that ask a modern client for input. state is what they hand it, which must come back as it is.
func addRounds(add func(string, func(context.Context, *modelcontext.Call) (modelcontext.Result, error)), text func(string) []byte) {
	round := func(name, key, ask, state string) {
		add(name, func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
			return askOnce(c, map[string]string{key: ask}, state, text("state-ok"))
		})
	}
	round("test_input_required_result_elicitation", "user_name", elicit, "")
	round("test_input_required_result_sampling", "capital_question", sample, "")
	round("test_input_required_result_list_roots", "client_roots", roots, "")
	round("test_input_required_result_request_state", "confirm", elicit, "signed")
	round("test_input_required_result_tampered_state", "confirm", elicit, "signed")
	round("test_streaming_elicitation", "user_name", elicit, "")
	add("test_input_required_result_multiple_inputs", func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		return askOnce(c, map[string]string{"user_name": elicit, "greeting": sample, "client_roots": roots}, "signed", text("done"))
	})
	add("test_input_required_result_capabilities", func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		able := map[string]string{}
		for capability, ask := range map[string]string{"elicitation": elicit, "sampling": sample, "roots": roots} {
			if c.Can(capability) {
				able[capability] = ask
			}
		}
		return askOnce(c, able, "", text("done"))
	})
	add("test_input_required_result_multi_round", func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) {
		if state, _ := c.Params.Member("requestState"); state.IsNull() {
			return askOnce(c, map[string]string{"step1": elicit}, "round 1", nil)
		}
		return askOnce(c, map[string]string{"step2": elicit}, "round 2", text("done"))
	})
}

// askOnce asks for what is not answered yet, and else answers.
func askOnce(c *modelcontext.Call, ask map[string]string, state string, done []byte) (modelcontext.Result, error) {
	answers, given := c.Params.Member("inputResponses")
	if given && answers.Kind() != canonical.Object {
		return modelcontext.Result{}, &modelcontext.Error{Code: modelcontext.InvalidParams, Message: "inputResponses must be an object"}
	}
	asks := []byte(`"inputRequests":{`)
	missing := false
	for key, request := range ask {
		if answer, _ := answers.Member(key); answer.Kind() == canonical.Object {
			continue
		}
		if missing {
			asks = append(asks, ',')
		}
		missing = true
		asks = append(append(canonical.AppendString(asks, key), ':'), request...)
	}
	asks = append(asks, '}')
	if state != "" {
		asks = canonical.AppendString(append(asks, `,"requestState":`...), state)
	}
	if missing {
		return modelcontext.Result{Members: asks, Incomplete: true}, nil
	}
	if got, _ := c.Params.Member("requestState"); state != "" {
		if text, _ := got.Text(); text != state {
			return modelcontext.Result{}, &modelcontext.Error{Code: modelcontext.InvalidParams, Message: "requestState was changed"}
		}
	}
	return modelcontext.Result{Members: done}, nil
}

func addDocuments(c *modelcontext.Catalog) {
	for _, uri := range []string{"test://static-text", "test://watched-resource"} {
		c.Resources = append(c.Resources, modelcontext.Resource{URI: uri, Name: uri, Description: "A document of the conformance suite.", MIMEType: "text/plain", Read: document(uri, "text/plain", "This is the content.")})
	}
	blob := "iVBORw0KGgo="
	c.Resources = append(c.Resources, modelcontext.Resource{
		URI: "test://static-binary", Name: "binary", Description: "A binary document.", MIMEType: "image/png",
		Read: func(context.Context, *modelcontext.Call) ([]modelcontext.Contents, error) {
			return []modelcontext.Contents{{URI: "test://static-binary", MIMEType: "image/png", Blob: &blob}}, nil
		},
	})
	c.Templates = append(c.Templates, modelcontext.Template{
		URITemplate: "test://template/{id}/data", Name: "template", Description: "A family of documents.", MIMEType: "application/json",
		Read: func(_ context.Context, _ *modelcontext.Call, uri string) ([]modelcontext.Contents, error) {
			id, found := strings.CutPrefix(uri, "test://template/")
			id, ends := strings.CutSuffix(id, "/data")
			if !found || !ends {
				return nil, nil
			}
			text := fmt.Sprintf(`{"id":%q}`, id)
			return []modelcontext.Contents{{URI: uri, MIMEType: "application/json", Text: &text}}, nil
		},
	})
}

func addPrompts(c *modelcontext.Catalog) {
	prompt := func(name string, get func(c *modelcontext.Call) (modelcontext.Result, error), arguments ...string) {
		p := modelcontext.Prompt{Name: name, Description: "A prompt of the conformance suite.", Arguments: []modelcontext.Argument{},
			Get: func(_ context.Context, c *modelcontext.Call) (modelcontext.Result, error) { return get(c) }}
		for _, a := range arguments {
			p.Arguments = append(p.Arguments, modelcontext.Argument{Name: a, Description: a, Required: true})
		}
		c.Prompts = append(c.Prompts, p)
	}
	messages := func(content ...string) (modelcontext.Result, error) {
		var all []string
		for _, c := range content {
			all = append(all, `{"role":"user","content":`+c+`}`)
		}
		return modelcontext.Result{Members: []byte(`"messages":[` + strings.Join(all, ",") + `]`)}, nil
	}
	said := func(text string) string {
		return string(append(canonical.AppendString([]byte(`{"type":"text","text":`), text), '}'))
	}
	prompt("test_simple_prompt", func(*modelcontext.Call) (modelcontext.Result, error) {
		return messages(said("This is a simple prompt for testing."))
	})
	prompt("test_prompt_with_arguments", func(c *modelcontext.Call) (modelcontext.Result, error) {
		return messages(said(argument(c, "arg1") + argument(c, "arg2")))
	}, "arg1", "arg2")
	prompt("test_prompt_with_embedded_resource", func(c *modelcontext.Call) (modelcontext.Result, error) {
		return messages(fmt.Sprintf(`{"type":"resource","resource":{"uri":%q,"mimeType":"text/plain","text":"Embedded."}}`, argument(c, "resourceUri")), said("Please process it."))
	}, "resourceUri")
	prompt("test_prompt_with_image", func(*modelcontext.Call) (modelcontext.Result, error) {
		return messages(`{"type":"image","data":"iVBORw0KGgo=","mimeType":"image/png"}`, said("Please analyze it."))
	})
	prompt("test_input_required_result_prompt", func(c *modelcontext.Call) (modelcontext.Result, error) {
		done, _ := messages(said("done"))
		return askOnce(c, map[string]string{"user_context": elicit}, "", done.Members)
	})
}
