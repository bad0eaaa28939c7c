package main

import (
	"context"
	"errors"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
	"github.com/decision-gate-host/decision-gate-host/host/internal/hold"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
)

type precheckCommand struct {
	File     string `arg:"" placeholder:"FILE" help:"The values, as a JSON object by condition id; - is standard input."`
	Shape    shape  `required:"" placeholder:"ID@VERSION" help:"The data shape that the values have, registered before."`
	Scenario string `required:"" xor:"scenario" placeholder:"SCENARIO" help:"A scenario that is defined."`
	Spec     string `required:"" xor:"scenario" placeholder:"FILE" help:"A scenario that need not be defined, as JSON; a hold is explained then."`
	Stage    string `placeholder:"STAGE" help:"The stage; the first when not given."`
	tenancyFlags
	clientFlags
}

func (c *precheckCommand) Help() string {
	return help("Tries a stage on values that you hand in: no run, no evidence, nothing is kept. The answer is yes (0) when they would pass, and no (1) when they would not. "+
		"Such values are asserted: they pass only gates and conditions that ask for no more (trust.min_lane). "+clientHelp,
		"decision-gate precheck values.json --shape ticket@1 --scenario deploy --namespace 2")
}

// shape is the name of a data shape.
type shape registry.ShapeRef

// UnmarshalText reads ID@VERSION.
func (s *shape) UnmarshalText(text []byte) error {
	at := strings.LastIndexByte(string(text), '@')
	if at < 0 {
		return errors.New("not ID@VERSION, such as ticket@1")
	}
	s.SchemaID, s.Version = string(text[:at]), string(text[at+1:])
	return nil
}

type precheckRequest struct {
	TenantID    gate.TenantID     `member:"tenant_id"`
	NamespaceID gate.NamespaceID  `member:"namespace_id"`
	ScenarioID  *string           `member:"scenario_id" presence:"OS"`
	Spec        *canonical.Value  `member:"spec" presence:"OS"`
	StageID     *string           `member:"stage_id" presence:"OS"`
	DataShape   registry.ShapeRef `member:"data_shape"`
	Payload     canonical.Value   `member:"payload"`
}

func (c *precheckCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	payload, _, err := readJSON(c.File, std)
	if err != nil {
		return err
	}
	request := precheckRequest{
		TenantID: c.tenant(), NamespaceID: c.namespace(), ScenarioID: given[string](c.Scenario), StageID: given[string](c.Stage),
		DataShape: registry.ShapeRef(c.Shape), Payload: payload,
	}
	var file *scenarioFile
	if c.Spec != "" {
		if file, err = readScenario(c.Spec, std); err != nil {
			return err
		}
		document, err := canonical.Parse(file.content)
		if err != nil {
			return err
		}
		request.Spec = &document
	}
	return c.with(ctx, std, command, func(s *session) error {
		var answer gate.PrecheckResult
		result, err := s.call("precheck", request, &answer, client.Idempotent)
		if err != nil {
			return err
		}
		if err := s.tell(result, func(out *screen) { c.show(out, &answer, file) }); err != nil {
			return err
		}
		return verdict(answer.Decision.Kind)
	})
}

func (c *precheckCommand) show(out *screen, answer *gate.PrecheckResult, file *scenarioFile) {
	tellOutcome(out, "", &answer.Decision)
	if answer.Decision.Kind != gate.Hold {
		return
	}
	tellGates(out, answer.GateEvaluations)
	if note := hold.AssertedNote(answer.GateEvaluations); note != "" {
		out.line("  %s", note)
	}
	if file == nil {
		return
	}
	stage := &file.scenario.Spec().Stages[0]
	if c.Stage != "" {
		var known bool
		if stage, known = file.scenario.Stage(gate.StageID(c.Stage)); !known {
			return
		}
	}
	tellOpening(out, hold.Explain(stage, answer.GateEvaluations))
}
