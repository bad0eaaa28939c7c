package catalog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
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

func sharedStore(dir string, settings map[string]any) *config.Plugin {
	all := map[string]any{"path": filepath.Join(dir, "log")}
	for name, value := range settings {
		all[name] = value
	}
	return storePlugin("shared", all)
}

func count(c *Catalog) (string, error) {
	records, err := c.Store().Get(context.Background(), []store.Key{key("n")})
	if err != nil {
		return "", err
	}
	return string(records[0].Body), nil
}

// TestReloadUnderLoad swaps the process again and again while 16 callers commit and read: no call may fail, and none of the
// commits may be lost between two processes.
func TestReloadUnderLoad(t *testing.T) {
	dir := t.TempDir()
	c, log := open(t, sharedStore(dir, nil))
	const callers, swaps = 16, 6
	var (
		wg       sync.WaitGroup
		commits  atomic.Uint64
		finished = make(chan struct{})
	)
	for range callers {
		wg.Go(func() {
			for {
				select {
				case <-finished:
					return
				default:
				}
				commit := add(0, "n")
				binary.BigEndian.PutUint64(commit.ID[8:], commits.Add(1))
				if _, err := c.Store().Commit(t.Context(), []store.Commit{commit}); err != nil {
					t.Error(err)
				}
				if _, err := count(c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	pids := map[int]bool{c.Status()[0].PID: true}
	for i := range swaps {
		swapped, err := c.Reload(t.Context(), options(log, sharedStore(dir, map[string]any{"size": 1 + i})))
		if err != nil || !swapped[0].Changed || pids[swapped[0].PID] {
			t.Errorf("swap %d: %+v, %v", i, swapped, err)
		}
		if len(swapped) == 1 {
			pids[swapped[0].PID] = true
		}
	}
	close(finished)
	wg.Wait()
	if got, err := count(c); err != nil || got != fmt.Sprint(commits.Load()) {
		t.Errorf("counted %s of %d: %v", got, commits.Load(), err)
	}
	now := c.Status()[0]
	for pid := range pids {
		if pid != now.PID {
			eventually(t, "the end of a replaced process", func() bool { return !alive(pid) })
		}
	}
	if now.Restarts != 0 || now.State != Ready {
		t.Errorf("got %+v", now)
	}
}

// TestReloadNothing keeps a process whose block says the same.
func TestReloadNothing(t *testing.T) {
	dir := t.TempDir()
	c, log := open(t, sharedStore(dir, nil), testPlugin("runpack", nil, "runpack"))
	before := c.Status()
	swapped, err := c.Reload(t.Context(), options(log, testPlugin("runpack", nil, "runpack"), sharedStore(dir, nil)))
	if err != nil || swapped[0].Changed || swapped[1].Changed || c.Status()[0].PID != before[0].PID || c.Status()[1].PID != before[1].PID {
		t.Errorf("%+v, %v", swapped, err)
	}
}

// TestReloadProgram swaps a process whose program was replaced under the same name, as an update does.
func TestReloadProgram(t *testing.T) {
	dir := t.TempDir()
	install := func() {
		t.Helper()
		copyFile(t, filepath.Join(binDir, "plugin"), filepath.Join(dir, "next"), 0o755)
		if err := os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "plugin")); err != nil {
			t.Fatal(err)
		}
	}
	install()
	log := &testLog{}
	opts := options(log, sharedStore(dir, nil))
	opts.PluginDir = dir
	c, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	if swapped, err := c.Reload(t.Context(), opts); err != nil || swapped[0].Changed {
		t.Errorf("%+v, %v", swapped, err)
	}
	install()
	if swapped, err := c.Reload(t.Context(), opts); err != nil || !swapped[0].Changed {
		t.Errorf("%+v, %v", swapped, err)
	}
}

// TestReloadRefused gives a running host configurations that are no good: it goes on with the processes that it has, and
// leaves none of the new ones behind.
func TestReloadRefused(t *testing.T) {
	dir := t.TempDir()
	unready := filepath.Join(dir, "unready")
	if err := os.WriteFile(unready, []byte("the disk is away"), 0o600); err != nil {
		t.Fatal(err)
	}
	garbage := storePlugin("garbage", nil)
	garbage.StartTimeout = time.Second
	c, log := open(t, sharedStore(dir, nil))
	pid := c.Status()[0].PID
	for _, tt := range []struct {
		name   string
		plugin *config.Plugin
		want   string
	}{
		{"a program that is not there", func() *config.Plugin { p := sharedStore(dir, nil); p.Command = config.Command{"other"}; return p }(), "no command"},
		{"a program that is no plugin", garbage, "hello world"},
		{"settings that its schema refuses", sharedStore(dir, map[string]any{"size": 10}), "size"},
		{"settings that its backend refuses", sharedStore(dir, map[string]any{"password": "wrong"}), "config password: the backend refuses it"},
		{"one that does not become ready", sharedStore(dir, map[string]any{"unready": unready}), "the disk is away"},
		{"a plugin of another name", func() *config.Plugin { p := sharedStore(dir, nil); p.Name = "other"; return p }(), "restart the host"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			swapped, err := c.Reload(ctx, options(log, tt.plugin))
			if err == nil {
				t.Fatalf("accepted: %+v", swapped)
			}
			wantContains(t, err.Error(), tt.want)
			if now := c.Status()[0]; now.PID != pid || now.State != Ready {
				t.Errorf("got %+v", now)
			}
		})
	}
	if _, err := count(c); err != nil {
		t.Error(err)
	}
}

// TestUnsharedStore does not open the data of a store twice that may hold in memory what it has written.
func TestUnsharedStore(t *testing.T) {
	c, _ := open(t, storePlugin("store", map[string]any{"path": filepath.Join(t.TempDir(), "log")}))
	_, err := c.Restart(t.Context(), "store", "main")
	if err == nil {
		t.Fatal("restarted beside the running process")
	}
	wantContains(t, err.Error(), "store-test", `"changes"`, "restart the host")
}

// TestRestart replaces a process that hangs, without a call that fails.
func TestRestart(t *testing.T) {
	c, _ := open(t, sharedStore(t.TempDir(), nil))
	pid := c.Status()[0].PID
	if _, err := c.Restart(t.Context(), "store", "other"); !errors.Is(err, ErrNoPlugin) {
		t.Errorf("got %v", err)
	}
	signal(t, c, syscall.SIGSTOP)
	swapped, err := c.Restart(t.Context(), "store", "main")
	if err != nil || !swapped.Changed || swapped.PID == pid {
		t.Fatalf("%+v, %v", swapped, err)
	}
	if _, err := count(c); err != nil {
		t.Error(err)
	}
	eventually(t, "the end of the process that hung", func() bool { return !alive(pid) })
}

// TestFollowerOfReplacedProcess tells a follower that its process was replaced: it would hold the process for ever, and
// learn of nothing.
func TestFollowerOfReplacedProcess(t *testing.T) {
	c, _ := open(t, sharedStore(t.TempDir(), nil))
	following, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		close(following)
		ended <- c.Store().Changes(t.Context(), 0, func(store.ChangeSet) error { return nil })
	}()
	<-following
	eventually(t, "the follower", func() bool {
		s := c.plugins[0]
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.session != nil && s.session.calls == 1
	})
	if _, err := c.Restart(t.Context(), "store", "main"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !fault.Is(err, fault.Unavailable) {
			t.Errorf("got %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it follows a process that was replaced")
	}
}

// TestBundleOfReplacedProcess replaces the process in the middle of an export, and while a file is read: what is unfinished, and
// what is open, only the old process knows.
func TestBundleOfReplacedProcess(t *testing.T) {
	c, _ := open(t, testPlugin("runpack", nil, "runpack"))
	old := c.Status()[0].PID
	id, err := c.Runpack().Begin(t.Context(), runpack.Key{Tenant: 1, SpecSHA256: strings.Repeat("0", 64)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := c.Runpack().Open(t.Context(), "endless", "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Restart(t.Context(), "runpack", "main"); err != nil {
		t.Fatal(err)
	}
	if written, err := c.Runpack().Write(t.Context(), id, "f", strings.NewReader("text")); err != nil || written.Size != 4 {
		t.Errorf("wrote %+v: %v", written, err)
	}
	if uri, err := c.Runpack().Finish(t.Context(), id, "manifest.json", [32]byte{}); err != nil || uri != "test:id" {
		t.Errorf("finished as %q: %v", uri, err)
	}
	time.Sleep(fastPace.shutdown + 500*time.Millisecond) // longer than a process is waited for that nobody holds
	if n, err := io.CopyN(io.Discard, file, 8<<20); err != nil {
		t.Errorf("read %d bytes: %v", n, err)
	}
	if !alive(old) {
		t.Error("the old process ended before what it had open was closed")
	}
	file.Close()
	eventually(t, "the end of the replaced process", func() bool { return !alive(old) })
}

// TestReloadToUnsharedStore does not let a store take over that may hold in memory what it has read, while another writes.
func TestReloadToUnsharedStore(t *testing.T) {
	dir := t.TempDir()
	c, log := open(t, sharedStore(dir, nil))
	_, err := c.Reload(t.Context(), options(log, storePlugin("store", map[string]any{"path": filepath.Join(dir, "log")})))
	if err == nil {
		t.Fatal("a store that does not share has taken over")
	}
	wantContains(t, err.Error(), `"changes"`, "restart the host")
	if opened := strings.Count(log.String(), "msg=opened"); opened != 1 {
		t.Errorf("%d processes were configured", opened)
	}
}

// TestRestartsUnderQuestions restarts an evidence plugin while its contract is read: the race detector looks on.
func TestRestartsUnderQuestions(t *testing.T) {
	c, _ := open(t, evidencePlugin("main", map[string]any{"who": "me"}))
	provider, stop := c.Evidence()[0].Provider, make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := provider.Contract(t.Context()); err != nil {
				t.Error(err)
			}
			if _, err := query(t, provider, "who", 5*time.Second); err != nil {
				t.Error(err)
			}
		}
	})
	for range 3 {
		if _, err := c.Restart(t.Context(), "evidence", "main"); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	asking.Wait()
}

// TestReloadWhileDying hands a new process to a supervisor that is between two.
func TestReloadWhileDying(t *testing.T) {
	dir := t.TempDir()
	c, log := open(t, sharedStore(dir, nil))
	for i := range 5 {
		signal(t, c, syscall.SIGKILL)
		if _, err := c.Reload(t.Context(), options(log, sharedStore(dir, map[string]any{"size": 1 + i}))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := count(c); err != nil {
		t.Error(err)
	}
}
