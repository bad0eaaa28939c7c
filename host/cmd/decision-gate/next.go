package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

// runFlags name a run.
type runFlags struct {
	Scenario string `arg:"" placeholder:"SCENARIO" help:"The scenario of the run."`
	RunID    string `arg:"" name:"run" placeholder:"RUN" help:"The run."`
	tenancyFlags
}

func (f *runFlags) scenario() gate.ScenarioID { return gate.ScenarioID(f.Scenario) }
func (f *runFlags) run() gate.RunID           { return gate.RunID(f.RunID) }

// triggerFlags are what every question has.
type triggerFlags struct {
	TriggerID     string `name:"trigger-id" placeholder:"ID" help:"Id of the question; made up and printed when it is not given. The same id gets the same answer."`
	CorrelationID string `name:"correlation-id" placeholder:"ID" help:"A mark of your own, recorded with the decision."`
	Time          moment `placeholder:"TIME" help:"${moment}"`
}

func (f *triggerFlags) id() gate.TriggerID {
	if f.TriggerID == "" {
		f.TriggerID = newID("t")
	}
	return gate.TriggerID(f.TriggerID)
}

type nextCommand struct {
	runFlags
	Agent    string `env:"DECISION_GATE_AGENT" default:"decision-gate" placeholder:"ID" help:"Who asks, as it is recorded (${default}; $$${env})."`
	Feedback string `enum:",summary,trace,evidence" default:"" placeholder:"LEVEL" help:"How much is told of a hold: summary, trace or evidence, as far as the host allows; its own choice when not given."`
	triggerFlags
	clientFlags
}

func (c *nextCommand) Help() string {
	return help("Asks whether a run may advance. The answer is yes (0) when it advances or is complete, and no (1) when it holds or has failed; after any error (2, 3) take it for a no. "+clientHelp,
		"decision-gate next deploy run-42 --namespace 2 && ./deploy.sh")
}

type nextRequest struct {
	ScenarioID gate.ScenarioID  `member:"scenario_id"`
	Request    gate.NextRequest `member:"request"`
	Feedback   *string          `member:"feedback" presence:"OS"`
}

func (c *nextCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	request := nextRequest{c.scenario(), gate.NextRequest{
		RunID: c.run(), TenantID: c.tenant(), NamespaceID: c.namespace(), TriggerID: c.id(), AgentID: c.Agent, Time: c.Time.stamp(),
		CorrelationID: given[gate.CorrelationID](c.CorrelationID),
	}, given[string](c.Feedback)}
	return c.with(ctx, std, command, func(s *session) error {
		return s.decide("scenario_next", request, c.run(), &c.triggerFlags)
	})
}

type triggerCommand struct {
	runFlags
	Kind    string `enum:"tick,external_event,backend_event,agent_request_next" default:"external_event" placeholder:"KIND" help:"external_event, backend_event, agent_request_next, or tick, which lets a stage time out (${default})."`
	Source  string `env:"DECISION_GATE_AGENT" default:"decision-gate" placeholder:"ID" help:"Who brings it, as it is recorded (${default}; $$${env})."`
	Payload string `placeholder:"FILE" help:"A JSON document to keep with it; - is standard input."`
	triggerFlags
	clientFlags
}

func (c *triggerCommand) Help() string {
	return help("Brings an event to a run, which decides on it as on next. The answer is yes (0) when the run advances or is complete, and no (1) when it holds or has failed. "+clientHelp,
		"decision-gate trigger deploy run-42 --namespace 2 --kind tick")
}

type triggerRequest struct {
	ScenarioID gate.ScenarioID   `member:"scenario_id"`
	Trigger    gate.TriggerEvent `member:"trigger"`
}

func (c *triggerCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	request := triggerRequest{c.scenario(), gate.TriggerEvent{
		TriggerID: c.id(), TenantID: c.tenant(), NamespaceID: c.namespace(), RunID: c.run(), Kind: gate.TriggerKind(c.Kind), Time: c.Time.stamp(),
		SourceID: c.Source, CorrelationID: given[gate.CorrelationID](c.CorrelationID),
	}}
	if c.Payload != "" {
		v, _, err := readJSON(c.Payload, std)
		if err != nil {
			return err
		}
		request.Trigger.Payload = &gate.PacketPayload{Kind: gate.JSONPayload, Value: v}
	}
	return c.with(ctx, std, command, func(s *session) error {
		return s.decide("scenario_trigger", request, c.run(), &c.triggerFlags)
	})
}

// answered is the answer to a question.
type answered struct {
	Decision gate.DecisionRecord `member:"decision"`
	Packets  []issued            `member:"packets"`
	Status   gate.RunStatus      `member:"status"`
	Feedback *feedback           `member:"feedback" presence:"O"`
}

// feedback is how a host explains a hold: as much as it allows (mcp contract §3.10).
type feedback struct {
	DeniedReason    *string                `member:"denied_reason" presence:"O"`
	GateEvaluations *[]gate.GateEvaluation `member:"gate_evaluations" presence:"O"`
	GateRecords     *[]gate.GateEvalRecord `member:"gate_records" presence:"O"`
}

// evaluations are those of the gates, nil when they are not told.
func (f *feedback) evaluations() []gate.GateEvaluation {
	switch {
	case f == nil:
		return nil
	case f.GateRecords != nil:
		evals := make([]gate.GateEvaluation, len(*f.GateRecords))
		for i := range evals {
			evals[i] = (*f.GateRecords)[i].Evaluation
		}
		return evals
	case f.GateEvaluations != nil:
		return *f.GateEvaluations
	default:
		return nil
	}
}

// decide asks, tells the answer, and ends with it.
func (s *session) decide(tool string, request any, run gate.RunID, f *triggerFlags) error {
	var a answered
	result, err := s.call(tool, request, &a, client.Idempotent)
	if err != nil {
		return askAgain(err, "ask again with --trigger-id "+printable(f.TriggerID)+", which decides nothing twice")
	}
	if err := s.tell(result, func(out *screen) { a.show(out, run, f.TriggerID) }); err != nil {
		return err
	}
	return verdict(a.Decision.Outcome.Kind)
}

// askAgain adds to an error how the call is repeated, when it may have had its effect: an answer can be lost on its way. A
// server that refuses, and does not say that the same call may succeed later, has done nothing.
func askAgain(err error, how string) error {
	var refusal *client.Refusal
	switch {
	case errors.As(err, &refusal) && !refusal.Retryable:
		return err
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted; %s", how)
	}
	return fmt.Errorf("%w; %s", err, how)
}

// verdict is the exit of a question: only what lets a run go on is a yes.
func verdict(outcome gate.OutcomeKind) error {
	if outcome == gate.Advance || outcome == gate.Complete {
		return nil
	}
	return no()
}

// tellOutcome says what was decided in one line.
func tellOutcome(out *screen, indent string, o *gate.DecisionOutcome) {
	detail := ""
	switch o.Kind {
	case gate.Advance:
		detail = fmt.Sprintf("  from stage %s to %s", o.FromStage, o.ToStage)
		if o.Timeout {
			detail += ", after its timeout"
		}
	case gate.Complete:
		detail = fmt.Sprintf("  at stage %s", o.StageID)
	case gate.Start:
		detail = fmt.Sprintf("  at stage %s", o.StageID)
	case gate.Fail:
		detail = "  " + o.Reason
	case gate.Hold:
		var gates []string
		for _, id := range o.Summary.UnmetGates {
			gates = append(gates, string(id))
		}
		detail = "  unmet: " + clip(strings.Join(gates, ", "), maxUnmet)
	}
	out.marked(outcomeStyles[o.Kind], indent+string(o.Kind), "%s", detail)
}

// maxUnmet is how many bytes of the list of unmet gates are shown.
const maxUnmet = 1000

func (a *answered) show(out *screen, run gate.RunID, asked string) {
	d := &a.Decision
	tellOutcome(out, "", &d.Outcome)
	tellGates(out, a.Feedback.evaluations())
	if a.Feedback != nil && a.Feedback.DeniedReason != nil {
		out.line("  %s", *a.Feedback.DeniedReason)
	}
	tellPackets(out, a.Packets)
	if d.Outcome.Kind == gate.Hold {
		out.line("  What would open it: decision-gate scenario explain FILE %s", run)
	}
	out.line("  decision %d, trigger %s, at %s; the run is %s", d.Seq, d.TriggerID, when(d.DecidedAt), a.Status)
	if string(d.TriggerID) != asked {
		// A run that has ended answers every question with its last decision.
		out.line("  This was decided before: the run has ended.")
	}
}

// tellGates lists the gates that are not true, with their conditions.
func tellGates(out *screen, evals []gate.GateEvaluation) {
	left := maxList
	for i := range evals {
		if evals[i].Status == gate.True {
			continue
		}
		out.marked(truthStyles[evals[i].Status], fmt.Sprintf("  %-7s", evals[i].Status), "  gate %s", evals[i].GateID)
		for _, t := range evals[i].Trace {
			if left--; left < 0 {
				out.line("    and more")
				return
			}
			// Without a colour: under a "not", false is as it should be.
			out.line("           condition %s is %s", t.ConditionID, strings.ToLower(string(t.Status)))
		}
	}
}
