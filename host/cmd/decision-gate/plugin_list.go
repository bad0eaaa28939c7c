package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host"
)

type pluginListCommand struct{ controlFlags }

func (c *pluginListCommand) Help() string {
	return help("Asks a running host, on its control socket, for its plugins: state, restarts, calls, errors, how long calls took at most (half, and 99 of 100 of them), and memory. The answer is no (1) when one is not ready.",
		"decision-gate plugin list --config decision-gate.hcl")
}

func (c *pluginListCommand) Run(ctx context.Context, std streams) error {
	client, err := c.host(std)
	if err != nil {
		return err
	}
	details, err := client.Details(ctx)
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
