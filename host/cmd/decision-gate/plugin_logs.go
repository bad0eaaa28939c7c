package main

import (
	"context"
)

type pluginLogsCommand struct {
	controlFlags
	Plugin string `arg:"" help:"The plugin, as KIND/NAME or by its name."`
}

func (c *pluginLogsCommand) Help() string {
	return help("Writes the last lines that a plugin's process has written. The log of the host has all of them that are at its level.",
		"decision-gate plugin logs store/sqlite")
}

func (c *pluginLogsCommand) Run(ctx context.Context, std streams) error {
	client, err := c.host(std)
	if err != nil {
		return err
	}
	plugin, err := named(ctx, client, c.Plugin)
	if err != nil {
		return err
	}
	if c.JSON {
		return writeJSON(std.out, struct {
			Log []string `json:"log"`
		}{plugin.Log})
	}
	out := newScreen(std.out)
	for _, line := range plugin.Log {
		out.line("%s", line)
	}
	return out.err
}
