package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/host/internal/opensource/database"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

type storeImportCommand struct {
	File string `arg:"" help:"The SQLite database of the open-source Decision Gate. A write-ahead log beside it is read with it; nothing is written to either."`
	configFlag
	Lenient bool `help:"Leave out what cannot be taken over, and import the rest."`
	DryRun  bool `help:"Check everything and say what would be imported; store nothing."`
	JSON    bool `help:"Answer with one JSON object."`
}

func (c *storeImportCommand) Help() string {
	return help("Takes the runs and data shapes of the open-source Decision Gate over into the store of a configuration, whichever plugin that is. Stop the open-source server first. "+
		"Of each run the newest version counts. A run exports the same runpack as before, and goes on where it stood, once its scenario is defined again. "+
		"When a run cannot be taken over nothing is imported, and each is named with its reason; --lenient leaves these out. Run again it imports nothing twice, and finishes what was cut off; a run that is there with another history is refused. "+
		"The database is read by the program store-sqlite, which lies in plugin_dir. Hosts may serve the store meanwhile. The answer is no (1) when something was not taken over.",
		"decision-gate store import-decision-gate decision-gate.db --config decision-gate.hcl")
}

// imports is the answer. The report is that of the check when nothing was imported.
type imports struct {
	DryRun   bool `json:"dry_run"`
	Imported bool `json:"imported"`
	*database.Report
}

func (c *storeImportCommand) Run(ctx context.Context, std streams) error {
	settings, err := c.load(config.Load)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	program, err := catalog.Program(catalog.From(settings), database.ProgramName)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	return withStore(ctx, std, c.configFlag, c.JSON, func(s *upkeep.Store) error {
		importer := &database.Importer{Store: s, Registry: registry.New(s), MaxShapes: uint64(settings.Schemas.MaxEntries)}
		if importer.MaxShapes == 0 {
			importer.MaxShapes = math.MaxInt64
		}
		return c.imports(ctx, std, program, importer)
	})
}

// imports checks the whole database before anything of it is stored, unless what is wrong with it is to be left out.
func (c *storeImportCommand) imports(ctx context.Context, std streams, program launch.Spec, importer *database.Importer) error {
	a := imports{DryRun: c.DryRun}
	if c.DryRun || !c.Lenient {
		importer.Check = true
		report, err := c.pass(ctx, std, program, importer, "checked")
		if err != nil {
			return err
		}
		if a.Report = report; c.DryRun || report.Refused > 0 {
			return c.tell(a, std)
		}
	}
	importer.Check = false
	report, err := c.pass(ctx, std, program, importer, "imported")
	if err != nil {
		return fmt.Errorf("%w; %s and %s were imported before, and the same command goes on from there",
			err, plural(report.Runs.Imported, "run"), plural(report.Shapes.Imported, "data shape"))
	}
	a.Report, a.Imported = report, true
	return c.tell(a, std)
}

// pass reads the database once.
func (c *storeImportCommand) pass(ctx context.Context, std streams, program launch.Spec, importer *database.Importer, doing string) (*database.Report, error) {
	reading, err := database.Open(ctx, program, c.File)
	if err != nil {
		return &database.Report{}, c.explain(err)
	}
	defer reading.Close()
	line := newItemLine(std, doing)
	importer.Progress = line.show
	defer line.end()
	report, err := importer.Import(ctx, reading.Reader)
	return report, c.explain(err)
}

func (c *storeImportCommand) explain(err error) error {
	if errors.Is(err, launch.ErrPin) {
		return fmt.Errorf("%s: %w; if you have updated it, run \"decision-gate plugin pin\"", database.ProgramName, err)
	}
	return err
}

func (c *storeImportCommand) tell(a imports, std streams) error {
	if c.JSON {
		if err := writeJSON(std.out, a); err != nil {
			return err
		}
	} else if err := c.list(a, std); err != nil {
		return err
	}
	if a.Refused > 0 {
		return no()
	}
	return nil
}

func (c *storeImportCommand) list(a imports, std streams) error {
	wrong := newScreen(std.err)
	if a.Refused > 0 {
		wrong.line("Cannot be taken over:")
		for _, r := range a.Refusals {
			wrong.line("  %s: %s", r.Name, r.Reason)
		}
		if more := a.Refused - len(a.Refusals); more > 0 {
			wrong.line("  and %d more", more)
		}
	}
	out := newScreen(std.out)
	what := fmt.Sprintf("%s and %s", plural(a.Runs.Imported, "run"), plural(a.Shapes.Imported, "data shape"))
	switch {
	case a.DryRun:
		out.line("Would import %s. Nothing was stored.", what)
	case !a.Imported:
		wrong.line("Nothing was imported: %s cannot be taken over. Leave out what cannot with --lenient.", plural(a.Refused, "item"))
		return errors.Join(wrong.err, out.err)
	default:
		out.line("Imported %s.", what)
	}
	if there := a.Runs.Present + a.Shapes.Present; there > 0 {
		out.line("There already: %s and %s.", plural(a.Runs.Present, "run"), plural(a.Shapes.Present, "data shape"))
	}
	c.listScenarios(a, out)
	return errors.Join(wrong.err, out.err)
}

// listScenarios names what has to be defined again: the open-source server does not keep scenarios.
func (c *storeImportCommand) listScenarios(a imports, out *screen) {
	const shown = 20
	var missing []database.Scenario
	for _, s := range a.Scenarios {
		if !s.Defined {
			missing = append(missing, s)
		}
	}
	if len(missing) == 0 {
		return
	}
	out.line("Define again, as before, so that the runs go on:")
	for _, s := range missing[:min(shown, len(missing))] {
		out.line("  scenario %q of tenant %d, namespace %d, spec hash sha256:%s", s.ID, s.Tenant, s.Namespace, s.SpecHash)
	}
	if more := len(missing) - shown; more > 0 {
		out.line("  and %d more", more)
	}
}

// itemLine is a line on the terminal that says how many items are done.
type itemLine struct {
	std   streams
	doing string
	shown time.Time
	ever  bool
}

func newItemLine(std streams, doing string) *itemLine {
	if !isTerminal(std.err) {
		return &itemLine{}
	}
	return &itemLine{std: std, doing: doing, shown: time.Now()}
}

func (l *itemLine) show(done, all int) {
	if l.std.err == nil || time.Since(l.shown) < progressInterval {
		return
	}
	l.shown, l.ever = time.Now(), true
	fmt.Fprintf(l.std.err, "\r\x1b[K%s %d of %d", l.doing, done, all)
}

func (l *itemLine) end() {
	if l.ever {
		fmt.Fprint(l.std.err, "\r\x1b[K")
	}
}
