package launch

import (
	"errors"
	"os/exec"
	"testing"
)

// TestEndings has what runtimes write at their end, beside exit codes that do and do not go with it.
func TestEndings(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		lines  []string
		want   string
	}{
		"Go panic":             {"exit 2", []string{"panic: x", "", "goroutine 1 [running]:"}, "exit code 2 (panic)"},
		"Go panic, recovered":  {"exit 3", []string{"panic: x"}, "exit code 3"},
		"Go memory":            {"exit 2", []string{"fatal error: runtime: out of memory"}, "exit code 2 (out of memory: the Go runtime was refused more)"},
		"Go deadlock":          {"exit 2", []string{"fatal error: all goroutines are asleep - deadlock!"}, "exit code 2 (fatal error of the Go runtime)"},
		"Python exception":     {"exit 1", []string{"Traceback (most recent call last):", `  File "x.py", line 1`, "KeyError: 'a'"}, "exit code 1 (exception of Python)"},
		"Python memory":        {"exit 1", []string{"Traceback (most recent call last):", `  File "x.py", line 1`, "MemoryError"}, "exit code 1 (out of memory: Python was refused more)"},
		"Node exception":       {"exit 1", []string{"    throw err;", "    ^", "Error: x", "", "Node.js v20.19.2"}, "exit code 1 (exception of Node.js)"},
		"Node memory":          {"kill -ABRT $$", []string{"FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"}, "ended by SIGABRT (out of memory: the heap of JavaScript is full)"},
		"asked to end":         {"kill -TERM $$", nil, "ended by SIGTERM"},
		"a panic in the words": {"exit 0", []string{"no panic: all is well"}, "exit code 0"},
	} {
		cmd := exec.Command("/bin/sh", "-c", test.script)
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		if got := (ending{state: cmd.ProcessState}).reason(test.lines); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// TestKilledForMemory tells a kill for lack of memory from one by somebody, as far as it is known.
func TestKilledForMemory(t *testing.T) {
	cmd := exec.Command("/bin/sh", "-c", "kill -KILL $$")
	_ = cmd.Run()
	for want, e := range map[string]ending{
		"killed by the kernel: out of memory (limit 256MiB)":                                                                             {memory: oomEvidence{own: 1, limit: "256MiB", machine: 1, counted: true}},
		"killed by SIGKILL, most likely by the kernel: while it ran, processes of this machine were killed because it was out of memory": {memory: oomEvidence{machine: 2, counted: true}},
		"killed by SIGKILL: by somebody, for the kernel has killed nothing for lack of memory":                                           {memory: oomEvidence{counted: true}},
		"killed by SIGKILL: by somebody, or by the kernel because the machine was out of memory":                                         {},
		Killed: {killed: true},
	} {
		e.state = cmd.ProcessState
		if got := e.reason(nil); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
