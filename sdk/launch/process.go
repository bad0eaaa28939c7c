package launch

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
)

const (
	// drainPipes is how long the readers of a dead process may go on: a child of it that kept stderr must not keep the
	// end from being told.
	drainPipes = 200 * time.Millisecond
	// reapTimeout bounds the wait after SIGKILL; a process in uninterruptible sleep is given up.
	reapTimeout = 5 * time.Second
)

// Process is a plugin that was started. Its methods are safe for concurrent use. Kill must be called even when the
// process has ended by itself: it removes what is left.
type Process struct {
	name    string
	dir     *socketDir
	control *os.File // the host's end: closed only by Kill, or by the kernel when the host dies
	conn    *grpc.ClientConn
	logs    *logs

	group *sandbox.Group // nil without one
	limit string         // of its memory, empty for none

	firstLine chan string
	exited    chan struct{}

	mu     sync.Mutex // guards what follows
	cmd    *exec.Cmd  // nil before the start and once the process was reaped: its id may be another's then
	pid    int
	killed bool
	end    ending
	reason string

	// oomBefore is the machine's count of processes killed for lack of memory at the start, if oomCounted.
	oomBefore  uint64
	oomCounted bool

	killOnce sync.Once
}

func newProcess(spec Spec) *Process {
	before, counted := machineOOMKills()
	return &Process{
		oomBefore: before, oomCounted: counted,
		name:      spec.Name,
		limit:     memoryLimit(spec.Sandbox),
		logs:      &logs{logger: spec.Logger.With(slog.String("plugin", spec.Name))},
		firstLine: make(chan string, 1),
		exited:    make(chan struct{}),
	}
}

// memoryLimit is the bound of a sandbox as an operator writes it.
func memoryLimit(box *sandbox.Sandbox) string {
	if box == nil || box.Memory == 0 {
		return ""
	}
	return fmt.Sprintf("%d MiB", box.Memory>>20)
}

// Conn is the connection, with the message limits of the protocol set.
func (p *Process) Conn() *grpc.ClientConn { return p.conn }

// PID is the process id, for an operator to look at.
func (p *Process) PID() int { return p.pid }

// Exited is closed when the process has ended and its last log lines are in.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// ExitReason says how the process ended: its exit code or signal, and whether that was a panic, an exception or lack of
// memory. It holds nothing of the plugin's own text, which is LastLog; empty while the process runs.
func (p *Process) ExitReason() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

// LastLog are the last lines that the process wrote.
func (p *Process) LastLog() []string { return p.logs.last() }

// Signal sends a signal to the plugin's process, for tests.
func (p *Process) Signal(signal os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cmd == nil {
		return os.ErrProcessDone
	}
	return p.cmd.Process.Signal(signal)
}

// follow reads the output of a started process and waits for its end.
func (p *Process) follow(cmd *exec.Cmd, stdout, stderr *os.File) {
	p.cmd, p.pid = cmd, cmd.Process.Pid
	var readers sync.WaitGroup
	for pipe, writer := range map[*os.File]*lineWriter{
		stdout: {line: p.stdoutLine()},
		stderr: {line: p.logs.add},
	} {
		readers.Go(func() {
			defer pipe.Close()
			_, _ = io.Copy(writer, pipe)
			writer.Flush()
		})
	}
	go func() {
		waitForEnd(cmd)
		p.reap()
		// A grandchild that left the process group can hold the pipes open.
		deadline := time.Now().Add(drainPipes)
		_ = stdout.SetReadDeadline(deadline)
		_ = stderr.SetReadDeadline(deadline)
		readers.Wait()
		p.logs.end()
		p.explain()
		close(p.exited)
	}()
}

// stdoutLine hands the first line to the handshake; what comes later is log, and read, so that a plugin that prints
// cannot block on a full pipe.
func (p *Process) stdoutLine() func(string) {
	first := true
	return func(line string) {
		if first {
			first = false
			p.firstLine <- line
			return
		}
		p.logs.add(line)
	}
}

// reap takes the children with it while the process id is still ours, and then frees the id.
func (p *Process) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.group.Kill()
	endGroup(p.cmd)
	p.end = ending{state: p.cmd.ProcessState, killed: p.killed, memory: p.memory()}
	p.cmd = nil
}

// memory is called with the lock held, at the end of the process.
func (p *Process) memory() oomEvidence {
	now, known := machineOOMKills()
	return oomEvidence{
		own: p.group.OutOfMemory(), limit: p.limit,
		machine: now - p.oomBefore, counted: known && p.oomCounted,
	}
}

// explain says how the process has ended, once its last lines are in: they tell a panic from another exit.
func (p *Process) explain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reason = p.end.reason(p.logs.last())
}

// Kill ends the process: asked to shut down, then after the timeout by SIGKILL to its whole group. It returns within the
// timeout and a few seconds whatever the process does, also when it is stopped or its descriptors are held by others.
func (p *Process) Kill(timeout time.Duration) {
	p.killOnce.Do(func() {
		if p.conn != nil && timeout > 0 {
			p.shutdown(timeout)
		}
		p.kill()
		p.group.End()
		if p.conn != nil {
			_ = p.conn.Close()
		}
		if p.control != nil {
			_ = p.control.Close()
		}
		if p.dir != nil {
			p.dir.remove()
		}
	})
}

// shutdown asks in both ways: ours closes the backend, go-plugin's ends the server.
func (p *Process) shutdown(timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	go func() {
		select {
		case <-p.exited:
			cancel()
		case <-ctx.Done():
		}
	}()
	_, _ = pb.NewPluginClient(p.conn).Shutdown(ctx, &pb.ShutdownRequest{})
	_ = p.conn.Invoke(ctx, handshake.ShutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	<-ctx.Done()
}

func (p *Process) kill() {
	p.mu.Lock()
	started, running := p.pid != 0, p.cmd != nil
	if running {
		p.killed = true
		p.group.Kill()
		_ = killGroup(p.cmd.Process)
	}
	p.mu.Unlock()
	if !started {
		return
	}
	select {
	case <-p.exited:
	case <-time.After(reapTimeout):
	}
}
