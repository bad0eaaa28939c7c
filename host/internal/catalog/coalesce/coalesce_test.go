package coalesce

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers each request with itself and lets a test hold calls back.
type fake struct {
	mu      sync.Mutex
	batches [][]string
	hold    chan struct{} // each call takes one, when not nil
	err     func(batch []string) error
}

func (f *fake) call(_ context.Context, batch []string) ([]string, error) {
	f.mu.Lock()
	f.batches = append(f.batches, slices.Clone(batch))
	f.mu.Unlock()
	if f.hold != nil {
		<-f.hold
	}
	if f.err != nil {
		if err := f.err(batch); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

func (f *fake) caller() *Caller[string, string] {
	return &Caller[string, string]{
		Limits: Limits{Items: 4, Bytes: 100},
		Cost:   func(s string) (int, int) { return 1, len(s) },
		Call:   f.call,
		Alone:  func(err error) bool { return !errors.Is(err, errAll) },
	}
}

var errAll = errors.New("all fail")

// inFlight sends requests one after another, the first of which is held back in its call, and returns their results.
func inFlight(c *Caller[string, string], ctx context.Context, reqs ...string) []chan string {
	var out []chan string
	for _, req := range reqs {
		result := make(chan string, 1)
		go func() {
			resp, err := c.Do(ctx, req)
			if err != nil {
				resp = "error: " + err.Error()
			}
			result <- resp
		}()
		synctest.Wait()
		out = append(out, result)
	}
	return out
}

func TestWaitersAreSentTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		c := f.caller()
		results := inFlight(c, t.Context(), "a", "b", "c", "d", "e", "f")
		close(f.hold)
		for i, want := range []string{"a", "b", "c", "d", "e", "f"} {
			if got := <-results[i]; got != want {
				t.Errorf("request %s got %s", want, got)
			}
		}
		if got := fmt.Sprint(f.batches); got != "[[a] [b c d e] [f]]" {
			t.Errorf("batches %s", got)
		}
	})
}

func TestBytesBoundACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		big := strings.Repeat("x", 200)
		results := inFlight(f.caller(), t.Context(), "a", strings.Repeat("y", 60), strings.Repeat("z", 50), big, "b")
		close(f.hold)
		for _, r := range results {
			<-r
		}
		var sizes []int
		for _, b := range f.batches {
			sizes = append(sizes, len(b))
		}
		if fmt.Sprint(sizes) != "[1 1 1 1 1]" {
			t.Errorf("sizes of batches %v", sizes)
		}
	})
}

func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hold: make(chan struct{})}
		c := f.caller()
		leaving, leave := context.WithCancel(t.Context())
		first := inFlight(c, leaving, "in flight", "waiting")
		stays := inFlight(c, t.Context(), "stays")
		leave()
		for _, r := range first {
			if got := <-r; got != "error: context canceled" {
				t.Errorf("who left got %q", got)
			}
		}
		close(f.hold)
		if got := <-stays[0]; got != "stays" {
			t.Errorf("who stayed got %q", got)
		}
		if got := fmt.Sprint(f.batches); got != "[[in flight] [stays]]" {
			t.Errorf("what was in flight must happen, what waited must not: %s", got)
		}
		if _, err := c.Do(leaving, "late"); err == nil {
			t.Error("an ended context was served")
		}
	})
}

// TestAllLeft gives a call up once nobody waits for it, so that those who come later need not either.
func TestAllLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := (&fake{}).caller()
		c.Call = func(ctx context.Context, batch []string) ([]string, error) {
			if batch[0] == "later" {
				return batch, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		leaving, leave := context.WithCancel(t.Context())
		results := inFlight(c, leaving, "gone")
		results = append(results, inFlight(c, t.Context(), "later")...)
		leave()
		if got := <-results[0]; got != "error: context canceled" {
			t.Errorf("who left got %q", got)
		}
		if got := <-results[1]; got != "later" {
			t.Errorf("who came later got %q", got)
		}
	})
}

func TestErrors(t *testing.T) {
	for _, test := range []struct{ err, want string }{
		{"only c", "[a b error: bad c d]"},
		{"all", "[a error: all fail error: all fail error: all fail]"},
		{"panic", "[a error: panic in a joint call: b error: panic in a joint call: c error: panic in a joint call: d]"},
	} {
		t.Run(test.err, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{hold: make(chan struct{}), err: func(batch []string) error {
					switch {
					case batch[0] == "a":
						return nil
					case test.err == "all":
						return errAll
					case test.err == "panic":
						panic(batch[0])
					case slices.Contains(batch, "c"):
						return errors.New("bad c")
					}
					return nil
				}}
				results := inFlight(f.caller(), t.Context(), "a", "b", "c", "d")
				close(f.hold)
				var got []string
				for _, r := range results {
					got = append(got, <-r)
				}
				if fmt.Sprint(got) != test.want {
					t.Errorf("got %v, want %s", got, test.want)
				}
			})
		})
	}
}

func TestWrongNumberOfResponses(t *testing.T) {
	c := (&fake{}).caller()
	c.Call = func(context.Context, []string) ([]string, error) { return nil, nil }
	if _, err := c.Do(t.Context(), "a"); err == nil {
		t.Error("no response was taken for one")
	}
}

// TestRace has many callers, some of whom leave, and one call at a time.
func TestRace(t *testing.T) {
	var inside atomic.Int32
	c := (&fake{}).caller()
	c.Call = func(_ context.Context, batch []string) ([]string, error) {
		if inside.Add(1) != 1 {
			t.Error("two calls at once")
		}
		defer inside.Add(-1)
		return batch, nil
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				if (i+j)%7 == 0 {
					go cancel()
				}
				want := fmt.Sprint(i, j)
				got, err := c.Do(ctx, want)
				cancel()
				if err == nil && got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}
