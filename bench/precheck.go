package main

import (
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"
)

// surfaces are where the same tool is called.
var surfaces = []string{"/rpc", "/mcp"}

// precheckPoint is one measurement of precheck, which keeps nothing.
type precheckPoint struct {
	Clients int     `json:"clients"`
	Surface string  `json:"surface"`
	Round   int     `json:"round"`
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	// Milliseconds of a call.
	P50, P99 float64
	// CPU is microseconds a call, of host and store together.
	CPU float64 `json:"cpu_us_per_call"`
}

// measurePrecheck asks on one host at the surfaces in turn, so that drift of the machine meets both.
func measurePrecheck(o options, r *results) (err error) {
	h, err := startHost(o.bin, sqliteStore, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end(), h.remove()) }()
	clients := o.clients[len(o.clients)/2] // 8, unless a flag says otherwise
	c, err := connect(h.url, clients)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for _, r := range []request{defineChecks(), registerShape()} {
		if err := c.call(r); err != nil {
			return err
		}
	}
	for _, surface := range surfaces {
		if _, err := c.asking(surface, warmUp); err != nil {
			return err
		}
	}
	for round := range max(o.rounds, 3) {
		for _, surface := range surfaces {
			fmt.Fprintf(os.Stderr, "round %d: precheck at %s\n", round+1, surface)
			p, err := c.measureAsking(h, surface, o.seconds)
			if err != nil {
				return err
			}
			p.Round = round
			r.Prechecks = append(r.Prechecks, p)
		}
	}
	return nil
}

func (c *clients) measureAsking(h *runningHost, surface string, d time.Duration) (p precheckPoint, err error) {
	before, err := h.cpu()
	if err != nil {
		return p, err
	}
	began := time.Now()
	took, err := c.asking(surface, d)
	if err != nil {
		return p, err
	}
	p = precheckPoint{Clients: len(c.connections), Surface: surface, Calls: len(took), Seconds: time.Since(began).Seconds()}
	after, err := h.cpu()
	for name := range after {
		p.CPU += float64((after[name] - before[name]).Microseconds()) / float64(p.Calls)
	}
	p.P50, p.P99 = milliseconds(took, 0.5), milliseconds(took, 0.99)
	return p, err
}

// asking has all clients ask as long as told.
func (c *clients) asking(surface string, d time.Duration) ([]time.Duration, error) {
	deadline := time.Now().Add(d)
	r := precheck(surface)
	return c.together(len(c.connections), func(int) (request, bool) { return r, time.Now().Before(deadline) })
}

func (r *results) printPrechecks(out *tabwriter.Writer) {
	fmt.Fprintf(out, "\nprecheck of 4 conditions; medians, the ratio is that of pairs of one round\n")
	fmt.Fprintln(out, "clients\tat\tcalls/s\tp50 ms\tp99 ms\tCPU us\tCPU ratio\t")
	first := map[int]precheckPoint{}
	for _, p := range r.Prechecks {
		if p.Surface == surfaces[0] {
			first[p.Round] = p
		}
	}
	for _, surface := range surfaces {
		of := func(value func(p precheckPoint) float64) float64 {
			var values []float64
			for _, p := range r.Prechecks {
				if p.Surface == surface {
					values = append(values, value(p))
				}
			}
			return median(values)
		}
		fmt.Fprintf(out, "%d\t%s\t%.0f\t%.2f\t%.1f\t%.0f\t%.2f\t\n", r.Prechecks[0].Clients, surface,
			of(func(p precheckPoint) float64 { return float64(p.Calls) / p.Seconds }),
			of(func(p precheckPoint) float64 { return p.P50 }), of(func(p precheckPoint) float64 { return p.P99 }),
			of(func(p precheckPoint) float64 { return p.CPU }),
			of(func(p precheckPoint) float64 { return p.CPU / first[p.Round].CPU }))
	}
}

const (
	checks = `{"scenario_id":"checks","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,"stages":[` +
		`{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"And":[{"Condition":"c1"},{"Condition":"c2"},{"Condition":"c3"},{"Not":{"Condition":"c4"}}]}}],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],` +
		`"conditions":[` +
		`{"condition_id":"c1","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]},` +
		`{"condition_id":"c2","query":{"provider_id":"time","check_id":"before","params":{"timestamp":9}},"comparator":"equals","expected":true,"policy_tags":[]},` +
		`{"condition_id":"c3","query":{"provider_id":"time","check_id":"now"},"comparator":"greater_than","expected":4,"policy_tags":[]},` +
		`{"condition_id":"c4","query":{"provider_id":"time","check_id":"now"},"comparator":"in_set","expected":[1,2],"policy_tags":[]}]}`
	shape = `{"tenant_id":1,"namespace_id":1,"schema_id":"checks","version":"1","created_at":{"kind":"logical","value":1},"schema":{"type":"object","properties":` +
		`{"c1":{"type":"boolean"},"c2":{"type":"boolean"},"c3":{"type":"integer"},"c4":{"type":"integer"}},"required":["c1","c2","c3","c4"],"additionalProperties":false}}`
)

func defineChecks() request {
	return request{tool: "scenario_define", arguments: `{"spec":` + checks + `}`}
}

func registerShape() request {
	return request{tool: "schemas_register", arguments: `{"record":` + shape + `}`}
}

func precheck(surface string) request {
	return request{surface: surface, tool: "precheck", arguments: `{"tenant_id":1,"namespace_id":1,"scenario_id":"checks",` +
		`"data_shape":{"schema_id":"checks","version":"1"},"payload":{"c1":true,"c2":true,"c3":5,"c4":3}}`}
}
