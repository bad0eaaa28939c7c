package budget

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/yaml"
)

const mebibyte = 1 << 20

// fill repeats a text up to a size, between two others.
func fill(open, text, end string, size int) []byte {
	return []byte(open + strings.TrimSuffix(strings.Repeat(text, size/len(text)), ",") + end)
}

// grown is how many bytes of memory a function leaves in use.
func grown(f func()) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestEstimates parses what takes most memory for its size: what is reserved before is enough, and what is held afterwards is
// counted for no less than half of what it is, so that the sum stays a bound.
func TestEstimates(t *testing.T) {
	json := map[string][]byte{
		"empty arrays":  fill("[", "[],", "]", mebibyte/4),
		"empty objects": fill("[", "{},", "]", mebibyte/4),
		"numbers":       fill("[", "1,", "]", mebibyte/4),
		"arrays of one": fill("[", "[1],", "]", mebibyte/4),
		"members":       fill("{\"\":1", ",\"\":1", "}", mebibyte/4),
		"objects":       fill("[", `{"":1},`, "]", mebibyte/4),
		"nested":        fill("[", strings.Repeat("[", 100)+strings.Repeat("]", 100)+",", "]", mebibyte/4),
		"one text":      fill(`"`, "x", `"`, mebibyte/4),
		"short texts":   fill("[", `"x",`, "]", mebibyte/4),
	}
	for name, text := range json {
		var v canonical.Value
		took := grown(func() {
			var err error
			if v, err = canonical.Parse(text); err != nil {
				t.Fatal(err)
			}
		})
		if need := JSON().Of(text); took > need {
			t.Errorf("JSON, %s: took %d, reserved %d", name, took, need)
		}
		if held := Held(v); took > 2*held+mebibyte/4 {
			t.Errorf("JSON, %s: took %d, counted as %d", name, took, held)
		}
		runtime.KeepAlive(v)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	for name, text := range map[string][]byte{
		"flow":      fill("[", "[],", "]", mebibyte/64),
		"list":      fill("", "- 1\n", "", mebibyte/64),
		"empty":     fill("", "-\n", "", mebibyte/64),
		"nested":    fill("", "- - - -\n", "", mebibyte/64),
		"expanding": []byte("a: &a [" + strings.Repeat("x,", 1000) + "x]\nb: [" + strings.Repeat("*a,", 60) + "*a]"),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		v, err := yaml.Parse(text)
		runtime.ReadMemStats(&after) // with the nodes, which are garbage by now, as far as none of it was collected
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if took, need := int64(after.HeapAlloc)-int64(before.HeapAlloc), YAML().Of(text); took > need {
			t.Errorf("YAML, %s: took %d, reserved %d", name, took, need)
		}
		runtime.KeepAlive(v)
	}
}

// ask reserves and settles as a question does.
func ask(ctx context.Context, b *Budget, need, kept int64) error {
	ctx, q := b.Question(ctx)
	if err := Reserve(ctx, need); err != nil {
		return errors.Join(err, q.Settle(0))
	}
	return q.Settle(kept)
}

// free is how much of a budget nobody has.
func free(t *testing.T, b *Budget) int64 {
	t.Helper()
	for n := b.size; ; n-- {
		if b.free.TryAcquire(n) {
			b.free.Release(n)
			return n
		}
	}
}

// TestCallsHoldTheirShare: what a call keeps is held until it ends, no more than its share; what it only reads is free at once.
func TestCallsHoldTheirShare(t *testing.T) {
	b := New(100)
	ctx, end := b.Call(t.Context())
	inner, innerEnd := b.Call(ctx)
	for _, step := range []struct {
		need, kept, left int64
		err              error
	}{{40, 0, 100, nil}, {40, 30, 70, nil}, {1000, 15, 55, nil}, {20, 10, 55, ErrShare}, {20, 0, 55, ErrShare}, {5, 5, 50, nil}, {1, 0, 50, ErrShare}} {
		if err := ask(inner, b, step.need, step.kept); !errors.Is(err, step.err) || free(t, b) != step.left {
			t.Errorf("%+v: %v, %d are free", step, err, free(t, b))
		}
	}
	innerEnd()
	if free(t, b) != 50 {
		t.Error("a call within a call has given back what the call holds")
	}
	end()
	if err := ask(ctx, b, 20, 20); err != nil || free(t, b) != 100 {
		t.Errorf("after the call: %v, %d are free", err, free(t, b))
	}
	if err := ask(t.Context(), b, 20, 20); err != nil || free(t, b) != 100 {
		t.Errorf("without a call: %v, %d are free", err, free(t, b))
	}
	if err := Reserve(t.Context(), 1000); err != nil {
		t.Errorf("without a question: %v", err)
	}
}

// TestWaiting: a question waits for what others hold, and gives up before its time is over.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(100)
		short, cancel := context.WithTimeout(t.Context(), settle/2)
		defer cancel()
		if err := ask(short, b, 20, 0); err != nil {
			t.Errorf("what is free, in a short time: %v", err)
		}
		one, endOne := b.Call(t.Context())
		two, endTwo := b.Call(t.Context())
		if err := errors.Join(ask(one, b, 50, 50), ask(two, b, 40, 40)); err != nil {
			t.Fatal(err)
		}
		late, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := ask(late, b, 20, 0); !errors.Is(err, ErrBusy) || time.Since(began) != time.Second-settle {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		var waited sync.WaitGroup
		waited.Go(func() {
			patient, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := ask(patient, b, 20, 0); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		endOne()
		waited.Wait()
		endTwo()
		if free(t, b) != 100 {
			t.Errorf("%d are free", free(t, b))
		}
	})
}
