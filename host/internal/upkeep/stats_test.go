package upkeep

import (
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func TestMeasure(t *testing.T) {
	s := faultystore.New()
	for i := range 30 {
		run := fmt.Sprint("run-", i)
		must(t, s, put(at("runs", 1, 2, run), "head"))
		for n := range uint64(i) {
			key := at("run_steps", 1, 2, run)
			key.Path = append(key.Path, store.Uint64Segment(n+1))
			must(t, s, put(key, strings.Repeat("x", 100)))
		}
	}
	must(t, s, put(at("schemas", 7, 0, "large", "1"), strings.Repeat("x", 5000)), put(at("schemas", 7, 0, "small", "1"), ""))
	stats, err := Measure(t.Context(), s, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	steps := uint64(30 * 29 / 2)
	if want := (Size{30 + steps + 2, 4*30 + 100*steps + 5000}); stats.Size != want {
		t.Errorf("%+v, want %+v", stats.Size, want)
	}
	want := []ScopeStats{
		{Scope{"run_steps", 1, 2}, Size{steps, 100 * steps}},
		{Scope{"runs", 1, 2}, Size{30, 120}},
		{Scope{"schemas", 7, 0}, Size{2, 5000}},
	}
	if fmt.Sprint(stats.Scopes) != fmt.Sprint(want) {
		t.Errorf("%+v, want %+v", stats.Scopes, want)
	}
	if r := stats.LargestRuns; len(r) != 3 || r[0].Run != "run-29" || r[2].Run != "run-27" || r[0].Size != (Size{30, 2904}) {
		t.Errorf("%+v", r)
	}
	if r := stats.LargestRecords; len(r) != 3 || r[0].Bytes != 5000 || r[0].Record != `schemas of tenant 7, namespace 0: "large" "1"` || r[1].Bytes != 100 {
		t.Errorf("%+v", r)
	}
	if stats, err := Measure(t.Context(), faultystore.New(), 3, nil); err != nil || stats.Records != 0 {
		t.Errorf("%+v %v", stats, err)
	}
}
