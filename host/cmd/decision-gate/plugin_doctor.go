package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

type pluginDoctorCommand struct {
	configFlag
	JSON bool `help:"Answer with one JSON object."`
}

func (c *pluginDoctorCommand) Help() string {
	return help("Starts each plugin of a configuration just long enough to ask for its manifest, beside a host that may run: what a host would refuse, what an operator should know (pins, sandbox, age of the protocol), how long the start took and how much memory. Nothing that the settings name is opened. The answer is no (1) when a host would refuse one.",
		"decision-gate plugin doctor --config decision-gate.hcl")
}

func (c *pluginDoctorCommand) Run(ctx context.Context, std streams) error {
	settings, err := c.load(config.Load)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	found := catalog.Examine(ctx, catalog.From(settings))
	if c.JSON {
		err = writeJSON(std.out, struct {
			Plugins []catalog.Examination `json:"plugins"`
		}{found})
	} else {
		err = tellExaminations(newScreen(std.out), found)
	}
	if err == nil && slices.ContainsFunc(found, func(e catalog.Examination) bool { return len(e.Findings) > 0 }) {
		return no()
	}
	return err
}

func tellExaminations(out *screen, found []catalog.Examination) error {
	for _, e := range found {
		word, with := "sound", green
		if len(e.Findings) > 0 {
			word, with = "refused", red
		}
		about := ""
		if e.Plugin != "" {
			about = fmt.Sprintf(": %s %s, started in %.0f of %.0f ms, %.1f MiB", e.Plugin, e.Version, e.StartMillis, e.StartBudget, float64(e.ResidentBytes)/(1<<20))
		}
		out.marked(with, fmt.Sprintf("%-7s", word), "  %s/%s%s", e.Kind, e.Name, about)
		for _, text := range e.Findings {
			for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
				out.line("         %s", line)
			}
		}
		for _, text := range e.Advice {
			out.marked(yellow, "         note", ": %s", text)
		}
	}
	return out.err
}
