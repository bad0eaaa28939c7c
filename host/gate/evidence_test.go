package gate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// judge evaluates one condition "c" with a comparator on an answer, and returns the gate's record of it.
func judge(t *testing.T, comparator string, answer gate.Answer, set *gate.Settings) gate.EvidenceRecord {
	t.Helper()
	s := compile(t, spec(stage("a", gateOf("g", leaf("c")), linear), strings.Replace(strings.Replace(is("c"), `"equals"`, `"`+comparator+`"`, 1), `"expected":true`, `"expected":1`, 1)))
	first, _ := s.Stage("a")
	evals, err := s.Evaluate("t", first, map[gate.ConditionID]gate.Answer{"c": answer}, set)
	if err != nil {
		t.Fatal(err)
	}
	return evals[0].Evidence[0]
}

var anchored = gate.Settings{Anchors: gate.AnchorPolicy{Providers: []gate.ProviderAnchorPolicy{
	{ProviderID: "other", Requirement: gate.AnchorRequirement{AnchorType: "X"}},
	{ProviderID: "p", Requirement: gate.AnchorRequirement{AnchorType: "T", RequiredFields: []string{"f", "g"}}},
	{ProviderID: "p", Requirement: gate.AnchorRequirement{AnchorType: "second entries do not count"}},
}}}

// Contract §7.4, as recorded.
func TestEvidenceRecords(t *testing.T) {
	hashOfOne := canonical.HashBytes([]byte("1"))
	for _, c := range []struct {
		name   string
		answer gate.Answer
		set    gate.Settings
		want   string
	}{
		{"a provider's failure", gate.Answer{Err: errors.New("bad"), Result: gate.EvidenceResult{ContentType: ptr("ct")}}, gate.Settings{},
			`{"condition_id":"c","status":"Unknown","result":{"value":null,"lane":"verified","error":{"code":"provider_error","message":"evidence provider error: bad","details":null},"evidence_hash":null,"evidence_ref":null,"evidence_anchor":null,"signature":null,"content_type":null}}`},
		{"too weak a lane", gate.Answer{Result: into[gate.EvidenceResult](t, `{"value":{"kind":"json","value":1},"lane":"asserted","evidence_hash":{"algorithm":"sha256","value":"forged"},"evidence_ref":{"uri":"u"},"content_type":"ct"}`)}, gate.Settings{},
			`{"condition_id":"c","status":"Unknown","result":{"value":{"kind":"json","value":1},"lane":"asserted","error":{"code":"trust_lane","message":"evidence lane Asserted does not satisfy Verified","details":null},"evidence_hash":{"algorithm":"sha256","value":"6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"},"evidence_ref":{"uri":"u"},"evidence_anchor":null,"signature":null,"content_type":"ct"}}`},
		{"an anchor that does not hold", gate.Answer{Result: into[gate.EvidenceResult](t, `{"value":{"kind":"json","value":1},"lane":"asserted","evidence_ref":{"uri":"u"},"evidence_anchor":{"anchor_type":"U","anchor_value":"{}"},"signature":{"scheme":"s","key_id":"k","signature":[1]},"content_type":"ct"}`)}, anchored,
			`{"condition_id":"c","status":"Unknown","result":{"value":null,"lane":"verified","error":{"code":"anchor_invalid","message":"anchor_type mismatch: expected T got U","details":null},"evidence_hash":null,"evidence_ref":null,"evidence_anchor":null,"signature":null,"content_type":null}}`},
		{"a provider's own error", gate.Answer{Result: into[gate.EvidenceResult](t, `{"value":{"kind":"json","value":1},"lane":"asserted","error":{"code":"e","message":"m","details":{"x":1}},"evidence_hash":{"algorithm":"sha256","value":"h"},"evidence_ref":{"uri":"u"},"evidence_anchor":{"anchor_type":"U","anchor_value":"{}"},"content_type":"ct"}`)}, anchored,
			`{"condition_id":"c","status":"Unknown","result":{"value":null,"lane":"asserted","error":{"code":"e","message":"m","details":{"x":1}},"evidence_hash":null,"evidence_ref":{"uri":"u"},"evidence_anchor":{"anchor_type":"U","anchor_value":"{}"},"signature":null,"content_type":null}}`},
		{"an answer that holds", gate.Answer{Result: into[gate.EvidenceResult](t, `{"value":{"kind":"json","value":1.0},"evidence_hash":{"algorithm":"sha256","value":"forged"},"evidence_anchor":{"anchor_type":"T","anchor_value":"{\"f\":1,\"g\":\"\"}"}}`)}, anchored,
			`{"condition_id":"c","status":"True","result":{"value":{"kind":"json","value":1.0},"lane":"verified","error":null,"evidence_hash":` + declared(hashOfOne) + `,"evidence_ref":null,"evidence_anchor":{"anchor_type":"T","anchor_value":"{\"f\":1,\"g\":\"\"}"},"signature":null,"content_type":null}}`},
		{"bytes are hashed raw", gate.Answer{Result: into[gate.EvidenceResult](t, `{"value":{"kind":"bytes","value":[49]}}`)}, gate.Settings{},
			`{"condition_id":"c","status":"Unknown","result":{"value":{"kind":"bytes","value":[49]},"lane":"verified","error":null,"evidence_hash":` + declared(hashOfOne) + `,"evidence_ref":null,"evidence_anchor":null,"signature":null,"content_type":null}}`},
	} {
		same(t, c.name, declared(judge(t, "equals", c.answer, &c.set)), c.want)
	}
}

// A caller that forgets an answer must not open a gate that waits for something not to exist.
func TestForgottenAnswerIsAFailure(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", leaf("c")), terminal), strings.Replace(is("c"), `"comparator":"equals","expected":true`, `"comparator":"not_exists"`, 1)))
	r := start(t, s, nil)
	_, result, err := s.Trigger(r.head, r.event(gate.ExternalEvent, "t", unix(1)), nil, nil, r.set)
	if err != nil || result.Decision.Outcome.Kind != gate.Hold {
		t.Errorf("decided %s, %v", declared(result), err)
	}
}

func TestP13ErrorsAreUnknownToEveryComparator(t *testing.T) {
	for _, comparator := range gate.Comparator("").Names() {
		failing := gate.Answer{Result: into[gate.EvidenceResult](t, `{"value":{"kind":"json","value":1},"error":{"code":"e","message":"m"}}`)}
		if got := judge(t, comparator, failing, &gate.Settings{}); got.Status != gate.Unknown {
			t.Errorf("%s: %s", comparator, got.Status)
		}
		if got := judge(t, comparator, gate.Answer{Err: errors.New("x")}, &gate.Settings{}); got.Status != gate.Unknown {
			t.Errorf("%s after a failure: %s", comparator, got.Status)
		}
	}
	if got := judge(t, "not_exists", gate.Answer{Result: into[gate.EvidenceResult](t, `{}`)}, &gate.Settings{}); got.Status != gate.True {
		t.Errorf("without an error: %s", got.Status)
	}
}

func TestP14ProviderHashSurvives(t *testing.T) {
	sent := `{"value":null,"lane":"verified","error":null,"evidence_hash":{"algorithm":"sha256","value":"theirs"},"evidence_ref":null,"evidence_anchor":null,"signature":null,"content_type":"ct"}`
	got := judge(t, "equals", gate.Answer{Result: into[gate.EvidenceResult](t, sent)}, &gate.Settings{})
	same(t, "result", declared(got.Result), sent)
}

// Contract §5.5, first failure first.
func TestAnchors(t *testing.T) {
	requirement := anchored.Anchors.Requirement("p")
	if anchored.Anchors.Requirement("none") != nil || (&gate.AnchorPolicy{}).Requirement("p") != nil {
		t.Error("a requirement for a provider that has none")
	}
	rows(t, "anchors.jsonl", func(t *testing.T, row canonical.Value) {
		same(t, "message", requirement.Check(decode[*gate.EvidenceAnchor](t, get(row, "anchor"))), text(row, "message"))
	})
}

// Contract §5.4: everything that can ask for a lane, in every combination.
func TestTrustMatrix(t *testing.T) {
	rows(t, "trust.jsonl", func(t *testing.T, row canonical.Value) {
		trust := func(name string) string {
			if lane := text(row, name); lane != "" {
				return `,"trust":{"min_lane":"` + lane + `"}}`
			}
			return "}"
		}
		s := compile(t, spec(
			stage("a", strings.TrimSuffix(gateOf("strict", leaf("c")), "}")+trust("gate")+","+gateOf("plain", leaf("c")), terminal),
			strings.TrimSuffix(is("c"), "}")+trust("condition")))
		set := &gate.Settings{MinLane: gate.TrustLane(text(row, "default"))}
		if lane := text(row, "override"); lane != "" {
			set.ProviderLanes = map[gate.ProviderID]gate.TrustLane{"p": gate.TrustLane(lane), "q": gate.Verified}
		}
		r := start(t, s, set)
		answer := jsonAnswer(t, "true")
		answer.Result.Lane = gate.TrustLane(text(row, "lane"))
		r.answers = map[gate.ConditionID]gate.Answer{"c": answer}
		r.next(t, "t", 1)
		evidence := r.state.GateEvals[0].Evidence[0]
		want := gate.Unknown
		if get(row, "admitted").Bool() {
			want = gate.True
		}
		if evidence.Status != want || r.state.GateEvals[0].Evaluation.Status != want || (evidence.Result.Error == nil) != (want == gate.True) {
			t.Errorf("%s", declared(r.state.GateEvals[0]))
		}
		if evidence.Result.Value == nil || evidence.Result.EvidenceHash == nil {
			t.Error("the value is lost")
		}
	})
}

func TestP04TrustOnlyTightens(t *testing.T) {
	answer := jsonAnswer(t, "1")
	answer.Result.Lane = gate.Asserted
	weaker := &gate.Settings{ProviderLanes: map[gate.ProviderID]gate.TrustLane{"p": gate.Asserted}}
	if got := judge(t, "equals", answer, weaker); got.Status != gate.Unknown {
		t.Errorf("a weaker override admits: %s", got.Status)
	}
	// One gate asks for more than the other: each has its own copy.
	s := compile(t, spec(stage("a", `{"gate_id":"v","requirement":`+leaf("c")+`,"trust":{"min_lane":"verified"}},`+gateOf("w", leaf("c")), terminal), is("c")))
	r := start(t, s, &gate.Settings{MinLane: gate.Asserted})
	answer = jsonAnswer(t, "true")
	answer.Result.Lane = gate.Asserted
	r.answers = map[gate.ConditionID]gate.Answer{"c": answer}
	same(t, "unmet", declared(r.next(t, "t", 1).Decision.Outcome.Summary.UnmetGates), `["v"]`)
	if r.state.GateEvals[1].Evidence[0].Result.Error != nil {
		t.Error("one gate's adjustment is seen by another")
	}
}

// A provider that names no lane has verified, as in a document without the member (contract §5.1).
func TestNoLaneIsVerified(t *testing.T) {
	answer := jsonAnswer(t, "1")
	answer.Result.Lane = ""
	if got := judge(t, "equals", answer, &gate.Settings{}); got.Status != gate.True || got.Result.Lane != gate.Verified {
		t.Errorf("%s", declared(got))
	}
}

// A lane that is neither of the two is no evidence at all.
func TestUnknownLaneIsNotVerified(t *testing.T) {
	answer := jsonAnswer(t, "1")
	answer.Result.Lane = "Verified"
	if got := judge(t, "equals", answer, &gate.Settings{}); got.Status != gate.Unknown {
		t.Errorf("status %s", got.Status)
	}
}

func TestP16EvidenceIsSortedAndTraceFollowsTheTree(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", `{"And":[`+leaf("b")+`,`+leaf("é")+`,`+leaf("a")+`,`+leaf("B")+`,`+leaf("b")+`]}`), terminal), is("a", "b", "B", "é")))
	r := start(t, s, nil)
	r.next(t, "t", 1)
	var evidence, trace []string
	for _, e := range r.state.GateEvals[0].Evidence {
		evidence = append(evidence, string(e.ConditionID))
	}
	for _, e := range r.state.GateEvals[0].Evaluation.Trace {
		trace = append(trace, string(e.ConditionID))
	}
	same(t, "evidence", strings.Join(evidence, " "), "B a b é")
	same(t, "trace", strings.Join(trace, " "), "b é a B b")
	same(t, "asked", strings.Join(r.asked, " "), "b é a B")
}

// Conditions that several gates share are asked once.
func TestAskOnce(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", leaf("x"))+","+gateOf("h", `{"And":[`+leaf("y")+`,`+leaf("x")+`]}`), terminal), is("y", "x")))
	r := start(t, s, nil)
	r.next(t, "t", 1)
	same(t, "asked", strings.Join(r.asked, " "), "x y")
	if len(r.state.GateEvals) != 2 || len(r.state.GateEvals[1].Evidence) != 2 {
		t.Errorf("evaluations %s", declared(r.state.GateEvals))
	}
}

func TestContext(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", gateOf("g", leaf("c")), terminal), is("c"))), nil)
	event := r.event(gate.Tick, "t", logical(3)).Event
	same(t, "context", declared(r.head.Context(&event)), `{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":{"kind":"logical","value":3},"correlation_id":null}`)
}

// Contract §6.12 and appendix B.
func TestPrecheck(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g1", leaf("ok"))+","+gateOf("g2", group(1, "ok", "none"))+","+gateOf("g3", `{"And":[`+leaf("none")+`]}`), `{"kind":"branch","branches":[]}`, timeout(1, "fail")...)+","+
		stage("b", gateOf("g4", leaf("ok")), `{"kind":"fixed","stage_id":"a"}`, packets(payload))+","+stage("c", "", linear), is("ok", "none")))
	ok := into[gate.EvidenceResult](t, `{"value":{"kind":"json","value":true},"lane":"asserted"}`)
	lowered := &gate.Settings{MinLane: gate.Asserted, Anchors: anchored.Anchors, Authorize: func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) {
		t.Error("a precheck asks the policy")
		return false, nil
	}}
	evidence := map[gate.ConditionID]gate.EvidenceResult{"ok": ok, "unasked": ok}
	for _, c := range []struct {
		stage string
		set   *gate.Settings
		want  string
	}{
		{"", lowered, `{"decision":{"kind":"hold","summary":{"status":"hold","unmet_gates":["g3"],"retry_hint":"await_evidence","policy_tags":[]}},"gate_evaluations":[{"gate_id":"g1","status":"True","trace":[{"condition_id":"ok","status":"True"}]},{"gate_id":"g2","status":"True","trace":[{"condition_id":"ok","status":"True"},{"condition_id":"none","status":"Unknown"}]},{"gate_id":"g3","status":"Unknown","trace":[{"condition_id":"none","status":"Unknown"}]}]}`},
		{"b", lowered, `{"decision":{"kind":"advance","from_stage":"b","to_stage":"a","timeout":false},"gate_evaluations":[{"gate_id":"g4","status":"True","trace":[{"condition_id":"ok","status":"True"}]}]}`},
		{"b", &gate.Settings{}, `{"decision":{"kind":"hold","summary":{"status":"hold","unmet_gates":["g4"],"retry_hint":"await_evidence","policy_tags":[]}},"gate_evaluations":[{"gate_id":"g4","status":"Unknown","trace":[{"condition_id":"ok","status":"Unknown"}]}]}`},
		{"c", lowered, `{"decision":{"kind":"complete","stage_id":"c"},"gate_evaluations":[]}`},
	} {
		request := gate.PrecheckRequest{Evidence: evidence}
		if c.stage != "" {
			request.StageID = ptr(gate.StageID(c.stage))
		}
		result, err := s.Precheck(request, c.set)
		if err != nil {
			t.Fatal(err)
		}
		same(t, c.stage, declared(result), c.want)
	}
	_, err := s.Precheck(gate.PrecheckRequest{StageID: ptr(gate.StageID("x"))}, lowered)
	refused(t, err, "unknown stage identifier: x")
	evidence["none"] = ok
	_, err = s.Precheck(gate.PrecheckRequest{Evidence: evidence}, lowered)
	refused(t, err, "gate resolution failed: no branch matched")
	evidence["ok"] = jsonAnswer(t, `"`+strings.Repeat("x", gate.MaxEvidence)+`"`).Result
	_, err = s.Precheck(gate.PrecheckRequest{Evidence: evidence}, lowered)
	refused(t, err, "evidence payload exceeds size limit (1048577 > 1048576)")
}

// A precheck is routed as a trigger is: with its own gates true and those of other stages unknown.
func TestPrecheckBranches(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", `{"And":[]}`), branchTo("g", "unknown", "b")+`,{"gate_id":"g","outcome":"true","next_stage_id":"c"}]}`)+","+
		stage("b", gateOf("h", `{"And":[]}`), branchTo("g", "true", "a")+`,{"gate_id":"g","outcome":"unknown","next_stage_id":"c"}]}`)+","+stage("c", "", terminal), ""))
	for _, id := range []gate.StageID{"a", "b"} {
		result, err := s.Precheck(gate.PrecheckRequest{StageID: &id}, &gate.Settings{})
		if err != nil || result.Decision.ToStage != "c" {
			t.Errorf("%s: %s, %v", id, declared(result.Decision), err)
		}
	}
}

// branchTo begins a branch with its first rule.
func branchTo(id, outcome, next string) string {
	return `{"kind":"branch","branches":[{"gate_id":"` + id + `","outcome":"` + outcome + `","next_stage_id":"` + next + `"}`
}

// Missing evidence is in the asserted lane: without it not even not_exists holds.
func TestPrecheckOfMissingEvidence(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", leaf("c")), terminal), strings.Replace(is("c"), `"comparator":"equals","expected":true`, `"comparator":"not_exists"`, 1)))
	for lane, want := range map[gate.TrustLane]gate.OutcomeKind{gate.Verified: gate.Hold, gate.Asserted: gate.Complete} {
		result, err := s.Precheck(gate.PrecheckRequest{}, &gate.Settings{MinLane: lane})
		if err != nil || result.Decision.Kind != want {
			t.Errorf("%s: %s, %v", lane, result.Decision.Kind, err)
		}
	}
}
