package main

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

type statusCommand struct {
	runFlags
	File string `placeholder:"FILE" help:"The scenario, as JSON: its stages are drawn, with the run in one of them."`
	Time moment `placeholder:"TIME" help:"${moment}"`
	clientFlags
}

func (c *statusCommand) Help() string {
	return help("Shows where a run stands, without asking any evidence. That it was asked is recorded with the run. "+clientHelp,
		"decision-gate status deploy run-42 --namespace 2")
}

type statusRequest struct {
	ScenarioID gate.ScenarioID    `member:"scenario_id"`
	Request    gate.StatusRequest `member:"request"`
}

func (c *statusCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	var file *scenarioFile
	if c.File != "" {
		var err error
		if file, err = readScenario(c.File, std); err != nil {
			return err
		}
	}
	request := statusRequest{c.scenario(), gate.StatusRequest{
		RunID: c.run(), TenantID: c.tenant(), NamespaceID: c.namespace(), RequestedAt: c.Time.stamp(),
	}}
	return c.with(ctx, std, command, func(s *session) error {
		var status gate.ScenarioStatus
		result, err := s.call("scenario_status", request, &status, client.Idempotent)
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) { tellStatus(out, &status, file) })
	})
}

func tellStatus(out *screen, s *gate.ScenarioStatus, file *scenarioFile) {
	out.marked(bold, "Run", " %s of scenario %s", s.RunID, s.ScenarioID)
	out.marked(statusStyles[s.Status], "  "+string(s.Status), " at stage %s", s.CurrentStageID)
	if d := s.LastDecision; d != nil {
		tellOutcome(out, "  ", &d.Outcome)
		out.line("  decision %d, trigger %s, at %s", d.Seq, d.TriggerID, when(d.DecidedAt))
	} else {
		out.line("  Nothing was decided yet.")
	}
	if n := len(s.IssuedPacketIDs); n > 0 {
		out.line("  %s issued", plural(n, "packet"))
	}
	if file != nil {
		out.line("")
		tellStages(out, s, file.scenario.Spec())
	}
}

// tellStages draws the stages, one a line, with the run in one of them.
func tellStages(out *screen, s *gate.ScenarioStatus, spec *gate.ScenarioSpec) {
	unmet := map[gate.GateID]bool{}
	if s.SafeSummary != nil {
		for _, id := range s.SafeSummary.UnmetGates {
			unmet[id] = true
		}
	}
	for i := range spec.Stages {
		stage := &spec.Stages[i]
		here := stage.StageID == s.CurrentStageID
		switch {
		case i >= maxList && !here:
			continue
		case here:
			out.marked(statusStyles[s.Status], "  ● "+printable(string(stage.StageID)), "  %s here", s.Status)
		default:
			out.line("  ○ %s", stage.StageID)
		}
		for _, g := range stage.Gates {
			mark, sign := style(""), "◇"
			if here && unmet[g.GateID] {
				mark, sign = yellow, "✗"
			}
			out.marked(mark, "  │  "+sign, " %s needs %s", g.GateID, chart.Words(g.Requirement, maxText))
		}
	}
	if n := len(spec.Stages) - maxList; n > 0 {
		out.line("  and %s more", plural(n, "stage"))
	}
}
