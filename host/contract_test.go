package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// twoStages goes from a stage to one that issues packets, and there ends.
func twoStages(id, tenant string, packets ...string) json.RawMessage {
	var specs []string
	for i, payload := range packets {
		specs = append(specs, fmt.Sprintf(`{"packet_id":"p%d","schema_id":"s","content_type":"application/json","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":%s}}`, i, payload))
	}
	return json.RawMessage(`{"spec":{"scenario_id":` + quote(id) + `,"namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":` + tenant + `,
	"stages":[
	 {"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"ga","requirement":{"Condition":"past"}}],"advance_to":{"kind":"fixed","stage_id":"b"},"on_timeout":"fail"},
	 {"stage_id":"b","entry_packets":[` + strings.Join(specs, ",") + `],"gates":[{"gate_id":"gb","requirement":{"Condition":"past"}}],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],
	"conditions":[{"condition_id":"past","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]}]}}`)
}

type object = map[string]any

var early, late = object{"kind": "unix_millis", "value": 1}, object{"kind": "unix_millis", "value": 1710000000000}

// run is a run as a client calls it.
type run struct {
	*fixture
	scenario, id string
	tenant       uint64
}

func (r run) start(issue bool) {
	r.t.Helper()
	r.must("scenario_start", object{"scenario_id": r.scenario, "started_at": early, "issue_entry_packets": issue, "run_config": object{
		"tenant_id": r.tenant, "namespace_id": 1, "run_id": r.id, "scenario_id": r.scenario, "dispatch_targets": []any{}, "policy_tags": []any{},
	}}, nil)
}

func (r run) trigger(id, kind string, payload any) (d verdict) {
	r.t.Helper()
	r.must("scenario_trigger", object{"scenario_id": r.scenario, "trigger": object{
		"trigger_id": id, "tenant_id": r.tenant, "namespace_id": 1, "run_id": r.id, "kind": kind, "time": late, "source_id": "s", "payload": payload,
	}}, &d)
	return d
}

func (r run) status() (s status) {
	r.t.Helper()
	r.must("scenario_status", object{"scenario_id": r.scenario, "request": object{"run_id": r.id, "tenant_id": r.tenant, "namespace_id": 1, "requested_at": late}}, &s)
	return s
}

// log exports the run, and reads one of its logs.
func (r run) log(name string) (records []object) {
	r.t.Helper()
	out := filepath.Join(r.Dir, "exports", fmt.Sprintf("%x", r.id+name))
	r.must("runpack_export", object{
		"scenario_id": r.scenario, "tenant_id": r.tenant, "namespace_id": 1, "run_id": r.id, "output_dir": out, "generated_at": late, "include_verification": true,
	}, nil)
	text, err := os.ReadFile(filepath.Join(out, "artifacts", name+".json"))
	if err == nil {
		err = json.Unmarshal(text, &records)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return records
}

type verdict struct {
	Decision struct {
		Seq       uint64
		TriggerID string `json:"trigger_id"`
		Outcome   struct{ Kind, Reason string }
	}
	Packets []object
	Status  string
}

type status struct {
	Status          string
	CurrentStageID  string   `json:"current_stage_id"`
	IssuedPacketIDs []string `json:"issued_packet_ids"`
}

// newRun defines a scenario of two stages for tenant 1, with one packet, and starts a run of it.
func newRun(t *testing.T, issue bool) run {
	t.Helper()
	r := run{open(t, t.TempDir()), "s", "r", 1}
	r.must("scenario_define", twoStages("s", "1", `"packet"`), nil)
	r.start(issue)
	return r
}

// TestFinishedRun ([P-05]): any trigger on a finished run gets the last decision, also one that has a decision of its own; it
// is not logged as a trigger, but as a call.
func TestFinishedRun(t *testing.T) {
	r := newRun(t, false)
	for seq, id := range []string{"t1", "t2"} {
		if d := r.trigger(id, "tick", nil); d.Decision.Seq != uint64(seq+1) {
			t.Fatalf("%+v", d)
		}
	}
	for _, id := range []string{"t1", "t2", "t3"} {
		if d := r.trigger(id, "external_event", nil); d.Decision.TriggerID != "t2" || d.Status != "completed" || len(d.Packets) != 0 {
			t.Errorf("%s: %+v", id, d)
		}
	}
	if triggers, calls := len(r.log("triggers")), len(r.log("tool_calls")); triggers != 2 || calls != 5 {
		t.Errorf("%d triggers and %d calls are logged, want 2 and 5", triggers, calls)
	}
}

// TestStatusIsRecorded ([P-06]): to ask for the status is a call on record, and changes nothing else.
func TestStatusIsRecorded(t *testing.T) {
	r := newRun(t, false)
	for range 3 {
		if s := r.status(); s.Status != "active" || s.CurrentStageID != "a" || len(s.IssuedPacketIDs) != 0 {
			t.Errorf("%+v", s)
		}
	}
	calls := r.log("tool_calls")
	if len(calls) != 3 || calls[2]["method"] != "scenario.status" || calls[2]["call_id"] != "call-3" || len(r.log("triggers")) != 0 {
		t.Errorf("%v", calls)
	}
}

// TestTriggerByIDAlone ([P-07]): a repeat is known by its id, whatever else has changed.
func TestTriggerByIDAlone(t *testing.T) {
	r := newRun(t, false)
	first := r.trigger("t", "tick", nil)
	again := r.trigger("t", "backend_event", object{"kind": "json", "value": "another"})
	if again.Decision != first.Decision || len(again.Packets) != len(first.Packets) || len(r.log("triggers")) != 1 {
		t.Errorf("got %+v, then %+v", first, again)
	}
	if d := r.trigger("T", "tick", nil); d.Decision.Seq != 2 {
		t.Errorf("an id that differs in case: %+v", d)
	}
}

// TestInitTrigger ([P-08]): init is taken when entry packets were issued at start, and any other id when they were not.
func TestInitTrigger(t *testing.T) {
	r := newRun(t, true)
	if d := r.trigger("init", "tick", nil); d.Decision.Seq != 1 || d.Decision.Outcome.Kind != "start" {
		t.Errorf("a run that issued at start: %+v", d)
	}
	if r.status().CurrentStageID != "a" {
		t.Error("init moved the run")
	}
	r.id = "r2"
	r.start(false)
	if d := r.trigger("init", "tick", nil); d.Decision.Seq != 1 || d.Decision.Outcome.Kind != "advance" {
		t.Errorf("a run that did not: %+v", d)
	}
}

// TestLongRun ([F-10]): a run has no size at which it can no longer be written or asked for, as one had that was kept whole.
func TestLongRun(t *testing.T) {
	f := open(t, t.TempDir())
	defineLoop(f, "r")
	r := run{f, "loop", "r", 1}
	payload := object{"kind": "json", "value": strings.Repeat("x", 6<<20)}
	for i := range 4 {
		if d := r.trigger(fmt.Sprint(i), "external_event", payload); d.Decision.Seq != uint64(i+1) {
			t.Fatalf("%+v", d)
		}
	}
	for range 50 {
		r.status()
	}
	if calls := len(r.log("tool_calls")); calls != 54 {
		t.Errorf("%d calls are logged", calls)
	}
}

// TestPacketLimit: a packet of exactly 2 MiB is issued; with one byte more the decision is to fail, and says so.
func TestPacketLimit(t *testing.T) {
	f := open(t, t.TempDir())
	text := func(size int) string { return `"` + strings.Repeat("x", size-2) + `"` }
	for id, test := range map[string]struct {
		size             int
		outcome, message string
	}{
		"fits":  {2 << 20, "advance", ""},
		"large": {2<<20 + 1, "fail", "payload exceeds size limit (2097153 > 2097152)"},
	} {
		r := run{f, id, id, 1}
		r.must("scenario_define", twoStages(id, "1", `1`, text(test.size)), nil)
		r.start(false)
		d := r.trigger("t", "tick", nil)
		if d.Decision.Outcome.Kind != test.outcome || d.Decision.Outcome.Reason != test.message {
			t.Errorf("%s: %+v", id, d.Decision)
		}
		// Those issued before the one that is too large are not kept.
		if n := len(r.status().IssuedPacketIDs); (n == 2) != (test.outcome == "advance") || n == 1 {
			t.Errorf("%s: %d packets", id, n)
		}
	}
}

// strangeIDs are ids as clients may choose them.
var strangeIDs = []string{
	"", "\x00", "a", "A", "a\x00", "a/b", "..", ".", "../../x", "é", "e\u0301", "\uffff", "\ufffd", "🦀", "%2e", "a b", "\n", "\"", "\\",
	strings.Repeat("i", 255), strings.Repeat("i", 256), strings.Repeat("i", 300), strings.Repeat("j", 300), strings.Repeat("é", 200),
}

// TestStrangeIDs keeps runs, triggers and submissions apart whose ids are empty, long, or alike, through host, store and
// runpack plugin.
func TestStrangeIDs(t *testing.T) {
	f := open(t, t.TempDir())
	f.must("scenario_define", twoStages("s", "1", `"packet"`), nil)
	for i, id := range strangeIDs {
		r := run{f, "s", id, 1}
		r.start(false)
		if d := r.trigger(strangeIDs[(i+1)%len(strangeIDs)], "tick", object{"kind": "json", "value": id}); d.Decision.Seq != 1 {
			t.Errorf("%.20q: %+v", id, d)
		}
	}
	for i, id := range strangeIDs {
		r := run{f, "s", id, 1}
		if d := r.trigger(strangeIDs[(i+1)%len(strangeIDs)], "tick", nil); d.Decision.Seq != 1 || len(d.Packets) != 1 {
			t.Errorf("%.20q: the repeat: %+v", id, d)
		}
		if s := r.status(); s.CurrentStageID != "b" || len(s.IssuedPacketIDs) != 1 {
			t.Errorf("%.20q: %+v", id, s)
		}
		var exported struct {
			StorageURI string `json:"storage_uri"`
		}
		r.must("runpack_export", object{"scenario_id": "s", "tenant_id": 1, "namespace_id": 1, "run_id": id, "generated_at": late, "include_verification": false}, &exported)
		var verified struct{ Status string }
		r.must("runpack_verify", object{"runpack_dir": exported.StorageURI, "manifest_path": "manifest.json"}, &verified)
		if verified.Status != "pass" {
			t.Errorf("%.20q: the stored runpack fails", id)
		}
	}
	one := run{f, "s", "a", 1}
	for _, id := range strangeIDs {
		one.must("scenario_submit", object{"scenario_id": "s", "request": object{
			"run_id": "a", "tenant_id": 1, "namespace_id": 1, "submission_id": id, "payload": object{"kind": "json", "value": id}, "content_type": "x", "submitted_at": late,
		}}, nil)
	}
	if n := len(one.log("submissions")); n != len(strangeIDs) {
		t.Errorf("%d submissions, want %d", n, len(strangeIDs))
	}
}

// TestTenantsApart has tenants, the last of all among them, use the same ids in a namespace that all may use: none sees or
// blocks another's.
func TestTenantsApart(t *testing.T) {
	f := open(t, t.TempDir())
	tenants := []string{"1", "2", "9223372036854775808", "18446744073709551615"}
	in2 := func(text json.RawMessage) json.RawMessage {
		return bytes.ReplaceAll(text, []byte(`"namespace_id":1`), []byte(`"namespace_id":2`))
	}
	start := func(tenant string) reply {
		return f.call("scenario_start", json.RawMessage(`{"scenario_id":"s","started_at":{"kind":"logical","value":1},"issue_entry_packets":false,
			"run_config":{"tenant_id":`+tenant+`,"namespace_id":2,"run_id":"r","scenario_id":"s","dispatch_targets":[],"policy_tags":[]}}`))
	}
	for i, tenant := range tenants {
		if r := start(tenant); r.Error == nil || r.Error.Code != -32004 || r.Error.Message != "scenario not defined" {
			t.Errorf("tenant %s finds the scenario of another: %+v", tenant, r)
		}
		f.must("scenario_define", in2(twoStages("s", tenant, fmt.Sprint(i))), nil)
		if r := start(tenant); r.Error != nil {
			t.Errorf("tenant %s: %+v", tenant, r.Error)
		}
		var page struct{ Items []object }
		f.must("scenarios_list", json.RawMessage(`{"tenant_id":`+tenant+`,"namespace_id":2}`), &page)
		if len(page.Items) != 1 {
			t.Errorf("tenant %s lists %v", tenant, page.Items)
		}
	}
}

// TestConcurrentStart starts one run from many clients at once ([F-01]): one has started it, the others are told that it exists.
func TestConcurrentStart(t *testing.T) {
	r := newRun(t, false)
	results := make([]reply, 16)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			results[i], _ = post(r.URL, "scenario_start", json.RawMessage(`{"scenario_id":"s","started_at":{"kind":"logical","value":1},"issue_entry_packets":true,
				"run_config":{"tenant_id":1,"namespace_id":1,"run_id":"race","scenario_id":"s","dispatch_targets":[],"policy_tags":[]}}`))
		})
	}
	wg.Wait()
	won := 0
	for _, result := range results {
		switch {
		case result.Error == nil:
			won++
		case result.Error.Code != -32030 || result.Error.Message != "run already exists: race":
			t.Errorf("%+v", result.Error)
		}
	}
	if won != 1 {
		t.Errorf("%d starts succeeded", won)
	}
}

// TestShippedClients decodes answers as strictly as the clients of Decision Gate do (mcp contract §1.9).
func TestShippedClients(t *testing.T) {
	f := open(t, t.TempDir())
	for _, test := range []struct {
		name, tool, arguments string
		status, code          int
	}{
		{"result", "scenarios_list", `{"tenant_id":1,"namespace_id":1}`, 200, 0},
		{"not found is HTTP 200", "scenario_status", `{"scenario_id":"no","request":{"run_id":"r","tenant_id":1,"namespace_id":1,"requested_at":{"kind":"logical","value":1}}}`, 200, -32004},
		{"engine errors are HTTP 200", "scenario_define", `{"spec":{"scenario_id":"s","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,"stages":[],"conditions":[]}}`, 200, -32030},
		{"runpack errors are HTTP 200", "runpack_verify", `{"runpack_dir":"/","manifest_path":"x"}`, 200, -32040},
		{"wrong arguments are not", "scenarios_list", `{}`, 400, -32602},
		{"refusals are not", "scenarios_list", `{"tenant_id":2,"namespace_id":1}`, 403, -32003},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, err := http.Post(f.URL+"/rpc", "application/json", strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"`+test.tool+`","arguments":`+test.arguments+`}}`))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status || response.Header.Get("Content-Type") != "application/json" {
				t.Fatalf("%v %d %v", err, response.StatusCode, response.Header)
			}
			var answer struct {
				JSONRPC string `json:"jsonrpc"`
				ID      int    `json:"id"`
				Result  *struct {
					Content []struct {
						Type string           `json:"type"`
						JSON *json.RawMessage `json:"json"`
					} `json:"content"`
				} `json:"result"`
				Error *struct {
					Code    int    `json:"code"`
					Message string `json:"message"`
					Data    *struct {
						Kind      string  `json:"kind"`
						Retryable *bool   `json:"retryable"`
						RequestID *string `json:"request_id"`
					} `json:"data"`
				} `json:"error"`
			}
			decoder := json.NewDecoder(bytes.NewReader(body))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&answer); err != nil || answer.JSONRPC != "2.0" || answer.ID != 1 || (answer.Result == nil) == (answer.Error == nil) {
				t.Fatalf("%v: %s", err, body)
			}
			if e := answer.Error; test.code != 0 {
				if e == nil || e.Code != test.code || e.Message == "" || e.Data == nil || e.Data.Kind == "" || e.Data.Retryable == nil || e.Data.RequestID == nil || *e.Data.RequestID != "1" {
					t.Errorf("%s", body)
				}
				return
			}
			// Any item of another type fails the call of the command line's client.
			if c := answer.Result.Content; len(c) != 1 || c[0].Type != "json" || c[0].JSON == nil {
				t.Errorf("%s", body)
			}
		})
	}
}
