package runpack

import (
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// decide has the engine decide on a trigger. Where values are withheld it takes the recorded verdicts on them, so that all that
// follows from the verdicts is derived nevertheless: gates, outcome and packets.
func (r *replay) decide(head gate.Head, s *step, set *gate.Settings, answers map[gate.ConditionID]gate.Answer) (gate.Transition, error) {
	call := s.trigger.Event.Call()
	if s.withheld == 0 {
		t, _, err := r.scenario.Trigger(head, call, nil, answers, set)
		return t, err
	}
	scenario, err := r.verdictScenario()
	if err != nil {
		return gate.Transition{}, err
	}
	t, _, err := scenario.Trigger(head, call, nil, r.verdicts(s, answers), set)
	for i := range t.Step.GateEvals {
		evidence := t.Step.GateEvals[i].Evidence
		for j := range evidence {
			if answer, given := answers[evidence[j].ConditionID]; given {
				restore(&evidence[j].Result, &answer.Result)
			}
		}
	}
	return t, err
}

// verdictScenario is the scenario with conditions whose evidence is their verdict: true, false, or no value for Unknown. It is
// made once: a spec may be large, and every step of a run redacted.
func (r *replay) verdictScenario() (*gate.Scenario, error) {
	if r.ofVerdicts != nil {
		return r.ofVerdicts, nil
	}
	spec := *r.scenario.Spec()
	spec.Conditions = slices.Clone(spec.Conditions)
	yes := canonical.NewBool(true)
	for i := range spec.Conditions {
		spec.Conditions[i].Comparator, spec.Conditions[i].Expected = gate.Equals, &yes
	}
	scenario, err := gate.Compile(spec)
	r.ofVerdicts = scenario
	return scenario, err
}

// verdicts are answers to verdictScenario: derived where there is a value, or none was withheld, else as recorded.
func (r *replay) verdicts(s *step, answers map[gate.ConditionID]gate.Answer) map[gate.ConditionID]gate.Answer {
	recorded := map[gate.ConditionID]gate.Truth{}
	for i := range s.evals {
		for j := range s.evals[i].Evidence {
			record := &s.evals[i].Evidence[j]
			// A gate that refuses the evidence for its lane has no verdict on the value.
			if _, known := recorded[record.ConditionID]; !known && !refused(&record.Result) {
				recorded[record.ConditionID] = record.Status
			}
		}
	}
	verdicts := make(map[gate.ConditionID]gate.Answer, len(answers))
	for id, answer := range answers {
		condition, _ := r.scenario.Condition(id)
		verdict := recorded[id]
		if !Withheld(&answer.Result) {
			verdict = condition.Judge(&answer.Result)
		}
		answer.Result.Value = nil
		if verdict == gate.True || verdict == gate.False {
			answer.Result.Value = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewBool(verdict == gate.True)}
		}
		verdicts[id] = answer
	}
	return verdicts
}

// restore puts the evidence back in the place of its verdict, as the engine would have recorded it.
func restore(replayed, evidence *gate.EvidenceResult) {
	if evidence.Error != nil {
		return
	}
	replayed.Value, replayed.EvidenceHash = evidence.Value, evidence.EvidenceHash
	if evidence.Value != nil {
		// That a value is too large to be hashed is found with its record.
		if hash, err := evidence.Value.Hash(); err == nil {
			replayed.EvidenceHash = &hash
		}
	}
}
