package launch

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Killed is the exit reason of a process that was killed because it did not end when Kill asked it to.
const Killed = "killed by the host"

// ending is how a process has ended, as far as the system tells.
type ending struct {
	state *os.ProcessState
	// killed says that this process has sent SIGKILL.
	killed bool
	// memory is what is known of the kernel's killing for lack of memory.
	memory oomEvidence
}

// oomEvidence tells a kill for lack of memory from one by somebody.
type oomEvidence struct {
	// own is the number of processes of this plugin that the kernel has killed for lack of memory; only a control group
	// of the plugin's own can tell.
	own uint64
	// limit is the bound that the plugin was given, as an operator writes it; empty for none.
	limit string
	// machine is the number of processes that the kernel has killed for that on the whole machine while this one lived.
	machine uint64
	// counted says that machine is known.
	counted bool
}

// reason says how the process ended in words that hold nothing of the plugin's own text: they are shown to whoever may
// see the state of the host. The last lines of its log tell the rest.
func (e ending) reason(lines []string) string {
	status, ok := e.state.Sys().(syscall.WaitStatus)
	switch {
	case !ok || !status.Signaled():
		return fmt.Sprintf("exit code %d%s", e.state.ExitCode(), crashOf(lines).because(e.state.ExitCode(), e.memory.limit))
	case e.killed && status.Signal() == syscall.SIGKILL:
		return Killed
	case status.Signal() == syscall.SIGKILL:
		return e.memory.reason()
	default:
		return "ended by " + signalName(status.Signal()) + crashOf(lines).because(signalled, e.memory.limit)
	}
}

func (m oomEvidence) reason() string {
	switch {
	case m.own > 0:
		return "killed by the kernel: out of memory (limit " + m.limit + ")"
	case m.machine > 0:
		return "killed by SIGKILL, most likely by the kernel: while it ran, processes of this machine were killed because it was out of memory"
	case m.counted:
		return "killed by SIGKILL: by somebody, for the kernel has killed nothing for lack of memory"
	default:
		return "killed by SIGKILL: by somebody, or by the kernel because the machine was out of memory"
	}
}

// crash is a kind of end that a language's runtime writes about in its own words.
type crash struct {
	// begins and contains are what a line of it looks like.
	begins, contains []string
	// codes are the exit codes it comes with; with another one the line was not the end.
	codes []int
	what  string
	// memory says that there was too little.
	memory bool
}

// signalled stands for an end by a signal in the codes of a crash.
const signalled = -1

// crashes are in the order in which they are looked for: memory first, because a runtime that has none panics too.
var crashes = []crash{
	{begins: []string{"fatal error: runtime: out of memory", "fatal error: runtime: cannot allocate memory", "fatal error: out of memory", "runtime: out of memory"},
		codes: []int{2, signalled}, what: "out of memory: the Go runtime was refused more", memory: true},
	{begins: []string{"runtime: failed to create new OS thread"}, codes: []int{2, signalled}, what: "out of processes: the Go runtime was refused a thread"},
	{begins: []string{"MemoryError"}, codes: []int{1}, what: "out of memory: Python was refused more", memory: true},
	{contains: []string{"JavaScript heap out of memory"}, codes: []int{signalled, 134}, what: "out of memory: the heap of JavaScript is full"},
	{begins: []string{"panic: "}, codes: []int{2, signalled}, what: "panic"},
	{begins: []string{"fatal error: "}, codes: []int{2, signalled}, what: "fatal error of the Go runtime"},
	{begins: []string{"SIGSEGV"}, codes: []int{2, signalled}, what: "segmentation violation"},
	{begins: []string{"Traceback (most recent call last):"}, codes: []int{1}, what: "exception of Python"},
	{begins: []string{nodeEnd}, codes: []int{1}, what: "exception of Node.js"},
}

func (c *crash) is(line string) bool {
	return slices.ContainsFunc(c.begins, func(s string) bool { return strings.HasPrefix(line, s) }) ||
		slices.ContainsFunc(c.contains, func(s string) bool { return strings.Contains(line, s) })
}

// because is the crash in parentheses, empty when there is none that goes with the exit code.
func (c *crash) because(code int, limit string) string {
	if c == nil || !slices.Contains(c.codes, code) {
		return ""
	}
	if c.memory && limit != "" {
		return " (" + c.what + ", limit " + limit + ")"
	}
	return " (" + c.what + ")"
}

// crashOf is the crash that the lines tell of, nil for none.
func crashOf(lines []string) *crash {
	for i := range crashes {
		if slices.ContainsFunc(lines, crashes[i].is) {
			return &crashes[i]
		}
	}
	return nil
}

// nodeEnd begins the last line that Node.js writes when nobody has caught an exception.
const nodeEnd = "Node.js v"

// nodeError says whether a line is that of Node.js with the exception itself, after which its trace comes.
func nodeError(line string) bool {
	name, _, ok := strings.Cut(line, ": ")
	return ok && strings.HasSuffix(name, "Error") && !strings.Contains(name, " ")
}

// crashLine says whether a line begins the message of a crash of the Go runtime, after which nothing else comes. Others print
// the like for what they have caught.
func crashLine(line string) bool {
	return strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIGSEGV")
}
