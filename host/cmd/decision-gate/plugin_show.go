package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
)

type pluginShowCommand struct {
	controlFlags
	Plugin string `arg:"" help:"The plugin, as KIND/NAME or by its name."`
}

func (c *pluginShowCommand) Help() string {
	return help("Asks a running host for everything that it knows of one plugin: each method with its calls, errors and times, and how the process before this one ended.",
		"decision-gate plugin show store/sqlite")
}

func (c *pluginShowCommand) Run(ctx context.Context, std streams) error {
	client, err := c.host(std)
	if err != nil {
		return err
	}
	plugin, err := named(ctx, client, c.Plugin)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(std.out, plugin)
	}
	return showPlugin(newScreen(std.out), plugin)
}

func showPlugin(out *screen, d *host.PluginDetail) error {
	out.line("%s/%s: %s %s", d.Kind, d.Name, d.Plugin, d.Version)
	out.marked(stateStyles[string(d.State)], string(d.State), "%s", because(d.Reason))
	if d.PID != 0 {
		out.line("process %d, since %s, %.1f MiB; %s before it", d.PID, d.Began.Format(time.RFC3339), float64(d.ResidentBytes)/(1<<20), plural(d.Restarts, "lost process"))
	}
	out.line("%s", trustOf(d))
	for _, missing := range d.NotEnforced {
		out.line("  not enforced on this machine: %s", missing)
	}
	if len(d.Calls) > 0 {
		out.line("%-12s %10s %8s %8s %8s", "METHOD", "CALLS", "ERRORS", "P50 ms", "P99 ms")
	}
	for _, m := range d.Calls {
		var reasons []string
		for reason, n := range m.Errors {
			reasons = append(reasons, fmt.Sprintf("%d %s", n, reason))
		}
		slices.Sort(reasons)
		out.line("%-12s %10d %8d %8.2g %8.2g  %s", m.Method, m.Calls, failures(m), m.P50, m.P99, strings.Join(reasons, ", "))
	}
	if d.LastEnd != nil {
		out.line("The process before it was lost at %s: %s", d.LastEnd.At.Format(time.RFC3339), d.LastEnd.Reason)
		for _, line := range d.LastEnd.Log {
			out.line("  %s", line)
		}
	}
	return out.err
}

// trustOf says in a line what keeps a plugin from being another program, or from doing what it should not.
func trustOf(d *host.PluginDetail) string {
	words := []string{"not pinned", "not signed", "no sandbox"}
	if d.Pinned {
		words[0] = "pinned"
	}
	if d.SignedBy != "" {
		words[1] = fmt.Sprintf("signed by %q (%s)", d.SignedBy, d.Comment)
	}
	if d.Sandboxed {
		words[2] = "in a sandbox"
	}
	return strings.Join(words, ", ")
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
