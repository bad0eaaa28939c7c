package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

func TestScreen(t *testing.T) {
	for _, c := range []struct {
		name   string
		colour bool
		text   string
		want   string
	}{
		{"plain", false, "all good", "ok all good\n"},
		{"on a terminal", true, "all good", "\x1b[32mok\x1b[0m all good\n"},
		{"clears the screen", true, "\x1b[2J", "\x1b[32mok\x1b[0m �[2J\n"},
		{"forges a line", false, "x\nPASS", "ok x�PASS\n"},
		{"turns the direction", false, "a\u202eb", "ok a�b\n"},
		{"C1 controls", false, "a\u009b31mb", "ok a�31mb\n"},
		{"no text", false, "a\xffb", "ok a�b\n"},
		{"other scripts", false, "ограничение 限制 é", "ok ограничение 限制 é\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			s := &screen{w: &b, colour: c.colour}
			s.marked(green, "ok", " %s", c.text)
			if b.String() != c.want || s.err != nil {
				t.Errorf("got %q, %v, want %q", b.String(), s.err, c.want)
			}
		})
	}
}

// A pipe is no terminal: programs that read the output find no colours in it.
func TestNoColourInPipes(t *testing.T) {
	if newScreen(&bytes.Buffer{}).colour || newProgress(streams{err: &bytes.Buffer{}}) != nil {
		t.Error("a buffer is taken for a terminal")
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	p := &progress{out: streams{err: &b}}
	p.bundle(runpack.Progress{Bytes: 5 << 20, Decisions: 1})
	p.bundle(runpack.Progress{Bytes: 6 << 20, Decisions: 2}) // too soon
	p.end()
	if got, want := b.String(), "\r\x1b[K5 MiB, 1 decision\r\x1b[K"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.Reset()
	p = &progress{out: streams{err: &b}, shown: time.Now()}
	p.bundle(runpack.Progress{Bytes: 1})
	p.end()
	if b.Len() > 0 {
		t.Errorf("a command that ends at once shows %q", b.String())
	}
}

// What is shown of one decision is bounded, whatever its record holds.
func TestInspectIsBounded(t *testing.T) {
	long := strings.Repeat("long ", 1<<16)
	step := &runpack.Step{
		Trigger:  &gate.TriggerRecord{Event: gate.TriggerEvent{TriggerID: gate.TriggerID(long), SourceID: long}},
		Decision: &gate.DecisionRecord{Outcome: gate.DecisionOutcome{Kind: gate.Fail, Reason: long}},
	}
	for range 5000 {
		step.Gates = append(step.Gates, gate.GateEvalRecord{Evaluation: gate.GateEvaluation{GateID: gate.GateID(long)}})
		step.Packets = append(step.Packets, gate.PacketRecord{Envelope: gate.PacketEnvelope{PacketID: gate.PacketID(long)}})
	}
	facts := (&account{}).decision(step)
	var b bytes.Buffer
	if err := writeMembers(&b, facts); err != nil || b.Len() > 200_000 {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
	if facts.Omitted != 2*(5000-maxList) {
		t.Errorf("%d omitted", facts.Omitted)
	}
}

// Evidence is shown in the order in which its gate asks, which is not that of the record.
func TestInOrder(t *testing.T) {
	eval := &gate.GateEvalRecord{}
	for _, id := range []gate.ConditionID{"z", "a", "z", "m"} {
		eval.Evaluation.Trace = append(eval.Evaluation.Trace, gate.TraceEntry{ConditionID: id})
	}
	for _, id := range []gate.ConditionID{"a", "forged", "m", "z"} {
		eval.Evidence = append(eval.Evidence, gate.EvidenceRecord{ConditionID: id})
	}
	got := ""
	for _, record := range inOrder(eval) {
		got += string(record.ConditionID) + " "
	}
	if got != "z a m forged " {
		t.Errorf("got %s", got)
	}
}

func TestQuestion(t *testing.T) {
	for params, want := range map[string]string{
		`{"file":"checks/test.json","jsonpath":"$.failed"}`: "json.path checks/test.json $.failed",
		`{"timestamp":17}`:                   "json.path 17",
		`{"file":"a b"}`:                     `json.path {"file":"a b"}`,
		`{"file":""}`:                        `json.path {"file":""}`,
		`{"list":["a"]}`:                     `json.path {"list":["a"]}`,
		`{}`:                                 "json.path {}",
		`["a"]`:                              `json.path ["a"]`,
		`"` + strings.Repeat("x", 300) + `"`: `json.path "` + strings.Repeat("x", maxText-1) + "…",
	} {
		v, err := canonical.Parse([]byte(params))
		if err != nil {
			t.Fatal(err)
		}
		zero := canonical.NewString("0")
		q := questionOf(&gate.ConditionSpec{Query: gate.EvidenceQuery{ProviderID: "json", CheckID: "path", Params: &v}, Comparator: gate.Equals, Expected: &zero})
		if q.asked != want || q.wants != `equals "0"` {
			t.Errorf("%s: %s, %s", params, q.asked, q.wants)
		}
	}
	if q := questionOf(&gate.ConditionSpec{Query: gate.EvidenceQuery{ProviderID: "p", CheckID: "c"}, Comparator: gate.Exists}); q != (question{"p.c", "exists"}) {
		t.Errorf("without parameters: %+v", q)
	}
}
