package runpack

import (
	"bufio"
	"encoding/hex"
	"os"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// goldenRun drives the calls of contract Appendix A.2 through the engine. The answers of the providers are those on record.
func goldenRun(t tb) *rig {
	answers := map[gate.TriggerID]map[gate.ConditionID]gate.EvidenceResult{}
	for _, eval := range decode[[]gate.GateEvalRecord](t, golden(t, "gate_evals.json")) {
		if answers[eval.TriggerID] == nil {
			answers[eval.TriggerID] = map[gate.ConditionID]gate.EvidenceResult{}
		}
		for _, record := range eval.Evidence {
			answers[eval.TriggerID][record.ConditionID] = record.Result
		}
	}
	r := newRig(t, decode[gate.ScenarioSpec](t, golden(t, "scenario_spec.json")), &gate.Settings{})
	r.start(decode[gate.RunConfig](t, []byte(`{"tenant_id":7,"namespace_id":1,"run_id":"run-1","scenario_id":"demo-release",`+
		`"dispatch_targets":[{"kind":"agent","agent_id":"a1"}],"policy_tags":["x"]}`)), millis(1709999999000), true)
	correlation := gate.CorrelationID("corr-1")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	payload := func(text string) gate.PacketPayload { return decode[gate.PacketPayload](t, []byte(text)) }
	r.status(millis(1709999999100))
	must(r.next("t-1", millis(1709999999500), &correlation, answers["t-1"]))
	must(r.next("t-2", millis(1710000000001), nil, answers["t-2"]))
	must(r.next("t-2", millis(1710000000002), nil, nil))
	r.submit("s-1", payload(`{"kind":"json","value":{"ok":true}}`), millis(1710000000100))
	r.submit("s-1", payload(`{"kind":"json","value":{"ok":false}}`), millis(1710000000100))
	must(r.next("t-3", millis(1710000000200), nil, nil))
	must(r.next("t-1", millis(1710000000300), nil, nil))
	return r
}

// The hashes and sizes of contract Appendix A.
var goldenFiles = []struct {
	path, hash string
	size       int
}{
	{SpecPath, "d801c137356999afe81c955592cc252800580c093453a1ce76a89a13a0e6dda2", 1606},
	{TriggersPath, "1b43c104c16e22900c0e495593afcb77b99e84480921fe65a23d3da8f2b36938", 890},
	{GateEvalsPath, "783f5e6f9be7d3fa14ae91c094afacecca96bc24f01cdee185423f3ad26497cc", 3995},
	{DecisionsPath, "68b0f92d611e216fbab43874490293477c12deb54d0932077c110d9127bb831c", 934},
	{PacketsPath, "d356c5e24c49f589a70c04149955e682228ec67d712b0824ad125fa0d28f52e2", 1588},
	{SubmissionsPath, "6ea762777aa6e8bcec001c8377523473173115c6dac1d8075c0e4427448f33a5", 317},
	{ToolCallsPath, "ddf278f9677c80b4afdd21e378c3f28237acb042088332ae844b1b6bc4b0ada1", 3070},
	{ReportPath, "62cf8027f5db7c74963331768ce38fb9684e227460e97adab6d61f21d2cf7a5a", 47},
	{DefaultManifest, "81653dd1ec7fd47cc49ec0de657ef94f8bfea74c81d8a970c45c5fcb4f775380", 3685},
}

func TestGoldenRun(t *testing.T) {
	r := goldenRun(t)
	bundle := memory{}
	result, err := Build(t.Context(), r.input(), bundle)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range goldenFiles {
		content := bundle[want.path]
		if got := canonical.HashBytes(content).Value; got != want.hash || len(content) != want.size {
			t.Errorf("%s: %d bytes, hash %s, want %d and %s\n%s", want.path, len(content), got, want.size, want.hash, content)
		}
	}
	if len(bundle) != len(goldenFiles) {
		t.Errorf("%d files, want %d", len(bundle), len(goldenFiles))
	}
	if got := result.Manifest.Integrity.RootHash.Value; got != "22959a76eac6c3eea61b98a1b6f5fdd9b9e37edb71454a014e127016761cc60e" {
		t.Errorf("root hash %s", got)
	}
	if got := hex.EncodeToString(result.ManifestSHA256[:]); got != goldenFiles[8].hash {
		t.Errorf("manifest hash %s", got)
	}
	if got := string(encode(*result.Report)); got != `{"checked_files":7,"errors":[],"status":"pass"}` {
		t.Errorf("report %s", got)
	}
	report := verify(t, bundle)
	requirePass(t, report)
	if report.CheckedFiles != 8 || report.DecisionGate.Replay.Decisions != 4 {
		t.Errorf("checked %d files, replayed %d decisions", report.CheckedFiles, report.DecisionGate.Replay.Decisions)
	}
	// call-4 repeats t-2, call-8 comes after the end: their requests are nowhere. call-6 is refused.
	if got := report.DecisionGate.Unverifiable; got != (Unverifiable{Requests: 3, Responses: 2}) {
		t.Errorf("unverifiable %+v", got)
	}
}

func TestGoldenManifests(t *testing.T) {
	in := goldenRun(t).input()
	in.Verify = false
	bundle := memory{}
	if _, err := Build(t.Context(), in, bundle); err != nil {
		t.Fatal(err)
	}
	if got, want := string(bundle[DefaultManifest]), string(golden(t, "manifest_unverified.json")); got != want {
		t.Errorf("manifest\n%s\nwant\n%s", got, want)
	}
	if _, there := bundle[ReportPath]; there {
		t.Error("a report, though none was asked for")
	}
	requirePass(t, verify(t, bundle))

	in.Verify = true
	in.Security = &SecurityContext{NamespaceAuthority: "dg_registry"}
	in.AnchorPolicy = gate.AnchorPolicy{Providers: []gate.ProviderAnchorPolicy{{
		ProviderID:  "json",
		Requirement: gate.AnchorRequirement{AnchorType: "file_path_rooted", RequiredFields: []string{"root_id", "path"}},
	}}}
	if _, err := Build(t.Context(), in, bundle); err != nil {
		t.Fatal(err)
	}
	const want = "73e90b38523b3a6fbf57c27551872583cd4db871c9dca2103b1b8be3dd67be1c"
	if got := canonical.HashBytes(bundle[DefaultManifest]).Value; got != want || len(bundle[DefaultManifest]) != 3898 {
		t.Errorf("manifest with policy and security: %s, %d bytes", got, len(bundle[DefaultManifest]))
	}
	requirePass(t, verify(t, bundle))
}

// TestRecordedBundles verifies and replays bundles that the open-source Decision Gate has written.
func TestRecordedBundles(t *testing.T) {
	bundles := recordedBundles(t)
	if len(bundles) != 40 {
		t.Fatalf("%d bundles, want 40", len(bundles))
	}
	var decisions, unreplayable uint64
	for name, bundle := range bundles {
		report := verify(t, bundle)
		if report.Verdict() != Pass {
			t.Errorf("%s: %v\n%s", name, report.Errors, list(report))
		}
		decisions += report.DecisionGate.Replay.Decisions
		unreplayable += report.DecisionGate.Replay.Unreplayable.Count
		if n := report.DecisionGate.Replay.Ambiguous.Count; n > 0 {
			t.Errorf("%s: %d ambiguous verdicts", name, n)
		}
	}
	t.Logf("%d decisions, %d unreplayable", decisions, unreplayable)
	if decisions != 102 {
		t.Errorf("replayed %d decisions, want 102", decisions)
	}
}

func recordedBundles(t tb) map[string]memory {
	f, err := os.Open("../gate/testdata/lifecycle.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type line struct {
		Run   string `member:"run" presence:"D"`
		File  string `member:"file" presence:"D"`
		Bytes string `member:"bytes" presence:"D"`
	}
	bundles := map[string]memory{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := decode[line](t, lines.Bytes())
		if l.File == "" {
			continue // a call
		}
		if bundles[l.Run] == nil {
			bundles[l.Run] = memory{}
		}
		bundles[l.Run][l.File] = []byte(l.Bytes)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return bundles
}

// TestRebuild builds recorded bundles again from their own records.
func TestRebuild(t *testing.T) {
	for name, recorded := range recordedBundles(t) {
		manifest, err := parseManifest(recorded[DefaultManifest])
		if err != nil {
			t.Fatal(err)
		}
		rebuilt := memory{}
		_, err = Build(t.Context(), Input{
			Spec: decode[gate.ScenarioSpec](t, recorded[SpecPath]), SpecHash: manifest.SpecHash,
			TenantID: manifest.TenantID, NamespaceID: manifest.NamespaceID, RunID: manifest.RunID,
			Steps: sequence(stepsOf(t, recorded)), GeneratedAt: manifest.GeneratedAt, Security: manifest.Security,
			ManifestPath: DefaultManifest, Verify: recorded[ReportPath] != nil,
		}, rebuilt)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range recorded {
			if string(rebuilt[path]) != string(want) {
				t.Errorf("%s: %s is\n%s\nwant\n%s", name, path, rebuilt[path], want)
			}
		}
	}
}

// stepsOf turns the logs of a bundle into steps, a record each: how records are grouped makes no difference to a bundle.
func stepsOf(t tb, bundle memory) []gate.Step {
	var steps []gate.Step
	for _, r := range decode[[]gate.TriggerRecord](t, bundle[TriggersPath]) {
		steps = append(steps, gate.Step{Trigger: &r})
	}
	steps = append(steps, gate.Step{
		GateEvals: decode[[]gate.GateEvalRecord](t, bundle[GateEvalsPath]),
		Packets:   decode[[]gate.PacketRecord](t, bundle[PacketsPath]),
	})
	for _, r := range decode[[]gate.DecisionRecord](t, bundle[DecisionsPath]) {
		steps = append(steps, gate.Step{Decision: &r})
	}
	for _, r := range decode[[]gate.SubmissionRecord](t, bundle[SubmissionsPath]) {
		steps = append(steps, gate.Step{Submission: &r})
	}
	for _, r := range decode[[]gate.ToolCallRecord](t, bundle[ToolCallsPath]) {
		steps = append(steps, gate.Step{ToolCall: &r})
	}
	return steps
}
