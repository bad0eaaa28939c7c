package upkeep

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// nothing is evidence of a scenario without conditions.
type nothing struct{}

func (nothing) Gather(context.Context, []gate.ConditionSpec, gate.EvidenceContext, time.Duration) map[gate.ConditionID]gate.Answer {
	return nil
}
func (nothing) Missing(*gate.ScenarioSpec) *gate.ProviderMissing { return nil }

// tenant is a host on a store, with runs that have ended.
type tenant struct {
	*runs.Runs
	t     testing.TB
	store *faultystore.Store
}

const deploySpec = `{"scenario_id":"deploy","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,"conditions":[],"stages":[
	{"stage_id":"a","entry_packets":[{"packet_id":"p","schema_id":"s","content_type":"text/plain","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":1}}],
	 "gates":[],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}]}`

func newTenant(t testing.TB) *tenant {
	t.Helper()
	s := faultystore.New()
	definitions := registry.New(s)
	scenario, err := gate.Compile(parse[gate.ScenarioSpec](deploySpec))
	if err == nil {
		err = definitions.Define(t.Context(), scenario)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &tenant{runs.New(s, definitions, nothing{}, func() *gate.Settings { return &gate.Settings{} }, "test"), t, s}
}

func parse[T any](text string) (out T) {
	v, err := canonical.Parse([]byte(text))
	if err == nil {
		err = canonical.Decode(v, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

func tick(n uint64) gate.Timestamp { return gate.Timestamp{Kind: gate.Logical, Tick: n} }

func (h *tenant) start(run gate.RunID) error {
	_, err := h.Start(h.t.Context(), "deploy", gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: run, ScenarioID: "deploy", DispatchTargets: []gate.DispatchTarget{}}, tick(1), true)
	return err
}

func (h *tenant) status(run gate.RunID) error {
	_, err := h.Status(h.t.Context(), "deploy", gate.StatusRequest{RunID: run, TenantID: 1, NamespaceID: 1, RequestedAt: tick(3)})
	return err
}

// ended makes a run that is completed, with so many submissions.
func (h *tenant) ended(run gate.RunID, submissions int) {
	h.t.Helper()
	err := h.start(run)
	for i := range submissions {
		if err == nil {
			_, err = h.Submit(h.t.Context(), "deploy", gate.SubmitRequest{
				RunID: run, TenantID: 1, NamespaceID: 1, SubmissionID: gate.SubmissionID(fmt.Sprint(i)), ContentType: "text/plain", SubmittedAt: tick(2),
				Payload: gate.PacketPayload{Kind: gate.BytesPayload, Bytes: []byte("x")},
			})
		}
	}
	if err == nil {
		_, err = h.Trigger(h.t.Context(), "deploy", gate.NextRequest{RunID: run, TenantID: 1, NamespaceID: 1, TriggerID: "t", AgentID: "a", Time: tick(2)}.Call())
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// history walks a run.
func (h *tenant) history(run gate.RunID) (steps []gate.Step, err error) {
	history, err := h.History(h.t.Context(), runs.Ref{Tenant: 1, Namespace: 1, Run: run, Scenario: "deploy"})
	if err != nil {
		return nil, err
	}
	for step, err := range history.Steps {
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

func gone(err error) bool {
	var refusal *gate.Error
	return errors.As(err, &refusal) && refusal.Reason == gate.RunNotFound
}

// old takes every run that has ended.
func old(to Destination) RetainOptions {
	return RetainOptions{Before: time.Now().Add(time.Hour), To: to}
}

// left are the records of runs.
func (h *tenant) left() string {
	var parts []string
	for _, collection := range runs.Collections() {
		parts = append(parts, fmt.Sprint(h.store.Len(collection)))
	}
	return strings.Join(parts, " ")
}

func TestRetain(t *testing.T) {
	h, dir := newTenant(t), t.TempDir()
	ids := []gate.RunID{"run-1", "Run/2", gate.RunID(strings.Repeat("long", 200)), ""}
	for i, id := range ids {
		h.ended(id, i*300)
	}
	if err := h.start("active"); err != nil {
		t.Fatal(err)
	}
	before := h.left()
	recent := old(Folder(dir))
	recent.Before = time.Now().Add(-time.Hour)
	dry := old(Folder(dir))
	dry.DryRun = true
	for name, c := range map[string]struct {
		options RetainOptions
		want    Retained
	}{
		"recent":  {recent, Retained{Runs: 5, Active: 1, Recent: 4}},
		"dry run": {dry, Retained{Runs: 5, Active: 1, Removed: 4, DryRun: true}},
	} {
		done, err := Retain(t.Context(), h.store, c.options)
		c.want.Findings = []Finding{}
		if err != nil || fmt.Sprint(*done) != fmt.Sprint(c.want) || h.left() != before {
			t.Errorf("%s: %+v, %v, records %s, were %s", name, done, err, h.left(), before)
		}
	}
	want, err := h.history("Run/2")
	if err != nil {
		t.Fatal(err)
	}

	done, err := Retain(t.Context(), h.store, old(Folder(dir)))
	if err != nil || done.Removed != 4 || done.Active != 1 || done.Kept != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if got := h.left(); got != "5 1 1 0 1" { // heads, and the records of the active run
		t.Errorf("records %s", got)
	}
	for _, id := range ids {
		if err := h.status(id); !gone(err) {
			t.Errorf("%q: %v", id, err)
		}
		var refusal *gate.Error
		if err := h.start(id); !errors.As(err, &refusal) || refusal.Reason != gate.RunExists {
			t.Errorf("%q is started again: %v", id, err)
		}
	}
	places, _ := filepath.Glob(filepath.Join(dir, "tenant-1", "namespace-1", "*"))
	if len(places) != 4 {
		t.Errorf("%d runpacks in %s", len(places), places)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "tenant-1", "namespace-1", "sha256-"+canonical.HashBytes([]byte("Run/2")).Value, runpack.SubmissionsPath))
	if n := strings.Count(string(calls), `"submission_id"`); err != nil || n != 300 || len(want) != 302 {
		t.Errorf("%d submissions in the runpack, %d steps, %v", n, len(want), err)
	}
	if v, err := Verify(t.Context(), h.store, nil); err != nil || !v.OK() {
		t.Errorf("%+v, %v", v, err)
	}
	if done, err := Retain(t.Context(), h.store, old(Folder(dir))); err != nil || done.Removed+done.Completed != 0 {
		t.Errorf("again: %+v, %v", done, err)
	}
}

// Cut off before or after any of its commits, a removal leaves each run whole or not found, and the next call ends what was begun.
func TestRetainCutOff(t *testing.T) {
	for cut := 1; ; cut++ {
		for _, lost := range []bool{false, true} {
			h, dir, commits := newTenant(t), t.TempDir(), 0
			h.ended("a", 300)
			h.ended("b", 0)
			h.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
				if call == faultystore.Commit {
					if commits++; commits >= cut { // the process is gone from then on
						if lost && commits == cut {
							do()
						}
						return fault.New(fault.Internal, "cut off")
					}
				}
				do()
				return nil
			})
			_, err := Retain(t.Context(), h.store, old(Folder(dir)))
			h.store.Around(nil)
			if err == nil {
				if cut < 6 {
					t.Errorf("%d commits", commits)
				}
				return
			}
			for _, id := range []gate.RunID{"a", "b"} {
				if _, err := h.history(id); err != nil && !gone(err) {
					t.Errorf("cut off at %d (%t): %s: %v", cut, lost, id, err)
				}
			}
			if _, err := Retain(t.Context(), h.store, old(Folder(dir))); err != nil || h.left() != "2 0 0 0 0" {
				t.Errorf("cut off at %d (%t): %v, records %s", cut, lost, err, h.left())
			}
		}
	}
}

// between is a Destination after whose export something happens.
type between struct {
	Destination
	do func()
}

func (b between) export(ctx context.Context, input runpack.Input) (place, manifest string, err error) {
	place, manifest, err = b.Destination.export(ctx, input)
	b.do()
	return place, manifest, err
}

// A run that a host uses while it is exported stays, with all of its steps.
func TestRetainSparesRunsInUse(t *testing.T) {
	h := newTenant(t)
	h.ended("r", 1)
	to := between{Folder(t.TempDir()), func() {
		if err := h.status("r"); err != nil {
			t.Error(err)
		}
	}}
	done, err := Retain(t.Context(), h.store, old(to))
	if err != nil || done.Used != 1 || done.Removed != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if steps, err := h.history("r"); err != nil || len(steps) != 4 {
		t.Errorf("%d steps, %v", len(steps), err)
	}
}

// A host that reads a run while it is removed says that there is none, and not that the store is damaged.
func TestRetainBeneathReader(t *testing.T) {
	h, dir := newTenant(t), t.TempDir()
	h.ended("r", 1)
	history, err := h.History(t.Context(), runs.Ref{Tenant: 1, Namespace: 1, Run: "r", Scenario: "deploy"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Retain(t.Context(), h.store, old(Folder(dir))); err != nil {
		t.Fatal(err)
	}
	for _, err := range history.Steps {
		if !gone(err) {
			t.Errorf("%v", err)
		}
	}
}

// What does not verify, and what cannot be exported, stays.
func TestRetainKeeps(t *testing.T) {
	h := newTenant(t)
	h.ended("r", 1)
	dir := t.TempDir()
	// A folder that holds the record of another run is never overwritten.
	other := newTenant(t)
	other.ended("other", 1)
	if _, err := Retain(t.Context(), other.store, old(Folder(dir))); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "tenant-1", "namespace-1")
	if err := os.Rename(filepath.Join(base, "other"), filepath.Join(base, "r")); err != nil {
		t.Fatal(err)
	}
	done, err := Retain(t.Context(), h.store, old(Folder(dir)))
	if err != nil || done.Kept != 1 || !strings.Contains(done.Findings[0].Problem, "another run") {
		t.Errorf("%+v, %v", done, err)
	}
	// A run whose scenario nobody has defined here.
	h.store.Edit("scenarios", func(store.Key, []byte) []byte { return nil })
	done, err = Retain(t.Context(), h.store, old(Folder(t.TempDir())))
	if err != nil || done.Kept != 1 || !strings.Contains(done.Findings[0].Problem, "is not defined") {
		t.Errorf("%+v, %v", done, err)
	}
	if n := h.store.Len(runs.Collections()[1]); n != 3 {
		t.Errorf("%d steps", n)
	}
}

// What is read again must be what was written.
func TestVerifyBundle(t *testing.T) {
	h := newTenant(t)
	h.ended("r", 1)
	spoil := func(input runpack.Input, path, text string) error {
		dir := t.TempDir()
		bundle, err := runpack.CreateDirectory(filepath.Join(dir, "bundle"))
		if err != nil {
			t.Fatal(err)
		}
		defer bundle.Close()
		built, err := runpack.Build(t.Context(), input, bundle)
		if err != nil {
			t.Fatal(err)
		}
		if path != "" {
			if err := os.WriteFile(filepath.Join(dir, "bundle", path), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return verifyBundle(t.Context(), bundle, built)
	}
	steps, err := h.History(t.Context(), runs.Ref{Tenant: 1, Namespace: 1, Run: "r", Scenario: "deploy"})
	if err != nil {
		t.Fatal(err)
	}
	input := runpack.Input{
		Spec: *steps.Scenario.Spec(), SpecHash: steps.Head.SpecHash, TenantID: 1, NamespaceID: 1, RunID: "r", Steps: steps.Steps, GeneratedAt: tick(1),
		ManifestPath: runpack.DefaultManifest, Verify: true,
	}
	if err := spoil(input, "", ""); err != nil {
		t.Errorf("a sound bundle: %v", err)
	}
	for path, text := range map[string]string{runpack.DecisionsPath: "[]", runpack.DefaultManifest: "{}", "more": "x"} {
		var unsound *unsoundError
		if err := spoil(input, path, text); !errors.As(err, &unsound) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
