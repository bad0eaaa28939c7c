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
	scenario := func(id string, n int) object {
		var gates, conditions []object
		for i := range n {
			name := fmt.Sprint(i)
			gates = append(gates, object{"gate_id": name, "requirement": object{"Condition": name}})
			conditions = append(conditions, object{
				"condition_id": name, "comparator": "exists", "policy_tags": []any{},
				"query": object{"provider_id": "json", "check_id": "path", "params": object{"file": "large.json"}},
			})
		}
		return object{"spec": object{
			"scenario_id": id, "namespace_id": 1, "spec_version": "1", "policies": []any{}, "schemas": []any{}, "default_tenant_id": 1, "conditions": conditions,
			"stages": []object{{"stage_id": "a", "entry_packets": []any{}, "gates": gates, "advance_to": object{"kind": "terminal"}, "on_timeout": "fail"}},
		}}
	}
	for i, test := range []struct {
		conditions int
		refused    bool
	}{{8, false}, {count, true}, {8, false}} {
		r := run{f, fmt.Sprintf("s%d", test.conditions), fmt.Sprint("r", i), 1}
		if reply := f.call("scenario_define", scenario(r.scenario, test.conditions)); reply.Error != nil && reply.Error.Code != -32009 {
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
