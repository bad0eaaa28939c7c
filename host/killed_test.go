package host_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// program is the host as a process of its own.
type program struct {
	cmd *exec.Cmd
	url string
}

// binary builds the program, unless an earlier test has.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(pluginDir, "decision-gate")
	if _, err := os.Stat(path); err != nil {
		cmd := exec.Command("go", "build", "-o", path, "./cmd/decision-gate")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return path
}

// startProgram starts the host and waits until it says where it listens.
func startProgram(t *testing.T, config, temp string) *program {
	t.Helper()
	cmd := exec.Command(binary(t), "serve", "--config", config, "--json")
	cmd.Env = []string{"TMPDIR=" + temp}
	log := &lockedWriter{w: &strings.Builder{}}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var announced struct{ RPC string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &announced)
	}
	if err != nil {
		t.Fatalf("the host does not say where it listens: %v; its log:\n%s", err, tail(fmt.Sprint(log.w), 20))
	}
	return &program{cmd, strings.TrimSuffix(announced.RPC, "/rpc")}
}

// children are the processes that a process has started.
func children(t *testing.T, pid int) (pids []int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		for _, word := range strings.Fields(string(text)) {
			child, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, child)
		}
	}
	return pids
}

// ended reports whether a process has: one that nobody has waited for yet counts.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
}

// TestHostKilled kills the whole host again and again while clients decide, at any moment. Its plugins end with it; the next
// one has every decision that a client was given, decides none twice, and leaves no socket behind, also not its predecessors'.
func TestHostKilled(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	config := writeConfig(t, dir, hcl)
	host := startProgram(t, config, temp)
	var url atomic.Value
	url.Store(host.url)
	f := &fixture{t: t, URL: host.url, Dir: dir}
	runs := []string{"r1", "r2", "r3"}
	defineLoop(f, runs...)
	got := &acknowledged{seqs: map[string]map[string]uint64{}}
	stop := make(chan struct{})
	clients := drive(t, func(int) string { return url.Load().(string) }, runs, 8, stop, got)
	for range 5 {
		before := got.count()
		waitFor(t, "decisions", func() bool { return got.count() >= before+10 })
		time.Sleep(rand.N(50 * time.Millisecond)) // anywhere in a call
		plugins := children(t, host.cmd.Process.Pid)
		if len(plugins) < 2 {
			t.Fatalf("the host has %d plugin processes", len(plugins))
		}
		if err := host.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = host.cmd.Wait()
		for _, pid := range plugins {
			waitFor(t, fmt.Sprintf("plugin process %d to end with its host", pid), func() bool { return ended(pid) })
		}
		host = startProgram(t, config, temp)
		url.Store(host.url)
	}
	before := got.count()
	waitFor(t, "decisions of the last host", func() bool { return got.count() >= before+10 })
	close(stop)
	clients.Wait()
	f.URL = host.url
	got.check(f)

	plugins := children(t, host.cmd.Process.Pid)
	if err := host.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := host.cmd.Wait(); err != nil {
		t.Errorf("an orderly end: %v", err)
	}
	for _, pid := range plugins {
		waitFor(t, fmt.Sprintf("plugin process %d to end", pid), func() bool { return ended(pid) })
	}
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range left {
		t.Errorf("%s is left in the temporary directory", entry.Name())
	}
}
