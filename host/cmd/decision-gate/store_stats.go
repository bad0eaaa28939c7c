package main

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

type storeStatsCommand struct {
	configFlag
	JSON bool `help:"Answer with one JSON object."`
}

func (c *storeStatsCommand) Help() string {
	return help("Says what takes the space of a store: records and bytes of each collection, tenant and namespace. "+storeHelp,
		"decision-gate store stats --config decision-gate.hcl")
}

func (c *storeStatsCommand) Run(ctx context.Context, std streams) error {
	return withStore(ctx, std, c.configFlag, c.JSON, func(s *upkeep.Store) error {
		stats, err := upkeep.Measure(ctx, s)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(std.out, stats)
		}
		out := newScreen(std.out)
		for _, scope := range stats.Scopes {
			out.line("%-20s %20d %20d %10d %14d", scope.Collection, scope.Tenant, scope.Namespace, scope.Records, scope.Bytes)
		}
		return out.err
	})
}
