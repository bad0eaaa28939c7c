package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// recordedRun is a run that the open-source server decided, with what it exported of it.
type recordedRun struct {
	define, export json.RawMessage
	state          gate.RunState
	files          map[string]string
}

// recordedRuns reads the runs of a recording. Their states are put together from what the server answered to their start, and
// from the logs that it exported.
func recordedRuns(t *testing.T) (runs map[string]*recordedRun, shapes []json.RawMessage) {
	t.Helper()
	runs = map[string]*recordedRun{}
	readLines(t, filepath.Join("gate", "testdata", "lifecycle.jsonl"), func(n int, raw []byte) {
		var l line
		var named struct {
			ScenarioID string `json:"scenario_id"`
			Spec       struct {
				ScenarioID string `json:"scenario_id"`
			}
		}
		if err := json.Unmarshal(raw, &l); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if l.Tool == "" {
			runs[l.Run].files[l.File] = l.Bytes
			return
		}
		if err := json.Unmarshal(l.Arguments, &named); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		switch l.Tool {
		case "schemas_register":
			if l.Error == nil {
				shapes = append(shapes, l.Arguments)
			}
		case "scenario_define":
			runs[named.Spec.ScenarioID] = &recordedRun{define: l.Arguments, files: map[string]string{}}
		case "scenario_start":
			runs[named.ScenarioID].state = parsed[gate.RunState](t, string(l.Result))
		case "runpack_export":
			runs[named.ScenarioID].export = l.Arguments
		}
	})
	for name, r := range runs {
		if len(r.files) == 0 {
			t.Fatalf("%s was not exported", name)
		}
		r.finish(t)
	}
	return runs, shapes
}

func parsed[T any](t *testing.T, text string) (out T) {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err == nil {
		err = canonical.Decode(v, &out)
	}
	if err != nil {
		t.Fatalf("%v in %.300s", err, text)
	}
	return out
}

// finish brings the state to where the exported logs lead.
func (r *recordedRun) finish(t *testing.T) {
	t.Helper()
	s := &r.state
	s.Triggers = parsed[[]gate.TriggerRecord](t, r.files["artifacts/triggers.json"])
	s.GateEvals = parsed[[]gate.GateEvalRecord](t, r.files["artifacts/gate_evals.json"])
	s.Decisions = parsed[[]gate.DecisionRecord](t, r.files["artifacts/decisions.json"])
	s.Packets = parsed[[]gate.PacketRecord](t, r.files["artifacts/packets.json"])
	s.Submissions = parsed[[]gate.SubmissionRecord](t, r.files["artifacts/submissions.json"])
	s.ToolCalls = parsed[[]gate.ToolCallRecord](t, r.files["artifacts/tool_calls.json"])
	for _, d := range s.Decisions {
		switch d.Outcome.Kind {
		case gate.Advance:
			s.CurrentStageID, s.StageEnteredAt = d.Outcome.ToStage, d.DecidedAt
		case gate.Complete:
			s.Status = gate.Completed
		case gate.Fail:
			s.Status = gate.Failed
		}
	}
}

// databaseOf writes the database that the open-source server would have of runs, in a folder of its own.
func databaseOf(t *testing.T, version int, runs map[string]*recordedRun, shapes []json.RawMessage, words ...string) string {
	t.Helper()
	lines := fmt.Sprintf(`{"schema_version":%d}`+"\n", version)
	add := func(kind string, members object) {
		text, err := json.Marshal(object{kind: members})
		if err != nil {
			t.Fatal(err)
		}
		lines += string(text) + "\n"
	}
	for _, r := range runs {
		document := canonical.Append(nil, r.state, canonical.Canonical)
		add("run", object{
			"tenant_id": fmt.Sprint(r.state.TenantID), "namespace_id": fmt.Sprint(r.state.NamespaceID), "run_id": r.state.RunID,
			"version": len(r.state.ToolCalls) + 1, "saved_at": 1_700_000_000_000, "state": document,
			"state_hash": canonical.HashBytes(document).Value, "hash_algorithm": "sha256",
		})
	}
	for _, arguments := range shapes {
		var a struct {
			Record struct {
				Tenant      uint64          `json:"tenant_id"`
				Namespace   uint64          `json:"namespace_id"`
				ID          string          `json:"schema_id"`
				Version     string          `json:"version"`
				Schema      json.RawMessage `json:"schema"`
				Description *string         `json:"description"`
				CreatedAt   json.RawMessage `json:"created_at"`
			}
		}
		if err := json.Unmarshal(arguments, &a); err != nil {
			t.Fatal(err)
		}
		document := []byte(canon(t, a.Record.Schema))
		add("data_shape", object{
			"tenant_id": fmt.Sprint(a.Record.Tenant), "namespace_id": fmt.Sprint(a.Record.Namespace), "schema_id": a.Record.ID, "version": a.Record.Version,
			"schema": document, "schema_hash": canonical.HashBytes(document).Value, "hash_algorithm": "sha256",
			"description": a.Record.Description, "created_at": string(a.Record.CreatedAt),
		})
	}
	path := filepath.Join(t.TempDir(), "decision-gate.db")
	cmd := exec.Command(makedatabase(t), append([]string{path}, words...)...)
	cmd.Stdin = strings.NewReader(lines)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// makedatabase builds the program that writes such databases, unless an earlier test has.
func makedatabase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(plugins(t), "makedatabase")
	if _, err := os.Stat(path); err != nil {
		if err := os.Rename(launchtest.Build(t, "../plugins/store-sqlite/internal/opensource/makedatabase"), path); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// importReport is what the command answers.
type importReport struct {
	Imported   bool
	Runs       struct{ Imported, Present int }
	DataShapes struct{ Imported, Present int } `json:"data_shapes"`
	Refused    int
	Scenarios  []struct{ Defined bool }
}

func importDatabase(t *testing.T, path, config string) (r importReport) {
	t.Helper()
	var errs bytes.Buffer
	cmd := exec.Command(binary(t), "store", "import-decision-gate", path, "--config", config, "--json")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, errs.String())
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

// TestImportedRuns takes runs that the open-source server decided over into an empty store, from a database as that server keeps
// one, and exports each: every file of the runpack is the one that the server itself exported, byte for byte. They go on, too: what
// was decided is answered again, and the next call has the next number.
func TestImportedRuns(t *testing.T) {
	runs, shapes := recordedRuns(t)
	db := startDatabase(t)
	for name, c := range map[string]struct {
		hcl     string
		version int
		words   []string
	}{
		"SQLite":     {hcl, 4, []string{"wal", "open"}},
		"PostgreSQL": {postgresHCL(t, db.dsn), 3, nil},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := writeConfig(t, dir, c.hcl)
			path := databaseOf(t, c.version, runs, shapes, c.words...)
			if r := importDatabase(t, path, config); r.Runs.Imported != len(runs) || r.DataShapes.Imported != len(shapes) || len(r.Scenarios) != len(runs) || r.Scenarios[0].Defined {
				t.Errorf("%+v", r)
			}
			f := openWith(t, dir, c.hcl)
			for name, r := range runs {
				f.must("scenario_define", r.define, nil)
				exported := f.exportRun(t, name, r)
				for path, content := range r.files {
					if got := exported[path]; got != content {
						t.Errorf("%s of %s is\n%s\nwant\n%s", path, name, got, content)
					}
				}
				f.checkGoesOn(t, name, r)
			}
			// While the host serves the store.
			if r := importDatabase(t, path, config); r.Runs.Present != len(runs) || r.DataShapes.Present != len(shapes) || r.Runs.Imported+r.DataShapes.Imported != 0 || !r.Scenarios[0].Defined {
				t.Errorf("again: %+v", r)
			}
			if out, err := exec.Command(binary(t), "store", "verify", "--config", config).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// exportRun exports a run as it was exported when it was recorded, and answers the files.
func (f *fixture) exportRun(t *testing.T, name string, r *recordedRun) map[string]string {
	t.Helper()
	out := filepath.Join(f.Dir, "exports", name)
	f.must("runpack_export", json.RawMessage(bytes.ReplaceAll(r.export, []byte(`"$OUT"`), []byte(quote(out)))), nil)
	files := map[string]string{}
	for path := range r.files {
		content, err := os.ReadFile(filepath.Join(out, path))
		if err != nil {
			t.Fatal(err)
		}
		files[path] = string(content)
	}
	return files
}

// checkGoesOn repeats every trigger of a run and asks for its status.
func (f *fixture) checkGoesOn(t *testing.T, name string, r *recordedRun) {
	t.Helper()
	for i, trigger := range r.state.Triggers {
		want := r.state.Decisions[i]
		if r.state.Status != gate.Active {
			want = r.state.Decisions[len(r.state.Decisions)-1]
		}
		var answer struct{ Decision json.RawMessage }
		f.must("scenario_trigger", object{"scenario_id": r.state.ScenarioID, "trigger": json.RawMessage(canonical.Append(nil, trigger.Event, canonical.Canonical))}, &answer)
		if got := canon(t, answer.Decision); got != string(canonical.Append(nil, want, canonical.Canonical)) {
			t.Errorf("%s: trigger %d is answered with %s", name, i+1, got)
		}
	}
	var status struct {
		Status  gate.RunStatus
		Packets []gate.PacketID `json:"issued_packet_ids"`
	}
	f.must("scenario_status", object{"scenario_id": r.state.ScenarioID, "request": object{
		"tenant_id": r.state.TenantID, "namespace_id": r.state.NamespaceID, "run_id": r.state.RunID, "requested_at": object{"kind": "logical", "value": 1}, "correlation_id": nil,
	}}, &status)
	issued := []gate.PacketID{}
	for _, p := range r.state.Packets {
		issued = append(issued, p.Envelope.PacketID)
	}
	if status.Status != r.state.Status || !slices.Equal(status.Packets, issued) {
		t.Errorf("%s: status %+v", name, status)
	}
	calls := parsed[[]gate.ToolCallRecord](t, f.exportRun(t, name, r)["artifacts/tool_calls.json"])
	if want := len(r.state.ToolCalls) + len(r.state.Triggers) + 1; len(calls) != want || calls[want-1].CallID != fmt.Sprint("call-", want) {
		t.Errorf("%s: %d calls, the last %s, want %d", name, len(calls), calls[len(calls)-1].CallID, want)
	}
}
