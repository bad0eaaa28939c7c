package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/control"
)

// controlFlags say which host is asked.
type controlFlags struct {
	configFlag
	Socket string `placeholder:"PATH" help:"The host's control socket; that of the configuration when absent."`
	JSON   bool   `help:"Answer with JSON."`
}

// host is a client of the host.
func (f *controlFlags) host(std streams) (*control.Client, error) {
	if f.Socket != "" {
		return control.Dial(f.Socket), nil
	}
	settings, err := f.load(config.LoadUnlocked)
	if err != nil {
		return nil, tellFindings(err, std, f.JSON)
	}
	if settings.Server.Control == nil {
		return nil, fmt.Errorf(`%s has no control socket: add control { socket = "decision-gate.sock" } to its server block and restart the host, or name one with --socket`, f.Config)
	}
	return control.Dial(settings.Server.Control.Socket), nil
}

// details are those of every plugin, or of the one that is named: KIND/NAME, or a name alone that only one has.
func (f *controlFlags) details(ctx context.Context, std streams, name string) ([]host.PluginDetail, error) {
	client, err := f.host(std)
	if err != nil {
		return nil, err
	}
	all, err := client.Details(ctx)
	if err != nil || name == "" {
		return all, err
	}
	var named []host.PluginDetail
	var names []string
	for _, d := range all {
		names = append(names, d.Kind+"/"+d.Name)
		if name == d.Name || name == d.Kind+"/"+d.Name {
			named = append(named, d)
		}
	}
	switch len(named) {
	case 1:
		return named, nil
	case 0:
		return nil, refused("The host has no plugin %s. It has %s.", printable(name), strings.Join(names, ", "))
	default:
		return nil, refused("More than one plugin is called %s: name it as KIND/NAME, one of %s.", printable(name), strings.Join(names, ", "))
	}
}

type pluginListCommand struct{ controlFlags }

func (c *pluginListCommand) Help() string {
	return help("Asks a running host, on its control socket, for its plugins: state, restarts, calls, errors, how long calls took at most (half, and 99 of 100 of them), and memory. The answer is no (1) when one is not ready.",
		"decision-gate plugin list --config decision-gate.hcl")
}

func (c *pluginListCommand) Run(ctx context.Context, std streams) error {
	details, err := c.details(ctx, std, "")
	if err != nil {
		return err
	}
	if c.JSON {
		err = writeJSON(std.out, struct {
			Plugins []host.PluginDetail `json:"plugins"`
		}{details})
	} else {
		err = listPlugins(newScreen(std.out), details)
	}
	if err == nil && slices.ContainsFunc(details, func(d host.PluginDetail) bool { return d.State != "ready" }) {
		return no()
	}
	return err
}

var stateStyles = map[string]style{"ready": green, "starting": yellow, "degraded": red, "stopped": red}

func listPlugins(out *screen, details []host.PluginDetail) error {
	width := len("PLUGIN")
	for _, d := range details {
		width = max(width, len(d.Kind)+1+len(d.Name))
	}
	out.line("STATE     %-*s  %-16s %8s %10s %8s %8s %8s %9s", width, "PLUGIN", "VERSION", "RESTARTS", "CALLS", "ERRORS", "P50 ms", "P99 ms", "RSS MiB")
	for _, d := range details {
		var calls, errs uint64
		var busiest host.PluginCalls // whose times are shown
		for _, m := range d.Calls {
			if m.Method == "Health" || m.Method == "Manifest" {
				continue
			}
			calls += m.Calls
			errs += failures(m)
			if m.Calls > busiest.Calls {
				busiest = m
			}
		}
		out.marked(stateStyles[string(d.State)], fmt.Sprintf("%-9s", d.State), " %-*s  %-16s %8d %10d %8d %8.2g %8.2g %9.1f",
			width, d.Kind+"/"+d.Name, d.Version, d.Restarts, calls, errs, busiest.P50, busiest.P99, float64(d.ResidentBytes)/(1<<20))
		if d.Reason != "" {
			out.line("          %s", d.Reason)
		}
	}
	return out.err
}

// failures is how many calls of a method failed.
func failures(m host.PluginCalls) (n uint64) {
	for _, of := range m.Errors {
		n += of
	}
	return n
}

type pluginShowCommand struct {
	controlFlags
	Plugin string `arg:"" help:"The plugin, as KIND/NAME or by its name."`
}

func (c *pluginShowCommand) Help() string {
	return help("Asks a running host for everything that it knows of one plugin: each method with its calls, errors and times, and how the process before this one ended.",
		"decision-gate plugin show store/sqlite")
}

func (c *pluginShowCommand) Run(ctx context.Context, std streams) error {
	details, err := c.details(ctx, std, c.Plugin)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(std.out, details[0])
	}
	return showPlugin(newScreen(std.out), &details[0])
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

type pluginLogsCommand struct {
	controlFlags
	Plugin string `arg:"" help:"The plugin, as KIND/NAME or by its name."`
}

func (c *pluginLogsCommand) Help() string {
	return help("Writes the last lines that a plugin's process has written. The log of the host has all of them that are at its level.",
		"decision-gate plugin logs store/sqlite")
}

func (c *pluginLogsCommand) Run(ctx context.Context, std streams) error {
	details, err := c.details(ctx, std, c.Plugin)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(std.out, struct {
			Log []string `json:"log"`
		}{details[0].Log})
	}
	out := newScreen(std.out)
	for _, line := range details[0].Log {
		out.line("%s", line)
	}
	return out.err
}

type pluginRestartCommand struct {
	controlFlags
	Plugin string `arg:"" help:"The plugin, as KIND/NAME or by its name."`
}

func (c *pluginRestartCommand) Help() string {
	return help("Has a running host start a new process of a plugin, let it take the place of the old one once it is ready, and end the old one after the calls that it has. No call fails. When the new process is no good the old one goes on, and the answer is no.",
		"decision-gate plugin restart store/sqlite")
}

func (c *pluginRestartCommand) Run(ctx context.Context, std streams) error {
	details, err := c.details(ctx, std, c.Plugin)
	if err != nil {
		return err
	}
	client, err := c.host(std)
	if err != nil {
		return err
	}
	swapped, err := client.Restart(ctx, details[0].Kind, details[0].Name)
	if err != nil {
		return declined(err)
	}
	if c.JSON {
		return writeJSON(std.out, swapped)
	}
	out := newScreen(std.out)
	out.line("%s/%s runs as process %d now.", swapped.Kind, swapped.Name, swapped.PID)
	return out.err
}

// declined makes an answer of the host an answer of the command.
func declined(err error) error {
	if errors.Is(err, control.ErrRefused) {
		return &exitError{code: exitNo, err: err}
	}
	return err
}

type reloadCommand struct{ controlFlags }

func (c *reloadCommand) Help() string {
	return help("Has a running host read its configuration anew, as SIGHUP does: new processes take the place of the plugins whose block, settings, pin or program has changed, once all of them are ready, and no call fails. When anything is wrong the plugins that run go on, and the answer is no. What has changed of other blocks is named, and waits for a restart.",
		"decision-gate reload --config decision-gate.hcl")
}

func (c *reloadCommand) Run(ctx context.Context, std streams) error {
	client, err := c.host(std)
	if err != nil {
		return err
	}
	reloaded, err := client.Reload(ctx)
	if err != nil {
		return declined(err)
	}
	if c.JSON {
		return writeJSON(std.out, reloaded)
	}
	out := newScreen(std.out)
	for _, p := range reloaded.Plugins {
		word := "same"
		if p.Changed {
			word = "changed"
		}
		out.line("%-7s  %s/%s: %s, process %d", word, p.Kind, p.Name, p.Version, p.PID)
	}
	if len(reloaded.Restart) > 0 {
		out.line("Restart the host for what has changed in: %s.", strings.Join(reloaded.Restart, ", "))
	}
	return out.err
}
