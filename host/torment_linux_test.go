package host_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/control"
)

// torments is how often a plugin is killed, hung, restarted or reloaded; "make torments" makes it 1,000.
var torments = flag.Int("torments", 20, "how often TestPluginsTormented does something to a plugin")

// tormentedServer is what the siege's configuration has beside that of others. The socket's name is short: its path is bounded.
const tormentedServer = `server {
  control { socket = "c" }
  metrics { listen = "127.0.0.1:0" }`

const tormentedStore = `  health_interval = "100ms"
  deadlines { health = "300ms" }
  restart {
    pause  = "10ms"
    budget = 20
    window = "1s"
    slow   = "100ms"
  }`

// TestPluginsTormented kills, hangs, restarts and reloads the store and the runpack plugin at random moments, while clients decide.
// Every acknowledged decision is there afterwards, none twice; no process, socket or temporary file is left; and the host, which
// has lived through all of it, has no more files open, goroutines and memory than when it had lived through a quarter.
func TestPluginsTormented(t *testing.T) {
	own := strings.NewReplacer("server {", tormentedServer, `  health_interval = "200ms"`, tormentedStore).Replace(hcl)
	s := newSiegeOn(t, 1, "store-sqlite", own)
	s.round(func(b *besieged) error {
		client := control.Dial(filepath.Join(b.dir, "c"))
		var early *footprint
		for n := range *torments {
			b.pause(150 * time.Millisecond)
			if err := b.torment(client, n); err != nil {
				return err
			}
			if n+1 == max(*torments/4, 1) {
				var err error
				if early, err = b.rested(client); err != nil {
					return err
				}
			}
		}
		late, err := b.rested(client)
		if err != nil {
			return err
		}
		t.Logf("%d torments: %s; after a quarter of them %s", *torments, late, early)
		return late.grown(early)
	})
	t.Logf("%d decisions acknowledged and found again", s.decisions)
}

// torment does one of the things that can happen to a plugin.
func (b *besieged) torment(client *control.Client, n int) error {
	name := []string{"store-sqlite", "store-sqlite", "runpack-fs"}[b.random.IntN(3)]
	plugin := map[string]string{"store-sqlite": "sqlite", "runpack-fs": "fs"}[name]
	kind, _, _ := strings.Cut(name, "-")
	pid := childNamed(b.t, b.host.cmd.Process.Pid, name)
	what := b.random.IntN(5)
	b.note("torment %d: %d to %s %d", n, what, name, pid)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch {
	case what == 0: // a new process takes its place in order; it may be dying at that moment
		if _, err := client.Restart(ctx, kind, plugin); err != nil && !errors.Is(err, control.ErrRefused) {
			return err
		}
		return nil
	case what == 1: // the configuration changes, in a way that matters to the store alone
		if err := changePatience(b.config, n); err != nil {
			return err
		}
		if _, err := client.Reload(ctx); err != nil && !errors.Is(err, control.ErrRefused) {
			return err
		}
		return nil
	case pid == 0: // it is being started
		return nil
	case what == 2: // hangs for good
		return gone(stopped(pid))
	case what == 3: // hangs for a moment
		if err := gone(stopped(pid)); err != nil {
			return err
		}
		b.pause(100 * time.Millisecond)
		return gone(resumed(pid))
	default:
		return gone(syscall.Kill(pid, syscall.SIGKILL))
	}
}

// gone takes away the error of a process that has ended meanwhile.
func gone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

var patience = regexp.MustCompile(`config \{ path = "gate.db".*\}|config \{\n    path = "gate.db"\n.*\n  \}`)

// changePatience changes a setting of the store.
func changePatience(config string, n int) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	block := fmt.Sprintf("config {\n    path = \"gate.db\"\n    busy_timeout = \"%dms\"\n  }", 5000+n)
	next := config + ".next"
	return errors.Join(os.WriteFile(next, patience.ReplaceAll(text, []byte(block)), 0o600), os.Rename(next, config))
}

// footprint is what a host holds.
type footprint struct{ files, goroutines, memory, processes int }

func (f *footprint) String() string {
	return fmt.Sprintf("%d files, %d goroutines, %.1f MiB, %d plugin processes", f.files, f.goroutines, float64(f.memory)/(1<<20), f.processes)
}

// Connections of clients come and go, and the garbage collector has its own time.
const (
	spareFiles      = 24
	spareGoroutines = 60
	spareMemory     = 24 << 20
)

func (f *footprint) grown(from *footprint) error {
	if f.files > from.files+spareFiles || f.goroutines > from.goroutines+spareGoroutines || f.memory > from.memory+spareMemory {
		return fmt.Errorf("the host has grown: %s, where it had %s", f, from)
	}
	return nil
}

// rested waits until every plugin is ready and the replaced processes have ended, and measures.
func (b *besieged) rested(client *control.Client) (*footprint, error) {
	f := &footprint{}
	err := await("two ready plugins and no other process", func() bool {
		details, err := client.Details(context.Background())
		if err != nil {
			return false
		}
		for _, d := range details {
			if d.State != "ready" {
				return false
			}
		}
		f.processes = len(children(b.t, b.host.cmd.Process.Pid))
		return f.processes == len(details)
	})
	if err != nil {
		return nil, err
	}
	url := regexp.MustCompile(`http://[^"]*/metrics`).FindString(b.host.log.String())
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	for name, at := range map[string]*int{"process_open_fds": &f.files, "go_goroutines": &f.goroutines, "process_resident_memory_bytes": &f.memory} {
		m := regexp.MustCompile(`(?m)^` + name + ` (\d+)$`).FindSubmatch(page)
		if m == nil {
			return nil, fmt.Errorf("%s has no %s", url, name)
		}
		if *at, err = strconv.Atoi(string(m[1])); err != nil {
			return nil, err
		}
	}
	return f, nil
}
