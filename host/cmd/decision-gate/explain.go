package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
	"github.com/decision-gate-host/decision-gate-host/host/internal/hold"
)

type explainCommand struct {
	File  string `arg:"" placeholder:"FILE" help:"The scenario, as JSON; - is standard input."`
	RunID string `arg:"" name:"run" placeholder:"RUN" help:"The run."`
	ownerFlag
	clientFlags
}

func (c *explainCommand) Help() string {
	return help("Says of a run that holds which conditions are unmet or unknown, and the smallest sets of conditions that would open the gates. "+
		"It looks at the last decision and asks no evidence; that it was asked is recorded with the run. How much it can tell depends on what the host tells the caller. "+clientHelp,
		"decision-gate scenario explain scenario.json run-42")
}

// ownerFlag is the tenant of a run whose scenario is at hand; the scenario names the namespace.
type ownerFlag struct {
	Tenant *positive `env:"DECISION_GATE_TENANT" placeholder:"N" help:"Tenant of the run; that of the scenario when not given, or 1 ($$${env})."`
}

func (f *ownerFlag) tenant(spec *gate.ScenarioSpec) gate.TenantID {
	switch {
	case f.Tenant != nil:
		return gate.TenantID(*f.Tenant)
	case spec.DefaultTenantID != nil:
		return *spec.DefaultTenantID
	default:
		return 1
	}
}

// standing is where a run stands, and what was last decided of it.
type standing struct {
	Status   gate.ScenarioStatus   `member:"status"`
	Hold     *hold.Hold            `member:"hold" presence:"O"`
	Evidence []unanswered          `member:"evidence"`
	Denied   *string               `member:"denied_reason" presence:"OS"`
	evals    []gate.GateEvaluation // of the hold, nil when they are not told
}

// unanswered is a condition of the hold for which there is no usable answer, and why, where the host tells it.
type unanswered struct {
	ConditionID gate.ConditionID `member:"condition_id"`
	Code        string           `member:"code"`
	Message     string           `member:"message"`
}

// standing asks where a run stands. Of one that holds it asks for the last decision again, by its own trigger: that decides
// nothing, and is answered with the evaluation that was recorded, as far as the caller may see it.
func (s *session) standing(f *scenarioFile, tenant gate.TenantID, run gate.RunID) (*standing, error) {
	spec := f.scenario.Spec()
	if err := s.sameScenario(f, tenant); err != nil {
		return nil, err
	}
	now := (&moment{}).stamp()
	st := &standing{Evidence: []unanswered{}}
	request := statusRequest{spec.ScenarioID, gate.StatusRequest{RunID: run, TenantID: tenant, NamespaceID: spec.NamespaceID, RequestedAt: now}}
	if _, err := s.call("scenario_status", request, &st.Status, client.Idempotent); err != nil {
		return nil, err
	}
	last := st.Status.LastDecision
	if last == nil || last.Outcome.Kind != gate.Hold {
		return st, nil
	}
	most := "evidence"
	again := nextRequest{spec.ScenarioID, gate.NextRequest{
		RunID: run, TenantID: tenant, NamespaceID: spec.NamespaceID, TriggerID: last.TriggerID, AgentID: "decision-gate", Time: last.DecidedAt,
	}, &most}
	var a answered
	if _, err := s.call("scenario_next", again, &a, client.Idempotent); err != nil {
		return nil, err
	}
	stage, known := f.scenario.Stage(a.Decision.StageID)
	if !known || a.Decision.Outcome.Kind != gate.Hold {
		return nil, errors.New("the run has moved on meanwhile, or is not of this scenario: try again")
	}
	st.explain(stage, &a)
	return st, nil
}

func (st *standing) explain(stage *gate.StageSpec, a *answered) {
	st.evals = a.Feedback.evaluations()
	if st.evals == nil {
		st.Hold = hold.Summary(stage.StageID, a.Decision.Outcome.Summary.UnmetGates)
		if a.Feedback != nil {
			st.Denied = a.Feedback.DeniedReason
		}
		return
	}
	st.Hold = hold.Explain(stage, st.evals)
	if a.Feedback.GateRecords == nil {
		return
	}
	seen := map[gate.ConditionID]bool{}
	for _, record := range *a.Feedback.GateRecords {
		for _, e := range record.Evidence {
			if e.Result.Error != nil && !seen[e.ConditionID] {
				seen[e.ConditionID] = true
				st.Evidence = append(st.Evidence, unanswered{e.ConditionID, e.Result.Error.Code, e.Result.Error.Message})
			}
		}
	}
}

// sameScenario compares the file with what the host has. Mistake stopped: an explanation of one scenario by another. A host
// that does not list its scenarios to this caller is not asked further.
func (s *session) sameScenario(f *scenarioFile, tenant gate.TenantID) error {
	spec := f.scenario.Spec()
	found, err := s.findScenario(tenant, spec.NamespaceID, spec.ScenarioID)
	var refusal *client.Refusal
	switch {
	case errors.As(err, &refusal):
		return nil
	case err != nil:
		return err
	case found != nil && found.SpecHash != f.scenario.Hash():
		return fmt.Errorf("%s is not the scenario %s that the host has: its hash is %s, the host's is %s", f.path, printable(string(spec.ScenarioID)),
			hashText(f.scenario.Hash()), printable(hashText(found.SpecHash)))
	}
	return nil
}

func (c *explainCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	file, err := readScenario(c.File, std)
	if err != nil {
		return err
	}
	return c.with(ctx, std, command, func(s *session) error {
		st, err := s.standing(file, c.tenant(file.scenario.Spec()), gate.RunID(c.RunID))
		if err != nil {
			return err
		}
		if c.JSON {
			return writeResult(std, canonical.Append(nil, *st, canonical.Declared))
		}
		out := newScreen(std.out)
		tellStatus(out, &st.Status, file)
		if st.Hold == nil {
			out.line("")
			out.line("Nothing holds the run: its last decision was no hold.")
			return out.err
		}
		c.show(out, st, file.scenario)
		return out.err
	})
}

func (c *explainCommand) show(out *screen, st *standing, scenario *gate.Scenario) {
	out.line("")
	out.marked(bold, "What is missing", "")
	if st.evals == nil {
		for _, g := range st.Hold.Unmet {
			out.line("  gate %s; the host does not tell this caller which condition", g.GateID)
		}
		if st.Denied != nil {
			out.line("  %s", *st.Denied)
		}
		return
	}
	why := map[gate.ConditionID]*unanswered{}
	for i := range st.Evidence {
		why[st.Evidence[i].ConditionID] = &st.Evidence[i]
	}
	left := maxList
	stage, _ := scenario.Stage(st.Hold.StageID)
	for _, g := range st.Hold.Unmet {
		at := slices.IndexFunc(stage.Gates, func(s gate.GateSpec) bool { return s.GateID == g.GateID })
		if at < 0 {
			out.line("  gate %s, which is not in the file's stage", g.GateID)
			continue
		}
		requirement := &stage.Gates[at].Requirement
		out.marked(truthStyles[*g.Status], fmt.Sprintf("  %-7s", *g.Status), "  gate %s needs %s", g.GateID, chart.Words(*requirement, maxText))
		for _, t := range hold.Missing(requirement, *g.Conditions) {
			if left--; left < 0 {
				out.line("    and more")
				break
			}
			tellCondition(out, t, scenario, why[t.ConditionID])
		}
	}
	tellOpening(out, st.Hold)
}

// tellCondition says how a condition is, what it asks and wants, and why there is no answer.
func tellCondition(out *screen, t gate.TraceEntry, scenario *gate.Scenario, why *unanswered) {
	detail := ""
	if spec, known := scenario.Condition(t.ConditionID); known {
		q := questionOf(spec)
		detail = fmt.Sprintf(": %s, wants %s", q.asked, q.wants)
	}
	out.marked(truthStyles[t.Status], fmt.Sprintf("    %-7s", t.Status), "  %s%s", t.ConditionID, detail)
	if why != nil {
		out.line("             no answer: %s: %s", why.Code, clip(why.Message, maxText))
	}
}

// tellOpening says what would open a stage.
func tellOpening(out *screen, h *hold.Hold) {
	out.line("")
	if h.OpensWith == nil {
		out.line("What would open it is too much to tell: the requirement is too large.")
		return
	}
	ways := *h.OpensWith
	if len(ways) == 0 {
		out.line("Nothing opens it: the scenario asks for a contradiction.")
		return
	}
	heading := "What would open it"
	if len(ways) > 1 {
		heading = "What would open it, any one of these"
	}
	out.marked(bold, heading, "")
	for _, needs := range ways {
		var parts []string
		for _, n := range needs {
			parts = append(parts, fmt.Sprintf("%s is %s", n.ConditionID, strings.ToLower(string(n.MustBe))))
		}
		out.line("  - %s", strings.Join(parts, ", and "))
	}
}
