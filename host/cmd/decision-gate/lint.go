package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/lint"
)

type lintCommand struct {
	File   string `arg:"" placeholder:"FILE" help:"The scenario, as JSON; - is standard input."`
	Strict bool   `help:"Answer no for warnings too."`
	JSON   bool   `help:"Answer with one JSON object: findings with code, path, line and column."`
}

func (c *lintCommand) Help() string {
	return help("Says what a host would refuse (error), what it would accept although it does not do what it says (warning), and what depends on something else (note). "+
		"The answer is no when there is an error. A scenario that would be accepted has its hash shown, which runpacks name.",
		"decision-gate scenario lint --strict scenario.json")
}

func (c *lintCommand) Run(std streams) error {
	document, err := c.read(std)
	if err != nil {
		return err
	}
	providers, err := evidence.NewOffline()
	if err != nil {
		return err
	}
	report := lint.Check(document, providers)
	tell := c.tell
	if c.JSON {
		tell = func(std streams, report *lint.Report) error { return writeMembers(std.out, *report) }
	}
	if err := tell(std, report); err != nil {
		return err
	}
	if report.Errors > 0 || c.Strict && report.Warnings > 0 {
		return no()
	}
	return nil
}

// read reads the document, and no more of it than shows that it is too large.
func (c *lintCommand) read(std streams) ([]byte, error) {
	in := std.in
	if c.File != "-" {
		f, err := os.Open(c.File)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s", c.File)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, lint.MaxSize+1))
}

var severityStyles = map[lint.Severity]style{lint.Error: red, lint.Warning: yellow, lint.Note: cyan}

func (c *lintCommand) tell(std streams, report *lint.Report) error {
	out := newScreen(std.out)
	for _, f := range report.Findings {
		out.marked(severityStyles[f.Severity], string(f.Severity), " %s at %s:%d:%d: %s", f.Code, c.File, f.Line, f.Column, f.Message)
		if f.Path != "" {
			out.line("    in %s", clip(f.Path, maxPath))
		}
		out.line("    %s", f.Fix)
	}
	if report.Omitted > 0 {
		out.line("%s more.", plural(report.Omitted, "finding"))
	}
	switch {
	case report.SpecHash != nil:
		out.marked(green, "valid", ": scenario %s, spec hash %s:%s", *report.ScenarioID, report.SpecHash.Algorithm, report.SpecHash.Value)
	default:
		out.marked(red, "invalid", ": %s", plural(report.Errors, "error"))
	}
	return out.err
}

// maxPath is how many bytes of a path are shown: a tree of a hundred levels has a long one.
const maxPath = 200
