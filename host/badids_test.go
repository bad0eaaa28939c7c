package host_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// alikeIDs look, sort, fold or encode alike.
var alikeIDs = []string{
	"", "\x00", "\x00\x00", "a", "a\x00", "a\x00b", "A", "a ", "a\n", "\u212b", "\u00c5", "\ufb01", "fi", "ı", "\ufeffa", "a\u200b", "\u202ea",
	"\U0010ffff", "/", "%00", "null", "a.json", strings.Repeat("l", 50_000), strings.Repeat("l", 50_000) + "m", strings.Repeat("\x00", 300),
}

// TestAlikeIDs uses each id as that of a scenario, a run, a trigger and a submission, at once, through the real plugins and
// a restart of the host. Each run has its own decision and no other: in a store that folded case, took a NUL for
// an end, or cut long keys, two of them would be one.
func TestAlikeIDs(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	deadline := object{"kind": "unix_millis", "value": 1710000000000}
	for n, id := range alikeIDs {
		f.must("scenario_define", json.RawMessage(strings.Replace(string(twoStages("ID", "1", `"packet"`)), `"ID"`, quote(id), 1)), nil)
		run{f, id, id, 1}.start(false)
		var d verdict
		f.must("scenario_next", object{"scenario_id": id, "request": object{
			"run_id": id, "tenant_id": 1, "namespace_id": 1, "trigger_id": id, "agent_id": id, "time": deadline, "correlation_id": fmt.Sprint(n),
		}}, &d)
		if d.Decision.Seq != 1 || d.Decision.TriggerID != id {
			t.Errorf("%.40q: decision %+v", id, d.Decision)
		}
		f.must("scenario_submit", object{"scenario_id": id, "request": object{
			"run_id": id, "tenant_id": 1, "namespace_id": 1, "submission_id": id, "payload": object{"kind": "json", "value": n}, "content_type": "application/json", "submitted_at": deadline,
		}}, nil)
	}
	var scenarios struct {
		Items []struct {
			ScenarioID string `json:"scenario_id"`
		}
	}
	f.must("scenarios_list", object{"tenant_id": 1, "namespace_id": 1, "limit": 1000}, &scenarios)
	if len(scenarios.Items) != len(alikeIDs) {
		t.Errorf("%d scenarios are listed of %d", len(scenarios.Items), len(alikeIDs))
	}
	f.stop()

	f = open(t, dir)
	uris := map[string]string{}
	for n, id := range alikeIDs {
		r := run{f, id, id, 1}
		if s := r.status(); s.Status != "active" || s.CurrentStageID != "b" {
			t.Errorf("%.40q: status %+v", id, s)
		}
		// The same trigger again gets the same decision; one that is only like it would be the second.
		var d verdict
		f.must("scenario_next", object{"scenario_id": id, "request": object{
			"run_id": id, "tenant_id": 1, "namespace_id": 1, "trigger_id": id, "agent_id": id, "time": deadline,
		}}, &d)
		if d.Decision.Seq != 1 {
			t.Errorf("%.40q: decided again: %+v", id, d.Decision)
		}
		out := filepath.Join(f.Dir, "exports", fmt.Sprint(n))
		export := object{"scenario_id": id, "tenant_id": 1, "namespace_id": 1, "run_id": id, "generated_at": late, "include_verification": true}
		var stored struct {
			StorageURI string `json:"storage_uri"`
		}
		f.must("runpack_export", export, &stored)
		if other, taken := uris[stored.StorageURI]; taken {
			t.Errorf("%.40q and %.40q are one bundle", id, other)
		}
		uris[stored.StorageURI] = id
		export["output_dir"] = out
		f.must("runpack_export", export, nil)
		var verified struct{ Status string }
		f.must("runpack_verify", object{"runpack_dir": stored.StorageURI, "manifest_path": "manifest.json"}, &verified)
		if verified.Status != "pass" {
			t.Errorf("%.40q: verified as %s", id, verified.Status)
		}
		var triggers []struct {
			Event struct {
				RunID         string `json:"run_id"`
				TriggerID     string `json:"trigger_id"`
				CorrelationID string `json:"correlation_id"`
			}
		}
		text, err := os.ReadFile(filepath.Join(out, "artifacts", "triggers.json"))
		if err == nil {
			err = json.Unmarshal(text, &triggers)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(triggers) != 1 || triggers[0].Event.RunID != id || triggers[0].Event.TriggerID != id || triggers[0].Event.CorrelationID != fmt.Sprint(n) {
			t.Errorf("%.40q: %d triggers are logged: %.200s", id, len(triggers), text)
		}
	}
}
