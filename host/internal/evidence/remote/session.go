package remote

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

var (
	errWrite   = errors.New("mcp write failed")
	errUnasked = errors.New("the program sent what nobody had asked for")
)

// session is a process and what it sends.
type session struct {
	command *launch.Command
	frames  chan frame
	done    chan struct{}
	once    sync.Once
	ended   error

	mu     sync.Mutex
	silent time.Time // when the last thing was read from it
}

// exitSettle is how long the end of the output may come before the end of the process.
const exitSettle = 500 * time.Millisecond

// frame is a message of the program, or the error after which there are none.
type frame struct {
	body []byte
	err  error
}

func newSession(command *launch.Command) *session {
	s := &session{command: command, frames: make(chan frame, 1), done: make(chan struct{})}
	go s.read()
	return s
}

// read reads whether or not an answer is due: so what nobody has asked for is found, and the program cannot block the host's
// writing by writing itself. It holds two messages at most.
func (s *session) read() {
	r := bufio.NewReaderSize(s.command.Stdout, maxHeaderLine)
	for {
		body, err := readFrame(r)
		if err != nil {
			s.mu.Lock()
			s.silent = time.Now()
			s.mu.Unlock()
		}
		select {
		case s.frames <- frame{body, err}:
		case <-s.done:
			return
		}
		if err != nil {
			return
		}
	}
}

// silentSince is when the program's output has ended, if it has.
func (s *session) silentSince() (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.silent, !s.silent.IsZero()
}

// unasked says why a process cannot be asked any more: it has ended, or it has sent something that nobody had asked for and
// that would be taken for the answer to the next question.
func (s *session) unasked() error {
	select {
	case <-s.command.Exited():
		return errExited
	default:
	}
	select {
	case early := <-s.frames:
		if early.err == nil {
			return errUnasked
		}
		s.awaitExit(early.err)
		return early.err
	default:
		return nil
	}
}

// awaitExit gives a process that has closed its output the time to end, so that its own status is told and not our signal.
func (s *session) awaitExit(err error) {
	if !errors.Is(err, errClosed) {
		return
	}
	settled := time.NewTimer(exitSettle)
	defer settled.Stop()
	select {
	case <-s.command.Exited():
	case <-settled.C:
	}
}

// exchange sends a question and waits for what comes back, together for as long as the timeout says.
func (s *session) exchange(body []byte, timeout time.Duration) ([]byte, error) {
	deadline := time.Now().Add(timeout)
	// A program that does not read would block the write once the pipe is full.
	_ = s.command.Stdin.SetWriteDeadline(deadline)
	_, err := s.command.Stdin.Write(newFrame(body))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, errTimeout
	case err != nil:
		return nil, errWrite
	}
	wait := time.NewTimer(time.Until(deadline))
	defer wait.Stop()
	select {
	case answer := <-s.frames:
		s.awaitExit(answer.err)
		return answer.body, answer.err
	case <-wait.C:
		return nil, errTimeout
	case <-s.done:
		return nil, errStopped
	}
}

// end kills the process with all that it has started.
func (s *session) end() error {
	s.once.Do(func() {
		close(s.done)
		s.ended = s.command.Kill()
	})
	return s.ended
}

// signalNames are those that end programs.
var signalNames = map[syscall.Signal]string{
	syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE", syscall.SIGHUP: "SIGHUP",
	syscall.SIGILL: "SIGILL", syscall.SIGINT: "SIGINT", syscall.SIGKILL: "SIGKILL", syscall.SIGPIPE: "SIGPIPE",
	syscall.SIGQUIT: "SIGQUIT", syscall.SIGSEGV: "SIGSEGV", syscall.SIGTERM: "SIGTERM", syscall.SIGTRAP: "SIGTRAP",
}

// ending words how a process ended as the open-source Decision Gate does: "exit status: 3", "signal: 9 (SIGKILL)".
func ending(state *os.ProcessState) string {
	if state == nil {
		return "unknown"
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() {
		return fmt.Sprintf("exit status: %d", state.ExitCode())
	}
	text := fmt.Sprintf("signal: %d", status.Signal())
	if name := signalNames[status.Signal()]; name != "" {
		text += " (" + name + ")"
	}
	if status.CoreDump() {
		text += " (core dumped)"
	}
	return text
}
