package main

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

type storeVerifyCommand struct {
	configFlag
	JSON bool `help:"Answer with one JSON object."`
}

func (c *storeVerifyCommand) Help() string {
	return help("Checks every run of a store: that its steps are those that were committed, by their chain, that none is missing, that the marks of triggers and submissions lead to their steps, and that its scenario is there; and every other record by its sum. "+
		"What is wrong is told with its run and step. "+storeHelp,
		"decision-gate store verify --config decision-gate.hcl")
}

func (c *storeVerifyCommand) Run(ctx context.Context, std streams) error {
	return withStore(ctx, std, c.configFlag, c.JSON, func(s *upkeep.Store) error {
		progress := newStoreProgress(std)
		v, err := upkeep.Verify(ctx, s, progress.show)
		progress.end()
		if err != nil {
			return storeError(ctx, err)
		}
		if err := c.tell(std, v); err != nil {
			return err
		}
		if !v.OK() {
			return no()
		}
		return nil
	})
}

func (c *storeVerifyCommand) tell(std streams, v *upkeep.Verification) error {
	if c.JSON {
		return writeJSON(std.out, struct {
			OK bool `json:"ok"`
			*upkeep.Verification
		}{v.OK(), v})
	}
	out := newScreen(std.out)
	if v.OK() {
		out.marked(green, "PASS", "  %s", c.Config)
	} else {
		out.marked(red, "FAIL", "  %s", c.Config)
	}
	out.line("checked  %s with %s, %s, and %s of other kinds", plural(v.Runs, "run"), plural(v.Steps, "step"), byteSize(v.Bytes), plural(v.Records, "record"))
	tellFoundInStore(out, v.Findings, v.Found)
	return out.err
}
