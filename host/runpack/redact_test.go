package runpack

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// mixedRun holds once and then advances, on evidence of provider p, which is withheld, and of q, which is not.
func mixedRun(t tb) *rig {
	t.Helper()
	const stage = `{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"And":[{"Condition":"c"},{"Condition":"d"}]}},
		{"gate_id":"h","requirement":{"Condition":"c"}}],"advance_to":{"kind":"linear"},"on_timeout":"fail"}`
	told := strings.Replace(condition("d", "equals", `7`), `"provider_id":"p"`, `"provider_id":"q"`, 1)
	r := newRig(t, spec(t, stage, condition("c", "greater_than", `10`), told), &gate.Settings{})
	r.start(config, millis(1), true)
	for id, value := range []string{`3`, `471147`} {
		answers := map[gate.ConditionID]gate.EvidenceResult{"c": jsonResult(t, value), "d": jsonResult(t, `7`)}
		if err := r.trigger(gate.ExternalEvent, gate.TriggerID([]string{"t1", "t2"}[id]), millis(2), answers); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func buildRedacted(t tb, r *rig, provider gate.ProviderID) memory {
	t.Helper()
	in, bundle := r.input(), memory{}
	in.Redact = func(id gate.ProviderID) bool { return id == provider }
	if _, err := Build(t.Context(), in, bundle); err != nil {
		t.Fatal(err)
	}
	return bundle
}

func TestRedacted(t *testing.T) {
	r := mixedRun(t)
	whole := r.build()
	bundle := buildRedacted(t, r, "p")
	for path, content := range bundle {
		if bytes.Contains(content, []byte("471147")) {
			t.Errorf("%s has the value", path)
		}
		if same := string(content) == string(whole[path]); same != (path != GateEvalsPath && path != DefaultManifest) {
			t.Errorf("%s is the same with and without values: %t", path, same)
		}
	}
	// Its values put back, the log is that of before, to the byte.
	edit(t, bundle.clone(), GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
		for i, eval := range decode[[]gate.GateEvalRecord](t, whole[GateEvalsPath]) {
			for j, record := range eval.Evidence {
				if withheld := e[i].Evidence[j].Result.Value == nil; withheld != (record.ConditionID == "c") {
					t.Errorf("the value for %s is withheld: %t", record.ConditionID, withheld)
				}
				e[i].Evidence[j].Result.Value = record.Result.Value
			}
		}
		if string(encode(e)) != string(whole[GateEvalsPath]) {
			t.Error("more is changed than values")
		}
		return e
	})
	if again := r.build(); string(again[GateEvalsPath]) != string(whole[GateEvalsPath]) || strings.Contains(string(again[DefaultManifest]), "redacted") {
		t.Error("the run itself is changed, or the mark is in a whole bundle")
	}
	if !strings.Contains(string(bundle[DefaultManifest]), `"redacted":true`) {
		t.Errorf("no mark in %s", bundle[DefaultManifest])
	}
	report := verify(t, bundle)
	requirePass(t, report)
	replay := report.DecisionGate.Replay
	if replay.Decisions != 1 || replay.Unreplayable.Count != 2 || !strings.Contains(replay.Unreplayable.Steps[0].Message, "2 evidence values are withheld") {
		t.Errorf("replay %+v", replay)
	}
	if notes := strings.Join(report.DecisionGate.Notes, "\n"); !strings.Contains(notes, "the values of 4 of 6 evidence records are withheld") {
		t.Errorf("notes %s", notes)
	}
	// Nothing to withhold: all is derived, and the mark stays.
	report = verify(t, buildRedacted(t, r, "nobody"))
	requirePass(t, report)
	if replay := report.DecisionGate.Replay; replay.Decisions != 3 || replay.Unreplayable.Count != 0 {
		t.Errorf("replay of a bundle that lacks nothing: %+v", replay)
	}
}

// evidence changes the evidence for a condition in gate n of the second decision.
func evidence(n int, id gate.ConditionID, change func(*gate.EvidenceRecord)) func(testing.TB, memory) {
	return func(t testing.TB, bundle memory) {
		edit(t, bundle, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			for i := range e[n].Evidence {
				if e[n].Evidence[i].ConditionID == id {
					change(&e[n].Evidence[i])
				}
			}
			return e
		})
	}
}

// TestRedactedTampering changes a bundle without some values, and makes its hashes anew.
func TestRedactedTampering(t *testing.T) {
	both := func(changes ...func(testing.TB, memory)) func(testing.TB, memory) {
		return func(t testing.TB, bundle memory) {
			for _, change := range changes {
				change(t, bundle)
			}
		}
	}
	mark := func(to *bool) func(testing.TB, memory) {
		return func(t testing.TB, bundle memory) {
			m, err := parseManifest(bundle[DefaultManifest])
			if err != nil {
				t.Fatal(err)
			}
			m.Redacted = to
			bundle[DefaultManifest] = m.bytes()
		}
	}
	untrue := func(r *gate.EvidenceRecord) { r.Status = gate.False }
	strip := func(r *gate.EvidenceRecord) { r.Result.Value = nil }
	tests := []struct {
		name   string
		change func(testing.TB, memory)
		want   string
	}{
		{"outcome", func(t testing.TB, bundle memory) {
			edit(t, bundle, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
				d[1].Outcome = gate.DecisionOutcome{Kind: gate.Complete, StageID: "a"}
				return d
			})
		}, "replay: recorded complete of a, replay gives hold on g, h [decision 2]"},
		{"packets", func(t testing.TB, bundle memory) {
			edit(t, bundle, PacketsPath, func([]gate.PacketRecord) []gate.PacketRecord { return nil })
		}, "replay: the packet is missing [decision 3]"},
		{"gate", func(t testing.TB, bundle memory) {
			edit(t, bundle, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
				e[0].Evaluation.Status = gate.True
				return e
			})
		}, "replay: recorded True, replay gives False [decision 2]"},
		{"verdict in one gate", evidence(3, "c", untrue), "[decision 3] [trigger t2] [gate h] [condition c]"},
		{"verdict in both gates", both(evidence(2, "c", untrue), evidence(3, "c", untrue)), "replay: recorded advance from a to b, replay gives hold on g, h [decision 3]"},
		{"hash in one gate", evidence(3, "c", func(r *gate.EvidenceRecord) { r.Result.EvidenceHash.Value = strings.Repeat("0", 64) }),
			"replay: the evidence is recorded in a form that the engine does not make"},
		{"hash gone", evidence(3, "c", func(r *gate.EvidenceRecord) { r.Result.EvidenceHash = nil }), "[decision 3] [trigger t2] [gate h] [condition c]"},
		{"evidence gone", func(t testing.TB, bundle memory) {
			edit(t, bundle, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
				e[3].Evidence = []gate.EvidenceRecord{}
				return e
			})
		}, "replay: the evidence for the condition is missing [decision 3]"},
		{"another value", evidence(3, "c", func(r *gate.EvidenceRecord) { r.Result.Value = jsonResult(t, `471148`).Value }), "evidence_hash: the evidence hash is not that of the value"},
		{"value that is told", evidence(2, "d", func(r *gate.EvidenceRecord) { r.Result.Value = jsonResult(t, `8`).Value }), "evidence_hash: the evidence hash is not that of the value"},
		{"verdict on a value that is told", evidence(2, "d", untrue), "replay: recorded False, replay gives True [decision 3] [trigger t2] [gate g] [condition d]"},
		{"error", evidence(3, "c", func(r *gate.EvidenceRecord) { r.Result.Error = &gate.EvidenceError{Code: "provider_error"} }), "[gate h] [condition c]"},
		{"mark gone", mark(nil), "replay: recorded True, replay gives Unknown [decision 3] [trigger t2] [gate g] [condition c]"},
		{"mark that says no", mark(ptr(false)), "replay: recorded True, replay gives Unknown"},
		// What cannot be found is counted.
		{"one more value gone, its verdict kept", evidence(2, "d", strip), ""},
	}
	whole := buildRedacted(t, mixedRun(t), "p")
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bundle := whole.clone()
			test.change(t, bundle)
			bundle.rehash(t, DefaultManifest)
			report := verify(t, bundle)
			if text := list(report); !strings.Contains(text, test.want) || (report.Verdict() == Pass) != (test.want == "") {
				t.Errorf("%s, findings:\n%swant: %s", report.Verdict(), text, test.want)
			}
		})
	}
}

// TestMarkedToHide has somebody who changes a verdict with all that follows from it, strips the value and marks the bundle: the
// report passes, and says that the verdict could not be derived, replay or not.
func TestMarkedToHide(t *testing.T) {
	r := newRig(t, spec(t, plainStage, condition("c", "equals", `1`)), &gate.Settings{})
	r.start(config, millis(1), true)
	if err := r.trigger(gate.ExternalEvent, "t", millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": jsonResult(t, `1`)}); err != nil {
		t.Fatal(err)
	}
	two := canonical.Hash(jsonResult(t, `2`).Value.JSON)
	bundle := buildRedacted(t, r, "p")
	edit(t, bundle, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
		e[0].Evidence[0].Result.EvidenceHash = &two
		return e
	})
	bundle.rehash(t, DefaultManifest)
	for _, replay := range []bool{false, true} {
		report, err := Verify(t.Context(), bundle, DefaultManifest, Options{Replay: replay})
		if err != nil {
			t.Fatal(err)
		}
		requirePass(t, report)
		if notes := strings.Join(report.DecisionGate.Notes, "\n"); !strings.Contains(notes, "the values of 1 of 1 evidence records are withheld, and the verdicts on these could not be derived again") {
			t.Errorf("notes %s", notes)
		}
	}
}

// TestRandomRedactedRuns withholds the evidence of one of two providers.
func TestRandomRedactedRuns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		in, bundle := randomRun(rt).input(), memory{}
		in.Redact = func(id gate.ProviderID) bool { return id == "p0" }
		if _, err := Build(t.Context(), in, bundle); err != nil {
			rt.Fatal(err)
		}
		report := verify(t, bundle)
		if report.Verdict() != Pass {
			rt.Fatalf("%v\n%s\n%s", report.Errors, list(report), bundle[GateEvalsPath])
		}
		if checked, replay := report.DecisionGate.Checked, report.DecisionGate.Replay; (checked.withheld > 0) != (replay.Decisions < checked.Decisions) {
			rt.Fatalf("%d values withheld, %d of %d decisions replayed", checked.withheld, replay.Decisions, checked.Decisions)
		}
	})
}
