package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

// boundaryPoint is decisions on runs that were started before, with the store as a plugin and linked into the host.
type boundaryPoint struct {
	Clients int `json:"clients"`
	Round   int `json:"round"`
	// Calls a second and milliseconds of a call (the median), with the plugin and with the linked store.
	PluginRate, LinkedRate float64
	PluginP50, LinkedP50   float64
	// Echo is milliseconds of a round trip to a plugin that does nothing (the median), by one caller.
	Echo float64
}

// roundTrips is how many calls of the store a decision makes: one Get and one Commit.
const roundTrips = 2

// measureBoundary takes both forms in turn, with few and with many clients, so that drift of the machine meets both.
func measureBoundary(o options, r *results) error {
	for round := range o.rounds {
		for _, clients := range []int{o.clients[0], o.clients[len(o.clients)-1]} {
			fmt.Fprintf(os.Stderr, "round %d of %d: boundary, %d clients\n", round+1, o.rounds, clients)
			p := boundaryPoint{Clients: clients, Round: round}
			var err error
			if p.PluginRate, p.PluginP50, err = decideOn(o, "decision-gate", clients); err != nil {
				return fmt.Errorf("boundary: %w", err)
			}
			if p.LinkedRate, p.LinkedP50, err = decideOn(o, "linkedhost", clients); err != nil {
				return fmt.Errorf("boundary, linked: %w", err)
			}
			if p.Echo, err = echo(o); err != nil {
				return fmt.Errorf("boundary, echo: %w", err)
			}
			r.Boundary = append(r.Boundary, p)
		}
	}
	return nil
}

// decideOn measures one form.
func decideOn(o options, program string, clients int) (rate, p50 float64, err error) {
	h, err := startProgram(o.bin, program, sqliteStore, 1)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, h.end(), h.remove()) }()
	c, err := connect(h.url, clients)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	if err := c.call(define(1)); err != nil {
		return 0, 0, err
	}
	pool, err := c.startPool(clients, 1)
	if err != nil {
		return 0, 0, err
	}
	if _, err := c.deciding(pool, warmUp); err != nil {
		return 0, 0, err
	}
	began := time.Now()
	took, err := c.deciding(pool, o.seconds)
	return float64(len(took)) / time.Since(began).Seconds(), milliseconds(took, 0.5), err
}

// echoes is how many round trips are measured.
const echoes = 2000

// echo asks a plugin process for what needs no work.
func echo(o options) (p50 float64, err error) {
	path, err := filepath.Abs(filepath.Join(o.bin, "store-sqlite"))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	process, err := launch.Start(ctx, launch.Spec{Name: "echo", Path: path})
	if err != nil {
		return 0, err
	}
	defer process.Kill(time.Second)
	client := grpc_health_v1.NewHealthClient(process.Conn())
	took := make([]time.Duration, 0, echoes)
	for range echoes {
		began := time.Now()
		if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: handshake.HealthService}); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return milliseconds(took, 0.5), nil
}

func (r *results) printBoundary(o options) {
	if len(r.Boundary) == 0 {
		return
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer out.Flush()
	fmt.Fprintf(out, "\nnext with the store as a plugin, and linked into the host; medians of %d rounds, ratios are medians of pairs\n", o.rounds)
	fmt.Fprintln(out, "clients\tplugin/s\tlinked/s\tof it\tplugin p50 ms\tlinked p50 ms\tadded ms\techo ms\tadded, in echoes\t")
	seen := map[int]bool{}
	for _, first := range r.Boundary {
		if seen[first.Clients] {
			continue
		}
		seen[first.Clients] = true
		of := func(value func(p boundaryPoint) float64) float64 {
			var values []float64
			for _, p := range r.Boundary {
				if p.Clients == first.Clients {
					values = append(values, value(p))
				}
			}
			return median(values)
		}
		fmt.Fprintf(out, "%d\t%.0f\t%.0f\t%.2f\t%.3f\t%.3f\t%.3f\t%.3f\t%.2f of %d\t\n", first.Clients,
			of(func(p boundaryPoint) float64 { return p.PluginRate }), of(func(p boundaryPoint) float64 { return p.LinkedRate }),
			of(func(p boundaryPoint) float64 { return p.PluginRate / p.LinkedRate }),
			of(func(p boundaryPoint) float64 { return p.PluginP50 }), of(func(p boundaryPoint) float64 { return p.LinkedP50 }),
			of(func(p boundaryPoint) float64 { return p.PluginP50 - p.LinkedP50 }), of(func(p boundaryPoint) float64 { return p.Echo }),
			of(func(p boundaryPoint) float64 { return (p.PluginP50 - p.LinkedP50) / p.Echo }), roundTrips)
	}
}
