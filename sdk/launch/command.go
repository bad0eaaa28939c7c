package launch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Command is a program that is no plugin: whoever starts it speaks with it over its standard input and output. Like a
// plugin it has an environment of its own, cannot outlive its parent, and takes what it has started with it. What it writes
// to standard error is read, so that it cannot block on a full pipe, and logged at debug level within a budget.
type Command struct {
	// Stdin and Stdout are the ends of the pipes. Deadlines can be set on them. Whoever reads Stdout gets the end of it
	// soon after the process has ended, also when a grandchild holds the other end.
	Stdin, Stdout *os.File

	exited chan struct{}

	mu    sync.Mutex // guards what follows
	cmd   *exec.Cmd  // nil once the process was reaped: its id may be another's then
	state *os.ProcessState
}

// StartCommand runs the program of a spec, whose StartTimeout has no meaning here: it returns as soon as the system has
// executed the program. Kill must be called even when it has ended by itself.
func StartCommand(spec Spec) (*Command, error) {
	if spec.Logger == nil {
		spec.Logger = slog.New(slog.DiscardHandler)
	}
	pipes, err := newPipes()
	if err != nil {
		return nil, err
	}
	defer pipes.closeTheirs()
	cmd := &exec.Cmd{
		Path: spec.Path, Args: append([]string{spec.Path}, spec.Args...), Dir: spec.Dir,
		Stdin: pipes.stdin, Stdout: pipes.stdoutWriter, Stderr: pipes.stderrWriter,
		// An empty list and not nil, which would inherit everything.
		Env: append([]string{}, spec.Env...),
	}
	if err := startPinned(cmd, trust{spec.SHA256, spec.Verify}, nil); err != nil {
		pipes.closeOurs()
		return nil, err
	}
	c := &Command{Stdin: pipes.stdinWriter, Stdout: pipes.stdout, exited: make(chan struct{}), cmd: cmd}
	c.follow(cmd, pipes.stderr, spec.Logger)
	return c, nil
}

// pipes are the three pipes of a command; it gets stdin, stdoutWriter and stderrWriter.
type pipes struct {
	stdin, stdinWriter, stdout, stdoutWriter, stderr, stderrWriter *os.File
}

func newPipes() (p *pipes, err error) {
	p = &pipes{}
	for _, pair := range [][2]**os.File{{&p.stdin, &p.stdinWriter}, {&p.stdout, &p.stdoutWriter}, {&p.stderr, &p.stderrWriter}} {
		if *pair[0], *pair[1], err = os.Pipe(); err != nil {
			p.closeTheirs()
			p.closeOurs()
			return nil, err
		}
	}
	return p, nil
}

func (p *pipes) closeTheirs() { closeAll(p.stdin, p.stdoutWriter, p.stderrWriter) }

func (p *pipes) closeOurs() { closeAll(p.stdinWriter, p.stdout, p.stderr) }

// closeAll closes files, of which some may be nil.
func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// follow reads the command's standard error and waits for its end.
func (c *Command) follow(cmd *exec.Cmd, stderr *os.File, logger *slog.Logger) {
	var reader sync.WaitGroup
	reader.Go(func() {
		defer stderr.Close()
		lines := &debugLines{logger: logger}
		writer := &lineWriter{line: lines.add}
		_, _ = io.Copy(writer, stderr)
		writer.Flush()
	})
	go func() {
		waitForEnd(cmd)
		c.reap()
		// A grandchild that left the process group can hold the pipes open.
		deadline := time.Now().Add(drainPipes)
		_ = stderr.SetReadDeadline(deadline)
		_ = c.Stdout.SetReadDeadline(deadline)
		reader.Wait()
		close(c.exited)
	}()
}

// debugLines logs lines within the budget of a plugin.
type debugLines struct {
	logger *slog.Logger
	budget budget
}

func (l *debugLines) add(line string) {
	if !l.logger.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	forward, dropped := l.budget.take(time.Now(), len(line))
	if dropped > 0 {
		l.logger.Debug("lines were dropped: the program writes too much to standard error", slog.Int("dropped", dropped))
	}
	if forward {
		l.logger.Debug(line)
	}
}

// reap takes the children with it while the process id is still ours, and then frees the id.
func (c *Command) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	endGroup(c.cmd)
	c.state = c.cmd.ProcessState
	c.cmd = nil
}

// Exited is closed when the process has ended.
func (c *Command) Exited() <-chan struct{} { return c.exited }

// State is how the process ended; nil while it runs.
func (c *Command) State() *os.ProcessState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// PID is the process id; 0 once the process has ended.
func (c *Command) PID() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd == nil {
		return 0
	}
	return c.cmd.Process.Pid
}

// errStillThere is the error of a process in uninterruptible sleep.
var errStillThere = errors.New("the process does not end: it was killed, and the system does not let it go")

// Kill ends the process and all that is in its group, and closes the pipes. It returns within seconds whatever the process
// does.
func (c *Command) Kill() error {
	c.mu.Lock()
	if c.cmd != nil {
		_ = killGroup(c.cmd.Process)
	}
	c.mu.Unlock()
	var err error
	select {
	case <-c.exited:
	case <-time.After(reapTimeout):
		err = errStillThere
	}
	closeAll(c.Stdin, c.Stdout)
	return err
}
