package host_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the host as a process of its own.
type program struct {
	cmd *exec.Cmd
	url string // set by announced
	out io.Reader
	log *lockedWriter
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
	p, err := launchProgram(binary(t), config, temp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if err := p.announced(); err != nil {
		t.Fatal(err)
	}
	return p
}

// launchProgram starts the host, and returns at once.
func launchProgram(path, config, temp string) (*program, error) {
	p := &program{cmd: exec.Command(path, "serve", "--config", config, "--json"), log: &lockedWriter{w: &strings.Builder{}}}
	p.cmd.Env = []string{"TMPDIR=" + temp}
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = out
	return p, p.cmd.Start()
}

// announced waits until the host says where it listens.
func (p *program) announced() error {
	var announced struct{ RPC string }
	line, err := bufio.NewReader(p.out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &announced)
	}
	if err != nil {
		return fmt.Errorf("the host does not say where it listens: %w; its log:\n%s", err, p.lastLog())
	}
	p.url = strings.TrimSuffix(announced.RPC, "/rpc")
	return nil
}

func (p *program) lastLog() string { return tail(p.log.String(), 20) }

// kill ends the host as the kernel does when memory is short; a host that has ended already stays so.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// end has the host end in order.
func (p *program) end() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("an orderly end: %w; its log:\n%s", err, p.lastLog())
	}
	return nil
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

// childNamed is the newest child of the process that runs the program and lives, 0 when there is none.
func childNamed(t *testing.T, pid int, program string) (newest int) {
	t.Helper()
	for _, child := range children(t, pid) {
		if !ended(child) && filepath.Base(commandOf(child)) == program {
			newest = max(newest, child)
		}
	}
	return newest
}

// commandOf is the path of a process's program, empty when it has ended.
func commandOf(pid int) string {
	line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	path, _, _ := strings.Cut(string(line), "\x00")
	return path
}

// runningIn are the processes whose program lies in the folder.
func runningIn(t *testing.T, dir string) (found []string) {
	t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range all {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || ended(pid) {
			continue
		}
		if path := commandOf(pid); strings.HasPrefix(path, dir+"/") {
			found = append(found, fmt.Sprintf("%d %s", pid, filepath.Base(path)))
		}
	}
	return found
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

// await polls until a condition is met.
func await(what string, met func() bool) error {
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(3 * time.Millisecond) {
		if met() {
			return nil
		}
	}
	return errors.New("waited in vain for " + what)
}

func waitFor(t *testing.T, what string, met func() bool) {
	t.Helper()
	if err := await(what, met); err != nil {
		t.Fatal(err)
	}
}
