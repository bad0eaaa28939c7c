package runpack

import (
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// compareStep adds what differs between the records of a step and those that replay makes. Number, stage, time and
// correlation of the decision are checked with the sequence, replay or not.
func compareStep(found *Findings, s *step, replayed *gate.Step) {
	compareGates(found, s, replayed.GateEvals)
	if !same(&s.decision.Outcome, &replayed.Decision.Outcome) {
		found.add(CheckReplay, s.place(), "recorded %s, replay gives %s", describe(&s.decision.Outcome), describe(&replayed.Decision.Outcome))
	}
	comparePackets(found, s, replayed.Packets)
}

// describe is an outcome in words.
func describe(o *gate.DecisionOutcome) string {
	switch o.Kind {
	case gate.Advance:
		text := fmt.Sprintf("advance from %s to %s", o.FromStage, o.ToStage)
		if o.Timeout {
			text += " by timeout"
		}
		return text
	case gate.Hold:
		unmet := make([]string, len(o.Summary.UnmetGates))
		for i, id := range o.Summary.UnmetGates {
			unmet[i] = string(id)
		}
		return "hold on " + strings.Join(unmet, ", ")
	case gate.Fail:
		return "fail: " + o.Reason
	default:
		return fmt.Sprintf("%s of %s", o.Kind, o.StageID)
	}
}

// compareGates sees that the gates of the stage are recorded, all, in order, and as the engine evaluates them.
func compareGates(found *Findings, s *step, replayed []gate.GateEvalRecord) {
	for i := range max(len(s.evals), len(replayed)) {
		at := s.place()
		switch {
		case i >= len(s.evals):
			at.GateID = &replayed[i].Evaluation.GateID
			found.add(CheckReplay, at, "the gate's evaluation is missing")
			continue
		case i >= len(replayed):
			at.GateID = &s.evals[i].Evaluation.GateID
			found.add(CheckReplay, at, "the gate is recorded, replay does not evaluate it here")
			continue
		}
		recorded, want := &s.evals[i], &replayed[i]
		at.GateID = &recorded.Evaluation.GateID
		if recorded.Evaluation.GateID != want.Evaluation.GateID {
			found.add(CheckReplay, at, "the gate is recorded in the place of gate %s", want.Evaluation.GateID)
			return
		}
		compareEvidence(found, at, recorded.Evidence, want.Evidence)
		if recorded.Evaluation.Status != want.Evaluation.Status {
			found.add(CheckReplay, at, "recorded %s, replay gives %s", recorded.Evaluation.Status, want.Evaluation.Status)
		} else if !same(&recorded.Evaluation, &want.Evaluation) {
			found.add(CheckReplay, at, "the trace is not that of the gate's requirement")
		}
		if recorded.StageID != want.StageID {
			found.add(CheckReplay, at, "the gate is recorded for stage %s, replay is on %s", recorded.StageID, want.StageID)
		}
	}
}

// compareEvidence sees that a gate has the evidence of its conditions, sorted by id, with the statuses that follow from it.
func compareEvidence(found *Findings, at place, recorded, replayed []gate.EvidenceRecord) {
	for i := range max(len(recorded), len(replayed)) {
		switch {
		case i >= len(recorded):
			at.ConditionID = &replayed[i].ConditionID
			found.add(CheckReplay, at, "the evidence for the condition is missing")
			continue
		case i >= len(replayed):
			at.ConditionID = &recorded[i].ConditionID
			found.add(CheckReplay, at, "the gate does not ask for the condition")
			continue
		}
		at.ConditionID = &recorded[i].ConditionID
		switch have, want := &recorded[i], &replayed[i]; {
		case have.ConditionID != want.ConditionID:
			found.add(CheckReplay, at, "the evidence stands in the place of condition %s", want.ConditionID)
			return
		case have.Status != want.Status:
			found.add(CheckReplay, at, "recorded %s, replay gives %s", have.Status, want.Status)
		case !same(have, want):
			found.add(CheckReplay, at, "the evidence is recorded in a form that the engine does not make: its hash, its error, or what an error leaves of it")
		}
	}
}

// comparePackets sees that the packets of the stage that is entered are recorded as the spec has them.
func comparePackets(found *Findings, s *step, replayed []gate.PacketRecord) {
	for i := range max(len(s.packets), len(replayed)) {
		at := s.place()
		switch {
		case i >= len(s.packets):
			at.PacketID = &replayed[i].Envelope.PacketID
			found.add(CheckReplay, at, "the packet is missing")
		case i >= len(replayed):
			at.PacketID = &s.packets[i].Envelope.PacketID
			found.add(CheckReplay, at, "the packet is recorded, replay does not issue it here")
		case !same(&s.packets[i], &replayed[i]):
			at.PacketID = &s.packets[i].Envelope.PacketID
			found.add(CheckReplay, at, "the packet is not what the spec, the decision and the run's targets make of it")
		}
	}
}
