package main

import (
	"fmt"
	"os"
	"text/tabwriter"
)

// print shows medians; the raw numbers are in the file.
func (r *results) print(o options) {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer out.Flush()
	fmt.Fprintf(out, "\nstart and next on new runs, 4 conditions; medians of %d rounds of %s\n", o.rounds, o.seconds)
	fmt.Fprintln(out, "clients\tcalls/s\tp50 ms\tp99 ms\tmax ms\tCPU host us\tCPU store us\tRSS host MiB\tRSS store MiB\tstored B/call\tkeys/call\tcommits/call\tRPCs/call\tcommits/txn\tbare loop/s\tof it\t")
	for _, clients := range o.clients {
		of := func(value func(i int) float64) float64 {
			var values []float64
			for i, p := range r.Rounds {
				if p.Clients == clients {
					values = append(values, value(i))
				}
			}
			return median(values)
		}
		p := func(f func(p point) float64) float64 { return of(func(i int) float64 { return f(r.Rounds[i]) }) }
		fmt.Fprintf(out, "%d\t%.0f\t%.2f\t%.1f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%.0f\t%.2f\t\n", clients,
			p(point.rate), p(func(p point) float64 { return p.P50 }), p(func(p point) float64 { return p.P99 }), p(func(p point) float64 { return p.Max }),
			p(func(p point) float64 { return p.CPU["host"] }), p(func(p point) float64 { return p.CPU["store"] }),
			p(func(p point) float64 { return float64(p.PeakRSS["host"]) / (1 << 20) }), p(func(p point) float64 { return float64(p.PeakRSS["store"]) / (1 << 20) }),
			p(func(p point) float64 { return p.Stored }),
			p(func(p point) float64 { return p.Store.Keys }), p(func(p point) float64 { return p.Store.Commits }),
			p(func(p point) float64 { return p.Store.Gets + p.Store.Requests }), p(func(p point) float64 { return p.Batch }),
			of(func(i int) float64 { return r.Bare[i].rate() }), of(func(i int) float64 { return r.Rounds[i].rate() / r.Bare[i].rate() }))
	}
	fmt.Fprintf(out, "\nnext on one run by its length, 4 conditions; medians of %d rounds, ratios are medians of pairs of one round\n", o.pairs)
	fmt.Fprintln(out, "clients\tlength\tcalls/s\tp50 ms\tp99 ms\tCPU us\twritten B/call\twall ratio\tCPU ratio\twritten ratio\t")
	for _, clients := range o.clients {
		for _, length := range o.lengths {
			r.printLength(out, clients, length, o.lengths[0])
		}
	}
	r.printPrechecks(out)
}

func (r *results) printLength(out *tabwriter.Writer, clients, length, shortest int) {
	first := map[int]lengthBlock{}
	for _, b := range r.Lengths {
		if b.Clients == clients && b.Length == shortest {
			first[b.Round] = b
		}
	}
	of := func(value func(b, first lengthBlock) float64) float64 {
		var values []float64
		for _, b := range r.Lengths {
			if b.Clients == clients && b.Length == length {
				values = append(values, value(b, first[b.Round]))
			}
		}
		return median(values)
	}
	fmt.Fprintf(out, "%d\t%d\t%.0f\t%.2f\t%.1f\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", clients, length,
		of(func(b, _ lengthBlock) float64 { return float64(b.Calls) / b.Wall * 1000 }),
		of(func(b, _ lengthBlock) float64 { return b.P50 }), of(func(b, _ lengthBlock) float64 { return b.P99 }),
		of(func(b, _ lengthBlock) float64 { return b.CPU }), of(func(b, _ lengthBlock) float64 { return b.BytesWritten }),
		of(func(b, first lengthBlock) float64 { return b.Wall / first.Wall }),
		of(func(b, first lengthBlock) float64 { return b.CPU / first.CPU }),
		of(func(b, first lengthBlock) float64 { return b.BytesWritten / first.BytesWritten }))
}
