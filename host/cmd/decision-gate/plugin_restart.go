package main

import (
	"context"
)

type pluginRestartCommand struct {
	controlFlags
	Plugin string `arg:"" help:"The plugin, as KIND/NAME or by its name."`
}

func (c *pluginRestartCommand) Help() string {
	return help("Has a running host start a new process of a plugin, let it take the place of the old one once it is ready, and end the old one after the calls that it has. No call fails. When the new process is no good the old one goes on, and the answer is no.",
		"decision-gate plugin restart store/sqlite")
}

func (c *pluginRestartCommand) Run(ctx context.Context, std streams) error {
	client, err := c.host(std)
	if err != nil {
		return err
	}
	plugin, err := named(ctx, client, c.Plugin)
	if err != nil {
		return err
	}
	swapped, err := client.Restart(ctx, plugin.Kind, plugin.Name)
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
