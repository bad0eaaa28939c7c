// Command bench measures the product as it runs: "decision-gate serve" and its plugins as processes of their own, driven
// over HTTP, every answered decision durable.
//
// In one run it measures starts and decisions on new runs, decisions on one run at growing lengths, and beside them a bare
// loop that writes the same bytes through the same SQLite driver with the same syncs. Machines differ and drift: compare
// numbers of one run, and ratios rather than numbers.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are what the flags set.
type options struct {
	bin     string
	rounds  int
	seconds time.Duration
	pairs   int
	clients []int
	lengths []int
	tenants []int
	growth  []int
	parts   string
	raw     string
}

// results are the raw numbers of a run.
type results struct {
	At      time.Time     `json:"at"`
	CPUs    int           `json:"cpus"`
	Go      string        `json:"go"`
	Rounds  []point       `json:"start_and_next"`
	Bare    []barePoint   `json:"bare_loop"`
	Lengths []lengthBlock `json:"next_by_length"`

	Prechecks []precheckPoint `json:"precheck"`
	Boundary  []boundaryPoint `json:"boundary"`

	Durable []durablePoint `json:"postgres"`
	Grown   []grownRun     `json:"postgres_growth"`
	Costs   []lengthCost   `json:"postgres_by_length"`
}

func main() {
	o := options{clients: []int{1, 8, 32}, lengths: []int{1, 100, 10_000}, tenants: []int{1, 100}, growth: []int{2500, 5000, 10_000}}
	flag.StringVar(&o.bin, "bin", "bin", "`folder` of decision-gate and its plugins")
	flag.IntVar(&o.rounds, "rounds", 3, "measure every point `n` times, in turn")
	flag.DurationVar(&o.seconds, "time", 5*time.Second, "`duration` of a point, after warming up")
	flag.IntVar(&o.pairs, "pairs", 10, "measure every length `n` times, in turn")
	flag.Func("clients", "`list` of numbers of clients, as 1,8,32", numbers(&o.clients))
	flag.Func("lengths", "`list` of lengths of runs, as 1,100,10000", numbers(&o.lengths))
	flag.Func("tenants", "`list` of numbers of tenants, as 1,100", numbers(&o.tenants))
	flag.Func("growth", "`list` of lengths at which the bytes of a run are counted, as 2500,5000,10000", numbers(&o.growth))
	flag.StringVar(&o.parts, "store", "sqlite,postgres", "`list` of stores to measure")
	flag.StringVar(&o.raw, "o", "", "`file` for the raw numbers, as JSON")
	flag.Parse()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		endHosts()
		os.Exit(130)
	}()
	if err := run(o); err != nil {
		endHosts()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// numbers reads a list into a flag's place.
func numbers(into *[]int) func(string) error {
	return func(text string) error {
		*into = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil || n < 1 {
				return errors.New("want positive numbers with commas between them")
			}
			*into = append(*into, n)
		}
		return nil
	}
}

func run(o options) error {
	r := results{At: time.Now().UTC(), CPUs: runtime.NumCPU(), Go: runtime.Version()}
	fmt.Printf("%d CPUs, %s. Clients and host share them; the clients' own CPU is not counted.\n", r.CPUs, r.Go)
	if strings.Contains(o.parts, "sqlite") {
		if err := errors.Join(measureRounds(o, &r), measureLengths(o, &r), measurePrecheck(o, &r), measureBoundary(o, &r)); err != nil {
			return err
		}
		r.print(o)
		r.printBoundary(o)
	}
	if strings.Contains(o.parts, "postgres") {
		o.seconds = min(o.seconds, longestDurable)
		if err := measureDurable(o, &r); err != nil {
			return fmt.Errorf("PostgreSQL: %w", err)
		}
		r.printDurable(o)
	}
	if o.raw == "" {
		return nil
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.raw, append(text, '\n'), 0o644)
}

// measureRounds takes every number of clients in turn, and the bare loop after each, so that drift of the machine meets all
// of them.
func measureRounds(o options, r *results) error {
	for round := range o.rounds {
		for _, clients := range o.clients {
			fmt.Fprintf(os.Stderr, "round %d of %d: %d clients\n", round+1, o.rounds, clients)
			p, sample, err := measurePoint(o, clients)
			if err != nil {
				return fmt.Errorf("%d clients: %w", clients, err)
			}
			bare, err := measureBare(o, sample, p)
			if err != nil {
				return fmt.Errorf("bare loop: %w", err)
			}
			r.Rounds, r.Bare = append(r.Rounds, p), append(r.Bare, bare)
		}
	}
	return nil
}
