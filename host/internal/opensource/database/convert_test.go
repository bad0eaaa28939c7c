package database

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// files are a bundle in memory.
type files map[string]string

func (f files) WriteFile(_ context.Context, path string, content io.Reader) error {
	b, err := io.ReadAll(content)
	f[path] = string(b)
	return err
}

type spools struct{}

func (spools) Create() (runpack.SpoolFile, error) { return &spool{}, nil }

type spool struct{ bytes.Buffer }

func (s *spool) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(s.Bytes()).ReadAt(p, off)
}
func (s *spool) Close() error { return nil }

// bundleOf is the runpack of a run.
func bundleOf(t testing.TB, e *engine, steps iter.Seq2[gate.Step, error]) files {
	t.Helper()
	out := files{}
	_, err := runpack.Build(context.Background(), runpack.Input{
		Spec: *e.scenario.Spec(), SpecHash: e.head.SpecHash, TenantID: 1, NamespaceID: 2, RunID: "r", Steps: steps,
		GeneratedAt: millis(9), ManifestPath: runpack.DefaultManifest, Verify: true, Spool: spools{},
	}, out)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sequence(steps []gate.Step) iter.Seq2[gate.Step, error] {
	return func(yield func(gate.Step, error) bool) {
		for _, s := range steps {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// answers is what the providers of an imported run say.
type answers map[gate.ConditionID]gate.Answer

func (a answers) Gather(context.Context, []gate.ConditionSpec, gate.EvidenceContext, time.Duration) map[gate.ConditionID]gate.Answer {
	return a
}
func (answers) Missing(*gate.ScenarioSpec) *gate.ProviderMissing { return nil }

// Whatever was called on a run, and however it was decided: imported from what the open-source server stores, it has the same
// runpack, byte for byte, and the same answers to what comes next.
func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := drawRun(rt, t)
		s, says := faultystore.New(), answers{}
		definitions := registry.New(s)
		if err := definitions.Define(t.Context(), e.scenario); err != nil {
			rt.Fatal(err)
		}
		here := runs.New(s, definitions, says, func() *gate.Settings { return e.settings }, "test")
		history, err := e.row().History()
		if err != nil {
			rt.Fatalf("%v in %s", err, e.row().State)
		}
		if got, want := text(history.Head), text(e.head); got != want {
			rt.Fatalf("the head is\n%s\nwant\n%s", got, want)
		}
		for _, present := range []bool{false, true} {
			was, err := runs.Import(t.Context(), s, &runs.Imported{Head: history.Head, Steps: history.Steps, SavedAt: 5})
			if err != nil || was != present {
				rt.Fatalf("present %t, %v", was, err)
			}
		}
		compare := func() {
			stored, err := here.History(t.Context(), runs.Ref{Tenant: 1, Namespace: 2, Run: "r", Scenario: "s"})
			if err != nil {
				rt.Fatal(err)
			}
			want, got := bundleOf(t, e, sequence(e.steps)), bundleOf(t, e, stored.Steps)
			for path, content := range want {
				if got[path] != content {
					rt.Fatalf("%s is\n%s\nwant\n%s", path, got[path], content)
				}
			}
		}
		compare()
		for i := range 4 {
			e.goOn(rt, here, says, i)
		}
		compare()
		if present, err := runs.CheckImport(t.Context(), s, &runs.Imported{Head: history.Head, Steps: history.Steps, SavedAt: 5}); err != nil || !present {
			rt.Fatalf("a run that has gone on: present %t, %v", present, err)
		}
	})
}

// text is a value in canonical form: numbers have lost their kinds in the open-source server's store.
func text(v any) string { return string(canonical.Append(nil, v, canonical.Canonical)) }

// goOn makes a call on the imported run, which the engine answers too.
func (e *engine) goOn(rt *rapid.T, here *runs.Runs, says answers, i int) {
	at := millis(100 + i)
	for _, c := range conditionIDs {
		says[gate.ConditionID(c)] = drawAnswer(rt)
	}
	id := rapid.SampledFrom([]string{"1", "2", "new", "newer", "init"}).Draw(rt, "next id")
	call := gate.NextRequest{RunID: "r", TenantID: 1, NamespaceID: 2, TriggerID: gate.TriggerID(id), AgentID: "a1", Time: at}.Call()
	want, result, refusal := e.scenario.Trigger(e.head, call, e.recorded[call.Event.TriggerID], says, e.settings)
	got, err := here.Trigger(e.t.Context(), "s", call)
	if (err == nil) != (refusal == nil) {
		rt.Fatalf("answers %v, want %v", err, refusal)
	}
	if refusal != nil {
		return
	}
	e.apply(want)
	if text(got.TriggerResult) != text(result) {
		rt.Fatalf("answers\n%s\nwant\n%s", text(got.TriggerResult), text(result))
	}
	status, err := here.Status(e.t.Context(), "s", gate.StatusRequest{RunID: "r", TenantID: 1, NamespaceID: 2, RequestedAt: at})
	if err != nil {
		rt.Fatal(err)
	}
	e.status(at)
	if status.Status != e.head.Status {
		rt.Fatalf("status %s, want %s", status.Status, e.head.Status)
	}
}

// goldenState is the state in which the contract's golden run ends.
func goldenState(t *testing.T) *gate.RunState {
	t.Helper()
	content, err := os.ReadFile("../../../gate/testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := canonical.Parse(content)
	if err != nil {
		t.Fatal(err)
	}
	at := func(names ...string) string {
		value := v
		for _, name := range names {
			value, _ = value.Member(name)
		}
		s, _ := value.Text()
		return s
	}
	config := decoded[gate.RunConfig](at("run_config"))
	state := &gate.RunState{
		TenantID: config.TenantID, NamespaceID: config.NamespaceID, RunID: config.RunID, ScenarioID: config.ScenarioID, DispatchTargets: config.DispatchTargets,
		SpecHash: canonical.HashDigest{Algorithm: "sha256", Value: at("spec_hash")}, CurrentStageID: "ship", StageEnteredAt: millis(1710000000001), Status: gate.Completed,
		Triggers: decoded[[]gate.TriggerRecord](at("logs", "triggers")), GateEvals: decoded[[]gate.GateEvalRecord](at("logs", "gate_evals")),
		Decisions: decoded[[]gate.DecisionRecord](at("logs", "decisions")), Packets: decoded[[]gate.PacketRecord](at("logs", "packets")),
		Submissions: decoded[[]gate.SubmissionRecord](at("logs", "submissions")), ToolCalls: decoded[[]gate.ToolCallRecord](at("logs", "tool_calls")),
	}
	if got, want := canonical.Hash(*state).Value, at("final_state_hash"); got != want {
		t.Fatalf("the golden state has hash %s, want %s", got, want)
	}
	return state
}

// The golden run becomes the steps that its calls were: a start, and one for each call.
func TestGoldenRun(t *testing.T) {
	history, err := rowOf(goldenState(t)).History()
	if err != nil {
		t.Fatal(err)
	}
	var shape []string
	for _, step := range history.Steps {
		part := ""
		if step.Decision != nil {
			part += string(step.Decision.Outcome.Kind) + " "
		}
		if step.Submission != nil {
			part += "submission "
		}
		if step.ToolCall != nil {
			part += step.ToolCall.CallID
		}
		shape = append(shape, strings.TrimSpace(part))
	}
	const want = "start,call-1,hold call-2,advance call-3,call-4,submission call-5,call-6,complete call-7,call-8"
	if got := strings.Join(shape, ","); got != want {
		t.Errorf("steps %s\nwant  %s", got, want)
	}
}

// A document that is not what the open-source server stores is refused, by what is wrong with it.
func TestRefusesStates(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*gate.RunState)
		want   string
	}{
		"trigger without decision": {func(s *gate.RunState) { s.Decisions = s.Decisions[:3] }, "4 triggers and 3 decisions"},
		"trigger number":           {func(s *gate.RunState) { s.Triggers[2].Seq = 2 }, "trigger 3 has the number 2"},
		"decision id":              {func(s *gate.RunState) { s.Decisions[2].DecisionID = "decision-2" }, `decision 3 has the number 3 and the id "decision-2"`},
		"other trigger":            {func(s *gate.RunState) { s.Decisions[2].TriggerID = "x" }, `decision 3 is on trigger "x", and not on "t-2"`},
		"other run":                {func(s *gate.RunState) { s.Triggers[2].Event.RunID = "x" }, "trigger 3 is of another run"},
		"trigger twice":            {func(s *gate.RunState) { s.Triggers[2].Event.TriggerID, s.Decisions[2].TriggerID = "t-1", "t-1" }, `trigger id "t-1" occurs twice`},
		"submission twice":         {func(s *gate.RunState) { s.Submissions = append(s.Submissions, s.Submissions[0]) }, `submission id "s-1" occurs twice`},
		"submission elsewhere":     {func(s *gate.RunState) { s.Submissions[0].RunID = "x" }, "submission 1 is of another run"},
		"call id":                  {func(s *gate.RunState) { s.ToolCalls[3].CallID = "call-9" }, `tool call 4 has the id "call-9"`},
		"gate elsewhere":           {func(s *gate.RunState) { s.GateEvals[0].TriggerID = "x" }, `is of trigger "x", which does not exist`},
		"gates in another order":   {func(s *gate.RunState) { s.GateEvals[0], s.GateEvals[2] = s.GateEvals[2], s.GateEvals[0] }, "has its records elsewhere"},
		"packet elsewhere":         {func(s *gate.RunState) { s.Packets[1].DecisionID = "decision-9" }, `packet "p-bin" is of decision "decision-9"`},
		"status":                   {func(s *gate.RunState) { s.Status = gate.Active }, "its status is active, and its decisions make it completed"},
		"stage":                    {func(s *gate.RunState) { s.CurrentStageID = "review" }, `it stands on stage "review", and its decisions lead to "ship"`},
		"stage entry":              {func(s *gate.RunState) { s.StageEnteredAt = millis(7) }, "has entered its stage at another time"},
		"after the end":            {func(s *gate.RunState) { s.Decisions[2].Outcome = s.Decisions[3].Outcome }, "decision 4 comes after the run has ended"},
		"stage of decision":        {func(s *gate.RunState) { s.Decisions[2].StageID = "ship" }, `decision 3 is on stage "ship", and the run is on "review"`},
		"second start":             {func(s *gate.RunState) { s.Decisions[1].Outcome = s.Decisions[0].Outcome }, "decision 2 starts a run that has begun"},
	} {
		t.Run(name, func(t *testing.T) {
			state := goldenState(t)
			c.change(state)
			if _, err := rowOf(state).History(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// A row whose document is not the one that its key and hash speak of is refused; one that only leaves out what it need not have
// is taken.
func TestRows(t *testing.T) {
	document := string(rowOf(goldenState(t)).State)
	for name, c := range map[string]struct {
		change func(*Row)
		want   string
	}{
		"whole":           {func(*Row) {}, ""},
		"no default lane": {func(r *Row) { r.set(strings.ReplaceAll(document, `"lane":"verified",`, "")) }, ""},
		"not canonical":   {func(r *Row) { r.set(" " + document) }, ""},
		"byte changed":    {func(r *Row) { r.State[100] ^= 1 }, "hash mismatch"},
		"algorithm":       {func(r *Row) { r.Algorithm = "md5" }, "unsupported hash algorithm: md5"},
		"run":             {func(r *Row) { r.RunID = "run-2" }, `run_id mismatch between key and payload: the document is of run "run-1"`},
		"tenant":          {func(r *Row) { r.TenantID = 8 }, "tenant/namespace mismatch between key and payload: the document is of tenant 7, namespace 1"},
		"namespace":       {func(r *Row) { r.NamespaceID = 8 }, "tenant/namespace mismatch"},
		"no JSON":         {func(r *Row) { r.set(document[:500]) }, "its document cannot be read"},
		"no run":          {func(r *Row) { r.set(`{}`) }, "its document cannot be read: missing field `tenant_id`"},
		"unknown member": {func(r *Row) {
			r.set(strings.Replace(document, `{"current_stage_id"`, `{"aborted_at":5,"current_stage_id"`, 1))
		}, "something at .aborted_at that this host has no place for"},
		"deep member": {func(r *Row) { r.set(strings.Replace(document, `{"correlation_id"`, `{"by":5,"correlation_id"`, 1)) }, "something at .decisions[0].by that"},
		"unknown status": {func(r *Row) {
			r.set(strings.Replace(document, `"status":"completed","submissions"`, `"status":"aborted","submissions"`, 1))
		}, "unknown variant `aborted`"},
	} {
		t.Run(name, func(t *testing.T) {
			row := rowOf(goldenState(t))
			c.change(row)
			_, err := row.History()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

func (r *Row) set(document string) {
	sum := sha256.Sum256([]byte(document))
	r.State, r.Hash = []byte(document), hex.EncodeToString(sum[:])
}

// A stream that is not whole is no database.
func TestStreams(t *testing.T) {
	const first = `{"format":"decision-gate-database","version":1,"schema_version":4,"runs":1,"data_shapes":0}` + "\n"
	const run = `{"run":{"tenant_id":"1","namespace_id":"2","run_id":"r","version":1,"state":"e30=","state_hash":"h","hash_algorithm":"sha256"}}` + "\n"
	for name, c := range map[string]struct{ stream, want string }{
		"whole":          {first + run + `{"end":{"runs":1,"data_shapes":0}}` + "\n", ""},
		"nothing":        {"", "cut off"},
		"no end":         {first + run, "cut off"},
		"too few":        {first + `{"end":{"runs":1,"data_shapes":0}}` + "\n", "cut off"},
		"half a line":    {first + run[:40], "a line that is none"},
		"error at once":  {`{"error":"no database"}` + "\n", "no database"},
		"error later":    {first + run + `{"error":"was written"}` + "\n", "was written"},
		"other format":   {`{"format":"x","version":1}` + "\n", "use the plugin that came with the host"},
		"other version":  {`{"format":"decision-gate-database","version":2}` + "\n", "use the plugin that came with the host"},
		"something else": {first + "{}\n", "cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(strings.NewReader(c.stream))
			for err == nil {
				_, err = r.Next()
			}
			if c.want == "" && err != io.EOF || c.want != "" && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	for _, id := range []string{"", "0", "01", "-1", "18446744073709551616", "x"} {
		r, err := NewReader(strings.NewReader(first + fmt.Sprintf(`{"run":{"tenant_id":%q,"namespace_id":"2","run_id":"r","version":1}}`+"\n", id)))
		if err != nil {
			t.Fatal(err)
		}
		if item, err := r.Next(); err != nil || item.Err == nil || !strings.Contains(item.Err.Error(), "is no id") {
			t.Errorf("tenant %q: %v, %v", id, item, err)
		}
	}
}
