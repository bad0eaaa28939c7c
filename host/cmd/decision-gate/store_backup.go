package main

import (
	"context"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

type storeBackupCommand struct {
	configFlag
	Output string `short:"o" required:"" placeholder:"FILE" help:"The file; one that is there is replaced when the new one is whole."`
	JSON   bool   `help:"Answer with one JSON object."`
}

func (c *storeBackupCommand) Help() string {
	return help("Writes everything that a store holds to one file, as it was at one moment, whatever hosts do meanwhile. \"decision-gate store restore\" fills an empty store from it, of any kind. The file is as secret as the store. "+storeHelp,
		"decision-gate store backup --config decision-gate.hcl -o gate.backup")
}

func (c *storeBackupCommand) Run(ctx context.Context, std streams) error {
	return withStore(ctx, std, c.configFlag, c.JSON, func(s *upkeep.Store) error {
		progress := newStoreProgress(std)
		header := upkeep.Header{Store: s.Plugin, Program: version, CreatedAt: time.Now().UTC().Truncate(time.Second)}
		report, err := upkeep.Backup(ctx, s, c.Output, header, progress.show)
		progress.end()
		if err != nil {
			return storeError(ctx, err)
		}
		if c.JSON {
			return writeJSON(std.out, report)
		}
		out := newScreen(std.out)
		out.marked(green, "backed up", "  %s: the store at revision %d", report.Path, report.Revision)
		out.line("written    %s, %s", plural(report.Records, "record"), byteSize(report.Bytes))
		out.line("sha256     %s", report.SHA256)
		return out.err
	})
}

type storeRestoreCommand struct {
	configFlag
	File string `arg:"" placeholder:"FILE" help:"A backup."`
	JSON bool   `help:"Answer with one JSON object."`
}

func (c *storeRestoreCommand) Help() string {
	return help("Fills an empty store from a backup, and verifies every run in it. A restore that was cut off goes on when the same command is given again. "+
		"A file that was cut or changed, or made by a later version, is refused before anything is written; so is a store that holds anything else. "+
		"Only the store plugin of the configuration is started; no host may serve the store before the restore has ended.",
		"decision-gate store restore --config decision-gate.hcl gate.backup")
}

func (c *storeRestoreCommand) Run(ctx context.Context, std streams) error {
	return withStore(ctx, std, c.configFlag, c.JSON, func(s *upkeep.Store) error {
		progress := newStoreProgress(std)
		report, err := upkeep.Restore(ctx, c.File, s, progress.show)
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
	})
}

func (c *storeRestoreCommand) tell(std streams, r *upkeep.RestoreReport) error {
	if c.JSON {
		return writeJSON(std.out, struct {
			OK bool `json:"ok"`
			*upkeep.RestoreReport
		}{r.OK(), r})
	}
	out := newScreen(std.out)
	if r.OK() {
		out.marked(green, "restored", "  the store of %s, at its revision %d", r.Backup.CreatedAt.Format(time.RFC3339), r.Revision)
	} else {
		out.marked(red, "NOT SOUND", "  what was backed up at %s was so already", r.Backup.CreatedAt.Format(time.RFC3339))
	}
	out.line("written   %s, %s", plural(r.Records, "record"), byteSize(r.Bytes))
	out.line("verified  the chains of %s with %s", plural(r.Runs, "run"), plural(r.Steps, "step"))
	tellFoundInStore(out, r.Findings, uint64(len(r.Findings)))
	return out.err
}
