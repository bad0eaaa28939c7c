package main

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// evil is what a hostile server, or whoever names a scenario, may say: it clears a screen, forges a line, colours what
// follows, and turns the direction of writing.
const evil = "\x1b[2J\x1b]0;title\x07\nadvance\r\u202e\u009b31m\U000e0041<end>"

// evilJSON is evil as the text of a JSON string.
func evilJSON() string { return string(canonical.AppendString(nil, evil)) }

// evilAnswers are answers that the commands can read, full of evil. E stands for it.
var evilAnswers = map[string]string{
	"scenario_define":           `{"scenario_id":E,"spec_hash":{"algorithm":"sha256","value":E}}`,
	"scenario_start":            `{"run_id":E,"scenario_id":E,"current_stage_id":E,"packets":[{"envelope":{"packet_id":E,"content_type":E}}]}`,
	"scenario_status":           `{"run_id":E,"scenario_id":E,"current_stage_id":"s","status":"active","last_decision":` + evilDecision + `,"issued_packet_ids":[E],"safe_summary":null}`,
	"scenario_next":             `{"decision":` + evilDecision + `,"packets":[{"envelope":{"packet_id":E,"content_type":E}}],"status":"active","feedback":{"level":E,"denied_reason":E,"gate_records":[{"trigger_id":E,"stage_id":"s","evaluation":{"gate_id":"g","status":"Unknown","trace":[{"condition_id":"c","status":"Unknown"}]},"evidence":[{"condition_id":"c","status":"Unknown","result":{"value":null,"lane":"verified","error":{"code":E,"message":E,"details":null},"evidence_hash":null,"evidence_ref":null,"evidence_anchor":null,"signature":null,"content_type":null}}]},{"trigger_id":E,"stage_id":E,"evaluation":{"gate_id":E,"status":"False","trace":[{"condition_id":E,"status":"False"}]},"evidence":[]}]}}`,
	"scenario_trigger":          `{"decision":` + evilDecision + `,"packets":[],"status":"failed"}`,
	"scenario_submit":           `{"record":{"submission_id":E,"content_type":E,"content_hash":{"algorithm":"sha256","value":E}}}`,
	"precheck":                  `{"decision":{"kind":"hold","summary":{"status":"hold","unmet_gates":[E],"retry_hint":null,"policy_tags":[]}},"gate_evaluations":[{"gate_id":E,"status":"False","trace":[{"condition_id":E,"status":"False"}]}]}`,
	"providers_list":            `{"providers":[{"provider_id":E,"transport":E,"checks":[E]}]}`,
	"provider_contract_get":     `{"contract_hash":{"algorithm":"sha256","value":E},"source":E,"contract":{"description":E,"checks":[` + evilCheck + `]}}`,
	"provider_check_schema_get": evilCheck,
	"schemas_list":              `{"items":[` + evilShape + `],"next_token":E}`,
	"schemas_get":               `{"record":` + evilShape + `}`,
	"schemas_register":          `{"record":` + evilShape + `}`,
	"scenarios_list":            `{"items":[{"scenario_id":E,"namespace_id":2,"spec_hash":{"algorithm":"sha256","value":E}}],"next_token":E}`,
	"runpack_export":            `{"manifest":` + evilManifest + `,"report":{"status":"fail","errors":[E]},"storage_uri":E}`,
}

const (
	evilDecision = `{"decision_id":E,"seq":1,"trigger_id":E,"stage_id":"s","decided_at":{"kind":"logical","value":1},"outcome":{"kind":"hold","summary":{"status":"hold","unmet_gates":["g",E],"retry_hint":null,"policy_tags":[]}},"correlation_id":null}`
	evilCheck    = `{"check_id":E,"description":E,"determinism":E,"params_required":true,"params_schema":{E:E},"result_schema":[E],"allowed_comparators":["equals"]}`
	evilShape    = `{"tenant_id":1,"namespace_id":2,"schema_id":E,"version":E,"schema":{E:E},"description":E,"created_at":{"kind":"logical","value":1},"signing":{"key_id":E,"signature":E}}`
	evilManifest = `{"manifest_version":"v1","generated_at":{"kind":"logical","value":1},"scenario_id":E,"tenant_id":1,"namespace_id":2,"run_id":E,"spec_hash":{"algorithm":"sha256","value":E},"hash_algorithm":"sha256","verifier_mode":"offline_strict","integrity":{"file_hashes":[],"root_hash":{"algorithm":"sha256","value":E}},"artifacts":[]}`
)

const smallScenario = `{"scenario_id":"a","namespace_id":2,"spec_version":"1","stages":[{"stage_id":"s","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"Condition":"c"}}],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],
"conditions":[{"condition_id":"c","comparator":"exists","policy_tags":[],"query":{"provider_id":"env","check_id":"get","params":{"key":"K"}}}],"policies":[],"schemas":[]}`

// evilCommands are commands by the last tool that they call.
func evilCommands(scenario string) map[string][]string {
	return map[string][]string{
		"scenario_define":           {"define", scenario},
		"scenario_start":            {"start", "a", "r"},
		"scenario_status":           {"status", "a", "r", "--file", scenario},
		"scenario_next":             {"next", "a", "r"},
		"scenario_trigger":          {"trigger", "a", "r"},
		"scenario_submit":           {"submit", "a", "r", scenario},
		"precheck":                  {"precheck", scenario, "--shape", "a@1", "--spec", scenario},
		"providers_list":            {"providers"},
		"provider_contract_get":     {"providers", "x"},
		"provider_check_schema_get": {"providers", "x", "y"},
		"schemas_list":              {"schemas", "list", "--limit", "1"},
		"schemas_get":               {"schemas", "get", "a@1"},
		"schemas_register":          {"schemas", "register", "a@1", scenario},
		"scenarios_list":            {"scenario", "list", "--limit", "1"},
		"runpack_export":            {"runpack", "export", "a", "r"},
		"explain":                   {"scenario", "explain", scenario, "r"},
		"graph":                     {"scenario", "graph", scenario, "--run", "r"},
		"mermaid":                   {"scenario", "graph", scenario, "--run", "r", "--format", "mermaid"},
	}
}

// TestEvilAnswers. Attack: texts of others that drive the terminal of whoever reads them.
func TestEvilAnswers(t *testing.T) {
	var refuse bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var asked struct {
			ID     json.RawMessage
			Params struct{ Name string }
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			t.Error(err)
		}
		answer := `"result":{"content":[{"type":"json","json":` + evilAnswers[asked.Params.Name] + `}]}`
		if refuse {
			answer = `"error":{"code":-32030,"message":E,"data":{"kind":E,"retryable":false,"request_id":E}}`
		}
		_, _ = io.WriteString(w, strings.ReplaceAll(`{"jsonrpc":"2.0","id":`+string(asked.ID)+`,`+answer+`}`, "E", evilJSON()))
	}))
	t.Cleanup(server.Close)
	scenario := filepath.Join(t.TempDir(), "scenario.json")
	if err := os.WriteFile(scenario, []byte(smallScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DECISION_GATE_SERVER", server.URL)
	t.Setenv("DECISION_GATE_NAMESPACE", "2")
	commands := evilCommands(scenario)
	for tool := range evilAnswers {
		if commands[tool] == nil {
			t.Errorf("no command for %s", tool)
		}
	}
	for _, refuse = range []bool{false, true} {
		for _, name := range slices.Sorted(maps.Keys(commands)) {
			for _, more := range [][]string{nil, {"--json"}} {
				var out, problems bytes.Buffer
				code := run(append(slices.Clone(commands[name]), more...), streams{nil, &out, &problems})
				printed := out.String() + problems.String()
				if at := strings.IndexFunc(printed, func(r rune) bool { return r != '\n' && r != ' ' && !unicode.IsPrint(r) }); at >= 0 {
					t.Errorf("%s %v: prints %q", name, more, printed[at:])
				}
				for line := range strings.Lines(printed) {
					if strings.HasPrefix(line, "advance") {
						t.Errorf("%s %v: a forged line in %q", name, more, printed)
					}
				}
				wantCode := exitOK
				switch {
				case refuse:
					wantCode = exitFailed
				case slices.Contains([]string{"scenario_next", "scenario_trigger", "precheck", "runpack_export"}, name):
					wantCode = exitNo
				}
				if code != wantCode {
					t.Errorf("%s %v: exit code %d, want %d: %s", name, more, code, wantCode, printed)
				}
				if !strings.Contains(name, "mermaid") && !strings.Contains(name, "graph") && !strings.Contains(printed, "<end>") {
					t.Errorf("%s %v: the answer is not shown: %q", name, more, printed)
				}
				if more != nil && name != "mermaid" && !json.Valid(out.Bytes()) {
					t.Errorf("%s: no JSON: %q", name, out.String())
				}
			}
		}
	}
}

// Only what lets a run go on is a yes, whatever else a host may answer.
func TestVerdict(t *testing.T) {
	for _, kind := range gate.OutcomeKind("").Names() {
		yes := kind == string(gate.Advance) || kind == string(gate.Complete)
		if (verdict(gate.OutcomeKind(kind)) == nil) != yes {
			t.Errorf("%s", kind)
		}
	}
}

func TestCutCommand(t *testing.T) {
	for _, c := range []struct{ args, rest, command string }{
		{"next a r", "next a r", ""},
		{"next --stdio a r -- serve --x -- y", "next --stdio a r", "serve --x -- y"},
		{"next a -- --stdio", "next a -- --stdio", ""},
		{"next --stdio --", "next --stdio", ""},
	} {
		rest, command := cutCommand(strings.Fields(c.args))
		if strings.Join(rest, " ") != c.rest || strings.Join(command, " ") != c.command {
			t.Errorf("%s: %q, %q", c.args, rest, command)
		}
	}
}

// Every command explains itself, with its exit codes and an example.
func TestHelp(t *testing.T) {
	parser, err := kong.New(&cli{}, kong.Vars{"version": "", "moment": ""})
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) < 20 {
		t.Errorf("%d commands", len(leaves))
	}
	for _, leaf := range leaves {
		var out, problems bytes.Buffer
		args := append(strings.Fields(leaf.Path()), "--help")
		if i := slices.IndexFunc(args, func(a string) bool { return strings.HasPrefix(a, "<") || strings.HasPrefix(a, "[") }); i >= 0 {
			args = append(args[:i], "--help")
		}
		code := run(args, streams{nil, &out, &problems})
		if text := out.String(); code != exitOK || !strings.Contains(text, "Exit codes: 0") || !strings.Contains(text, "Example:\n\n    decision-gate "+strings.Join(args[:len(args)-1], " ")) {
			t.Errorf("%q: %d\n%s%s", args, code, text, problems.String())
		}
		if leaf.Help == "" || strings.Contains(out.String(), "${") {
			t.Errorf("%q: help %q\n%s", args, leaf.Help, out.String())
		}
	}
}
