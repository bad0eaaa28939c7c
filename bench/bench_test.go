package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestRun measures everything once, shortly, and looks at what must be so whatever the machine: a decision is one Get of two
// keys and one commit, and the bare loop has written.
func TestRun(t *testing.T) {
	bin := t.TempDir()
	for name, pkg := range map[string]string{"decision-gate": "../host/cmd/decision-gate", "store-sqlite": "../plugins/store-sqlite"} {
		build := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	o := options{bin: bin, rounds: 1, seconds: 300 * time.Millisecond, pairs: 1, clients: []int{1, 4}, lengths: []int{1, 3}}
	var r results
	if err := measureRounds(o, &r); err != nil {
		t.Fatal(err)
	}
	if err := measureLengths(o, &r); err != nil {
		t.Fatal(err)
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
