package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/isolation"
)

type isolationFuzzCommand struct {
	Config     string  `short:"c" placeholder:"FILE" help:"A configuration whose store and runpack plugins are tried; a temporary database of SQLite when absent. Records of the trial stay in the store."`
	Operations int     `default:"100000" placeholder:"N" help:"Random calls (${default})."`
	Clients    int     `default:"8" placeholder:"N" help:"Clients of each tenant, 1 to 64 (${default})."`
	Seed       *uint64 `placeholder:"N" help:"Make the calls of an earlier trial again; a random seed when absent."`
	JSON       bool    `help:"Answer with the report as one JSON object."`
}

func (c *isolationFuzzCommand) Help() string {
	return help("Starts a host and calls every tool at random in the name of two tenants, whose ids collide or nearly do. Each tries to learn what the other one has, and to work in its name. "+
		"The answer is no when an answer holds a secret of the other tenant in any form, when a call succeeds in its name, when an answer tells what the other one has from what nobody has, and when a tool was not tried enough for its silence to mean anything.",
		"decision-gate isolation-fuzz --config decision-gate.hcl --operations 100000")
}

// Validate refuses numbers that no trial can be made with.
func (c *isolationFuzzCommand) Validate() error {
	switch {
	case c.Operations < 1:
		return fmt.Errorf("--operations must be at least 1")
	case c.Clients < 1 || c.Clients > isolation.MaxClients:
		return fmt.Errorf("--clients must be 1 to %d", isolation.MaxClients)
	}
	return nil
}

func (c *isolationFuzzCommand) Run(ctx context.Context, std streams) error {
	folder, err := os.MkdirTemp("", "decision-gate-isolation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	settings, err := c.settings(folder)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	seed := rand.Uint64()
	if c.Seed != nil {
		seed = *c.Seed
	}
	fmt.Fprintf(std.err, "seed %d\n", seed)
	report, err := isolation.Run(ctx, isolation.Options{
		Settings: settings, Folder: folder, Operations: c.Operations, Clients: c.Clients, Seed: seed,
		Progress: func(done, all int) { fmt.Fprintf(std.err, "%d of %d calls\n", done, all) },
		Logger:   slog.New(slog.NewTextHandler(io.Discard, nil)), // what is refused on purpose would fill it
	})
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	if c.JSON {
		err = writeJSON(std.out, report)
	} else {
		err = tellIsolation(newScreen(std.out), report)
	}
	if err == nil && !report.Good() {
		err = no()
	}
	return err
}

func (c *isolationFuzzCommand) settings(folder string) (*config.Config, error) {
	if c.Config == "" {
		return isolation.Temporary(folder, "")
	}
	return configFlag{c.Config}.load(config.Load)
}

func tellIsolation(s *screen, r *isolation.Report) error {
	for _, t := range r.Tools {
		s.line("%-26s %6d on /rpc %6d on /mcp", t.Tool, t.RPC, t.MCP)
		for _, outcome := range slices.Sorted(maps.Keys(t.Outcomes)) {
			s.line("    %-28s %6d", outcome, t.Outcomes[outcome])
		}
	}
	for _, f := range r.Findings {
		s.marked(red, "leak", "  %s: %s on %s (%s)", f.What, f.Tool, f.Surface, f.Aim)
		s.line("    request  %s", f.Request)
		s.line("    answer   %s", f.Response)
		if f.OtherRequest != "" {
			s.line("    request  %s", f.OtherRequest)
			s.line("    answer   %s", f.OtherResponse)
		}
	}
	for _, m := range r.Missing {
		s.marked(yellow, "not tried", "  %s", m)
	}
	without := ""
	if !r.ScopeChecks {
		without = ", without the host's checks of scope"
	}
	verdict, style := "isolated", green
	if !r.Good() {
		verdict, style = "not isolated", red
		if len(r.Findings) == 0 {
			verdict = "not shown"
		}
	}
	s.marked(style, verdict, "  %d calls in %.0f s, seed %d%s", r.Operations, r.Seconds, r.Seed, without)
	return s.err
}
