package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/kits"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
)

type pluginTestCommand struct {
	Kind          string   `help:"Kind that the plugin must be of (that of its manifest)."`
	Config        string   `help:"Settings of the plugin: a JSON object, or a file with one. {dir} in it is a new folder for each check, {name} a new name." placeholder:"JSON|FILE"`
	Match         string   `help:"Only checks whose names match." placeholder:"REGEXP" name:"run"`
	Time          moment   `help:"Time at which the examples of evidence are true: RFC 3339, milliseconds since 1970, or logical:N (1970)." placeholder:"TIME"`
	Tokens        string   `help:"Tokens that an auth plugin is tested with: a JSON file." placeholder:"FILE"`
	SingleProcess bool     `help:"The store is for one process at a time, and must refuse a second."`
	Remote        bool     `help:"The data is on another machine: do not look for syncs of this one."`
	Short         bool     `help:"Repeat less."`
	JSON          bool     `help:"Answer with one JSON object."`
	JUnit         string   `help:"Write a report for continuous integration into a file." placeholder:"FILE" name:"junit"`
	HTML          string   `help:"Write a report as a page into a file." placeholder:"FILE" name:"html"`
	Command       []string `arg:"" passthrough:"" help:"The plugin, and its arguments."`
}

func (c *pluginTestCommand) Help() string {
	return help("Runs the conformance kit of a plugin's kind against a plugin in any language. It is started as a host starts it, for each check anew, with an empty environment; stores and sinks are also killed, traced and opened twice. "+
		"The options come before the plugin's command. Nothing is skipped: what cannot be checked on this machine is an error.",
		`decision-gate plugin test --config '{"path": "{dir}/gate.db"}' ./store-sqlite`)
}

func (c *pluginTestCommand) Run(ctx context.Context, std streams) error {
	options, err := c.options(std)
	if err != nil {
		return err
	}
	shown := &kitScreen{out: newScreen(std.out), progress: newProgress(std), quiet: c.JSON}
	report, err := kits.Run(ctx, options, shown)
	shown.progress.end()
	if report != nil {
		// What was found before an interrupt is worth a report too.
		err = errors.Join(err, writeReport(c.JUnit, report, kits.WriteJUnit), writeReport(c.HTML, report, kits.WriteHTML))
	}
	if err != nil {
		return errors.New(printable(err.Error()))
	}
	if c.JSON {
		err = writeJSON(std.out, struct {
			OK bool `json:"ok"`
			*kits.Report
		}{report.OK(), report})
	} else {
		err = shown.end(report)
	}
	if err == nil && !report.OK() {
		return no()
	}
	return err
}

func (c *pluginTestCommand) options(std streams) (kits.Options, error) {
	o := kits.Options{Command: c.Command, Kind: c.Kind, SingleProcess: c.SingleProcess, Remote: c.Remote, Short: c.Short, Config: []byte(c.Config)}
	if c.Match != "" {
		match, err := regexp.Compile(c.Match)
		if err != nil {
			return o, &exitError{exitUsage, fmt.Errorf("--run: %w", err)}
		}
		o.Match = match
	}
	if t := c.Time.given; t != nil {
		o.Time = evidence.Time{Logical: t.Kind == gate.Logical, UnixMillis: t.Millis, Tick: t.Tick}
	}
	if c.Tokens != "" {
		content, err := readFile(c.Tokens, std, maxInput)
		if err != nil {
			return o, err
		}
		o.Tokens = content
	}
	if text := strings.TrimSpace(c.Config); text != "" && !strings.HasPrefix(text, "{") {
		content, err := readFile(c.Config, std, maxInput)
		if err != nil {
			return o, err
		}
		o.Config = content
	}
	return o, nil
}

func writeReport(path string, r *kits.Report, write func(io.Writer, *kits.Report) error) error {
	if path == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f, r), f.Close())
}

// kitScreen shows checks as they end.
type kitScreen struct {
	out      *screen
	progress *progress
	quiet    bool
	checks   int
}

func (s *kitScreen) Begin(r *kits.Report, checks int) {
	s.checks = checks
	if !s.quiet {
		s.out.line("%s %s, plugin of kind %s: %s", r.Plugin, r.Version, r.Kind, plural(checks, "check"))
	}
}

func (s *kitScreen) Check(name string, number int) {
	if s.progress != nil {
		s.progress.show(func() string { return fmt.Sprintf("%d of %d  %s", number, s.checks, name) })
	}
}

func (s *kitScreen) Done(c kits.Check) {
	s.progress.end()
	if s.quiet {
		return
	}
	if c.Passed {
		s.out.marked(green, "PASS", "  %-28s  %6.2f s", c.Name, c.Seconds)
		return
	}
	s.out.marked(red, "FAIL", "  %-28s  %6.2f s", c.Name, c.Seconds)
	s.out.line("      It proves: %s.", c.Proves)
	for _, message := range c.Messages {
		for line := range strings.Lines(message) {
			s.out.line("      %s", strings.TrimRight(line, "\n"))
		}
	}
}

func (s *kitScreen) end(r *kits.Report) error {
	for _, what := range r.NotRun {
		s.out.line("Not looked at: %s.", what)
	}
	if r.OK() {
		s.out.line("Every check passes: %d in %.0f s.", r.Passed, r.Seconds)
	} else {
		s.out.line("%d of %s failed: %s %s does not keep what its kind promises.", r.Failed, plural(len(r.Checks), "check"), r.Plugin, r.Version)
	}
	return s.out.err
}
