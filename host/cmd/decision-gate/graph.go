package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
)

type graphCommand struct {
	File   string `arg:"" placeholder:"FILE" help:"The scenario, as JSON; - is standard input."`
	Format string `enum:"svg,mermaid" default:"svg" placeholder:"FORMAT" help:"svg, or mermaid, which many pages draw themselves (${default})."`
	Output string `short:"o" placeholder:"FILE" help:"Where the drawing goes, instead of the standard output. A file that is there is replaced."`
	RunID  string `name:"run" placeholder:"RUN" help:"Draw where this run stands, and what it misses when it holds: the host is asked."`
	ownerFlag
	clientFlags
}

func (c *graphCommand) Help() string {
	return help("Draws a scenario: stages, what their gates need, and where each leads. With --json the answer is what would be drawn. Only --run needs a host, which records that it was asked. "+clientHelp,
		"decision-gate scenario graph scenario.json -o scenario.svg")
}

func (c *graphCommand) Run(ctx context.Context, std streams, command stdioCommand) error {
	file, err := readScenario(c.File, std)
	if err != nil {
		return err
	}
	drawn, err := chart.Of(file.scenario)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if c.RunID != "" {
		err := c.with(ctx, std, command, func(s *session) error { return c.mark(s, drawn, file) })
		if err != nil {
			return err
		}
	}
	if c.Output == "" {
		return c.write(std.out, drawn)
	}
	return c.replace(drawn)
}

func (c *graphCommand) mark(s *session, drawn *chart.Chart, file *scenarioFile) error {
	st, err := s.standing(file, c.tenant(file.scenario.Spec()), gate.RunID(c.RunID))
	if err != nil {
		return err
	}
	drawn.Mark(st.Status.CurrentStageID, st.Status.Status, st.evals)
	if st.evals == nil && st.Hold != nil {
		var unmet []gate.GateID
		for _, g := range st.Hold.Unmet {
			unmet = append(unmet, g.GateID)
		}
		drawn.MarkUnmet(st.Status.CurrentStageID, st.Status.Status, unmet)
	}
	return nil
}

func (c *graphCommand) write(w io.Writer, drawn *chart.Chart) error {
	switch {
	case c.JSON:
		return writeResult(streams{out: w}, canonical.Append(nil, *drawn, canonical.Declared))
	case c.Format == "mermaid":
		_, err := io.WriteString(w, drawn.Mermaid())
		return err
	default:
		_, err := io.WriteString(w, drawn.SVG())
		return err
	}
}

// replace writes the file whole or not at all: a drawing that somebody looks at is never half of one.
func (c *graphCommand) replace(drawn *chart.Chart) error {
	tmp, err := os.CreateTemp(filepath.Dir(c.Output), ".decision-gate-graph.*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w; its folder must exist and be writable", c.Output, err)
	}
	defer os.Remove(tmp.Name())
	err = c.write(tmp, drawn)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), c.Output)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", c.Output, err)
	}
	return nil
}
