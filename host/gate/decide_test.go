package gate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var agent = gate.DispatchTarget{Kind: "agent", AgentID: "a1"}

// packets is a member of a stage document.
func packets(payloads ...string) string {
	var list []string
	for i, p := range payloads {
		list = append(list, fmt.Sprintf(`{"packet_id":"p%d","schema_id":"s","content_type":"c","visibility_labels":["l"],"policy_tags":["t"],"payload":%s}`, i, p))
	}
	return `"entry_packets":[` + strings.Join(list, ",") + `]`
}

const payload = `{"kind":"json","value":1}`

// TestIssueFailures is appendix B: what fails while packets are issued fails the run, with nothing of it recorded, and
// refuses a start.
func TestIssueFailures(t *testing.T) {
	deliver := func(target gate.DispatchTarget, e *gate.PacketEnvelope, p *gate.PacketPayload) (gate.DispatchReceipt, error) {
		if e.PacketID == "p1" {
			return gate.DispatchReceipt{}, errors.New("boom")
		}
		return gate.Receipt(target, e, p)
	}
	decider := func(permit bool, err error) func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) {
		return func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) { return permit, err }
	}
	big := `{"kind":"json","value":"` + strings.Repeat("x", gate.MaxPayload-1) + `"}`
	for _, c := range []struct {
		reason string
		set    gate.Settings
		second string
	}{
		{"dispatch error: boom", gate.Settings{Dispatch: deliver}, payload},
		{"policy denied disclosure", gate.Settings{Authorize: decider(false, nil)}, payload},
		{"policy decision error: pe", gate.Settings{Authorize: decider(true, errors.New("pe"))}, payload},
		{"policy denied disclosure", gate.Settings{Authorize: decider(false, nil), Dispatch: deliver}, payload},
		{"payload exceeds size limit (2097153 > 2097152)", gate.Settings{}, big},
	} {
		s := compile(t, spec(stage("a", "", linear)+","+stage("b", "", terminal, packets(payload, c.second)), ""))
		r := start(t, s, &c.set, agent)
		result := r.next(t, "t1", 5)
		same(t, "outcome", declared(result.Decision.Outcome), declared(gate.DecisionOutcome{Kind: gate.Fail, Reason: c.reason}))
		if result.Status != gate.Failed || r.head.CurrentStageID != "a" || r.head.StageEnteredAt != unix(0) || len(r.state.Packets) != 0 || len(result.Packets) != 0 {
			t.Errorf("%s: status %s, stage %s, %d packets", c.reason, result.Status, r.head.CurrentStageID, len(r.state.Packets))
		}
		same(t, "answered again", declared(r.next(t, "t2", 6)), declared(result))

		first := compile(t, spec(stage("b", "", terminal, packets(payload, c.second)), ""))
		config := gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: "s", DispatchTargets: []gate.DispatchTarget{agent}}
		transition, err := first.Start(config, unix(0), true, &c.set)
		refused(t, err, c.reason)
		same(t, "step of a refused start", declared(transition.Step), "{}")
	}
}

// Without targets nobody is asked and nothing is delivered (contract §6.9).
func TestNoTargetsNoPolicy(t *testing.T) {
	asked := func(gate.DispatchTarget, *gate.PacketEnvelope, *gate.PacketPayload) (bool, error) {
		t.Error("the policy is asked")
		return false, nil
	}
	r := start(t, compile(t, spec(stage("a", "", linear)+","+stage("b", "", terminal, packets(payload)), "")), &gate.Settings{Authorize: asked})
	if result := r.next(t, "t1", 5); len(result.Packets) != 1 || declared(result.Packets[0].Receipts) != "[]" {
		t.Errorf("packets %s", declared(result.Packets))
	}
}

// Packets in order, each to every target in order; the payload limit is met exactly.
func TestPackets(t *testing.T) {
	declaredHash := `{"algorithm":"sha256","value":"anything"}`
	s := compile(t, spec(stage("a", "", linear)+","+stage("b", "", terminal, packets(
		`{"kind":"json","value":"`+strings.Repeat("x", gate.MaxPayload-2)+`"}`, `{"kind":"bytes","bytes":[104,105]}`, `{"kind":"external","content_ref":{"uri":"u","content_hash":`+declaredHash+`}}`)), ""))
	var delivered []string
	set := &gate.Settings{Dispatch: func(target gate.DispatchTarget, e *gate.PacketEnvelope, p *gate.PacketPayload) (gate.DispatchReceipt, error) {
		delivered = append(delivered, string(e.PacketID)+">"+string(target.Kind))
		return gate.Receipt(target, e, p)
	}}
	r := start(t, s, set, agent, gate.DispatchTarget{Kind: "channel", Channel: "c"})
	result := r.next(t, "t1", 5)
	same(t, "order", strings.Join(delivered, " "), "p0>agent p0>channel p1>agent p1>channel p2>agent p2>channel")
	same(t, "bytes are hashed raw", result.Packets[1].Envelope.ContentHash.Value, "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4")
	same(t, "external hashes are declared", declared(result.Packets[2].Envelope.ContentHash), declaredHash)
	for _, p := range result.Packets {
		for _, receipt := range p.Receipts {
			same(t, "receipt", receipt.ReceiptHash.Value, canonical.Hash(p.Envelope).Value)
			same(t, "dispatch id", receipt.DispatchID, "mcp-"+string(p.Envelope.PacketID))
		}
	}
	if _, err := (&gate.PacketPayload{Kind: gate.BytesPayload, Bytes: make([]byte, gate.MaxPayload)}).Hash(); err != nil {
		t.Error(err)
	}
	_, err := (&gate.PacketPayload{Kind: gate.BytesPayload, Bytes: make([]byte, gate.MaxPayload+1)}).Hash()
	refused(t, err, "payload exceeds size limit (2097153 > 2097152)")
}

func TestStartRefuses(t *testing.T) {
	s := compile(t, spec(stage("a", "", linear), ""))
	for _, c := range []struct {
		scenario  gate.ScenarioID
		namespace gate.NamespaceID
		want      string
	}{{"other", 2, "scenario mismatch for run: other"}, {"s", 18446744073709551615, "namespace mismatch for run: 18446744073709551615"}} {
		_, err := s.Start(gate.RunConfig{TenantID: 9, NamespaceID: c.namespace, RunID: "r", ScenarioID: c.scenario}, unix(0), true, &gate.Settings{})
		refused(t, err, c.want)
	}
}

func TestP05FinishedRunAnswersItsLastDecision(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", gateOf("g", leaf("c")), terminal), is("c"))), nil)
	r.next(t, "t1", 1)
	r.answers = map[gate.ConditionID]gate.Answer{"c": jsonAnswer(t, "true")}
	last := r.next(t, "t2", 2)
	if last.Status != gate.Completed {
		t.Fatal(last.Status)
	}
	for _, id := range []gate.TriggerID{"t1", "t2", "new"} {
		same(t, string(id), declared(r.next(t, id, 3)), declared(last))
	}
	if len(r.state.Triggers) != 2 || len(r.state.Decisions) != 2 || len(r.state.ToolCalls) != 5 || len(r.asked) != 0 {
		t.Errorf("%d triggers, %d decisions, %d calls", len(r.state.Triggers), len(r.state.Decisions), len(r.state.ToolCalls))
	}
	// A run that ended without a decision, which no call leads to, is refused.
	head := r.head
	head.LastDecision, head.Status = nil, gate.Failed
	_, _, err := r.scenario.Trigger(head, r.event(gate.Tick, "t", unix(1)), nil, nil, r.set)
	refused(t, err, "run is not active: Failed")
}

func TestP06StatusIsRecorded(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", gateOf("g", leaf("c")), terminal), is("c"))), nil)
	request := gate.StatusRequest{RunID: "r", TenantID: 1, NamespaceID: 1, RequestedAt: unix(4), CorrelationID: ptr(gate.CorrelationID("k"))}
	status := r.status(t, request)
	same(t, "status", declared(status), `{"run_id":"r","scenario_id":"s","current_stage_id":"a","status":"active","last_decision":null,"issued_packet_ids":[],"safe_summary":null}`)
	call := r.state.ToolCalls[0]
	same(t, "call", declared(call), declared(gate.ToolCallRecord{CallID: "call-1", Method: "scenario.status", RequestHash: canonical.Hash(request), ResponseHash: canonical.Hash(status), CalledAt: unix(4), CorrelationID: request.CorrelationID}))
	r.next(t, "t1", 5)
	same(t, "summary of a hold", declared(r.status(t, request).SafeSummary), `{"status":"hold","unmet_gates":["g"],"retry_hint":"await_evidence","policy_tags":[]}`)
	if r.head.ToolCalls != 3 {
		t.Errorf("%d calls", r.head.ToolCalls)
	}
}

func TestP07TriggersRepeatByIDOnly(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", "", linear)+","+stage("b", gateOf("g", leaf("c")), terminal, packets(payload)), is("c"))), nil, agent)
	first := r.next(t, "t1", 1)
	r.next(t, "t2", 2)
	other := r.event(gate.Tick, "t1", logical(99))
	other.Event.Payload = &gate.PacketPayload{Kind: gate.JSONPayload}
	repeated, err := r.call(t, other)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "repeat", declared(repeated), declared(first))
	if len(repeated.Packets) != 1 || len(r.asked) != 0 || len(r.state.Triggers) != 2 {
		t.Errorf("%d packets, asked %v, %d triggers", len(repeated.Packets), r.asked, len(r.state.Triggers))
	}
}

func TestP08InitIsTaken(t *testing.T) {
	s := compile(t, spec(stage("a", "", linear, packets(payload))+","+stage("b", "", terminal), ""))
	config := gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: "s", DispatchTargets: []gate.DispatchTarget{agent}}
	r, err := startWith(t, s, nil, config, unix(3), true)
	if err != nil {
		t.Fatal(err)
	}
	result := r.next(t, gate.InitTrigger, 9)
	same(t, "decision", declared(result.Decision), `{"decision_id":"decision-1","seq":1,"trigger_id":"init","stage_id":"a","decided_at":{"kind":"unix_millis","value":3},"outcome":{"kind":"start","stage_id":"a"},"correlation_id":null}`)
	if len(result.Packets) != 1 {
		t.Errorf("%d packets", len(result.Packets))
	}
	same(t, "trigger", declared(r.state.Triggers[0]), `{"seq":1,"event":{"trigger_id":"init","tenant_id":1,"namespace_id":1,"run_id":"r","kind":"external_event","time":{"kind":"unix_millis","value":3},"source_id":"system","payload":null,"correlation_id":null}}`)
	// Without entry packets the name is free, and the first stage's packets are never issued.
	plain := start(t, s, nil, agent)
	if result := plain.next(t, gate.InitTrigger, 9); result.Decision.Outcome.Kind != gate.Advance || len(plain.state.Packets) != 0 {
		t.Errorf("decided %s", declared(result))
	}
}

func TestP09BranchRules(t *testing.T) {
	rule := func(id, outcome string) string {
		return `{"gate_id":"` + id + `","outcome":"` + outcome + `","next_stage_id":"` + outcome + `"}`
	}
	after := stage("true", "", terminal) + "," + stage("false", "", terminal) + "," + stage("unknown", gateOf("other", leaf("c")), terminal)
	for _, c := range []struct{ gates, rules, more, want string }{
		{gateOf("g", leaf("c")), rule("g", "false") + "," + rule("g", "unknown") + "," + rule("g", "true"), "", "true"},
		{gateOf("g", leaf("c")), rule("g", "false") + "," + rule("nowhere", "unknown") + "," + rule("g", "true"), "", "unknown"},
		{gateOf("g", leaf("c")), rule("other", "true") + "," + rule("other", "unknown"), "", "unknown"},
		{"", rule("g", "unknown"), "", "unknown"},
		{"", rule("g", "false"), `,"default":"false"`, "false"},
		{"", "", "", "gate resolution failed: no branch matched"},
		{gateOf("g", leaf("c")), rule("g", "unknown"), "", "gate resolution failed: no branch matched"},
	} {
		s := compile(t, spec(stage("a", c.gates, `{"kind":"branch","branches":[`+c.rules+`]`+c.more+`}`)+","+after, is("c")))
		r := start(t, s, nil)
		r.answers = map[gate.ConditionID]gate.Answer{"c": jsonAnswer(t, "true")}
		for range 2 { // a routing error is the same on every trigger
			result, err := r.call(t, r.event(gate.ExternalEvent, "t", unix(1)))
			if err != nil {
				refused(t, err, c.want)
				continue
			}
			same(t, c.rules, string(result.Decision.Outcome.ToStage), c.want)
		}
	}
}

func TestP12TagsAreIgnored(t *testing.T) {
	document := strings.Replace(spec(stage("a", gateOf("g", leaf("c")), terminal), is("c")), `"policy_tags":[]`, `"policy_tags":["x"]`, 1)
	s := compile(t, document)
	r, err := startWith(t, s, nil, gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: "s", PolicyTags: []string{"x"}}, unix(0), false)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "hold", declared(r.next(t, "t", 1).Decision.Outcome), `{"kind":"hold","summary":{"status":"hold","unmet_gates":["g"],"retry_hint":"await_evidence","policy_tags":[]}}`)
	if strings.Contains(declared(r.state), `"x"`) {
		t.Error("the run's tags are kept")
	}
}

func TestP15FailureLeavesNoTrace(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", gateOf("g", leaf("c")), terminal), is("c"))), nil)
	before := declared(r.state)
	r.answers = map[gate.ConditionID]gate.Answer{"c": jsonAnswer(t, `"`+strings.Repeat("x", gate.MaxEvidence-1)+`"`)}
	_, err := r.call(t, r.event(gate.ExternalEvent, "t", unix(1)))
	refused(t, err, "evidence payload exceeds size limit (1048577 > 1048576)")
	r.answers["c"] = gate.Answer{Result: gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: make([]byte, gate.MaxEvidence+1)}}}
	_, err = r.call(t, r.event(gate.ExternalEvent, "t", unix(1)))
	refused(t, err, "evidence payload exceeds size limit (1048577 > 1048576)")
	same(t, "state", declared(r.state), before)
	// The same trigger may come again; evidence of exactly the limit is taken.
	r.answers["c"] = jsonAnswer(t, `"`+strings.Repeat("x", gate.MaxEvidence-2)+`"`)
	if result := r.next(t, "t", 1); result.Decision.DecisionID != "decision-1" || r.state.GateEvals[0].Evidence[0].Status != gate.False {
		t.Errorf("decided %s", declared(result))
	}
}

func TestP20MethodsHaveDots(t *testing.T) {
	same(t, "methods", strings.Join([]string{gate.MethodStatus, gate.MethodNext, gate.MethodTrigger, gate.MethodSubmit}, " "), "scenario.status scenario.next scenario.trigger scenario.submit")
	r := start(t, compile(t, spec(stage("a", "", linear), "")), nil)
	r.status(t, gate.StatusRequest{RunID: "r", TenantID: 1, NamespaceID: 1, RequestedAt: unix(1)})
	if _, err := r.tick(t, "t1", unix(1)); err != nil {
		t.Fatal(err)
	}
	r.next(t, "t2", 2)
	if _, err := r.submit(t, submission("s", "1")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"scenario.status", "scenario.trigger", "scenario.next", "scenario.submit"} {
		same(t, "method", r.state.ToolCalls[i].Method, want)
		same(t, "id", r.state.ToolCalls[i].CallID, fmt.Sprintf("call-%d", i+1))
	}
}

func TestP25DecisionsNameTheStageBefore(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", "", linear)+","+stage("b", "", terminal, packets(payload)), "")), nil)
	result := r.next(t, "t1", 1)
	if result.Decision.StageID != "a" || result.Packets[0].Envelope.StageID != "b" || r.head.CurrentStageID != "b" {
		t.Errorf("decided %s", declared(result))
	}
}

func TestP27SpellingOfTruth(t *testing.T) {
	same(t, "records", strings.Join(gate.Truth("").Names(), " "), "True False Unknown")
	same(t, "branch rules", strings.Join(gate.GateOutcome("").Names(), " "), "true false unknown")
}

func submission(id gate.SubmissionID, literal string) gate.SubmitRequest {
	v, _ := canonical.Parse([]byte(literal))
	return gate.SubmitRequest{RunID: "r", TenantID: 1, NamespaceID: 1, SubmissionID: id, Payload: gate.PacketPayload{Kind: gate.JSONPayload, Value: v}, ContentType: "c", SubmittedAt: unix(1)}
}

// Contract §6.10: by id, content type and structure; also after the run has ended.
func TestSubmissions(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", "", linear), "")), nil)
	r.next(t, "t1", 1)
	if r.head.Status != gate.Completed {
		t.Fatal(r.head.Status)
	}
	first, err := r.submit(t, submission("s", `{"a":1,"b":2}`))
	if err != nil {
		t.Fatal(err)
	}
	again := submission("s", `{"b":2,"a":1}`)
	again.SubmittedAt, again.CorrelationID = logical(9), ptr(gate.CorrelationID("other"))
	repeat, err := r.submit(t, again)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "repeat", declared(repeat), declared(first))
	for _, literal := range []string{`{"a":1.0,"b":2}`, `{"a":1}`, `null`} {
		_, err := r.submit(t, submission("s", literal))
		refused(t, err, "submission_id conflict: s")
	}
	otherType := submission("s", `{"a":1,"b":2}`)
	otherType.ContentType = "d"
	_, err = r.submit(t, otherType)
	refused(t, err, "submission_id conflict: s")
	bytes := submission("s", `1`)
	bytes.Payload = gate.PacketPayload{Kind: gate.BytesPayload, Bytes: []byte{1}}
	_, err = r.submit(t, bytes)
	refused(t, err, "submission_id conflict: s")
	if len(r.state.Submissions) != 1 || len(r.state.ToolCalls) != 8 {
		t.Errorf("%d submissions, %d calls", len(r.state.Submissions), len(r.state.ToolCalls))
	}
	last := r.state.ToolCalls[7]
	same(t, "recorded error", declared(last.Error), `{"code":"submission_conflict","message":"submission_id conflicts with existing record","details":{"kind":"message","info":"submission_id=s"}}`)
	same(t, "its hash", last.ResponseHash.Value, canonical.Hash(*last.Error).Value)
}

// A submission that is too large leaves nothing; bytes and external content repeat by what they hold.
func TestSubmissionPayloads(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", "", linear), "")), nil)
	before := declared(r.state)
	_, err := r.submit(t, submission("s", `"`+strings.Repeat("x", gate.MaxPayload-1)+`"`))
	refused(t, err, "payload exceeds size limit (2097153 > 2097152)")
	same(t, "state", declared(r.state), before)
	external := func(uri string) gate.PacketPayload {
		return gate.PacketPayload{Kind: gate.ExternalPayload, ContentRef: &gate.ContentRef{URI: uri, ContentHash: canonical.HashBytes(nil)}}
	}
	for i, c := range []struct{ first, other gate.PacketPayload }{
		{gate.PacketPayload{Kind: gate.BytesPayload, Bytes: []byte{1, 2}}, gate.PacketPayload{Kind: gate.BytesPayload, Bytes: []byte{1}}},
		{external("u"), external("v")},
	} {
		request := submission(gate.SubmissionID(fmt.Sprint(i)), "1")
		request.Payload = c.first
		for range 2 {
			if _, err := r.submit(t, request); err != nil {
				t.Fatal(err)
			}
		}
		request.Payload = c.other
		_, err := r.submit(t, request)
		refused(t, err, fmt.Sprintf("submission_id conflict: %d", i))
	}
}

// Appendix B: missing providers are recorded as a failed call, and nothing else is.
func TestProvidersMissing(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", "", linear), "")), nil)
	call := gate.NextRequest{RunID: "r", TenantID: 1, NamespaceID: 1, TriggerID: "t", AgentID: "a", Time: unix(1), CorrelationID: ptr(gate.CorrelationID("k"))}.Call()
	transition, err := r.head.RefuseMissing(call, gate.ProviderMissing{MissingProviders: []string{"x"}, RequiredCapabilities: []string{"k"}, BlockedByPolicy: true})
	refused(t, err, `provider validation failed: ProviderMissingError { missing_providers: ["x"], required_capabilities: ["k"], blocked_by_policy: true }`)
	r.save(t, transition)
	if len(r.state.Triggers) != 0 || len(r.state.ToolCalls) != 1 {
		t.Fatalf("%d triggers, %d calls", len(r.state.Triggers), len(r.state.ToolCalls))
	}
	recorded := r.state.ToolCalls[0]
	same(t, "call", recorded.CallID+" "+recorded.Method+" "+string(*recorded.CorrelationID)+" "+recorded.RequestHash.Value, "call-1 scenario.next k "+canonical.Hash(call.Request).Value)
	same(t, "error hash", recorded.ResponseHash.Value, "49f12fb7e3c5a91baf684031c675b9c7b465a6c61a608d7b80af456d44eede86")
	_, err = r.head.RefuseMissing(call, gate.ProviderMissing{MissingProviders: []string{"a", `b"`}})
	refused(t, err, `provider validation failed: ProviderMissingError { missing_providers: ["a", "b\""], required_capabilities: [], blocked_by_policy: false }`)
}

// Contract §6.6: gates that are not true are unmet in their order, and a stage that is entered is not evaluated at once.
func TestHoldAndAdvance(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("z", leaf("no"))+","+gateOf("y", leaf("yes"))+","+gateOf("x", leaf("none")), linear)+","+stage("b", "", linear)+","+stage("c", "", linear), is("no", "yes", "none")))
	r := start(t, s, nil)
	r.answers = map[gate.ConditionID]gate.Answer{"no": jsonAnswer(t, "false"), "yes": jsonAnswer(t, "true")}
	same(t, "unmet", declared(r.next(t, "t1", 1).Decision.Outcome.Summary.UnmetGates), `["z","x"]`)
	r.answers["no"], r.answers["none"] = r.answers["yes"], r.answers["yes"]
	for i, want := range []string{"b", "c", ""} {
		result := r.next(t, gate.TriggerID(fmt.Sprint("u", i)), 2)
		same(t, "next stage", string(result.Decision.Outcome.ToStage), want)
	}
	if r.head.Status != gate.Completed {
		t.Error(r.head.Status)
	}
}

// Two hosts that load the same head and trigger come to the same bytes (appendix E, 14): the engine keeps nothing.
func TestDeterministic(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", leaf("c")), linear)+","+stage("b", "", terminal, packets(payload)), is("c")))
	r := start(t, s, nil, agent)
	head := declared(r.head)
	answers := map[gate.ConditionID]gate.Answer{"c": jsonAnswer(t, "true")}
	var seen []string
	for range 2 {
		transition, result, err := s.Trigger(r.head, r.event(gate.ExternalEvent, "t", unix(1)), nil, answers, r.set)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, declared(transition.Head)+declared(transition.Step)+declared(result))
		same(t, "the given head", declared(r.head), head)
	}
	same(t, "second time", seen[1], seen[0])
}

// A head that names a stage which the scenario does not have, as after a mix-up of scenarios, is refused.
func TestUnknownStageOfAHead(t *testing.T) {
	r := start(t, compile(t, spec(stage("a", "", linear), "")), nil)
	r.head.CurrentStageID = "gone"
	_, err := r.call(t, r.event(gate.Tick, "t", unix(1)))
	refused(t, err, "unknown stage identifier: gone")
}
