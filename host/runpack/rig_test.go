package runpack

import (
	"bytes"
	"context"
	"io"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// tb is a test, or a case of one that rapid has drawn.
type tb interface {
	Helper()
	Context() context.Context
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// memory is a bundle in memory: a Sink and a Reader.
type memory map[string][]byte

func (m memory) WriteFile(_ context.Context, path string, content io.Reader) (err error) {
	m[path], err = io.ReadAll(content)
	return err
}

func (m memory) Open(_ context.Context, path string) (io.ReadCloser, int64, error) {
	content, ok := m[path]
	if !ok {
		return nil, 0, artifactError("missing", nil)
	}
	return io.NopCloser(bytes.NewReader(content)), -1, nil
}

func (m memory) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, path := range slices.Sorted(maps.Keys(m)) {
			if !yield(path, nil) {
				return
			}
		}
	}
}

func (m memory) clone() memory {
	c := memory{}
	for path, content := range m {
		c[path] = slices.Clone(content)
	}
	return c
}

// rehash makes every hash of the manifest anew, as somebody does who rewrites a bundle.
func (m memory) rehash(t tb, manifestPath string) {
	t.Helper()
	manifest, err := parseManifest(m[manifestPath])
	if err != nil {
		t.Fatal(err)
	}
	listed := manifest.Artifacts
	manifest.Artifacts, manifest.Integrity.FileHashes = nil, nil
	for _, a := range listed {
		manifest.add(a.Path, a.Kind, canonical.HashBytes(m[a.Path]))
	}
	manifest.SpecHash = canonical.HashBytes(m[SpecPath])
	m[manifestPath] = manifest.bytes()
}

func golden(t tb, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "golden", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func decode[T any](t tb, content []byte) T {
	t.Helper()
	var out T
	v, err := canonical.Parse(content)
	if err == nil {
		err = canonical.Decode(v, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func encode[T any](v T) []byte { return canonical.Append(nil, v, canonical.Canonical) }

// rig drives a run through the engine and keeps its steps.
type rig struct {
	t        tb
	scenario *gate.Scenario
	settings *gate.Settings
	head     gate.Head
	steps    []gate.Step
	issued   []gate.PacketID
	recorded map[gate.TriggerID]*gate.Recorded
	handed   map[gate.SubmissionID]*gate.SubmissionRecord
}

func newRig(t tb, spec gate.ScenarioSpec, set *gate.Settings) *rig {
	t.Helper()
	scenario, err := gate.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{
		t: t, scenario: scenario, settings: set,
		recorded: map[gate.TriggerID]*gate.Recorded{}, handed: map[gate.SubmissionID]*gate.SubmissionRecord{},
	}
}

func (r *rig) apply(t gate.Transition) {
	r.head = t.Head
	r.steps = append(r.steps, t.Step)
	for _, p := range t.Step.Packets {
		r.issued = append(r.issued, p.Envelope.PacketID)
	}
	if d := t.Step.Decision; d != nil {
		r.recorded[d.TriggerID] = &gate.Recorded{Decision: *d, Packets: t.Step.Packets}
	}
	if s := t.Step.Submission; s != nil {
		r.handed[s.SubmissionID] = s
	}
}

func (r *rig) start(config gate.RunConfig, at gate.Timestamp, packets bool) {
	r.t.Helper()
	t, err := r.scenario.Start(config, at, packets, r.settings)
	if err != nil {
		r.t.Fatal(err)
	}
	r.apply(t)
}

func (r *rig) status(at gate.Timestamp) {
	t, _ := r.head.StatusOf(gate.StatusRequest{
		RunID: r.head.RunID, TenantID: r.head.TenantID, NamespaceID: r.head.NamespaceID, RequestedAt: at,
	}, r.issued)
	r.apply(t)
}

// call carries a call; a refusal leaves no trace.
func (r *rig) call(call gate.TriggerCall, answers map[gate.ConditionID]gate.EvidenceResult) error {
	given := map[gate.ConditionID]gate.Answer{}
	for id, result := range answers {
		given[id] = gate.Answer{Result: result}
	}
	t, _, err := r.scenario.Trigger(r.head, call, r.recorded[call.Event.TriggerID], given, r.settings)
	if err == nil {
		r.apply(t)
	}
	return err
}

func (r *rig) next(id gate.TriggerID, at gate.Timestamp, correlation *gate.CorrelationID, answers map[gate.ConditionID]gate.EvidenceResult) error {
	return r.call(gate.NextRequest{
		RunID: r.head.RunID, TenantID: r.head.TenantID, NamespaceID: r.head.NamespaceID,
		TriggerID: id, AgentID: "a1", Time: at, CorrelationID: correlation,
	}.Call(), answers)
}

func (r *rig) trigger(kind gate.TriggerKind, id gate.TriggerID, at gate.Timestamp, answers map[gate.ConditionID]gate.EvidenceResult) error {
	return r.call(gate.TriggerEvent{
		TriggerID: id, TenantID: r.head.TenantID, NamespaceID: r.head.NamespaceID, RunID: r.head.RunID, Kind: kind, Time: at, SourceID: "src",
	}.Call(), answers)
}

func (r *rig) submit(id gate.SubmissionID, payload gate.PacketPayload, at gate.Timestamp) {
	r.t.Helper()
	t, _, err := r.head.Submit(gate.SubmitRequest{
		RunID: r.head.RunID, TenantID: r.head.TenantID, NamespaceID: r.head.NamespaceID,
		SubmissionID: id, Payload: payload, ContentType: "application/json", SubmittedAt: at,
	}, r.handed[id])
	if err != nil && t.Step.ToolCall == nil {
		r.t.Fatal(err)
	}
	r.apply(t)
}

func (r *rig) input() Input {
	return Input{
		Spec: *r.scenario.Spec(), SpecHash: r.head.SpecHash, TenantID: r.head.TenantID, NamespaceID: r.head.NamespaceID, RunID: r.head.RunID,
		Steps:       sequence(r.steps),
		GeneratedAt: millis(1710000009000), ManifestPath: DefaultManifest, Verify: true,
	}
}

func (r *rig) build() memory {
	r.t.Helper()
	bundle := memory{}
	result, err := Build(r.t.Context(), r.input(), bundle)
	if err != nil {
		r.t.Fatal(err)
	}
	if result.Report.Status != Pass {
		r.t.Fatalf("report of a new bundle: %v", result.Report.Errors)
	}
	return bundle
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

func millis(ms int64) gate.Timestamp { return gate.Timestamp{Kind: gate.UnixMillis, Millis: ms} }

func verify(t tb, r Reader) *Report {
	t.Helper()
	report, err := Verify(t.Context(), r, DefaultManifest, Options{Replay: true})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func requirePass(t tb, report *Report) {
	t.Helper()
	if report.Verdict() != Pass {
		t.Fatalf("verdict %s: %v\n%s", report.Verdict(), report.Errors, list(report))
	}
}

func list(report *Report) string {
	text := ""
	if report.DecisionGate != nil {
		for _, f := range report.DecisionGate.Findings {
			text += f.String() + "\n"
		}
	}
	return text
}

func jsonResult(t tb, text string) gate.EvidenceResult {
	t.Helper()
	v, err := canonical.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}, Lane: gate.Verified}
}
