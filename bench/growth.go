package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"
)

// grownRun is how much one run of a length takes, in bytes.
type grownRun struct {
	Length int `json:"length"`
	// Steps are the bodies of its step records.
	Steps int64 `json:"step_record_bytes"`
	// Tables are all tables of records and of commit ids, with their indexes and after VACUUM, less what they were when empty.
	Tables int64 `json:"table_bytes"`
}

// lengthCost is what a decision costs on runs of a length, with one client.
type lengthCost struct {
	Length int `json:"length"`
	// CPU is microseconds a call of host, store plugin and server, in rounds that took turns with the other length.
	CPU []float64 `json:"cpu_us_per_call"`
	// Store is what the plugin was asked for a call, Rows what the server has read, inserted and updated.
	Store storeWork `json:"store_per_call"`
	Rows  rowWork   `json:"rows_per_call"`
}

// rowWork is rows that the server has touched.
type rowWork struct {
	Fetched, Inserted, Updated float64
}

// measureGrowth brings a run to lengths and counts its bytes at each, and then decides on it and on short runs in turn.
func measureGrowth(o options, d *database, r *results) error {
	long, err := d.create()
	if err != nil {
		return err
	}
	short, err := d.create()
	if err != nil {
		return err
	}
	run, err := r.grow(o, d, long)
	if err != nil {
		return fmt.Errorf("a run's bytes: %w", err)
	}
	shortRuns, err := prepareShort(o, d, short)
	if err != nil {
		return err
	}
	if err := r.compareLengths(o, d, map[string][]string{long: {run}, short: shortRuns}, long, short); err != nil {
		return fmt.Errorf("decisions on a long run: %w", err)
	}
	return errors.Join(d.drop(long), d.drop(short))
}

// withHost runs f on a host of its own.
func withHost(o options, d *database, name string, f func(h *runningHost, c *clients) error) (err error) {
	h, err := startHost(o.bin, d.store(name), 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.end(), h.remove()) }()
	c, err := connect(h.url, prepareClients)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	return f(h, c)
}

// grow makes one run, and counts at each length.
func (r *results) grow(o options, d *database, name string) (run string, err error) {
	run = randomID()
	empty, err := d.tableBytes(name)
	if err != nil {
		return run, err
	}
	return run, withHost(o, d, name, func(_ *runningHost, c *clients) error {
		if err := errors.Join(c.call(define(1)), c.call(start(1, run))); err != nil {
			return err
		}
		made := 1
		for _, length := range o.growth {
			fmt.Fprintf(os.Stderr, "PostgreSQL, bringing a run to %d steps\n", length)
			_, err := c.together(1, func(int) (request, bool) { made++; return next(1, run, randomID()), made <= length })
			if err != nil {
				return err
			}
			made = length
			g := grownRun{Length: length}
			if err := d.exec(name, "VACUUM"); err != nil {
				return err
			}
			if err := d.query(name, `SELECT sum(octet_length(body)) FROM decision_gate.run_steps`, &g.Steps); err != nil {
				return err
			}
			if g.Tables, err = d.tableBytes(name); err != nil {
				return err
			}
			g.Tables -= empty
			r.Grown = append(r.Grown, g)
		}
		return nil
	})
}

// tableBytes is the size of all tables of the schema, with indexes and compressed parts.
func (d *database) tableBytes(name string) (n int64, err error) {
	err = d.query(name, `SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class WHERE relnamespace = 'decision_gate'::regnamespace AND relkind = 'r'`, &n)
	return n, err
}

// prepareShort starts a run for every block to come.
func prepareShort(o options, d *database, name string) (runs []string, err error) {
	return runs, withHost(o, d, name, func(_ *runningHost, c *clients) error {
		if err := c.call(define(1)); err != nil {
			return err
		}
		runs, err = c.prepare(blockRuns*(o.pairs+1), 1)
		return err
	})
}

// compareLengths has two hosts on two databases of one server decide in turn, so that drift meets both, and each plugin counts
// what its own runs asked of it.
func (r *results) compareLengths(o options, d *database, runs map[string][]string, long, short string) error {
	costs := map[string]*lengthCost{long: {Length: o.growth[len(o.growth)-1]}, short: {Length: 1}}
	names := []string{short, long}
	hosts := map[string]*runningHost{}
	defer func() {
		for _, h := range hosts {
			_ = errors.Join(h.end(), h.remove())
		}
	}()
	before := map[string]rowWork{}
	var err error
	for _, name := range names {
		if hosts[name], err = startHost(o.bin, d.store(name), 1); err != nil {
			return err
		}
		hosts[name].server = d
		if before[name], err = d.rows(name); err != nil {
			return err
		}
	}
	for round := range o.pairs + 1 { // the first one warms up
		fmt.Fprintf(os.Stderr, "PostgreSQL, lengths: round %d of %d\n", round, o.pairs)
		for _, name := range names {
			cpu, err := decideBlock(hosts[name], block(runs[name], round))
			if err != nil {
				return err
			}
			if round > 0 {
				costs[name].CPU = append(costs[name].CPU, cpu)
			}
		}
	}
	calls := float64((o.pairs + 1) * blockRuns * blockCalls)
	for _, name := range names {
		h := hosts[name]
		delete(hosts, name)
		cost := costs[name]
		if err := h.end(); err != nil {
			return err
		}
		if err := errors.Join(h.logged("store closed", &cost.Store), h.remove()); err != nil {
			return err
		}
		cost.Store.per(calls)
		after, err := d.rows(name)
		if err != nil {
			return err
		}
		was := before[name]
		cost.Rows = rowWork{(after.Fetched - was.Fetched) / calls, (after.Inserted - was.Inserted) / calls, (after.Updated - was.Updated) / calls}
		r.Costs = append(r.Costs, *cost)
	}
	return nil
}

// block are the runs of a round: the next short ones, or the long one as often.
func block(runs []string, round int) []string {
	if len(runs) > 1 {
		return runs[round*blockRuns : (round+1)*blockRuns]
	}
	same := make([]string, blockRuns)
	for i := range same {
		same[i] = runs[0]
	}
	return same
}

func decideBlock(h *runningHost, runs []string) (cpu float64, err error) {
	c, err := connect(h.url, 1)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	b, err := measureBlock(h, c, 1, 0, runs)
	return b.CPU, err
}

// rows is what was touched in the tables of records, once the sessions that did have ended.
func (d *database) rows(name string) (w rowWork, err error) {
	err = d.on(name, func(ctx context.Context, c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::float8, coalesce(sum(n_tup_ins), 0)::float8, coalesce(sum(n_tup_upd), 0)::float8
			FROM pg_stat_user_tables WHERE schemaname = 'decision_gate'`).Scan(&w.Fetched, &w.Inserted, &w.Updated)
	})
	return w, err
}
