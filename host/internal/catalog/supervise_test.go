package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func signal(t *testing.T, c *Catalog, sig syscall.Signal) {
	t.Helper()
	s := c.plugins[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == nil {
		return
	}
	_ = s.session.process.Signal(sig)
}

// TestKilledInTheMiddle kills the store again and again while many callers count: each of them gets its answer, and each
// commit counts once.
func TestKilledInTheMiddle(t *testing.T) {
	c, _ := open(t, storePlugin("store", map[string]any{"path": filepath.Join(t.TempDir(), "log")}))
	const callers, each = 8, 30
	var (
		wg      sync.WaitGroup
		next    atomic.Uint64
		stopped = make(chan struct{})
	)
	for range callers {
		wg.Go(func() {
			for range each {
				commit := add(0, "n")
				binary.BigEndian.PutUint64(commit.ID[8:], next.Add(1))
				if _, err := c.Store().Commit(t.Context(), []store.Commit{commit}); err != nil {
					t.Error(err)
				}
				if _, err := c.Store().Get(t.Context(), []store.Key{key("n")}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	killer := make(chan struct{})
	go func() {
		defer close(killer)
		for kills := 0; kills < maxRestarts-1; kills++ {
			select {
			case <-stopped:
				return
			case <-time.After(40 * time.Millisecond):
				signal(t, c, syscall.SIGKILL)
			}
		}
	}()
	wg.Wait()
	close(stopped)
	<-killer
	records, err := c.Store().Get(t.Context(), []store.Key{key("n")})
	if err != nil || string(records[0].Body) != "240" {
		t.Errorf("counted %s, want %d: %v", records[0].Body, callers*each, err)
	}
	if c.Status()[0].Restarts == 0 {
		t.Error("the plugin was never killed")
	}
}

// TestStopped stops the process: only the health deadline can find it.
func TestStopped(t *testing.T) {
	c, log := open(t, storePlugin("store", nil))
	pid := c.Status()[0].PID
	signal(t, c, syscall.SIGSTOP)
	eventually(t, "stopped by the signal", func() bool { return state(pid) == "T" })
	if _, err := c.Store().Get(t.Context(), []store.Key{key("a")}); err != nil {
		t.Errorf("the call did not survive: %v", err)
	}
	if now := c.Status()[0]; now.PID == pid || alive(pid) || now.Restarts != 1 {
		t.Errorf("still the stopped process: %+v", now)
	}
	wantContains(t, log.String(), "left 2 health checks unanswered")
}

// TestCrash crashes the plugin in a call, which is made again until its own deadline.
func TestCrash(t *testing.T) {
	c, log := open(t, storePlugin("store", nil))
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	if _, err := c.Store().Get(ctx, []store.Key{key("crash")}); !fault.Retryable(err) {
		t.Errorf("got %v", err)
	}
	eventually(t, "the crash in the log", func() bool { return c.Status()[0].Restarts > 0 })
	wantContains(t, log.String(), "panic: the store is broken", "level=ERROR msg=\"plugin is lost\"", "the process ended: exit code 2 (panic)")
}

// TestBudget kills a plugin that does not start again: calls must not wait for it, and it is still tried.
func TestBudget(t *testing.T) {
	flag := filepath.Join(t.TempDir(), "flag")
	c, log := open(t, testPlugin("store", nil, "once", flag))
	signal(t, c, syscall.SIGKILL)
	eventually(t, "degraded", func() bool { return c.Status()[0].State == Degraded })
	wantContains(t, c.Status()[0].Reason, "restarted too often: the process ended before it was ready")
	begun := time.Now()
	if _, err := c.Store().Get(t.Context(), []store.Key{key("a")}); !fault.Is(err, fault.Unavailable) || time.Since(begun) > time.Second {
		t.Errorf("a call to a plugin that does not come back took %s: %v", time.Since(begun), err)
	}
	if c.Ready() {
		t.Error("ready")
	}
	wantContains(t, log.String(), "started before", "restarted too often")
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready again", c.Ready)
}

func TestBudgetForgets(t *testing.T) {
	var b budget
	now := time.Now()
	var last time.Duration
	for range maxRestarts {
		pause, quick := b.next(now, &defaultPace)
		if !quick || pause < last/4 || pause > 4*time.Second {
			t.Errorf("pause %s, quick %v", pause, quick)
		}
		last = pause
	}
	if pause, quick := b.next(now, &defaultPace); quick || pause < defaultPace.slowRestart/2 {
		t.Errorf("the budget never ends: %s", pause)
	}
	if _, quick := b.next(now.Add(restartWindow+time.Second), &defaultPace); !quick {
		t.Error("the budget does not come back")
	}
}

// TestNotReady changes the backend's health under a running plugin.
func TestNotReady(t *testing.T) {
	file := filepath.Join(t.TempDir(), "unready")
	c, _ := open(t, storePlugin("store", map[string]any{"unready": file}))
	if err := os.WriteFile(file, []byte("the database\x1b[31m is away"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "degraded", func() bool { return !c.Ready() })
	if s := c.Status()[0]; s.State != Degraded || s.Reason != "the database [31m is away" || s.PID == 0 {
		t.Errorf("got %+v", s)
	}
	// Health is a forecast: calls are made all the same.
	if _, err := c.Store().Get(t.Context(), []store.Key{key("a")}); err != nil {
		t.Error(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	eventually(t, "ready", c.Ready)
	if c.Status()[0].Restarts != 0 {
		t.Error("a plugin that was not ready was restarted")
	}
}

// TestFaults makes calls that fail in each way and looks at what becomes of the plugin.
func TestFaults(t *testing.T) {
	c, log := open(t, storePlugin("store", nil))
	get := func(path string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := c.Store().Get(ctx, []store.Key{key(path)})
		return err
	}
	if err := get("busy"); !fault.Retryable(err) {
		t.Errorf("busy: %v", err)
	}
	if !c.Ready() {
		t.Error("a call that may be tried again degrades the plugin")
	}
	if err := get("denied"); !fault.Is(err, fault.Denied) {
		t.Errorf("denied: %v", err)
	}
	if s := c.Status()[0]; s.State != Degraded {
		t.Errorf("after DENIED: %+v", s)
	}
	eventually(t, "ready after DENIED", c.Ready)
	if err := get("corrupt"); !fault.Is(err, fault.Corrupt) {
		t.Errorf("corrupt: %v", err)
	}
	time.Sleep(2 * fastPace.hold)
	if s := c.Status()[0]; s.State != Degraded || s.Reason == "" {
		t.Errorf("after CORRUPT: %+v", s)
	}
	wantContains(t, log.String(), "ALARM: stored bytes are not what was written")
}

// TestCorruptNeighbour has one corrupt record among concurrent reads: only its reader fails.
func TestCorruptNeighbour(t *testing.T) {
	c, _ := open(t, storePlugin("store", nil))
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			path, bad := "fine", i%10 == 0
			if bad {
				path = "corrupt"
			}
			if _, err := c.Store().Get(t.Context(), []store.Key{key(path)}); fault.Is(err, fault.Corrupt) != bad || (err != nil) != bad {
				t.Errorf("%s: %v", path, err)
			}
		})
	}
	wg.Wait()
}

// TestCallerLeaves ends one caller's context while its commit is under way with others'.
func TestCallerLeaves(t *testing.T) {
	c, _ := open(t, storePlugin("store", nil))
	ctx, cancel := context.WithCancel(t.Context())
	hung := make(chan error, 1)
	go func() {
		_, err := c.Store().Commit(ctx, []store.Commit{add(1, "hang")})
		hung <- err
	}()
	time.Sleep(20 * time.Millisecond)
	other := make(chan error, 1)
	go func() {
		_, err := c.Store().Get(t.Context(), []store.Key{key("a")})
		other <- err
	}()
	if err := <-other; err != nil {
		t.Errorf("a read behind a hanging commit: %v", err)
	}
	cancel()
	if err := <-hung; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	signal(t, c, syscall.SIGKILL) // or the commit hangs until its deadline, and with it the test
}

func TestScan(t *testing.T) {
	c, _ := open(t, storePlugin("store", nil), testPlugin("runpack", nil, "runpack"))
	var seen []string
	scan := func(yield func(store.Record) error) error {
		seen = nil
		return c.Store().Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1}, func(r store.Record) error {
			seen = append(seen, string(r.Body))
			return yield(r)
		})
	}
	if err := scan(func(store.Record) error { return nil }); err != nil || len(seen) != 3 {
		t.Errorf("saw %v: %v", seen, err)
	}
	own := errors.New("enough")
	if err := scan(func(store.Record) error { return own }); err != own || len(seen) != 1 {
		t.Errorf("saw %v: %v", seen, err)
	}
	// An error of the caller's that looks like the plugin's must not be tried again, nor count against the plugin.
	if err := scan(func(store.Record) error { return fault.New(fault.Corrupt, "mine") }); !fault.Is(err, fault.Corrupt) || len(seen) != 1 || !c.Ready() {
		t.Errorf("saw %v: %v", seen, err)
	}
	signal(t, c, syscall.SIGKILL)
	if err := scan(func(store.Record) error { return nil }); err != nil || len(seen) != 3 {
		t.Errorf("after a crash saw %v: %v", seen, err)
	}
	if err := c.Store().Changes(t.Context(), 0, nil); !fault.Is(err, fault.Unimplemented) {
		t.Errorf("changes: %v", err)
	}
	bundles := 0
	err := c.Runpack().List(t.Context(), 1, 0, func(runpack.Bundle) error { bundles++; return own })
	if err != own || bundles != 1 {
		t.Errorf("listed %d: %v", bundles, err)
	}
	if _, err := c.Runpack().Open(t.Context(), "corrupt", "a"); !fault.Is(err, fault.Corrupt) {
		t.Errorf("open: %v", err)
	}
	if c.Status()[1].State != Degraded {
		t.Errorf("after a corrupt bundle: %+v", c.Status()[1])
	}
}

// TestSilence ends a stream that does not move.
func TestSilence(t *testing.T) {
	ctx, wait, cancel := withPatience(t.Context(), 30*time.Millisecond)
	defer cancel()
	wait.busy()
	time.Sleep(60 * time.Millisecond)
	if ctx.Err() != nil {
		t.Fatal("ended while the host was at work")
	}
	wait.heard()
	<-ctx.Done()
	if err := ended(ctx, fault.New(fault.Unavailable, "context canceled")); !fault.Is(err, fault.Deadline) {
		t.Errorf("got %v", err)
	}
}

// TestDeadlines gives a plugin that hangs less time than it would have by default, in each class of calls.
func TestDeadlines(t *testing.T) {
	const little = 50 * time.Millisecond
	for _, tt := range []struct {
		name      string
		deadlines config.Deadlines
		call      func(c *Catalog) error
	}{
		{"read", config.Deadlines{Read: little}, func(c *Catalog) error {
			_, err := c.Store().Get(t.Context(), []store.Key{key("hang")})
			return err
		}},
		{"write", config.Deadlines{Write: little}, func(c *Catalog) error {
			_, err := c.Store().Commit(t.Context(), []store.Commit{add(1, "hang")})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := storePlugin("store", nil)
			p.Deadlines = &tt.deadlines
			c, _ := open(t, p)
			begun := time.Now()
			if err := tt.call(c); !fault.Is(err, fault.Deadline) && !fault.Is(err, fault.Unavailable) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(begun); took > getDeadline/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestRestartBudget degrades a plugin after as many restarts as its block allows.
func TestRestartBudget(t *testing.T) {
	p := testPlugin("store", nil, "once", filepath.Join(t.TempDir(), "started"))
	p.Restart = &config.Restart{Budget: 1, Slow: time.Hour}
	c, _ := open(t, p)
	signal(t, c, syscall.SIGKILL)
	eventually(t, "degraded", func() bool { return c.Status()[0].State == Degraded })
	if _, err := c.Store().Get(t.Context(), []store.Key{key("n")}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("got %v", err)
	}
}

// TestDefaultPace compares what an absent block means with what an empty one does: both are documented as the same.
func TestDefaultPace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "host.hcl")
	text := `plugin "store" "main" {
	  command = "store"
	  deadlines {}
	  restart {}
	}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := *defaultPace.of(settings.Plugins[0]); got != defaultPace {
		t.Errorf("got %+v, want %+v", got, defaultPace)
	}
}
