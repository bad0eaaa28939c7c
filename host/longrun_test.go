package host_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// longSteps is the length of the run that TestLongRecord exports; "make test-full" makes it 100,000.
var longSteps = flag.Int("steps", 5000, "length of the run that is exported and verified")

const (
	// maxResident is what each process may have resident while a run of any length is exported or verified, in KiB: hosts
	// are given small machines, and the length of a run is for its clients to choose.
	maxResident = 64 << 10
	// maxGrowth is what five times the steps may add, in KiB: the store's caches fill, with 15 MiB, and garbage is collected
	// late. A host that held the steps added 25 MiB when 4,000 came, and would add 500 for 80,000.
	maxGrowth = 20 << 10
)

// TestLongRecord exports and verifies a run whose steps would not fit into the memory that is allowed, and sees that the host
// and its plugins stream it: at a fifth of the length, and at the whole.
func TestLongRecord(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	host := startProgram(t, writeConfig(t, dir, hcl), temp)
	f := &fixture{t: t, URL: host.url, Dir: dir}
	defineLoop(f, "r")
	m := &memory{peaks: map[string]int{}, watched: []process{{"decision-gate", host.cmd.Process.Pid}}}
	for _, pid := range children(t, host.cmd.Process.Pid) {
		m.watched = append(m.watched, process{nameOf(t, pid), pid})
	}
	if len(m.watched) != 3 {
		t.Fatalf("the host has %d plugin processes", len(m.watched)-1)
	}
	fifth := *longSteps / 5
	lengthen(t, f.URL, 0, fifth)
	m.exportAndVerify(t, f, fifth)
	m.earlier, m.peaks = m.peaks, map[string]int{}
	lengthen(t, f.URL, fifth, *longSteps)
	m.exportAndVerify(t, f, *longSteps)
	for what, kib := range m.peaks {
		t.Logf("%s: %d KiB at %d steps, %d KiB at %d", what, m.earlier[what], fifth, kib, *longSteps)
	}
}

// lengthen decides on the run until it has so many steps. Two clients keep it busy; their calls take turns.
func lengthen(t *testing.T, url string, from, to int) {
	t.Helper()
	var wg sync.WaitGroup
	var trigger atomic.Int64
	trigger.Store(int64(from))
	for range 2 {
		wg.Go(func() {
			for !t.Failed() {
				n := int(trigger.Add(1))
				if n > to {
					return
				}
				if r, err := post(url, "scenario_next", next("r", fmt.Sprintf("t-%d", n))); err != nil || r.Error != nil {
					t.Errorf("trigger %d: %v %+v", n, err, r.Error)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// memory is what processes had resident at most in each of the things that they did, in KiB.
type memory struct {
	watched []process
	peaks   map[string]int
	earlier map[string]int // with the shorter run
}

// allowed is the most that may be resident.
func (m *memory) allowed(what string) int {
	if before, ok := m.earlier[what]; ok {
		return min(maxResident, before+maxGrowth)
	}
	return maxResident
}

// attempts is how often a thing is done until its peak is allowed. A peak depends on when garbage is collected, on a busy
// machine late; what a process must hold, it holds every time.
const attempts = 5

// during does a thing and notes the peaks of the processes that are watched.
func (m *memory) during(t *testing.T, what string, do func()) {
	t.Helper()
	for attempt := range attempts {
		for _, p := range m.watched {
			p.forgetPeak(t)
		}
		do()
		passed := true
		for _, p := range m.watched {
			passed = m.note(t, what+", "+p.name, p.peak(t), attempt) && passed
		}
		if passed {
			return
		}
	}
}

// note notes a peak, and reports whether it is allowed.
func (m *memory) note(t *testing.T, what string, kib, attempt int) bool {
	t.Helper()
	if least, ok := m.peaks[what]; !ok || kib < least {
		m.peaks[what] = kib
	}
	if m.peaks[what] <= m.allowed(what) {
		return true
	}
	if attempt == attempts-1 {
		t.Errorf("%s: %d KiB resident, want at most %d; with a run of a fifth of the length it were %d", what, m.peaks[what], m.allowed(what), m.earlier[what])
	}
	return false
}

// exportAndVerify exports the run into a directory and to the plugin, verifies both in the host, and the first once more in
// a process of its own.
func (m *memory) exportAndVerify(t *testing.T, f *fixture, length int) {
	t.Helper()
	export := map[string]any{
		"scenario_id": "loop", "tenant_id": 1, "namespace_id": 1, "run_id": "r",
		"generated_at": map[string]any{"kind": "logical", "value": 1}, "include_verification": true,
	}
	var stored struct {
		URI string `json:"storage_uri"`
	}
	m.during(t, "export to the plugin", func() { f.must("runpack_export", export, &stored) })
	out := filepath.Join(f.Dir, "exports", "r")
	export["output_dir"] = out
	m.during(t, "export to a directory", func() { f.must("runpack_export", export, nil) })
	for what, place := range map[string]string{"verify what the plugin has": stored.URI, "verify the directory": out} {
		m.during(t, what, func() {
			var verdict struct{ Status string }
			f.must("runpack_verify", map[string]any{"runpack_dir": place, "manifest_path": "manifest.json"}, &verdict)
			if verdict.Status != "pass" {
				t.Errorf("%s: %q", what, verdict.Status)
			}
		})
	}
	for attempt := range attempts {
		if m.note(t, "verify offline", verifyOffline(t, out, length), attempt) {
			break
		}
	}
}

// verifyOffline replays a bundle with the command, and returns the largest resident memory that it was seen with, in KiB.
func verifyOffline(t *testing.T, dir string, length int) int {
	t.Helper()
	cmd := exec.Command(binary(t), "runpack", "verify", "--replay", "--json", dir)
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// The kernel's own account for a parent, ru_maxrss, begins with what the parent has.
	p, peak := process{"decision-gate", cmd.Process.Pid}, 0
	for {
		select {
		case err := <-ended:
			var report struct {
				Gate struct{ Replay struct{ Decisions int } } `json:"decision_gate"`
			}
			if err != nil || json.Unmarshal([]byte(out.String()), &report) != nil || report.Gate.Replay.Decisions != length {
				t.Errorf("verify %s: %v\n%s", dir, err, out.String())
			}
			return peak
		case <-time.After(2 * time.Millisecond):
			if kib, err := p.readPeak(); err == nil {
				peak = max(peak, kib)
			}
		}
	}
}

// process is one whose memory is watched.
type process struct {
	name string
	pid  int
}

func nameOf(t *testing.T, pid int) string {
	t.Helper()
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(name))
}

// forgetPeak makes the process's largest resident memory what it has now.
func (p process) forgetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// peak is the largest resident memory of the process since forgetPeak, in KiB.
func (p process) peak(t *testing.T) int {
	t.Helper()
	kib, err := p.readPeak()
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return kib
}

func (p process) readPeak() (kib int, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
	if err != nil {
		return 0, err
	}
	_, line, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0, fs.ErrNotExist // it has ended
	}
	if _, err := fmt.Sscanf(line, "%d kB", &kib); err != nil {
		return 0, errors.Join(err, fs.ErrInvalid)
	}
	return kib, nil
}
