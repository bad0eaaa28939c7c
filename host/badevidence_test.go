package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// peakMemory is the most memory in bytes that a process has had.
func peakMemory(t *testing.T, pid int) (peak int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscanf(rest, "%d kB", &peak); err != nil {
		t.Fatal(err)
	}
	return peak << 10
}

// askingFor is a scenario whose conditions all ask for the same file.
func askingFor(file, id string, conditions int) object {
	var gates, asked []object
	for i := range conditions {
		name := fmt.Sprint(i)
		gates = append(gates, object{"gate_id": name, "requirement": object{"Condition": name}})
		asked = append(asked, object{
			"condition_id": name, "comparator": "exists", "policy_tags": []any{},
			"query": object{"provider_id": "json", "check_id": "path", "params": object{"file": file}},
		})
	}
	return object{"spec": object{
		"scenario_id": id, "namespace_id": 1, "spec_version": "1", "policies": []any{}, "schemas": []any{}, "default_tenant_id": 1, "conditions": asked,
		"stages": []object{{"stage_id": "a", "entry_packets": []any{}, "gates": gates, "advance_to": object{"kind": "terminal"}, "on_timeout": "fail"}},
	}}
}

// TestEvidenceOfBrackets decides on 64 files of half a million empty arrays, which would take forty times their size: some
// conditions are unknown, the host stays within what it may take for evidence, and goes on.
func TestEvidenceOfBrackets(t *testing.T) {
	dir := t.TempDir()
	config := strings.Replace(hcl, "server {", "server {\n  max_evidence_memory = 134217728", 1)
	p := startProgram(t, writeConfig(t, dir, config), t.TempDir())
	r := run{&fixture{t: t, URL: p.url, Dir: dir}, "s", "r", 1}
	for name, text := range map[string]string{"brackets.json": "[" + strings.Repeat("[],", 340_000) + "[]]", "small.json": "1"} {
		if err := os.WriteFile(filepath.Join(dir, "evidence", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.must("scenario_define", askingFor("brackets.json", "s", 64), nil)
	r.start(false)
	var answer struct {
		Decision struct{ Outcome struct{ Kind string } }
		Feedback struct {
			Evaluations []struct{ Status string } `json:"gate_evaluations"`
		}
	}
	r.must("scenario_next", object{"scenario_id": "s", "feedback": "trace", "request": object{
		"run_id": "r", "tenant_id": 1, "namespace_id": 1, "trigger_id": "t", "agent_id": "a", "time": late,
	}}, &answer)
	statuses := map[string]int{}
	for _, evaluation := range answer.Feedback.Evaluations {
		statuses[evaluation.Status]++
	}
	if answer.Decision.Outcome.Kind != "hold" || statuses["True"] < 2 || statuses["Unknown"] < 32 || len(statuses) != 2 {
		t.Errorf("%+v, %v", answer.Decision, statuses)
	}
	if peak := peakMemory(t, p.cmd.Process.Pid); peak > 768<<20 {
		t.Errorf("the host took %d MiB", peak>>20)
	}
	r.must("scenario_define", askingFor("small.json", "small", 64), nil)
	r.scenario, r.id = "small", "after"
	r.start(false)
	if d := r.trigger("t", "tick", nil); d.Status != "completed" {
		t.Errorf("afterwards: %+v", d)
	}
}

// TestLargeEvidence decides on 64 values of nearly a megabyte each, which together are more than a step may be: the call is
// refused by name, nothing is stored, the host has not taken much more memory than they need, and goes on.
func TestLargeEvidence(t *testing.T) {
	const count, size = 64, 1<<20 - 100
	dir := t.TempDir()
	p := startProgram(t, writeConfig(t, dir, hcl), t.TempDir())
	f := &fixture{t: t, URL: p.url, Dir: dir}
	if err := os.WriteFile(filepath.Join(dir, "evidence", "large.json"), []byte(`"`+strings.Repeat("x", size)+`"`), 0o600); err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct {
		conditions int
		refused    bool
	}{{8, false}, {count, true}, {8, false}} {
		r := run{f, fmt.Sprintf("s%d", test.conditions), fmt.Sprint("r", i), 1}
		if reply := f.call("scenario_define", askingFor("large.json", r.scenario, test.conditions)); reply.Error != nil && reply.Error.Code != -32009 {
			t.Fatalf("%+v", reply.Error)
		}
		r.start(false)
		reply := f.call("scenario_next", object{"scenario_id": r.scenario, "request": object{
			"run_id": r.id, "tenant_id": 1, "namespace_id": 1, "trigger_id": "t", "agent_id": "a", "time": late,
		}})
		if !test.refused {
			if reply.Error != nil {
				t.Errorf("%d values: %+v", test.conditions, reply.Error)
			}
			continue
		}
		if reply.Error == nil || reply.Error.Code != -32070 || !strings.HasPrefix(reply.Error.Message, "the step is ") || !strings.Contains(reply.Error.Message, "ask for less evidence") {
			t.Errorf("%d values: %+v", test.conditions, reply.Error)
		}
		if s := r.status(); s.Status != "active" || s.CurrentStageID != "a" {
			t.Errorf("after it was refused: %+v", s)
		}
	}
	if peak := peakMemory(t, p.cmd.Process.Pid); peak > 12*count*size {
		t.Errorf("the host took %d MiB for %d MiB of evidence", peak>>20, count*size>>20)
	}
}
