package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// programs builds what is measured.
func programs(t *testing.T, names ...string) string {
	t.Helper()
	bin := t.TempDir()
	packages := map[string]string{
		"decision-gate": "../host/cmd/decision-gate", "store-sqlite": "../plugins/store-sqlite", "linkedhost": "../plugins/store-sqlite/linkedhost",
		"store-postgres": "../plugins/store-postgres", "pgserver": "../plugins/store-postgres/internal/pgserver",
	}
	for _, name := range names {
		pkg := packages[name]
		build := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	return bin
}

// TestRun measures everything on SQLite once, shortly, and looks at what must be so whatever the machine: a decision is one Get
// of two keys and one commit, and the bare loop has written.
func TestRun(t *testing.T) {
	o := options{bin: programs(t, "decision-gate", "store-sqlite", "linkedhost"), rounds: 1, seconds: 300 * time.Millisecond, pairs: 1, clients: []int{1, 4}, lengths: []int{1, 3}}
	var r results
	if err := measureRounds(o, &r); err != nil {
		t.Fatal(err)
	}
	if err := measureLengths(o, &r); err != nil {
		t.Fatal(err)
	}
	if err := measureBoundary(o, &r); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Boundary {
		if p.PluginRate <= 0 || p.LinkedRate <= 0 || p.Echo <= 0 || p.Echo > p.PluginP50 {
			t.Errorf("%+v", p)
		}
	}
	if len(r.Rounds) != 2 || len(r.Bare) != 2 || len(r.Lengths) != 4 {
		t.Fatalf("%+v", r)
	}
	for i, p := range r.Rounds {
		if p.Calls == 0 || p.P50 <= 0 || p.P99 < p.P50 || p.CPU["host"] <= 0 || p.CPU["store"] <= 0 || p.PeakRSS["host"] == 0 || p.Stored < 1000 {
			t.Errorf("%+v", p)
		}
		// The definition and, at most, a start without a decision for each client come on top.
		if w := p.Store; w.Commits < 1 || w.Commits > 1.2 || w.Keys < 0.8 || w.Keys > 1.2 || w.Gets > 0.6 || w.Requests > 1.2 || w.Scans > 0.1 {
			t.Errorf("the store was asked %+v a call", w)
		}
		if b := r.Bare[i]; b.Commits == 0 || b.Batch < 1 {
			t.Errorf("%+v", b)
		}
	}
	for _, b := range r.Lengths {
		if b.Calls != blockRuns*blockCalls || b.Wall <= 0 || b.P99 < b.P50 || b.P50 <= 0 {
			t.Errorf("%+v", b)
		}
	}
}

// TestDurable measures everything on PostgreSQL once, shortly: the rows of a decision are those that pgbench writes as well, the
// bytes of a run are within the bar, and a decision on a long run touches as much as one on a short run.
func TestDurable(t *testing.T) {
	o := options{bin: programs(t, "decision-gate", "store-postgres", "pgserver"), rounds: 1, seconds: 300 * time.Millisecond, pairs: 1,
		clients: []int{4}, tenants: []int{1, 3}, growth: []int{100, 300}}
	var r results
	if err := measureDurable(o, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Durable) != 5 || len(r.Grown) != 2 || len(r.Costs) != 2 {
		t.Fatalf("%+v", r)
	}
	for _, p := range r.Durable {
		if p.Calls == 0 || p.P50 <= 0 || p.P99 < p.P50 || p.Max < p.P99 || p.Batch < 1 || p.WAL < 1000 || len(p.CPU) < 2 {
			t.Errorf("%+v", p)
		}
	}
	if long := r.Grown[1]; long.Steps < 300*2000 || float64(long.Tables) > 1.6*float64(long.Steps) {
		t.Errorf("%+v", long)
	}
	for _, c := range r.Costs {
		// The scenario is read once.
		if c.Store.Gets > 1.01 || c.Store.Keys > 2.01 || c.Store.Scans != 0 || c.Store.Commits != 1 || c.Rows.Inserted != 3 || c.Rows.Updated > 2 || c.Rows.Fetched > 4 {
			t.Errorf("a decision at length %d: %+v", c.Length, c)
		}
	}
	r.printDurable(o)
}
