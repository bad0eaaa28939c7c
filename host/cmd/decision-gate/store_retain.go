package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

type storeRetainCommand struct {
	configFlag
	OlderThan age    `required:"" placeholder:"AGE" help:"Age of the last step of a run from which it is removed: 90d, or hours and minutes such as 36h."`
	ExportDir string `xor:"to" required:"" placeholder:"DIR" help:"Folder for the runpacks; it must exist."`
	Export    bool   `xor:"to" required:"" help:"Hand the runpacks to the runpack plugin of the configuration."`
	DryRun    bool   `help:"Say what would be removed; export and remove nothing."`
	JSON      bool   `help:"Answer with one JSON object."`
}

func (c *storeRetainCommand) Help() string {
	return help("Removes finished runs from a store, once each is written to a runpack and that is verified. Active runs stay, and so do runs that are used meanwhile; hosts may serve the store. "+
		"What is left of a run is a note in its head: it is not found, its id cannot be started again, and the note says where the runpack is. "+
		"Cut off, the same command finishes what was begun. The answer is no (1) when a run cannot be exported; it stays, and is named with the reason.",
		"decision-gate store retain --older-than 90d --export-dir archive --config decision-gate.hcl")
}

// age is a time in the past.
type age time.Duration

// UnmarshalText reads days, or what Go writes of a duration.
func (a *age) UnmarshalText(text []byte) error {
	days, isDays := strings.CutSuffix(string(text), "d")
	if n, err := strconv.ParseUint(days, 10, 16); isDays && err == nil {
		*a = age(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no age such as 90d or 36h", text)
	}
	*a = age(d)
	return nil
}

func (c *storeRetainCommand) Run(ctx context.Context, std streams) error {
	settings, err := c.load(config.Load)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	options := upkeep.RetainOptions{Before: time.Now().Add(-time.Duration(c.OlderThan)), DryRun: c.DryRun}
	options.Anchors, options.Security = host.Remarks(settings)
	open := upkeep.Open
	if c.Export {
		open = upkeep.OpenWithRunpacks
	} else if info, err := os.Stat(c.ExportDir); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s: make it, or name another", c.ExportDir)
	}
	s, err := open(ctx, settings, storeLog(std))
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	options.To = upkeep.Folder(c.ExportDir)
	if c.Export {
		if s.Runpacks == nil {
			return errors.Join(errors.New(`no runpack plugin: declare a plugin "runpack" block, or name a folder with --export-dir`), s.Close())
		}
		options.To = upkeep.Plugin{Sink: s.Runpacks}
	}
	progress := newStoreProgress(std)
	options.Progress = progress.show
	done, err := upkeep.Retain(ctx, s, options)
	progress.end()
	if err = errors.Join(err, s.Close()); err != nil {
		return storeError(ctx, err)
	}
	if err := c.tell(std, done); err != nil {
		return err
	}
	if done.Kept > 0 {
		return no()
	}
	return nil
}

func (c *storeRetainCommand) tell(std streams, done *upkeep.Retained) error {
	if c.JSON {
		return writeJSON(std.out, done)
	}
	out := newScreen(std.out)
	if done.DryRun {
		out.line("would remove  %s", plural(done.Removed, "run"))
	} else {
		out.line("removed  %s", plural(done.Removed, "run"))
	}
	out.line("stay     %d active, %d finished or used since, %d used meanwhile", done.Active, done.Recent, done.Used)
	if done.Completed > 0 {
		out.line("finished the removal of %s that was cut off before", plural(done.Completed, "run"))
	}
	tellFoundInStore(out, done.Findings, uint64(done.Kept))
	return out.err
}
