package main

import (
	"context"
	"fmt"
	"slices"
)

// decision is what scenario_next answers, as far as the demo reads it.
type decision struct {
	Decision struct {
		Outcome struct {
			Kind    string
			ToStage string `json:"to_stage"`
			Summary struct {
				UnmetGates []string `json:"unmet_gates"`
			}
		}
	}
	Status   string
	Feedback struct {
		Gates []struct {
			GateID string `json:"gate_id"`
			Status string
			Trace  []struct {
				ConditionID string `json:"condition_id"`
				Status      string
			}
		} `json:"gate_evaluations"`
	}
}

// expectation is the outcome that the story needs.
type expectation struct {
	kind  string
	to    string
	unmet []string
}

// ask asks whether the run may advance, shows the answer and fails when it is not the expected one.
func (d *demo) ask(ctx context.Context, want expectation) error {
	d.asked++
	var got decision
	err := call(ctx, d.host.URL, "scenario_next", map[string]any{
		"scenario_id": d.scenario,
		"request": map[string]any{
			"run_id": runID, "tenant_id": tenant, "namespace_id": namespace,
			"trigger_id": fmt.Sprintf("ask-%d", d.asked), "agent_id": "demo", "time": now(),
		},
	}, &got)
	if err != nil {
		return err
	}
	d.show(got)
	outcome := got.Decision.Outcome
	unmet := outcome.Summary.UnmetGates
	switch {
	case outcome.Kind == want.kind && outcome.ToStage == want.to && slices.Equal(unmet, want.unmet):
		return nil
	case outcome.Kind == "hold" && want.kind != "hold":
		return fmt.Errorf("the run is held, and that is as it should be: the evidence does not meet the gates (unmet gates: %s). "+
			"Mend what they ask for, see scenario.json, and run the demo again", joined(unmet))
	default:
		return fmt.Errorf("the outcome is %q (unmet gates: %s), and this step needs %q (unmet gates: %s): what the gates ask is in scenario.json",
			outcome.Kind, joined(unmet), want.kind, joined(want.unmet))
	}
}

func (d *demo) show(got decision) {
	outcome := got.Decision.Outcome
	switch outcome.Kind {
	case "hold":
		d.tell(yellow, "HOLD", "unmet gates: %s", joined(outcome.Summary.UnmetGates))
	case "advance":
		d.tell(green, "ADVANCE", "to stage %s", outcome.ToStage)
	case "complete":
		d.tell(green, "COMPLETE", "run %s is %s", runID, got.Status)
	default:
		d.tell(red, outcome.Kind, "run %s is %s", runID, got.Status)
	}
	for _, gate := range got.Feedback.Gates {
		text := fmt.Sprintf("%s is %s:", gate.GateID, gate.Status)
		for _, leaf := range gate.Trace {
			text += fmt.Sprintf(" %s=%s", leaf.ConditionID, leaf.Status)
		}
		d.detail("%s", text)
	}
}
