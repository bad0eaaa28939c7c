package main

import (
	"context"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

type defineCommand struct {
	File string `arg:"" placeholder:"FILE" help:"The scenario, as JSON; - is standard input."`
	clientFlags
}

func (c *defineCommand) Help() string {
	return help("Defines a scenario on a host, once and for all: it cannot be changed later. Defining the same again is no mistake, so a pipeline may begin with it; another scenario under the same id is refused (3). "+clientHelp,
		"decision-gate define scenario.json")
}

// conflict is the code of an id that is taken (mcp contract §2.6).
const conflict = -32009

type defined struct {
	ScenarioID gate.ScenarioID      `member:"scenario_id"`
	SpecHash   canonical.HashDigest `member:"spec_hash"`
}

func (c *defineCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	document, content, err := readJSON(c.File, std)
	if err != nil {
		return err
	}
	return c.with(ctx, std, command, func(s *session) error {
		var d defined
		arguments := struct {
			Spec canonical.Value `member:"spec"`
		}{document}
		result, err := s.call("scenario_define", arguments, &d, client.Once)
		verb := "defined"
		var refusal *client.Refusal
		if errors.As(err, &refusal) {
			same, failed := c.unchanged(s, refusal, content)
			if failed != nil {
				return failed
			}
			verb, d = "unchanged", *same
			result, err = canonical.Parse(canonical.Append(nil, d, canonical.Declared))
		}
		if err != nil {
			return err
		}
		return s.tell(result, func(out *screen) {
			out.marked(green, verb, ": scenario %s, spec hash %s:%s", d.ScenarioID, d.SpecHash.Algorithm, d.SpecHash.Value)
		})
	})
}

// unchanged is what the host has under the id, when that is the same scenario; otherwise the refusal, with the lines of the
// file that it is about.
func (c *defineCommand) unchanged(s *session, refusal *client.Refusal, content []byte) (*defined, error) {
	f, err := parseScenario(c.File, content)
	switch {
	case refusal.Code != conflict && s.json:
		return nil, refusal
	case err != nil && refusal.Code != conflict:
		return nil, err
	case refusal.Code != conflict:
		return nil, f.explain(refusal)
	case err != nil:
		return nil, refusal
	}
	spec := f.scenario.Spec()
	tenant := gate.TenantID(1)
	if spec.DefaultTenantID != nil {
		tenant = *spec.DefaultTenantID
	}
	found, err := s.findScenario(tenant, spec.NamespaceID, spec.ScenarioID)
	if err != nil || found == nil || found.SpecHash != f.scenario.Hash() {
		return nil, refusal
	}
	return &defined{spec.ScenarioID, found.SpecHash}, nil
}
