package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// printDurable shows medians, ratios of pairs of one round.
func (r *results) printDurable(o options) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer out.Flush()
	fmt.Fprintf(out, "\nPostgreSQL: decisions of 4 conditions beside pgbench; medians of %d rounds of %s, the ratio to pgbench is that of pairs of one round\n", o.rounds, o.seconds)
	fmt.Fprintln(out, "tenants\tclients\twhat\tper s\tratio\tp50 ms\tp99 ms\tmax ms\tCPU host us\tCPU store us\tCPU postgres us\tCPU pgbench us\tWAL B\tstored B\tcommits/txn\t")
	for _, tenants := range o.tenants {
		for _, clients := range o.clients {
			for _, what := range []string{byPgbench, byDecisions, byRuns} {
				r.printDurableLine(out, tenants, clients, what)
			}
		}
	}
	r.printGrowth(out)
}

// printGrowth shows what a run takes and costs as it grows.
func (r *results) printGrowth(out *tabwriter.Writer) {
	fmt.Fprintln(out, "\nPostgreSQL: bytes of a run after VACUUM, with triggers, commit ids and all indexes, to those of its step records")
	fmt.Fprintln(out, "length\tstep records B\tall B\tratio\tB/step\tadded B/step\t")
	var last grownRun
	for _, g := range r.Grown {
		fmt.Fprintf(out, "%d\t%d\t%d\t%.2f\t%.0f\t%.0f\t\n", g.Length, g.Steps, g.Tables, float64(g.Tables)/float64(g.Steps),
			float64(g.Tables)/float64(g.Length), float64(g.Tables-last.Tables)/float64(g.Length-last.Length))
		last = g
	}
	fmt.Fprintf(out, "\nPostgreSQL: next on one run by its length, 1 client; CPU of host, plugin and server, its ratio the median of pairs\n")
	fmt.Fprintln(out, "length\tCPU us\tratio\tgets\tkeys\tscans\tcommits\trows read\tinserted\tupdated\t")
	for _, c := range r.Costs {
		ratios := make([]float64, len(c.CPU))
		for i := range ratios {
			ratios[i] = c.CPU[i] / r.Costs[0].CPU[i]
		}
		fmt.Fprintf(out, "%d\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n", c.Length, median(c.CPU), median(ratios),
			c.Store.Gets, c.Store.Keys, c.Store.Scans, c.Store.Commits, c.Rows.Fetched, c.Rows.Inserted, c.Rows.Updated)
	}
}

func (r *results) printDurableLine(out *tabwriter.Writer, tenants, clients int, what string) {
	yard := map[int]durablePoint{}
	for _, p := range r.Durable {
		if p.What == byPgbench && p.Tenants == tenants && p.Clients == clients {
			yard[p.Round] = p
		}
	}
	measured := false
	of := func(value func(p durablePoint) float64) float64 {
		var values []float64
		for _, p := range r.Durable {
			if p.What == what && p.Tenants == tenants && p.Clients == clients {
				values, measured = append(values, value(p)), true
			}
		}
		return median(values)
	}
	cpu := func(name string) float64 { return of(func(p durablePoint) float64 { return p.CPU[name] }) }
	rate := of(durablePoint.rate)
	if !measured {
		return
	}
	fmt.Fprintf(out, "%d\t%d\t%s\t%.0f\t%.2f\t%.2f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t\n", tenants, clients, what, rate,
		of(func(p durablePoint) float64 { return p.rate() / yard[p.Round].rate() }),
		of(func(p durablePoint) float64 { return p.P50 }), of(func(p durablePoint) float64 { return p.P99 }), of(func(p durablePoint) float64 { return p.Max }),
		cpu("host"), cpu("store"), cpu("postgres"), cpu(byPgbench),
		of(func(p durablePoint) float64 { return p.WAL }), of(func(p durablePoint) float64 { return p.Stored }), of(func(p durablePoint) float64 { return p.Batch }))
}
