package main

import (
	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
)

type doctorCommand struct {
	configFlag
	JSON bool `help:"Answer with one JSON object: each of opened has line, option and means."`
}

func (c *doctorCommand) Help() string {
	return help("Checks the configuration as validate does, and lists what it opens that a host keeps closed by default: options that \"config import\" sets so that clients go on working, and those that were set to try something. The answer is yes (0) when there is none, and no (1) when there are some, or mistakes. Nothing is started.",
		"decision-gate doctor --config decision-gate.hcl")
}

func (c *doctorCommand) Run(std streams) error {
	settings, err := c.load(config.Load)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	if err := host.Check(host.Config{Settings: settings}); err != nil {
		return tellFindings(err, std, c.JSON)
	}
	opened := settings.Openings()
	if c.JSON {
		err = writeJSON(std.out, struct {
			Valid    bool                `json:"valid"`
			Findings []config.Diagnostic `json:"findings"`
			Opened   []config.Opening    `json:"opened"`
		}{true, []config.Diagnostic{}, opened})
	} else {
		err = c.tell(std, opened)
	}
	if err == nil && len(opened) > 0 {
		return no()
	}
	return err
}

func (c *doctorCommand) tell(std streams, opened []config.Opening) error {
	out := newScreen(std.out)
	if len(opened) == 0 {
		out.line("%s is valid, and opens nothing that is closed by default.", c.Config)
		return out.err
	}
	out.line("%s is valid, and opens what is closed by default:", c.Config)
	for _, o := range opened {
		out.line("  line %d: %s: %s", o.Line, o.Option, o.Means)
	}
	return out.err
}
