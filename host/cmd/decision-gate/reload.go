package main

import (
	"context"
	"strings"
)

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
