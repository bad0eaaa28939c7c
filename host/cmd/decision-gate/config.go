package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// configFlag names the configuration.
type configFlag struct {
	Config string `short:"c" default:"decision-gate.hcl" placeholder:"FILE" help:"The configuration (${default})."`
}

// load reads the configuration, with config.Load or config.LoadUnlocked.
func (f configFlag) load(read func(path string) (*config.Config, error)) (*config.Config, error) {
	settings, err := read(f.Config)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no configuration %s: name one with --config FILE", f.Config)
	}
	return settings, err
}

// tellFindings ends a command that came upon mistakes in a configuration: they are told on the error stream, or as JSON on
// the output, and the answer is no. Any other error is returned as it is.
func tellFindings(err error, std streams, asJSON bool) error {
	// Not errors.As: an error that holds others too must tell them all.
	findings, ok := err.(*config.Error)
	if !ok {
		return err
	}
	write := func() error { return findings.Write(std.err) }
	if asJSON {
		write = func() error {
			return writeJSON(std.out, struct {
				Valid    bool                `json:"valid"`
				Findings []config.Diagnostic `json:"findings"`
			}{false, findings.Diagnostics})
		}
	}
	if err := write(); err != nil {
		return err
	}
	return no()
}

type validateCommand struct {
	configFlag
	JSON bool `help:"Answer with one JSON object: findings have file, line and column."`
}

func (c *validateCommand) Help() string {
	return help("Reads the configuration and the lock file beside it, and looks for what the host would refuse at its start: folders, plugins' programs and their sums, settings. Nothing is started.",
		"decision-gate validate --config decision-gate.hcl")
}

func (c *validateCommand) Run(std streams) error {
	settings, err := c.load(config.Load)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	if err := host.Check(host.Config{Settings: settings}); err != nil {
		return tellFindings(err, std, c.JSON)
	}
	unknown := 0
	for _, p := range settings.Plugins {
		if settings.Lock.Find(p.Kind, p.Name) == nil {
			unknown++
		}
	}
	if c.JSON {
		return writeJSON(std.out, struct {
			Valid    bool                `json:"valid"`
			Findings []config.Diagnostic `json:"findings"`
			Plugins  int                 `json:"plugins"`
			Checked  int                 `json:"plugin_settings_checked"`
		}{true, []config.Diagnostic{}, len(settings.Plugins), len(settings.Plugins) - unknown})
	}
	out := newScreen(std.out)
	out.line("%s is valid: %s.", c.Config, plural(len(settings.Plugins), "plugin"))
	if unknown > 0 {
		out.line("The names of the settings of %s are checked at the start; \"decision-gate plugin pin\" lets this command check them.", plural(unknown, "plugin"))
	}
	return out.err
}
