package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// lengthBlock is one measurement of decisions on one run from a length on, by so many clients at once.
type lengthBlock struct {
	Round   int `json:"round"`
	Clients int `json:"clients"`
	Length  int `json:"length"`
	Calls   int `json:"calls"`
	// Wall is the time of the block in milliseconds, CPU that of host and store plugin in microseconds a call.
	Wall          float64 `json:"wall_ms"`
	CPU           float64 `json:"cpu_us_per_call"`
	P50, P99      float64
	BytesWritten  float64 `json:"bytes_written_per_call"`
	PeakRSSofHost int64   `json:"peak_rss_host_bytes"`
}

const (
	// blockRuns runs get blockCalls decisions each in one block: more on the same run would change its length.
	blockRuns  = 6
	blockCalls = 50
	// prepareClients bring runs to their length.
	prepareClients = 32
)

// measureLengths decides on runs of each length in turn, on one host, so that whatever drifts meets all lengths alike. Runs are
// brought to their length before anything is measured.
func measureLengths(o options, r *results) (err error) {
	h, err := startHost(o.bin, sqliteStore, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end(), h.remove()) }()
	c, err := connect(h.url, max(prepareClients, slices.Max(o.clients)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.call(define(1)); err != nil {
		return err
	}
	runs := map[int][]string{}
	rounds := o.pairs + 1 // the first one warms up
	for _, length := range o.lengths {
		// Only the shortest ones change their length by being measured.
		n := blockRuns
		if length < 100*blockCalls {
			n = blockRuns * rounds * len(o.clients)
		}
		fmt.Fprintf(os.Stderr, "bringing %d runs to length %d\n", n, length)
		if runs[length], err = c.prepare(n, length); err != nil {
			return err
		}
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "lengths: round %d of %d\n", round, o.pairs)
		for _, clients := range o.clients {
			for _, length := range o.lengths {
				pool := runs[length]
				runs[length] = append(pool[blockRuns:], pool[:blockRuns]...)
				block, err := measureBlock(h, c, clients, length, pool[:blockRuns:blockRuns])
				if err != nil {
					return err
				}
				if block.Round = round; round > 0 {
					r.Lengths = append(r.Lengths, block)
				}
			}
		}
	}
	return nil
}

// prepare starts runs and decides on them until they are that long, less one: the first call measured makes the length.
func (c *clients) prepare(n, length int) ([]string, error) {
	runs := make([]string, n)
	for i := range runs {
		runs[i] = randomID()
	}
	left := runs
	type progress struct {
		run  string
		made int
	}
	at := make([]progress, prepareClients)
	_, err := c.together(min(n, prepareClients), func(i int) (request, bool) {
		if p := &at[i]; p.run != "" && p.made < length {
			p.made++
			return next(1, p.run, randomID()), true
		}
		if len(left) == 0 {
			return request{}, false
		}
		at[i] = progress{left[0], 1}
		left = left[1:]
		return start(1, at[i].run), true
	})
	return runs, err
}

func measureBlock(h *runningHost, c *clients, n, length int, runs []string) (b lengthBlock, err error) {
	b = lengthBlock{Clients: n, Length: length, Calls: len(runs) * blockCalls}
	cpuBefore, err := h.cpu()
	if err != nil {
		return b, err
	}
	writtenBefore, err := h.written()
	if err != nil {
		return b, err
	}
	began := time.Now()
	var all []time.Duration
	for _, run := range runs {
		left := blockCalls
		took, err := c.together(n, func(int) (request, bool) { left--; return next(1, run, randomID()), left >= 0 })
		if err != nil {
			return b, err
		}
		all = append(all, took...)
	}
	b.Wall = float64(time.Since(began).Microseconds()) / 1000
	cpuAfter, err := h.cpu()
	if err != nil {
		return b, err
	}
	for name := range cpuAfter {
		b.CPU += float64((cpuAfter[name] - cpuBefore[name]).Microseconds()) / float64(b.Calls)
	}
	writtenAfter, err := h.written()
	if err != nil {
		return b, err
	}
	b.BytesWritten = float64(writtenAfter-writtenBefore) / float64(b.Calls)
	slices.Sort(all)
	b.P50, b.P99 = milliseconds(all, 0.5), milliseconds(all, 0.99)
	peak, err := h.peakRSS()
	b.PeakRSSofHost = peak["host"]
	return b, err
}
