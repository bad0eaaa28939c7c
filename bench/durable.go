package main

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// What a line of the comparison with pgbench measures.
const (
	// byDecisions decides on runs that were started before, as pgbench updates heads that are there.
	byDecisions = "decisions"
	// byRuns starts runs and decides on each once.
	byRuns = "starts and decisions"
	// byPgbench is pgbench with the statements of a decision, one transaction each.
	byPgbench = "pgbench"
)

// longestDurable bounds a point: there are five times as many as on SQLite, and all are to end within ten minutes.
const longestDurable = 3 * time.Second

// headsPerClient is how many runs each client decides on in turn, or updates the heads of: nobody waits for a row or a run.
const headsPerClient = 32

// durablePoint is one measurement over PostgreSQL, of the product or of pgbench.
type durablePoint struct {
	What    string `json:"what"`
	Round   int    `json:"round"`
	Clients int    `json:"clients"`
	Tenants int    `json:"tenants"`
	// Calls are calls of the product or transactions of pgbench.
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	// Milliseconds of a call.
	P50, P99, Max float64
	// CPU is microseconds a call, by process: host, store and postgres, or pgbench and postgres.
	CPU map[string]float64 `json:"cpu_us_per_call"`
	// WAL is what the server's log has grown by, Stored what the database has, in bytes a call.
	WAL    float64 `json:"wal_bytes_per_call"`
	Stored float64 `json:"stored_bytes_per_call"`
	// Batch is the mean number of commits in a transaction.
	Batch float64 `json:"commits_per_transaction"`
}

func (p durablePoint) rate() float64 { return float64(p.Calls) / p.Seconds }

// measureDurable takes the product and pgbench in turn for every number of clients and tenants, so that drift of the machine
// meets all of them.
func measureDurable(o options, r *results) (err error) {
	d, err := startDatabase(o.bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.end()) }()
	for round := range o.rounds {
		for _, tenants := range o.tenants {
			for _, clients := range o.clients {
				fmt.Fprintf(os.Stderr, "PostgreSQL, round %d of %d: %d clients, %d tenants\n", round+1, o.rounds, clients, tenants)
				points, err := measureBeside(o, d, clients, tenants)
				if err != nil {
					return fmt.Errorf("%d clients, %d tenants: %w", clients, tenants, err)
				}
				for _, p := range points {
					p.Round = round
					r.Durable = append(r.Durable, p)
				}
			}
		}
	}
	return measureGrowth(o, d, r)
}

// measureBeside measures decisions, pgbench with the bytes of these decisions, and starts with decisions.
func measureBeside(o options, d *database, clients, tenants int) (points []durablePoint, err error) {
	var rows rowSample
	for _, what := range []string{byDecisions, byPgbench, byRuns} {
		if what == byRuns && tenants > 1 {
			continue // as the part on SQLite has it
		}
		name, err := d.create()
		if err != nil {
			return nil, err
		}
		p := durablePoint{What: what, Clients: clients, Tenants: tenants, Batch: 1}
		if what == byPgbench {
			err = measurePgbench(o, d, name, rows, &p)
		} else {
			err = measureProduct(o, d, name, &p)
		}
		if err == nil && what == byDecisions {
			rows, err = d.sampleRows(name)
		}
		if err = errors.Join(err, d.drop(name)); err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		points = append(points, p)
	}
	return points, nil
}

func measureProduct(o options, d *database, name string, p *durablePoint) error {
	h, err := startHost(o.bin, d.store(name), p.Tenants)
	if err != nil {
		return err
	}
	h.server = d
	err = driveProduct(o, h, name, p)
	if err = errors.Join(err, h.end()); err != nil {
		return errors.Join(err, h.remove())
	}
	var work storeWork
	if err := h.logged("store closed", &work); err != nil {
		return err
	}
	p.Batch = work.Commits / work.Transactions
	return h.remove()
}

func driveProduct(o options, h *runningHost, name string, p *durablePoint) (err error) {
	c, err := connect(h.url, p.Clients)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	for tenant := 1; tenant <= p.Tenants; tenant++ {
		if err := c.call(define(tenant)); err != nil {
			return err
		}
	}
	call := func(d time.Duration) ([]time.Duration, error) { return c.forTime(p.Clients, d) }
	if p.What == byDecisions {
		pool, err := c.startPool(p.Clients, p.Tenants)
		if err != nil {
			return err
		}
		call = func(d time.Duration) ([]time.Duration, error) { return c.deciding(pool, d) }
	}
	if err := h.server.exec(name, "CHECKPOINT"); err != nil {
		return err
	}
	if _, err := call(warmUp); err != nil {
		return err
	}
	before, err := h.usageOf(name)
	if err != nil {
		return err
	}
	began := time.Now()
	took, err := call(o.seconds)
	if err != nil {
		return err
	}
	p.Calls, p.Seconds = len(took), time.Since(began).Seconds()
	p.P50, p.P99, p.Max = milliseconds(took, 0.5), milliseconds(took, 0.99), milliseconds(took, 1)
	after, err := h.usageOf(name)
	p.note(before, after)
	return err
}

// spending is what processes and a database have used until a moment.
type spending struct {
	cpu         map[string]time.Duration
	wal, stored int64
}

func (h *runningHost) usageOf(name string) (s spending, err error) {
	if s.wal, s.stored, err = h.server.size(name); err != nil {
		return s, err
	}
	s.cpu, err = h.cpu()
	return s, err
}

// note fills in what was used between two moments.
func (p *durablePoint) note(before, after spending) {
	calls := float64(p.Calls)
	p.CPU = map[string]float64{}
	for name := range after.cpu {
		p.CPU[name] = float64((after.cpu[name] - before.cpu[name]).Microseconds()) / calls
	}
	p.WAL = float64(after.wal-before.wal) / calls
	p.Stored = float64(after.stored-before.stored) / calls
}

// pooledRun is a run of a tenant.
type pooledRun struct {
	tenant int
	id     string
}

// startPool starts the runs that each client decides on; neighbours are of different tenants.
func (c *clients) startPool(clients, tenants int) (pool [][]pooledRun, err error) {
	pool = make([][]pooledRun, clients)
	_, err = c.together(clients, func(i int) (request, bool) {
		if len(pool[i]) == headsPerClient {
			return request{}, false
		}
		run := pooledRun{tenantOf(len(pool[i])*clients+i, tenants), randomID()}
		pool[i] = append(pool[i], run)
		return start(run.tenant, run.id), true
	})
	return pool, err
}

// tenantOf is the tenant of a head.
func tenantOf(head, tenants int) int { return 1 + head%tenants }

// deciding has each client decide on its runs in turn, as long as told.
func (c *clients) deciding(pool [][]pooledRun, d time.Duration) ([]time.Duration, error) {
	deadline := time.Now().Add(d)
	at := make([]int, len(pool))
	return c.together(len(pool), func(i int) (request, bool) {
		run := pool[i][at[i]%headsPerClient]
		at[i]++
		return next(run.tenant, run.id, randomID()), time.Now().Before(deadline)
	})
}
