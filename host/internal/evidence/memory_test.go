package evidence

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/budget"
)

// fileConditions ask for whole files, as often as there are names.
func fileConditions(names ...string) []gate.ConditionSpec {
	list := conditions(make([]gate.ProviderID, len(names))...)
	for i, name := range names {
		params := canonical.NewObject([]canonical.Member{{Name: "file", Value: canonical.NewString(name)}})
		list[i].Query = gate.EvidenceQuery{ProviderID: "json", CheckID: "path", Params: &params}
	}
	return list
}

// TestEvidenceMemory has a call ask for many files of nothing but brackets, half a megabyte each, which would take forty times
// that: it gets its share, what is over is an error of its condition, and nothing is left when it ends.
func TestEvidenceMemory(t *testing.T) {
	const memory = 128 << 20
	dir := t.TempDir()
	brackets := "[" + strings.Repeat("[],", 175_000) + "[]]"
	if err := os.WriteFile(filepath.Join(dir, "brackets.json"), []byte(brackets), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "small.json"), []byte(`{"a":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, Options{JSON: &JSONOptions{Root: dir, RootID: "r", MaxBytes: 1 << 20, AllowYAML: true}, Memory: memory})
	names := strings.Fields(strings.Repeat("brackets.json ", 64))
	ctx, release := r.Hold(t.Context())
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	answers := r.Gather(ctx, fileConditions(names...), gate.EvidenceContext{}, time.Minute)
	runtime.GC()
	runtime.ReadMemStats(&after)
	had := 0
	for id, a := range answers {
		switch {
		case a.Err == nil && a.Result.Error == nil && a.Result.Value != nil:
			had++
		case a.Err != budget.ErrShare || a.Result.Value != nil:
			t.Errorf("%s: %v %+v", id, a.Err, a.Result.Error)
		}
	}
	if had < 2 || had > 20 {
		t.Errorf("%d of the files were answered", had)
	}
	if grew := int64(after.HeapAlloc) - int64(before.HeapAlloc); grew > memory {
		t.Errorf("the call holds %d bytes", grew)
	}
	// The others go on meanwhile, with their own share.
	other, releaseOther := r.Hold(t.Context())
	if a := r.Gather(other, fileConditions("small.json", "brackets.json"), gate.EvidenceContext{}, time.Minute); a["0"].Err != nil || a["1"].Err != nil {
		t.Errorf("another call: %v, %v", a["0"].Err, a["1"].Err)
	}
	releaseOther()
	release()
	again, releaseAgain := r.Hold(t.Context())
	defer releaseAgain()
	if a := r.Gather(again, fileConditions("brackets.json"), gate.EvidenceContext{}, time.Minute)["0"]; a.Err != nil {
		t.Errorf("afterwards: %v", a.Err)
	}
	runtime.KeepAlive(answers)
}

// TestEvidenceMemoryIsWaitedFor: a question that finds no memory waits for its time, and is unanswered then; the reason is
// recorded, and the condition is unknown.
func TestEvidenceMemoryIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	large := "[" + strings.Repeat("1,", 100_000) + "1]"
	if err := os.WriteFile(filepath.Join(dir, "large.json"), []byte(large), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRegistry(t, Options{JSON: &JSONOptions{Root: dir, RootID: "r", MaxBytes: 1 << 20}, Memory: 16 << 20})
	var ends []func()
	for range 2 { // each with its share, or nearly
		ctx, end := r.Hold(t.Context())
		ends = append(ends, end)
		r.Gather(ctx, fileConditions("large.json", "large.json"), gate.EvidenceContext{}, time.Second)
	}
	ctx, end := r.Hold(t.Context())
	defer end()
	var unanswered error
	// A machine that is busy may find that the time is over before the question says what it has waited for.
	for tries := 0; unanswered != budget.ErrBusy && tries < 10; tries++ {
		a := r.Gather(ctx, fileConditions("large.json"), gate.EvidenceContext{}, 500*time.Millisecond)["0"]
		if unanswered = a.Err; unanswered == nil || a.Result.Value != nil {
			t.Fatalf("with nothing left: %v", a.Err)
		}
	}
	if unanswered != budget.ErrBusy {
		t.Errorf("with nothing left: %v", unanswered)
	}
	time.AfterFunc(50*time.Millisecond, func() {
		for _, end := range ends {
			end()
		}
	})
	if a := r.Gather(ctx, fileConditions("large.json"), gate.EvidenceContext{}, time.Minute)["0"]; a.Err != nil || a.Result.Value == nil {
		t.Errorf("once the others have ended: %v %+v", a.Err, a.Result.Error)
	}
}

// TestChangingFile grows a file between the two times that it is read: it is either what it was, or unread.
func TestChangingFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f.json")
	write := func(n int) {
		if err := os.WriteFile(path, []byte("["+strings.Repeat("1,", n)+"1]"), 0o600); err != nil {
			t.Error(err)
		}
	}
	write(100_000)
	r := newRegistry(t, Options{JSON: &JSONOptions{Root: dir, RootID: "r", MaxBytes: 1 << 20}})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			write(50_000 + i*1000)
		}
	}()
	for range 100 {
		a := r.Gather(context.Background(), fileConditions("f.json"), gate.EvidenceContext{}, time.Minute)["0"]
		if e := a.Result.Error; a.Err != nil || e != nil && e.Code != "file_read_failed" && e.Code != "invalid_json" {
			t.Errorf("%v %+v", a.Err, e)
		}
	}
	<-done
}
