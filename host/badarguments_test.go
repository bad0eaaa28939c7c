package host_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// validCalls are a call of each tool that succeeds on the host of openBad, after those before it.
func validCalls(dir string) []struct {
	tool      string
	arguments string
} {
	const time = `{"kind":"unix_millis","value":1710000000000}`
	spec := strings.Replace(loop, `"entry_packets":[]`, `"timeout":{"timeout_ms":1000,"policy_tags":["x"]},"entry_packets":[{"packet_id":"p","schema_id":"s","content_type":"application/json","visibility_labels":["v"],"policy_tags":[],"expiry":null,"payload":{"kind":"json","value":{"a":[1]}}}]`, 1)
	request := `"run_id":"r","tenant_id":1,"namespace_id":1`
	return []struct{ tool, arguments string }{
		{"scenario_define", `{"spec":` + spec + `}`},
		{"scenario_start", `{"scenario_id":"loop","run_config":{` + request + `,"scenario_id":"loop","dispatch_targets":[{"kind":"agent","agent_id":"a"},{"kind":"session","session_id":"s"},{"kind":"external","system":"s","target":"t"},{"kind":"channel","channel":"c"}],"policy_tags":["x"]},"started_at":` + time + `,"issue_entry_packets":true}`},
		{"scenario_status", `{"scenario_id":"loop","request":{` + request + `,"requested_at":` + time + `,"correlation_id":"c"}}`},
		{"scenario_next", `{"scenario_id":"loop","feedback":"trace","request":{` + request + `,"trigger_id":"n","agent_id":"a","time":` + time + `,"correlation_id":"c"}}`},
		{"scenario_submit", `{"scenario_id":"loop","request":{` + request + `,"submission_id":"s","payload":{"kind":"bytes","bytes":[0,255]},"content_type":"text/plain","submitted_at":` + time + `,"correlation_id":"c"}}`},
		{"scenario_trigger", `{"scenario_id":"loop","trigger":{` + request + `,"trigger_id":"t","kind":"external_event","time":` + time + `,"source_id":"s","payload":{"kind":"json","value":{"a":[1]}},"correlation_id":"c"}}`},
		{"evidence_query", `{"query":{"provider_id":"time","check_id":"after","params":{"timestamp":5}},"context":{` + request + `,"scenario_id":"loop","stage_id":"a","trigger_id":"t","trigger_time":` + time + `,"correlation_id":"c"}}`},
		{"runpack_export", `{"scenario_id":"loop",` + request + `,"output_dir":` + quote(dir+"/out") + `,"manifest_name":"manifest.json","generated_at":` + time + `,"include_verification":true}`},
		{"runpack_verify", `{"runpack_dir":` + quote(dir+"/out") + `,"manifest_path":"manifest.json"}`},
		{"providers_list", `{}`},
		{"provider_contract_get", `{"provider_id":"time"}`},
		{"provider_check_schema_get", `{"provider_id":"time","check_id":"after"}`},
		{"schemas_register", `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"a","version":"v","schema":{"type":["object","boolean"],"properties":{"past":{"type":"boolean"}},"additionalProperties":{"type":"boolean"}},"description":"d","created_at":` + time + `,"signing":{"key_id":"k","signature":"s","algorithm":"a"}}}`},
		{"schemas_list", `{"tenant_id":1,"namespace_id":1,"cursor":"{\"schema_id\":\"\",\"version\":\"\"}","limit":5}`},
		{"schemas_get", `{"tenant_id":1,"namespace_id":1,"schema_id":"a","version":"v"}`},
		{"scenarios_list", `{"tenant_id":1,"namespace_id":1,"cursor":"a","limit":5}`},
		{"precheck", `{"tenant_id":1,"namespace_id":1,"scenario_id":"loop","stage_id":"a","data_shape":{"schema_id":"a","version":"v"},"payload":{"past":true},"spec":` + spec + `}`},
		{"decision_gate_docs_search", `{"query":"trust lanes","max_sections":3}`},
	}
}

// wrong are what stands in the place of a good value.
var wrong = []string{
	`null`, `true`, `0`, `-1`, `1.5`, `1e300`, `18446744073709551616`, `-9223372036854775809`, `""`, `"\u0000"`, `"none"`, `[]`, `{}`, `[null]`, `{"kind":"none"}`, `{"":""}`,
	`"../../etc/passwd"`, quote(strings.Repeat("x", 1<<16)), strings.Repeat("[", 90) + strings.Repeat("]", 90),
}

// TestBadArguments takes a good call of every tool and spoils each of its members, at every depth: drops it, and puts each of
// wrong in its place. The answer is a result or an error of the contract, never an internal one; what was refused has stored
// nothing; and the host goes on.
func TestBadArguments(t *testing.T) {
	b := openBad(t, 1<<20)
	calls := validCalls(b.Dir)
	for _, call := range calls {
		if e := b.send(call.tool, toolCall(call.tool, call.arguments)); e.Error != nil {
			t.Fatalf("the good call of %s: %+v", call.tool, *e.Error)
		}
	}
	tried, refused, kept := 0, map[int]int{}, b.stored()
	b.store.Counts()
	for _, call := range calls {
		var arguments any
		decoder := json.NewDecoder(strings.NewReader(call.arguments))
		decoder.UseNumber()
		if err := decoder.Decode(&arguments); err != nil {
			t.Fatal(err)
		}
		spoil(arguments, "", func(what string) {
			text, err := json.Marshal(arguments)
			if err != nil {
				t.Fatal(err)
			}
			name := call.tool + what
			e := b.send(name, toolCall(call.tool, string(text)))
			tried++
			before := kept
			if b.store.Counts()[faultystore.Commit] > 0 {
				kept = b.stored()
			}
			if e.Error == nil {
				return
			}
			refused[e.Error.Code]++
			if e.Error.Message == "" || len(e.Error.Message) > 5<<10 || strings.Contains(e.Error.Message, b.Dir) {
				t.Errorf("%s: the message is %.300q", name, e.Error.Message)
			}
			if strings.HasPrefix(e.Error.Message, "submission_id conflict") {
				before++ // such a call is a part of the run's record (contract §6.10)
			}
			if kept != before {
				t.Errorf("%s: refused with %q, and %d records more are stored", name, e.Error.Message, kept-before)
			}
		})
		b.healthy(call.tool)
	}
	if tried < 3000 || refused[-32602] < tried/2 {
		t.Errorf("%d calls, of them refused, by code: %v", tried, refused)
	}
	// Nothing was written but into the folder of runpacks.
	if _, err := os.Stat(b.Dir + "/../etc"); err == nil {
		t.Error("a runpack was written outside its folder")
	}
	for _, call := range calls {
		if e := b.send(call.tool, toolCall(call.tool, call.arguments)); e.Error != nil && e.Error.Code != -32009 && e.Error.Code != -32030 {
			t.Errorf("the good call of %s, afterwards: %+v", call.tool, *e.Error)
		}
	}
}

// spoil changes a value at each of its places in each way, calls try, and changes it back.
func spoil(v any, path string, try func(what string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			good := v[name]
			delete(v, name)
			try(fmt.Sprintf("%s.%s dropped", path, name))
			for _, bad := range wrong {
				v[name] = json.RawMessage(bad)
				try(fmt.Sprintf("%s.%s = %.40s", path, name, bad))
			}
			v[name] = good
			spoil(good, path+"."+name, try)
		}
	case []any:
		for i, good := range v {
			for _, bad := range wrong {
				v[i] = json.RawMessage(bad)
				try(fmt.Sprintf("%s[%d] = %.40s", path, i, bad))
			}
			v[i] = good
			spoil(good, fmt.Sprintf("%s[%d]", path, i), try)
		}
	}
}
