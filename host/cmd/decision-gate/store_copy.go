package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

type storeCopyCommand struct {
	From   string `required:"" placeholder:"FILE" help:"The configuration whose store is copied."`
	To     string `required:"" placeholder:"FILE" help:"The configuration whose store is filled; it must be empty, or begun by this command."`
	Follow bool   `help:"Go on with what changes, until a signal; then verify once more and end."`
	JSON   bool   `help:"Answer with one JSON object."`
}

func (c *storeCopyCommand) Help() string {
	return help("Fills the store of one configuration with what the store of another holds, whatever plugins they are, and verifies it: every body by its sum, the chain of every run. "+
		"Hosts may serve the source meanwhile; the target must not be served before the copy has ended. "+
		"A copy that was cut off goes on where it was when the same command is given again, and so does one that has ended: it copies what has changed since. "+
		"The source gets one small record that names it, and the target one that says how far it is.",
		"decision-gate store copy --from sqlite.hcl --to postgres.hcl")
}

func (c *storeCopyCommand) Run(ctx context.Context, std streams) error {
	// A signal ends the following, and not the work on the last changes; a second one ends the process.
	work := ctx
	if c.Follow {
		work = context.WithoutCancel(ctx)
	}
	return withStore(work, std, configFlag{c.From}, c.JSON, func(from *upkeep.Store) error {
		return withStore(work, std, configFlag{c.To}, c.JSON, func(to *upkeep.Store) error {
			return c.copy(work, std, from, to, ctx.Done())
		})
	})
}

func (c *storeCopyCommand) copy(ctx context.Context, std streams, from, to *upkeep.Store, stop <-chan struct{}) error {
	progress := newStoreProgress(std)
	report, err := upkeep.Copy(ctx, from, to, upkeep.CopyOptions{
		Follow: c.Follow, Stop: stop, Progress: progress.show,
		Following: func(r *upkeep.CopyReport) {
			progress.end()
			fmt.Fprintf(std.err, "the target is verified up to revision %d; following what changes, until a signal\n", r.Revision)
		},
	})
	progress.end()
	if err != nil {
		return storeError(ctx, err)
	}
	if err := c.tell(std, report); err != nil {
		return err
	}
	if !report.OK() {
		return no()
	}
	return nil
}

func (c *storeCopyCommand) tell(std streams, r *upkeep.CopyReport) error {
	if c.JSON {
		return writeJSON(std.out, struct {
			OK bool `json:"ok"`
			*upkeep.CopyReport
		}{r.OK(), r})
	}
	out := newScreen(std.out)
	if r.OK() {
		out.marked(green, "copied", "  the target is the source at revision %d", r.Revision)
	} else {
		out.marked(red, "DIFFERENT", "  the target is not the source")
	}
	out.line("written   %s, %s, %s", plural(r.Records, "record"), byteSize(r.Bytes), plural(r.Removed, "removal"))
	out.line("verified  %s, and the chains of %s with %s", plural(r.Compared, "record"), plural(r.Runs, "run"), plural(r.Steps, "step"))
	if r.Changing > 0 {
		out.line("          %s changed whenever they were compared", plural(r.Changing, "record"))
	}
	for _, text := range r.Differences {
		out.line("  - %s", text)
	}
	if more := r.Different - uint64(len(r.Differences)); more > 0 {
		out.line("  and %s more", plural(more, "record"))
	}
	tellFoundInStore(out, r.Findings, uint64(len(r.Findings)))
	return out.err
}

// storeError ends a command on stores that could not do its work: a refusal is an answer.
func storeError(ctx context.Context, err error) error {
	var refused *upkeep.RefusedError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused):
		return &exitError{exitNo, err}
	default:
		return err
	}
}

// maxTold is how many findings are shown.
const maxTold = 50

func tellFoundInStore(out *screen, findings []upkeep.Finding, found uint64) {
	for _, f := range findings[:min(len(findings), maxTold)] {
		where := fmt.Sprintf("tenant %d, namespace %d", f.Tenant, f.Namespace)
		switch {
		case f.Record != "":
			where = f.Record
		case f.Step > 0:
			where = fmt.Sprintf("run %s (%s), step %d", f.Run, where, f.Step)
		default:
			where = fmt.Sprintf("run %s (%s)", f.Run, where)
		}
		out.line("  - %s: %s", where, f.Problem)
	}
	if found > maxTold {
		out.line("  and %s more", plural(found-maxTold, "finding"))
	}
}
