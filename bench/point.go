package main

import (
	"errors"
	"slices"
	"time"
)

// warmUp is how long clients call before a point is measured.
const warmUp = time.Second

// point is one measurement of starts and decisions on new runs.
type point struct {
	Clients int     `json:"clients"`
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	// Milliseconds of a call.
	P50, P99, Max float64
	// CPU is microseconds a call, by process.
	CPU map[string]float64 `json:"cpu_us_per_call"`
	// PeakRSS is bytes, by process.
	PeakRSS map[string]int64 `json:"peak_rss_bytes"`
	// Stored is the size of the database when the host has ended, in bytes a call.
	Stored float64 `json:"stored_bytes_per_call"`
	// Store is what the store plugin was asked for a call: requests after joining, and what they held. Starts are half of
	// the calls and read nothing; a decision reads two keys.
	Store storeWork `json:"store_per_call"`
	// Batch is the mean number of commits in a transaction.
	Batch float64 `json:"commits_per_transaction"`
}

// storeWork is what the store plugin says at its end that it has done: Gets and Requests are calls of Get and Commit.
type storeWork struct {
	Gets, Keys, Scans, Requests, Commits, Transactions float64
}

// per turns sums into numbers a call.
func (w *storeWork) per(calls float64) {
	for _, n := range []*float64{&w.Gets, &w.Keys, &w.Scans, &w.Requests, &w.Commits, &w.Transactions} {
		*n /= calls
	}
}

func (p point) rate() float64 { return float64(p.Calls) / p.Seconds }

// measurePoint has clients start runs and decide on each once. It answers a sample of what was stored beside the numbers.
func measurePoint(o options, clients int) (p point, s sample, err error) {
	h, err := startHost(o.bin, sqliteStore, 1)
	if err != nil {
		return p, s, err
	}
	defer func() { err = errors.Join(err, h.remove()) }()
	p, all, err := drivePoint(o, h, clients)
	if err = errors.Join(err, h.end()); err != nil {
		return p, s, err
	}
	if err := h.logged("store closed", &p.Store); err != nil {
		return p, s, err
	}
	p.Batch = p.Store.Commits / p.Store.Transactions
	p.Store.per(float64(all))
	s, err = takeSample(h.path("gate.db"))
	p.Stored = float64(s.fileSize) / float64(all)
	return p, s, err
}

// drivePoint makes the calls of a point; all counts those of the warming up too.
func drivePoint(o options, h *runningHost, n int) (p point, all int, err error) {
	c, err := connect(h.url, n)
	if err != nil {
		return p, 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.call(define(1)); err != nil {
		return p, 0, err
	}
	warm, err := c.forTime(n, warmUp)
	if err != nil {
		return p, 0, err
	}
	before, err := h.cpu()
	if err != nil {
		return p, 0, err
	}
	began := time.Now()
	took, err := c.forTime(n, o.seconds)
	if err != nil {
		return p, 0, err
	}
	p = point{Clients: n, Calls: len(took), Seconds: time.Since(began).Seconds(), CPU: map[string]float64{}}
	after, err := h.cpu()
	if err != nil {
		return p, 0, err
	}
	for name := range after {
		p.CPU[name] = float64((after[name] - before[name]).Microseconds()) / float64(p.Calls)
	}
	p.P50, p.P99, p.Max = milliseconds(took, 0.5), milliseconds(took, 0.99), milliseconds(took, 1)
	p.PeakRSS, err = h.peakRSS()
	return p, len(warm) + len(took), err
}

// forTime starts runs and decides on each once, as long as told.
func (c *clients) forTime(n int, d time.Duration) ([]time.Duration, error) {
	deadline := time.Now().Add(d)
	started := make([]string, n)
	return c.together(n, func(i int) (request, bool) {
		if run := started[i]; run != "" {
			started[i] = ""
			return next(1, run, randomID()), true
		}
		started[i] = randomID()
		return start(1, started[i]), time.Now().Before(deadline)
	})
}

// milliseconds is a quantile of sorted durations.
func milliseconds(sorted []time.Duration, quantile float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(quantile*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[i].Microseconds()) / 1000
}

// median of numbers; 0 of none.
func median(numbers []float64) float64 {
	if len(numbers) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(numbers))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
