package runpack

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// spec is a scenario of two stages. The first has a gate over each of the given conditions, and the given rest.
func spec(t tb, stage string, conditions ...string) gate.ScenarioSpec {
	return decode[gate.ScenarioSpec](t, fmt.Appendf(nil, `{"scenario_id":"s","namespace_id":1,"spec_version":"1","stages":[%s,
		{"stage_id":"b","entry_packets":[{"packet_id":"p","schema_id":"x","content_type":"application/json","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":1}}],
		"gates":[],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],"conditions":[%s],"policies":[],"schemas":[]}`,
		stage, strings.Join(conditions, ",")))
}

func condition(id, comparator, expected string) string {
	return fmt.Sprintf(`{"condition_id":%q,"query":{"provider_id":"p","check_id":"k"},"comparator":%q,"expected":%s,"policy_tags":[]}`, id, comparator, expected)
}

const plainStage = `{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"Condition":"c"}}],"advance_to":{"kind":"linear"},"on_timeout":"fail"}`

var config = gate.RunConfig{
	TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: "s", DispatchTargets: []gate.DispatchTarget{{Kind: "agent", AgentID: "a"}},
}

// TestNumberKinds replays verdicts that depend on whether a number was written 1 or 1.0.
func TestNumberKinds(t *testing.T) {
	bytes := gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: []byte{1, 2}}, Lane: gate.Verified}
	tests := []struct {
		comparator, expected string
		answer               gate.EvidenceResult
		ambiguous            uint64
	}{
		{"contains", `[1]`, jsonResult(t, `[1,2]`), 0},
		{"contains", `[1]`, jsonResult(t, `[1.0,2]`), 1},
		{"contains", `[1.0]`, jsonResult(t, `[1,2]`), 1},
		{"contains", `[1.0]`, jsonResult(t, `[1.0,2]`), 0},
		{"in_set", `[1.0]`, jsonResult(t, `1`), 1},
		{"in_set", `[1.5]`, jsonResult(t, `1.5`), 0},
		{"deep_equals", `{"a":[0]}`, jsonResult(t, `{"a":[-0]}`), 1},
		{"deep_not_equals", `{"a":[1]}`, jsonResult(t, `{"a":[1.0]}`), 1},
		{"equals", `[1]`, jsonResult(t, `[1e0]`), 1},
		{"equals", `1`, jsonResult(t, `1.0`), 0},
		{"equals", `[1,2]`, bytes, 0},
		{"equals", `[1.0,2]`, bytes, 1},
	}
	for _, test := range tests {
		r := newRig(t, spec(t, plainStage, condition("c", test.comparator, test.expected)), &gate.Settings{})
		r.start(config, millis(1), true)
		if err := r.trigger(gate.ExternalEvent, "t", millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": test.answer}); err != nil {
			t.Fatal(err)
		}
		report := verify(t, r.build())
		if report.Verdict() != Pass || report.DecisionGate.Replay.Ambiguous.Count != test.ambiguous {
			t.Errorf("%s %s: %s, %d ambiguous, want %d\n%s", test.comparator, test.expected, report.Verdict(),
				report.DecisionGate.Replay.Ambiguous.Count, test.ambiguous, list(report))
		}
	}
}

// TestKindsAcrossSteps has a spec whose floats are seen only by the second step, and answers of both kinds.
func TestKindsAcrossSteps(t *testing.T) {
	r := newRig(t, spec(t, plainStage, condition("c", "equals", `[1.0,2]`)), &gate.Settings{})
	r.start(config, millis(1), true)
	bytes := gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: []byte{1, 2}}, Lane: gate.Verified}
	for i, answer := range []gate.EvidenceResult{jsonResult(t, `[1,2]`), bytes, jsonResult(t, `[1,2.0]`), bytes, jsonResult(t, `[1.0,2]`)} {
		if err := r.trigger(gate.ExternalEvent, gate.TriggerID(fmt.Sprint(i)), millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": answer}); err != nil {
			t.Fatal(err)
		}
	}
	requirePass(t, verify(t, r.build()))
}

// TestTrust replays evidence that the deployment trusted more or less than the spec asks.
func TestTrust(t *testing.T) {
	asserted := jsonResult(t, `1`)
	asserted.Lane = gate.Asserted
	strictGate := strings.Replace(plainStage, `{"Condition":"c"}`, `{"Condition":"c"},"trust":{"min_lane":"verified"}`, 1)
	for _, test := range []struct {
		stage    string
		settings gate.Settings
	}{
		{plainStage, gate.Settings{MinLane: gate.Asserted}},
		{plainStage, gate.Settings{}},
		{plainStage, gate.Settings{MinLane: gate.Asserted, ProviderLanes: map[gate.ProviderID]gate.TrustLane{"p": gate.Verified}}},
		{strictGate, gate.Settings{MinLane: gate.Asserted}},
	} {
		for _, comparator := range []string{"equals", "not_exists"} {
			r := newRig(t, spec(t, test.stage, condition("c", comparator, `1`)), &test.settings)
			r.start(config, millis(1), true)
			for id, answer := range map[gate.TriggerID]gate.EvidenceResult{"none": {Lane: gate.Asserted}, "one": asserted} {
				if err := r.trigger(gate.ExternalEvent, id, millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": answer}); err != nil {
					t.Fatal(err)
				}
			}
			requirePass(t, verify(t, r.build()))
		}
	}
}

// TestUnreplayable has runs that fail for reasons that are not in a bundle.
func TestUnreplayable(t *testing.T) {
	for _, set := range []gate.Settings{
		{Authorize: func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) { return false, nil }},
		{Authorize: func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) {
			return false, errors.New("pe")
		}},
		{Dispatch: func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (gate.DispatchReceipt, error) {
			return gate.DispatchReceipt{}, errors.New("boom")
		}},
	} {
		r := newRig(t, spec(t, plainStage, condition("c", "equals", `1`)), &set)
		r.start(config, millis(1), true)
		if err := r.trigger(gate.ExternalEvent, "t", millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": jsonResult(t, `1`)}); err != nil {
			t.Fatal(err)
		}
		bundle := r.build()
		report := verify(t, bundle)
		requirePass(t, report)
		if report.DecisionGate.Replay.Unreplayable.Count != 1 {
			t.Errorf("%d steps unreplayable, want 1", report.DecisionGate.Replay.Unreplayable.Count)
		}
		// No such failure can stand where nothing was to be handed over, and none has a reason of its own.
		for _, change := range []func(*gate.DecisionRecord, []gate.GateEvalRecord){
			func(d *gate.DecisionRecord, _ []gate.GateEvalRecord) { d.Outcome.Reason = "because" },
			func(_ *gate.DecisionRecord, e []gate.GateEvalRecord) {
				e[0].Evidence[0] = gate.EvidenceRecord{ConditionID: "c", Status: gate.Unknown}
				e[0].Evidence[0].Result.Lane = gate.Verified
				e[0].Evaluation.Status, e[0].Evaluation.Trace[0].Status = gate.Unknown, gate.Unknown
			},
		} {
			tampered := bundle.clone()
			edit(t, tampered, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
				edit(t, tampered, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
					change(&d[1], e)
					return e
				})
				return d
			})
			tampered.rehash(t, DefaultManifest)
			if text := list(verify(t, tampered)); !strings.Contains(text, "replay: recorded fail: ") {
				t.Errorf("findings:\n%s", text)
			}
		}
	}
}

// TestNoTargets has a run without receivers: nobody can have denied it a packet.
func TestNoTargets(t *testing.T) {
	quiet := config
	quiet.DispatchTargets = nil
	packet := `"entry_packets":[{"packet_id":"first","schema_id":"x","content_type":"c","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":1}}]`
	r := newRig(t, spec(t, strings.Replace(plainStage, `"entry_packets":[]`, packet, 1), condition("c", "equals", `1`)), &gate.Settings{})
	r.start(quiet, millis(1), true)
	if err := r.trigger(gate.ExternalEvent, "t", millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": jsonResult(t, `1`)}); err != nil {
		t.Fatal(err)
	}
	bundle := r.build()
	requirePass(t, verify(t, bundle))
	edit(t, bundle, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
		d[1].Outcome = gate.DecisionOutcome{Kind: gate.Fail, Reason: "policy denied disclosure"}
		return d
	})
	edit(t, bundle, PacketsPath, func(p []gate.PacketRecord) []gate.PacketRecord { return p[:1] })
	bundle.rehash(t, DefaultManifest)
	const want = "replay: recorded fail: policy denied disclosure, replay gives advance from a to b [decision 2] [trigger t]"
	if text := list(verify(t, bundle)); !strings.Contains(text, want) {
		t.Errorf("findings\n%s", text)
	}
}

// TestErrorLeavesNothing has evidence with an error, beside which no value and no content type can be on record.
func TestErrorLeavesNothing(t *testing.T) {
	r := newRig(t, spec(t, plainStage, condition("c", "equals", `1`)), &gate.Settings{})
	r.start(config, millis(1), true)
	failure := gate.EvidenceResult{Lane: gate.Verified, Error: &gate.EvidenceError{Code: "provider_error", Message: "m"}}
	if err := r.trigger(gate.ExternalEvent, "t", millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": failure}); err != nil {
		t.Fatal(err)
	}
	bundle := r.build()
	edit(t, bundle, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
		e[0].Evidence[0].Result.ContentType = ptr("text/plain")
		return e
	})
	bundle.rehash(t, DefaultManifest)
	const want = "replay: the evidence is recorded in a form that the engine does not make"
	if text := list(verify(t, bundle)); !strings.Contains(text, want) {
		t.Errorf("findings\n%s", text)
	}
}

// TestForeignReceipts has a dispatcher whose receipts cannot be derived.
func TestForeignReceipts(t *testing.T) {
	r := newRig(t, spec(t, plainStage, condition("c", "equals", `1`)), &gate.Settings{
		Dispatch: func(target gate.DispatchTarget, e *gate.PacketEnvelope, _ *gate.PacketPayload) (gate.DispatchReceipt, error) {
			return gate.DispatchReceipt{DispatchID: "log-1", Target: target, ReceiptHash: e.ContentHash, DispatchedAt: e.IssuedAt, Dispatcher: "log"}, nil
		},
	})
	r.start(config, millis(1), true)
	if err := r.trigger(gate.ExternalEvent, "t", millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": jsonResult(t, `1`)}); err != nil {
		t.Fatal(err)
	}
	report := verify(t, r.build())
	requirePass(t, report)
	if report.DecisionGate.Unverifiable.Receipts != 1 {
		t.Errorf("%d receipts unverifiable, want 1", report.DecisionGate.Unverifiable.Receipts)
	}
}

// TestUnrecordedStart replays ticks of runs whose start is not in the bundle: they must be right for one time of entry.
func TestUnrecordedStart(t *testing.T) {
	stage := `{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"Condition":"c"}}],"advance_to":{"kind":"linear"},"timeout":{"timeout_ms":10,"policy_tags":[]},"on_timeout":%q}`
	for _, policy := range []string{"fail", "advance_with_flag", "alternate_branch"} {
		r := newRig(t, spec(t, fmt.Sprintf(stage, policy), condition("c", "equals", `1`)), &gate.Settings{})
		r.start(config, millis(0), false)
		for i, at := range []int64{5, 9, 3, 10} {
			if err := r.trigger(gate.Tick, gate.TriggerID(fmt.Sprint(i)), millis(at), nil); err != nil {
				t.Fatal(err)
			}
		}
		bundle := r.build()
		report := verify(t, bundle)
		requirePass(t, report)
		if n := report.DecisionGate.Replay.Unreplayable.Count; n != 4 {
			t.Errorf("%s: %d steps depend on the start, want 4", policy, n)
		}
		// A tick that is not later than one that found the stage in time cannot find it overdue.
		edit(t, bundle, TriggersPath, func(r []gate.TriggerRecord) []gate.TriggerRecord {
			r[3].Event.Time = millis(9)
			return r
		})
		edit(t, bundle, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
			d[3].DecidedAt = millis(9)
			return d
		})
		bundle.rehash(t, DefaultManifest)
		if text := list(verify(t, bundle)); !strings.Contains(text, "replay gives hold on g [decision 4]") {
			t.Errorf("%s: findings\n%s", policy, text)
		}
	}
}

// TestRecordedStart replays timeouts of a run whose start is in the bundle.
func TestRecordedStart(t *testing.T) {
	stage := `{"stage_id":"a","entry_packets":[],"gates":[],"advance_to":{"kind":"branch","branches":[],"default":"b"},"timeout":{"timeout_ms":10,"policy_tags":[]},"on_timeout":"advance_with_flag"}`
	r := newRig(t, spec(t, stage), &gate.Settings{})
	r.start(config, millis(0), true)
	if err := r.trigger(gate.Tick, "t", millis(10), nil); err != nil {
		t.Fatal(err)
	}
	bundle := r.build()
	requirePass(t, verify(t, bundle))
	edit(t, bundle, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
		d[1].Outcome.Timeout = false
		return d
	})
	bundle.rehash(t, DefaultManifest)
	const want = "replay: recorded advance from a to b, replay gives advance from a to b by timeout [decision 2] [trigger t]"
	if text := list(verify(t, bundle)); !strings.Contains(text, want) {
		t.Errorf("findings\n%s", text)
	}
}

// TestSignatures sees what a report says of bundles without, with some, and with all signatures.
func TestSignatures(t *testing.T) {
	signed := jsonResult(t, `2`)
	signed.Signature = &gate.EvidenceSignature{Scheme: "ed25519", KeyID: "k", Signature: []byte{1}}
	for want, answers := range map[string][]gate.EvidenceResult{
		noteUnsigned: {jsonResult(t, `2`), jsonResult(t, `3`)},
		noteUnproven: {signed, signed},
		"1 of 2 evidence records with a value carry no signature": {signed, jsonResult(t, `2`)},
	} {
		r := newRig(t, spec(t, plainStage, condition("c", "equals", `1`)), &gate.Settings{})
		r.start(config, millis(1), true)
		for i, answer := range answers {
			if err := r.trigger(gate.BackendEvent, gate.TriggerID(fmt.Sprint(i)), millis(2), map[gate.ConditionID]gate.EvidenceResult{"c": answer}); err != nil {
				t.Fatal(err)
			}
		}
		report := verify(t, r.build())
		requirePass(t, report)
		if notes := strings.Join(report.DecisionGate.Notes, "\n"); !strings.Contains(notes, want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
}

// randomRun draws a scenario and drives a run of it with drawn calls.
func randomRun(t *rapid.T) *rig {
	comparators := rapid.SampledFrom(gate.Comparator("").Names())
	values := rapid.SampledFrom([]string{`1`, `1.0`, `-0`, `2`, `[1,2.0]`, `[1]`, `{"a":1.0}`, `"x"`, `"2024-01-01"`, `true`, `[[1.0]]`})
	lanes := rapid.SampledFrom([]string{"", `,"trust":{"min_lane":"verified"}`, `,"trust":{"min_lane":"asserted"}`})
	var conditions []string
	for i := range 3 {
		c := fmt.Sprintf(`{"condition_id":"c%d","query":{"provider_id":"p%d","check_id":"k"},"comparator":%q,"expected":%s,"policy_tags":[]%s}`,
			i, i%2, comparators.Draw(t, "comparator"), values.Draw(t, "expected"), lanes.Draw(t, "trust"))
		conditions = append(conditions, c)
	}
	requirements := rapid.SampledFrom([]string{`{"Condition":"c0"}`, `{"Or":[{"Condition":"c1"},{"Not":{"Condition":"c0"}}]}`,
		`{"RequireGroup":{"min":1,"reqs":[{"Condition":"c2"},{"Condition":"c1"},{"Condition":"c2"}]}}`, `{"And":[]}`})
	advance := rapid.SampledFrom([]string{`{"kind":"linear"}`, `{"kind":"fixed","stage_id":"b"}`, `{"kind":"terminal"}`,
		`{"kind":"branch","branches":[{"gate_id":"ga0","outcome":"true","next_stage_id":"a"},{"gate_id":"ga0","outcome":"unknown","next_stage_id":"b"}],"default":"a"}`})
	policies := rapid.SampledFrom(gate.TimeoutPolicy("").Names())
	var stages []string
	for _, id := range []string{"a", "b"} {
		var gates []string
		for i := range rapid.IntRange(0, 2).Draw(t, "gates") {
			gates = append(gates, fmt.Sprintf(`{"gate_id":"g%s%d","requirement":%s%s}`, id, i, requirements.Draw(t, "requirement"), lanes.Draw(t, "trust")))
		}
		stages = append(stages, fmt.Sprintf(`{"stage_id":%q,"entry_packets":[{"packet_id":"p%s","schema_id":"x","content_type":"c","visibility_labels":["l"],"policy_tags":[],"payload":{"kind":"bytes","bytes":[1]}}],
			"gates":[%s],"advance_to":%s,"timeout":{"timeout_ms":%d,"policy_tags":[]},"on_timeout":%q}`,
			id, id, strings.Join(gates, ","), advance.Draw(t, "advance"), rapid.IntRange(0, 8).Draw(t, "timeout"), policies.Draw(t, "policy")))
	}
	document := fmt.Sprintf(`{"scenario_id":"s","namespace_id":1,"spec_version":"1","stages":[%s],"conditions":[%s],"policies":[],"schemas":[]}`,
		strings.Join(stages, ","), strings.Join(conditions, ","))
	set := &gate.Settings{MinLane: rapid.SampledFrom([]gate.TrustLane{gate.Asserted, gate.Verified}).Draw(t, "lane")}
	r := newRig(t, decode[gate.ScenarioSpec](t, []byte(document)), set)
	started := config
	if rapid.Bool().Draw(t, "no targets") {
		started.DispatchTargets = nil
	}
	r.start(started, millis(1), rapid.Bool().Draw(t, "packets"))
	results := rapid.Custom(func(t *rapid.T) gate.EvidenceResult {
		result := jsonResult(t, values.Draw(t, "value"))
		switch rapid.IntRange(0, 5).Draw(t, "result") {
		case 0:
			result.Value = nil
		case 1:
			result.Error = &gate.EvidenceError{Code: "provider_error", Message: "m"}
		case 2:
			result.Value = &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: []byte{1, 2}}
		}
		result.Lane = rapid.SampledFrom([]gate.TrustLane{gate.Asserted, gate.Verified}).Draw(t, "lane")
		return result
	})
	for now := range int64(rapid.IntRange(0, 10).Draw(t, "calls")) {
		answers := map[gate.ConditionID]gate.EvidenceResult{"c0": results.Draw(t, "c0"), "c1": results.Draw(t, "c1"), "c2": results.Draw(t, "c2")}
		id := gate.TriggerID(rapid.SampledFrom([]string{"t0", "t1", "t2", "t3", "t4", "t5", "init"}).Draw(t, "trigger"))
		switch rapid.IntRange(0, 5).Draw(t, "call") {
		case 0:
			r.status(millis(now))
		case 1:
			r.submit(gate.SubmissionID(id), gate.PacketPayload{Kind: gate.BytesPayload, Bytes: []byte{byte(now % 2)}}, millis(now))
		case 2:
			// Calls that the engine refuses leave no trace.
			_ = r.next(id, millis(now), nil, answers)
		case 3:
			_ = r.trigger(gate.Tick, id, millis(now), answers)
		default:
			_ = r.trigger(gate.ExternalEvent, id, millis(now), answers)
		}
	}
	return r
}

func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bundle := buildIn(t, rt, randomRun(rt))
		if report := verify(t, bundle); report.Verdict() != Pass {
			rt.Fatalf("%v\n%s", report.Errors, list(report))
		}
	})
}

func buildIn(t *testing.T, rt *rapid.T, r *rig) memory {
	bundle := memory{}
	if _, err := Build(t.Context(), r.input(), bundle); err != nil {
		rt.Fatal(err)
	}
	return bundle
}

// TestRandomMutations changes one value of one record of a random run and makes all hashes of the manifest anew. What may
// pass is what a bundle cannot show: hashes of calls that are not derivable, and what nothing but a signature vouches for.
func TestRandomMutations(t *testing.T) {
	paths := []string{TriggersPath, GateEvalsPath, DecisionsPath, PacketsPath, SubmissionsPath}
	rapid.Check(t, func(rt *rapid.T) {
		bundle := buildIn(t, rt, randomRun(rt))
		path := rapid.SampledFrom(paths).Draw(rt, "file")
		v, err := canonical.Parse(bundle[path])
		if err != nil {
			rt.Fatal(err)
		}
		leaves := leavesOf(v, "")
		if len(leaves) == 0 {
			return
		}
		leaf := rapid.SampledFrom(leaves).Draw(rt, "leaf")
		if free(leaf) {
			return
		}
		before := string(bundle[path])
		bundle[path] = canonical.AppendValue(nil, mutate(v, "", leaf), canonical.Canonical)
		if string(bundle[path]) == before {
			return
		}
		bundle.rehash(t, DefaultManifest)
		if report := verify(t, bundle); report.Verdict() == Pass && report.DecisionGate.Replay.Unreplayable.Count == 0 && report.DecisionGate.Replay.Ambiguous.Count == 0 {
			rt.Fatalf("%s: a change of %s goes unseen\n%s\n%s", path, leaf, before, bundle[path])
		}
	})
}

// free reports whether a member is vouched for by nothing in a bundle: what a provider says of its evidence, and to whom and
// by whom the packets of a start, which no tool call answers with, were handed.
func free(leaf string) bool {
	for _, member := range []string{".result.error.", ".result.content_type", ".receipts.0.dispatcher", ".receipts.0.target"} {
		if strings.Contains(leaf, member) {
			return true
		}
	}
	return false
}

// leavesOf are the places of all scalars of a document.
func leavesOf(v canonical.Value, path string) []string {
	switch v.Kind() {
	case canonical.Array:
		var leaves []string
		for i, item := range v.Items() {
			leaves = append(leaves, leavesOf(item, fmt.Sprintf("%s.%d", path, i))...)
		}
		return leaves
	case canonical.Object:
		var leaves []string
		for _, m := range v.Members() {
			leaves = append(leaves, leavesOf(m.Value, path+"."+m.Name)...)
		}
		return leaves
	default:
		return []string{path}
	}
}

// mutate changes the scalar at a place to another of its kind.
func mutate(v canonical.Value, path, leaf string) canonical.Value {
	switch v.Kind() {
	case canonical.Array:
		items := make([]canonical.Value, len(v.Items()))
		for i, item := range v.Items() {
			items[i] = mutate(item, fmt.Sprintf("%s.%d", path, i), leaf)
		}
		return canonical.NewArray(items)
	case canonical.Object:
		members := make([]canonical.Member, len(v.Members()))
		for i, m := range v.Members() {
			members[i] = canonical.Member{Name: m.Name, Value: mutate(m.Value, path+"."+m.Name, leaf)}
		}
		return canonical.NewObject(members)
	}
	if path != leaf {
		return v
	}
	switch v.Kind() {
	case canonical.Bool:
		return canonical.NewBool(!v.Bool())
	case canonical.Unsigned:
		n, _ := v.Uint()
		return canonical.NewUint(n ^ 1)
	case canonical.String:
		s, _ := v.Text()
		others := map[string]string{"True": "False", "False": "Unknown", "Unknown": "True", "tick": "external_event", "hold": "complete"}
		if other, known := others[s]; known {
			return canonical.NewString(other)
		}
		return canonical.NewString(s + "x")
	case canonical.Null:
		return canonical.NewString("x")
	default:
		return v
	}
}
