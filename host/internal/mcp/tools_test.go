package mcp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/schema"
)

// recordedTool is a tool as clients of Decision Gate know it, with calls that are valid.
type recordedTool struct {
	Name        string
	InputSchema json.RawMessage `json:"input_schema"`
	Examples    []json.RawMessage
}

func recordedTools(t *testing.T) (tools []recordedTool) {
	t.Helper()
	f, err := os.Open("testdata/tools.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var tool recordedTool
		if err := json.Unmarshal(lines.Bytes(), &tool); err != nil {
			t.Fatal(err)
		}
		tools = append(tools, tool)
	}
	if len(tools) == 0 {
		t.Fatal("no tools are recorded")
	}
	return tools
}

func canon(t testing.TB, text []byte) string {
	t.Helper()
	v, err := canonical.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(canonical.AppendValue(nil, v, canonical.Canonical))
}

// TestToolsList compares the list with what clients know: order, both names of the schema, and schemas by which the clients'
// validators accept what they send. Every valid call decodes.
func TestToolsList(t *testing.T) {
	r := newRig(t)
	var list struct {
		Tools []struct {
			Name        string
			Description string
			InputSchema json.RawMessage `json:"input_schema"`
			StockSchema json.RawMessage `json:"inputSchema"`
		}
	}
	body := r.serve(t.Context(), r.local(), []byte(listTools)).body
	result := decodeAnswer(t, body).Result
	decoder := json.NewDecoder(strings.NewReader(string(result)))
	decoder.DisallowUnknownFields() // the client of the command line knows these members
	if err := decoder.Decode(&list); err != nil {
		t.Fatal(err)
	}
	scenario, err := os.ReadFile("scenario.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	recorded := recordedTools(t)
	if len(list.Tools) != len(recorded) {
		t.Fatalf("%d tools are listed, want %d", len(list.Tools), len(recorded))
	}
	for i, want := range recorded {
		tool := list.Tools[i]
		if tool.Name != want.Name || len(tool.Description) < 20 {
			t.Errorf("tool %d is %q, %q; want %s", i, tool.Name, tool.Description, want.Name)
		}
		if canon(t, tool.InputSchema) != canon(t, want.InputSchema) || string(tool.InputSchema) != string(tool.StockSchema) {
			t.Errorf("%s: schemas\n%s\n%s\nwant\n%s", tool.Name, tool.InputSchema, tool.StockSchema, want.InputSchema)
		}
		// The clients hold the schema of a scenario themselves.
		whole := strings.ReplaceAll(string(tool.InputSchema), `{"$ref":"decision-gate://contract/schemas/scenario.schema.json"}`, string(scenario))
		compiled := compile(t, whole)
		for _, example := range want.Examples {
			v, err := canonical.Parse(example)
			if err != nil {
				t.Fatal(err)
			}
			if problems := compiled.Validate(v); len(problems) > 0 {
				t.Errorf("%s: the schema refuses the example: %v", tool.Name, problems)
			}
			if a := r.call(tool.Name, string(example)); a.Error != nil && a.Error.Code == int(InvalidParams) {
				t.Errorf("%s: the example is refused: %s", tool.Name, a.Error.Message)
			}
		}
	}
}

func compile(t *testing.T, text string) *schema.Schema {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := schema.Compile(v)
	if err != nil {
		t.Fatalf("%v: %.200s", err, text)
	}
	return compiled
}

// TestUnknownMembers are ignored in arguments, while missing and mistyped ones are told by name.
func TestUnknownMembers(t *testing.T) {
	r := newRig(t)
	r.must("scenarios_list", `{"tenant_id":1,"namespace_id":1,"x":{"y":[1]}}`)
	for arguments, member := range map[string]string{
		`{"namespace_id":1}`:                          "tenant_id",
		`{"tenant_id":1,"namespace_id":"1"}`:          "namespace_id",
		`{"tenant_id":1,"namespace_id":1,"limit":-1}`: "limit",
		`{"tenant_id":1,"namespace_id":1,"cursor":1}`: "cursor",
	} {
		if a := r.call("scenarios_list", arguments); a.Error == nil || a.Error.Code != int(InvalidParams) || !strings.Contains(a.Error.Message, member) {
			t.Errorf("%s: %+v", arguments, a.Error)
		}
	}
}

// TestNamespaceRule is the table of mcp contract §3.9: what exactly is wrong is not told.
func TestNamespaceRule(t *testing.T) {
	list := func(tenant, namespace string) string {
		return `{"tenant_id":` + tenant + `,"namespace_id":` + namespace + `}`
	}
	for _, test := range []struct {
		name            string
		rule            NamespaceRule
		tool, arguments string
		refused         bool
	}{
		{"default, allowed tenant", NamespaceRule{true, []gate.TenantID{2, 1}}, "scenarios_list", list("1", "1"), false},
		{"default, no tenants", NamespaceRule{true, nil}, "scenarios_list", list("1", "1"), true},
		{"default, not allowed at all", NamespaceRule{}, "scenarios_list", list("1", "1"), true},
		{"default off, tenant listed", NamespaceRule{DefaultTenants: []gate.TenantID{1}}, "scenarios_list", list("1", "1"), true},
		{"another namespace", NamespaceRule{}, "scenarios_list", list("1", "2"), false},
		{"the last namespace and tenant", NamespaceRule{}, "scenarios_list", list("18446744073709551615", "18446744073709551615"), false},
		{"shared scenario in the default", NamespaceRule{AllowDefault: true}, "scenario_define", `{"spec":` + specText("s", "null") + `}`, true},
	} {
		r := newRig(t, func(c *Config) { c.Namespace = test.rule })
		a := r.call(test.tool, test.arguments)
		if refused := a.Error != nil; refused != test.refused || refused && (a.Error.Code != int(Unauthorized) || a.Error.Message != "unauthorized") {
			t.Errorf("%s: %+v", test.name, a.Error)
		}
	}
	r := newRig(t)
	r.must("scenarios_list", list("1", "1"))
	r.refused(Unauthorized, "unauthorized", "scenarios_list", list("2", "1"))
	// It comes before anything that could tell whether something exists.
	for tool, arguments := range map[string]string{
		"scenario_define":  `{"spec":` + specText("s", "2") + `}`,
		"scenario_start":   `{"scenario_id":"no","run_config":{"tenant_id":2,"namespace_id":1,"run_id":"r","scenario_id":"x","dispatch_targets":[],"policy_tags":[]},"started_at":{"kind":"logical","value":1},"issue_entry_packets":false}`,
		"scenario_next":    strings.Replace(nextText("no", "r", "t", ""), `"tenant_id":1`, `"tenant_id":2`, 1),
		"scenario_status":  `{"scenario_id":"no","request":{"run_id":"r","tenant_id":2,"namespace_id":1,"requested_at":{"kind":"logical","value":1}}}`,
		"scenario_submit":  `{"scenario_id":"no","request":{"run_id":"r","tenant_id":2,"namespace_id":1,"submission_id":"s","payload":{"kind":"json","value":1},"content_type":"x","submitted_at":{"kind":"logical","value":1}}}`,
		"scenario_trigger": `{"scenario_id":"no","trigger":{"trigger_id":"t","tenant_id":2,"namespace_id":1,"run_id":"r","kind":"tick","time":{"kind":"logical","value":1},"source_id":"s"}}`,
		"evidence_query":   `{"query":{"provider_id":"no","check_id":"no"},"context":{"tenant_id":2,"namespace_id":1,"run_id":"r","scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":{"kind":"logical","value":1}}}`,
		"runpack_export":   `{"scenario_id":"no","tenant_id":2,"namespace_id":1,"run_id":"r","generated_at":{"kind":"logical","value":1},"include_verification":false}`,
		"schemas_register": `{"record":{"tenant_id":2,"namespace_id":1,"schema_id":"a","version":"1","schema":1,"created_at":{"kind":"logical","value":1}}}`,
		"schemas_list":     `{"tenant_id":2,"namespace_id":1,"cursor":"bad"}`,
		"schemas_get":      `{"tenant_id":2,"namespace_id":1,"schema_id":"a","version":"1"}`,
		"scenarios_list":   `{"tenant_id":2,"namespace_id":1}`,
		"precheck":         `{"tenant_id":2,"namespace_id":1,"data_shape":{"schema_id":"a","version":"1"},"payload":1}`,
	} {
		r.refused(Unauthorized, "unauthorized", tool, arguments)
	}
	// The operator is told what to set, and once, however often clients try.
	if told := strings.Count(r.log.String(), "namespace.allow_default"); told != 1 {
		t.Errorf("the setting is named %d times in the log", told)
	}
	if counts := r.store.Counts(); counts["commit"] != 0 {
		t.Errorf("refused calls wrote: %v", counts)
	}
}

// TestFeedback is the table of mcp contract §3.10 for a caller on this machine: trace by default and at most.
func TestFeedback(t *testing.T) {
	r := newRig(t)
	r.startRun("s", "r")
	for _, test := range []struct{ asked, want string }{
		{``, `{"level":"trace","gate_evaluations":[{"gate_id":"g","status":"True","trace":[{"condition_id":"past","status":"True"}]}]}`},
		{`,"feedback":null`, `{"level":"trace","gate_evaluations":[{"gate_id":"g","status":"True","trace":[{"condition_id":"past","status":"True"}]}]}`},
		{`,"feedback":"summary"`, `{"level":"summary"}`},
		{`,"feedback":"trace"`, `{"level":"trace","gate_evaluations":[{"gate_id":"g","status":"True","trace":[{"condition_id":"past","status":"True"}]}]}`},
		{`,"feedback":"evidence"`, `{"level":"trace","denied_reason":"feedback level denied (requested=evidence, allowed=trace)","gate_evaluations":[{"gate_id":"g","status":"True","trace":[{"condition_id":"past","status":"True"}]}]}`},
	} {
		for _, trigger := range []string{"t", "t" + test.asked[:min(len(test.asked), 1)]} { // a repeat tells the same
			var result struct{ Feedback json.RawMessage }
			if err := json.Unmarshal([]byte(r.must("scenario_next", nextText("s", "r", trigger, test.asked))), &result); err != nil || string(result.Feedback) != test.want {
				t.Errorf("%q: %s, want %s", test.asked, result.Feedback, test.want)
			}
		}
	}
	if a := r.call("scenario_next", nextText("s", "r", "t", `,"feedback":"all"`)); a.Error == nil || a.Error.Code != int(InvalidParams) {
		t.Errorf("an unknown level: %+v", a.Error)
	}
}

// TestPages walks lists by their tokens as clients do: until a page is empty, which is when the token is null.
func TestPages(t *testing.T) {
	r := newRig(t)
	var ids []string
	for _, id := range []string{"", "a", "b", "z", "é", strings.Repeat("l", 300)} {
		r.must("scenario_define", `{"spec":`+specText(id, "1")+`}`)
		r.must("schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"`+id+`","version":"v","schema":{},"created_at":{"kind":"logical","value":1}}}`)
		ids = append(ids, id)
	}
	for _, tool := range []string{"scenarios_list", "schemas_list"} {
		for _, limit := range []string{"1", "4", "6", "1000"} {
			var got []string
			token := "null"
			for range len(ids) + 1 {
				var page struct {
					Items []struct {
						ScenarioID string `json:"scenario_id"`
						SchemaID   string `json:"schema_id"`
					}
					NextToken *string `json:"next_token"`
				}
				text := r.must(tool, `{"tenant_id":1,"namespace_id":1,"limit":`+limit+`,"cursor":`+token+`}`)
				if err := json.Unmarshal([]byte(text), &page); err != nil {
					t.Fatal(err)
				}
				if (page.NextToken == nil) != (len(page.Items) == 0) || !strings.Contains(text, `"items":[`) {
					t.Fatalf("%s: %s", tool, text)
				}
				if page.NextToken == nil {
					break
				}
				for _, item := range page.Items {
					got = append(got, item.ScenarioID+item.SchemaID)
				}
				quoted, _ := json.Marshal(*page.NextToken)
				token = string(quoted)
			}
			if !slices.Equal(got, ids) {
				t.Errorf("%s by %s: %q", tool, limit, got)
			}
		}
	}
	for _, limit := range []string{"0", "1001", "18446744073709551615"} {
		for _, tool := range []string{"scenarios_list", "schemas_list"} {
			r.refused(InvalidParams, "limit must be between 1 and 1000", tool, `{"tenant_id":1,"namespace_id":1,"limit":`+limit+`}`)
		}
	}
	for _, cursor := range []string{``, `x`, `[]`, `["a","b"]`, `{"schema_id":"a"}`, `{"schema_id":1,"version":"v"}`, `{\"schema_id\":\"a\",\"version\":\"v\"} x`, `null`} {
		quoted, _ := json.Marshal(cursor)
		r.refused(InvalidParams, "invalid cursor", "schemas_list", `{"tenant_id":1,"namespace_id":1,"cursor":`+string(quoted)+`}`)
	}
	r.must("schemas_list", `{"tenant_id":1,"namespace_id":1,"cursor":"{\"schema_id\":\"a\",\"version\":\"v\",\"more\":1}"}`)
}

// TestPrecheckOrder is the table of refusals of mcp contract §4.19: each row breaks its rule and every one after it.
func TestPrecheckOrder(t *testing.T) {
	r := newRig(t)
	r.must("schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"o","version":"v","schema":{"type":["object","boolean"],"additionalProperties":{"type":"boolean"}},"created_at":{"kind":"logical","value":1}}}`)
	r.must("schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"p","version":"v","schema":{"type":["object","boolean"],"properties":{"past":{"type":"boolean"}}},"created_at":{"kind":"logical","value":1}}}`)
	r.must("scenario_define", `{"spec":`+specText("s", "1")+`}`)
	head := func(shape, payload string) string {
		return `{"tenant_id":1,"namespace_id":1,"data_shape":{"schema_id":"` + shape + `","version":"v"},"payload":` + payload
	}
	two := strings.Replace(specText("s", "1"), `"conditions":[`, `"conditions":[{"condition_id":"past2","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]},`, 1)
	for _, test := range []struct {
		arguments, message string
		code               Code
	}{
		{head("no", `1`) + `}`, "schema not found", NotFound},
		{head("o", `{}`) + `}`, "scenario_id or spec is required", InvalidParams},
		{head("o", `{}`) + `,"scenario_id":"no"}`, "scenario not defined", NotFound},
		{head("o", `{}`) + `,"scenario_id":"x","spec":` + specText("s", "2") + `}`, "scenario_id does not match spec", InvalidParams},
		{head("o", `{}`) + `,"spec":` + strings.Replace(specText("s", "2"), `"namespace_id":1`, `"namespace_id":2`, 1) + `}`, "namespace_id does not match spec", InvalidParams},
		{head("p", `true`) + `,"stage_id":"no","spec":` + strings.Replace(two, `"default_tenant_id":1`, `"default_tenant_id":2`, 1) + `}`, "unauthorized", Unauthorized},
		{head("p", `true`) + `,"stage_id":"no","spec":` + two + `}`, "condition past2 missing from data shape schema", InvalidParams},
		{head("o", `true`) + `,"stage_id":"no","spec":` + two + `}`, "payload must be an object keyed by condition ids", InvalidParams},
		{head("o", `true`) + `,"stage_id":"no","scenario_id":"s"}`, "unknown stage identifier: no", ControlPlane},
	} {
		r.refused(test.code, test.message, "precheck", test.arguments)
	}
	if a := r.call("precheck", head("o", `1`)+`}`); a.Error == nil || !strings.HasPrefix(a.Error.Message, "payload does not match schema: ") {
		t.Errorf("%+v", a.Error)
	}
	for payload, want := range map[string]string{`true`: "advance", `{"past":true}`: "advance", `{"past":false}`: "hold", `{}`: "hold", `{"other":true}`: "hold"} {
		if got := r.must("precheck", head("o", payload)+`,"scenario_id":"s"}`); !strings.Contains(got, `"kind":"`+want+`"`) {
			t.Errorf("%s: %s, want %s", payload, got, want)
		}
	}
}

// TestExportFailureInLog exports into a file: the operator reads the path and what the system said, the client neither.
func TestExportFailureInLog(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, func(c *Config) { c.RunpackDirs = []string{dir} })
	r.startRun("s", "r")
	path, err := json.Marshal(filepath.Join(dir, "file", "out"))
	if err != nil {
		t.Fatal(err)
	}
	answer := string(r.serve(t.Context(), r.local(), []byte(callText("runpack_export",
		`{"scenario_id":"s","tenant_id":1,"namespace_id":1,"run_id":"r","output_dir":`+string(path)+`,"generated_at":{"kind":"logical","value":1},"include_verification":false}`))).body)
	if !strings.Contains(answer, "unable to create artifact directory") || strings.Contains(answer, dir) || strings.Contains(answer, "not a directory") {
		t.Errorf("the client is told %s", answer)
	}
	if log := r.log.String(); !strings.Contains(log, filepath.Join(dir, "file", "out")) || !strings.Contains(log, "not a directory") {
		t.Errorf("the log says %s", log)
	}
}

// FuzzServe sends any body: the answer is always one well-formed JSON-RPC object with a status that fits.
func FuzzServe(f *testing.F) {
	for _, seed := range []string{
		listTools, `{}`, ``, `[]`, `{"jsonrpc":"2.0","id":{"a":[1.5,null]},"method":"x"}`, `{"jsonrpc":"2.0","id":1e999,"method":"tools/list"}`,
		callText("scenarios_list", `{"tenant_id":1,"namespace_id":1,"cursor":"\u0000"}`), callText("scenario_define", `{"spec":`+specText("f", "1")+`}`),
		callText("scenario_next", nextText("s", "r", "t", `,"feedback":"evidence"`)), callText("precheck", `{"tenant_id":1,"namespace_id":1,"data_shape":{"schema_id":"a","version":"1"},"payload":{},"spec":`+specText("f", "1")+`}`),
		callText("schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"a","version":"1","schema":{"$ref":"#"},"created_at":{"kind":"logical","value":1}}}`),
		callText("schemas_list", `{"tenant_id":1,"namespace_id":1,"cursor":"{\"schema_id\":\"\",\"version\":\"\"}"}`),
		callText("evidence_query", `{"query":{"provider_id":"time","check_id":"now"},"context":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":{"kind":"logical","value":1}}}`),
		callText("runpack_verify", `{"runpack_dir":"/etc","manifest_path":"../passwd"}`),
		callText("runpack_export", `{"scenario_id":"s","tenant_id":1,"namespace_id":1,"run_id":"r","output_dir":"/tmp","generated_at":{"kind":"logical","value":1},"include_verification":true}`),
		callText("scenario_submit", `{"scenario_id":"s","request":{"run_id":"r","tenant_id":1,"namespace_id":1,"submission_id":"s","payload":{"kind":"bytes","bytes":[0,255]},"content_type":"x","submitted_at":{"kind":"logical","value":18446744073709551615}}}`),
	} {
		f.Add([]byte(seed))
	}
	r := newRig(f)
	r.startRun("s", "r")
	f.Fuzz(func(t *testing.T, body []byte) {
		a := r.serve(context.Background(), r.local(), body)
		var answer map[string]json.RawMessage
		if err := json.Unmarshal(a.body, &answer); err != nil {
			t.Fatalf("%v in %q", err, a.body)
		}
		_, hasResult := answer["result"]
		failure, hasError := answer["error"]
		if string(answer["jsonrpc"]) != `"2.0"` || answer["id"] == nil || hasResult == hasError || len(answer) != 3 {
			t.Fatalf("%q", a.body)
		}
		var e struct {
			Code    Code
			Message string
			Data    struct{ Kind string }
		}
		if hasError {
			if err := json.Unmarshal(failure, &e); err != nil || codes[e.Code].status != a.status || codes[e.Code].kind != e.Data.Kind || e.Message == "" {
				t.Fatalf("%d %q", a.status, a.body)
			}
		} else if a.status != 200 {
			t.Fatalf("%d %q", a.status, a.body)
		}
		if strings.Contains(r.log.String(), "panicked") {
			t.Fatalf("a panic on %q:\n%s", body, r.log.String())
		}
	})
}

// FuzzFrames sends any input: what is answered is framed, and the loop ends.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{"", frameOf(listTools), frameOf("{") + frameOf(listTools), "Content-Length: 5\n\n12345", "\r\n", "Content-Length: -1\r\n\r\n", "X\r\nContent-Length:+2\r\n\r\n{}", "{", "[]\n" + listTools + "\n"} {
		f.Add([]byte(seed))
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		var out bytes.Buffer
		_ = r.ServeStdio(context.Background(), bytes.NewReader(input), &out)
		var answers []string
		if bytes.HasPrefix(input, []byte("{")) || bytes.HasPrefix(input, []byte("[")) {
			answers = slices.Collect(strings.Lines(out.String())) // such a client writes by the line
		} else {
			answers = splitFrames(t, out.Bytes())
		}
		for _, answer := range answers {
			if decodeAnswer(t, []byte(answer)).Jsonrpc != "2.0" {
				t.Fatalf("%q", answer)
			}
		}
	})
}
