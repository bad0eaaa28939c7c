package gate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// capability prefixes refusals that come after decoding and from what providers can do, which the engine does not know.
var capability = []string{"provider_missing: ", "check_missing: ", "params_missing: ", "params_invalid: ", "expected_invalid: "}

// Recorded definitions of damaged scenarios: accepted with a hash, not decodable, or invalid.
func TestDefine(t *testing.T) {
	accepted := 0
	rows(t, "define.jsonl", func(t *testing.T, row canonical.Value) {
		if text(row, "tool") != "scenario_define" {
			return // a data shape, which the engine does not know
		}
		var s gate.ScenarioSpec
		decodeErr := canonical.Decode(get(row, "arguments", "spec"), &s)
		message := text(row, "error", "message")
		code, _ := get(row, "error", "code").Int()
		malformed := code == -32602
		for _, prefix := range capability {
			malformed = malformed && !strings.HasPrefix(message, prefix)
		}
		if malformed != (decodeErr != nil) {
			t.Fatalf("decoded with error %v", decodeErr)
		}
		if malformed {
			return
		}
		compiled, err := gate.Compile(s)
		switch code {
		case -32030:
			refused(t, err, message)
		case 0:
			if err != nil {
				t.Fatal(err)
			}
			accepted++
			same(t, "hash", declared(compiled.Hash()), declared(get(row, "result", "spec_hash")))
		}
	})
	if accepted != 86 {
		t.Errorf("%d accepted", accepted)
	}
}

// Contract §2.9: each rule, and that they are applied in this order.
func TestValidation(t *testing.T) {
	g := func(id string) string { return gateOf(id, leaf("c")) }
	packet := func(id string) string {
		return `"entry_packets":[{"packet_id":"` + id + `","schema_id":"s","content_type":"c","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":1}}]`
	}
	condition := func(id, provider, check string) string {
		return `{"condition_id":"` + id + `","query":{"provider_id":"` + provider + `","check_id":"` + check + `"},"comparator":"exists","policy_tags":[]}`
	}
	fixed := func(id string) string { return `{"kind":"fixed","stage_id":"` + id + `"}` }
	list := func(parts ...string) string { return strings.Join(parts, ",") }
	for _, c := range []struct{ stages, conditions, want string }{
		{"", list(is("c", "c")), "scenario spec must define at least one stage"},
		{list(stage("a", g("g"), terminal), stage("b", g("g"), terminal), stage("b", "", terminal), stage("a", "", terminal)), is("c"), "duplicate stage identifier: a"},
		{list(stage("a", list(g("g"), g("h")), terminal), stage("b", list(g("h"), g("g")), terminal, packet("p")), stage("c", "", terminal, packet("p"))), is("c"), "duplicate gate identifier: h"},
		{list(stage("a", "", terminal, packet("p")), stage("b", "", terminal, packet("p"))), is("c", "c"), "duplicate packet identifier: p"},
		{stage("a", "", terminal), list(is("c", "d", "d", "c"), condition("e", "", "")), "duplicate condition id: c"},
		{stage("a", g("g"), terminal), list(condition("x", "p", "k"), condition("d", " \u00a0\u2003", ""), condition("e", "", "")), "invalid evidence query for condition d: provider_id is empty"},
		{stage("a", g("g"), terminal), list(condition("d", "p", "\t\n\u0085"), condition("e", "", "")), "invalid evidence query for condition d: check_id is empty"},
		{list(stage("a", gateOf("g", `{"And":[`+leaf("c")+`,{"Not":`+leaf("x")+`},`+leaf("y")+`]}`), fixed("zz"))), is("c"), "gate references undefined condition: x"},
		{stage("a", "", fixed("zz")), is("c"), "branch target refers to unknown stage: zz"},
		{stage("a", "", `{"kind":"branch","branches":[{"gate_id":"none","outcome":"true","next_stage_id":"a"},{"gate_id":"g","outcome":"true","next_stage_id":"y"}],"default":"z"}`), "", "branch target refers to unknown stage: y"},
		{stage("a", "", `{"kind":"branch","branches":[],"default":""}`), "", "branch target refers to unknown stage: "},
		// What is not validated.
		{list(stage("", gateOf("", group(9)), terminal), stage("unreachable", gateOf("deep", nested(60, leaf(""))), `{"kind":"branch","branches":[]}`)), is("", "unused"), ""},
	} {
		document := strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(spec(c.stages, c.conditions))
		_, err := gate.Compile(into[gate.ScenarioSpec](t, document))
		if c.want == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		refused(t, err, "invalid scenario spec: "+c.want)
		var refusal *gate.Error
		if !errors.As(err, &refusal) || refusal.Reason != gate.InvalidSpec {
			t.Errorf("reason of %v", err)
		}
	}
}

// Contract §3.5: depth first, at the first occurrence, gate after gate.
func TestConditionOrder(t *testing.T) {
	s := compile(t, spec(stage("a", gateOf("g", `{"And":[`+leaf("c")+`,{"Or":[`+leaf("a")+`,{"Not":`+leaf("c")+`}]},`+leaf("b")+`]}`)+","+gateOf("h", group(1, "a", "d", "c")), terminal), is("a", "b", "c", "d", "e")))
	first, _ := s.Stage("a")
	var ids []string
	for _, c := range s.Conditions(first) {
		ids = append(ids, string(c.ConditionID))
	}
	same(t, "order", strings.Join(ids, " "), "c a b d")
}

func TestP28UnusedConditionsCountInTheHashOnly(t *testing.T) {
	stages := stage("a", gateOf("g", leaf("c")), terminal)
	with, without := compile(t, spec(stages, is("c", "unused"))), compile(t, spec(stages, is("c")))
	if with.Hash() == without.Hash() {
		t.Error("an unused condition does not change the hash")
	}
	r := start(t, with, nil)
	r.next(t, "t1", 1)
	if got := strings.Join(r.asked, " "); got != "c" {
		t.Errorf("asked %s", got)
	}
}
