package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

type storeStatsCommand struct {
	configFlag
	Largest int  `default:"10" placeholder:"N" help:"How many of the largest scopes, records and runs are shown (${default})."`
	JSON    bool `help:"Answer with one JSON object, with every scope."`
}

func (c *storeStatsCommand) Help() string {
	return help("Says what takes the space of a store: records and bytes of each collection, tenant and namespace, and the largest records and runs. It reads everything. "+storeHelp,
		"decision-gate store stats --config decision-gate.hcl")
}

// maxLargest bounds the largest records and runs that are kept.
const maxLargest = 10_000

// Validate is called by the parser.
func (c *storeStatsCommand) Validate() error {
	if c.Largest < 0 || c.Largest > maxLargest {
		return fmt.Errorf("--largest is %d: want 0 to %d", c.Largest, maxLargest)
	}
	return nil
}

func (c *storeStatsCommand) Run(ctx context.Context, std streams) error {
	return withStore(ctx, std, c.configFlag, c.JSON, func(s *upkeep.Store) error {
		progress := newStoreProgress(std)
		stats, err := upkeep.Measure(ctx, s, c.Largest, progress.show)
		progress.end()
		if err != nil {
			return storeError(ctx, err)
		}
		if c.JSON {
			return writeJSON(std.out, stats)
		}
		return c.tell(std, stats)
	})
}

func (c *storeStatsCommand) tell(std streams, stats *upkeep.Stats) error {
	out := newScreen(std.out)
	out.marked(bold, "total", "  %s, %s", plural(stats.Records, "record"), byteSize(stats.Bytes))
	collections := map[string]*upkeep.Size{}
	var names []string
	for _, scope := range stats.Scopes {
		size := collections[scope.Collection]
		if size == nil {
			size = &upkeep.Size{}
			collections[scope.Collection] = size
			names = append(names, scope.Collection)
		}
		size.Records += scope.Records
		size.Bytes += scope.Bytes
	}
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(collections[b].Bytes, collections[a].Bytes) })
	table := barTable{total: stats.Bytes}
	for _, name := range names {
		table.add(name, collections[name].Bytes, plural(collections[name].Records, "record"))
	}
	table.tell(out, "By collection")

	scopes := slices.Clone(stats.Scopes)
	slices.SortStableFunc(scopes, func(a, b upkeep.ScopeStats) int { return cmp.Compare(b.Bytes, a.Bytes) })
	table = barTable{total: stats.Bytes}
	for _, scope := range scopes[:min(len(scopes), c.Largest)] {
		table.add(fmt.Sprintf("%s  tenant %d  namespace %d", scope.Collection, scope.Tenant, scope.Namespace), scope.Bytes, plural(scope.Records, "record"))
	}
	table.more = len(scopes) - len(table.rows)
	table.tell(out, "By tenant and namespace")

	table = barTable{total: stats.Bytes}
	for _, run := range stats.LargestRuns {
		table.add(fmt.Sprintf("%s  tenant %d  namespace %d", clip(run.Run, maxShownID), run.Tenant, run.Namespace), run.Bytes, plural(run.Records, "record"))
	}
	table.tell(out, "Largest runs")

	table = barTable{total: stats.Bytes}
	for _, record := range stats.LargestRecords {
		table.add(clip(record.Record, 2*maxShownID), record.Bytes, "")
	}
	table.tell(out, "Largest records")
	return out.err
}

// maxShownID is how many bytes of an id are shown in a table.
const maxShownID = 60

// barTable is rows with a bar each, whose length is the part that they are of the total.
type barTable struct {
	total uint64
	rows  []barRow
	more  int
}

type barRow struct {
	name, note string
	bytes      uint64
}

func (t *barTable) add(name string, bytes uint64, note string) {
	t.rows = append(t.rows, barRow{printable(name), note, bytes})
}

// barWidth is the length of a bar that is all of the total.
const barWidth = 20

func (t *barTable) tell(out *screen, title string) {
	if len(t.rows) == 0 {
		return
	}
	out.line("")
	out.marked(bold, title, "")
	width := 0
	for _, row := range t.rows {
		width = max(width, len([]rune(row.name)))
	}
	for _, row := range t.rows {
		length := 0
		if t.total > 0 {
			length = int((float64(row.bytes)/float64(t.total))*barWidth + 0.5)
		}
		bar := strings.Repeat("█", length) + strings.Repeat("·", barWidth-length)
		out.line("%s", strings.TrimRight(fmt.Sprintf("  %-*s  %s  %10s  %s", width, row.name, bar, byteSize(row.bytes), row.note), " "))
	}
	if t.more > 0 {
		out.line("  and %d more", t.more)
	}
}
