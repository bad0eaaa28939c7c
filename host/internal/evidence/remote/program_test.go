package remote

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

func ask(t *testing.T, p *Program) (gate.EvidenceResult, error) {
	t.Helper()
	return p.Query(t.Context(), anything, somewhere)
}

// TestProgram asks a program several times, also with a correlation id: it is one process, and its answers count as they are.
func TestProgram(t *testing.T) {
	p := startProgram(t, programOptions(t, "answer"))
	result, err := ask(t, p)
	first := number(t, result, err)
	if result.Lane != gate.Verified {
		t.Errorf("lane %q of an answer that names none", result.Lane)
	}
	id := gate.CorrelationID("corr-1")
	ec := somewhere
	ec.CorrelationID = &id
	result, err = p.Query(t.Context(), anything, ec)
	if again := number(t, result, err); again != first {
		t.Errorf("another process answers: %d and %d", first, again)
	}
}

// TestEnvironment: a program gets the variables that it is given and nothing else, and runs where it is told to.
func TestEnvironment(t *testing.T) {
	t.Setenv("REMOTE_TEST_SECRET", "s")
	options := programOptions(t, "environment")
	options.Env = []string{"A=b"}
	result, err := ask(t, startProgram(t, options))
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := result.Value.JSON.Text(); text != "A=b|"+options.Dir {
		t.Errorf("it has %q, in %s", text, options.Dir)
	}
}

func TestNoProgram(t *testing.T) {
	options := programOptions(t, "answer")
	options.Path = "/no/such/program"
	if _, err := StartProgram(options); err == nil || !strings.HasPrefix(err.Error(), "failed to spawn mcp provider: ") {
		t.Error(err)
	}
}

// TestBrokenFraming sends what is no frame. It is an error, and the program is started anew: read on, the rest of the
// garbage would be an answer to the next question.
func TestBrokenFraming(t *testing.T) {
	planted := string(newFrame([]byte(result([]byte("1"), 666))))
	for name, test := range map[string]struct{ sent, want string }{
		"no header":             {"\r\n" + planted, "missing content length header"},
		"another header":        {"X: y\r\n\r\n" + planted, "missing content length header"},
		"lower case":            {"content-length: 5\r\n\r\n12345", "missing content length header"},
		"space before colon":    {"Content-Length : 5\r\n\r\n12345", "missing content length header"},
		"no number":             {"Content-Length: x\r\n\r\n" + planted, "invalid content length"},
		"negative":              {"Content-Length: -1\r\n\r\n", "invalid content length"},
		"beyond 64 bits":        {"Content-Length: 99999999999999999999\r\n\r\n", "invalid content length"},
		"one byte too large":    {"Content-Length: 1048577\r\n\r\n" + planted, "mcp response too large"},
		"largest number":        {"Content-Length: 18446744073709551615\r\n\r\n", "mcp response too large"},
		"header line not UTF-8": {"\xff\r\n" + planted, "mcp read failed"},
		"header line too long":  {strings.Repeat("x", maxHeaderLine+1), "mcp read failed"},
		"header without end":    {strings.Repeat("x: y\r\n", maxHeaderLines), "mcp read failed"},
	} {
		t.Run(name, func(t *testing.T) {
			options := programOptions(t, "first", strconv.Quote(test.sent))
			options.AnyID = true
			p := startProgram(t, options)
			_, err := ask(t, p)
			wantError(t, err, test.want)
			result, err := ask(t, p)
			if n := number(t, result, err); n == 666 {
				t.Error("what the first process had left over was taken for an answer")
			}
		})
	}
}

// TestHeaders are the frames that pass.
func TestHeaders(t *testing.T) {
	body := `{"result":{"content":[{"type":"json","json":{"value":{"kind":"json","value":7}}}]}}`
	for _, header := range []string{
		"Content-Length: %d\r\n\r\n", "Content-Length:%d\n\n", "X: y\r\nContent-Length: 1\r\nContent-Length:  +%d \r\nrubbish\r\n\r\n",
	} {
		options := programOptions(t, "first", strconv.Quote(fmt.Sprintf(header, len(body))+body))
		options.AnyID = true
		result, err := ask(t, startProgram(t, options))
		if n := number(t, result, err); n != 7 {
			t.Errorf("%q: got %d", header, n)
		}
	}
}

// TestLargestAnswer: a mebibyte passes.
func TestLargestAnswer(t *testing.T) {
	p := startProgram(t, programOptions(t, "size", "1048576"))
	result, err := ask(t, p)
	number(t, result, err)
}

// TestBadAnswer: an answer that is none costs its question, and the program goes on.
func TestBadAnswer(t *testing.T) {
	p := startProgram(t, programOptions(t, "first", strconv.Quote(string(newFrame([]byte("{"))))))
	pid := p.session.command.PID()
	_, err := ask(t, p)
	wantError(t, err, "invalid json-rpc response")
	result, err := ask(t, p)
	if n := number(t, result, err); n != int64(pid) {
		t.Errorf("%d answers, %d was started", n, pid)
	}
}

// TestID: an answer to another question is refused, unless the operator has said that ids do not matter.
func TestID(t *testing.T) {
	for _, behaviour := range []string{"wrong id", "no id"} {
		options := programOptions(t, behaviour)
		_, err := ask(t, startProgram(t, options))
		wantError(t, err, "json-rpc response id mismatch")
		options.AnyID = true
		if _, err := ask(t, startProgram(t, options)); err != nil {
			t.Errorf("%s: %v", behaviour, err)
		}
	}
}

// TestUnasked: an answer that comes before its question, or a second time, is not taken for the answer to the next one. The
// ids are all the same here, so that they are no help.
func TestUnasked(t *testing.T) {
	id := gate.CorrelationID("same")
	ec := somewhere
	ec.CorrelationID = &id
	for _, behaviour := range []string{"early", "twice"} {
		t.Run(behaviour, func(t *testing.T) {
			options := programOptions(t, behaviour)
			options.AnyID = true
			p := startProgram(t, options)
			if behaviour == "twice" {
				result, err := p.Query(t.Context(), anything, ec)
				if n := number(t, result, err); n != 1 {
					t.Errorf("the first answer is %d", n)
				}
			}
			// What it sends must have arrived: only then can it be known that nobody had asked for it.
			waitFor(t, func() bool { return len(p.session.frames) == 1 })
			before := p.session
			result, err := p.Query(t.Context(), anything, ec)
			if n := number(t, result, err); n == 666 || n < 0 {
				t.Errorf("the unasked answer %d was taken", n)
			}
			if p.session == before {
				t.Error("the program was not started anew")
			}
		})
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it has not happened")
		}
	}
}

// TestHang asks programs that do not answer, or do not read: each costs the time of its question, is ended, and is started
// again for the next one.
func TestHang(t *testing.T) {
	for _, behaviour := range []string{"hang", "deaf"} {
		t.Run(behaviour, func(t *testing.T) {
			options := programOptions(t, behaviour)
			options.RequestTimeout = 50 * time.Millisecond
			p := startProgram(t, options)
			query := anything
			query.CheckID = strings.Repeat("x", 1<<19) // more than a pipe holds
			pid := p.session.command.PID()
			_, err := p.Query(t.Context(), query, somewhere)
			wantError(t, err, "mcp request timed out")
			if syscall.Kill(pid, 0) == nil {
				t.Error("the process is still there")
			}
			_, err = p.Query(t.Context(), query, somewhere)
			wantError(t, err, "mcp request timed out")
			// Twice in a row without an answer: now it has to wait.
			_, err = p.Query(t.Context(), query, somewhere)
			wantError(t, err, "mcp process exited: signal: 9 (SIGKILL)")
		})
	}
}

// TestQueue: many questions to a program that hangs all end in time, and the place of each is free again.
func TestQueue(t *testing.T) {
	options := programOptions(t, "hang")
	options.RequestTimeout = 100 * time.Millisecond
	p := startProgram(t, options)
	var asked sync.WaitGroup
	for range 16 {
		asked.Go(func() {
			if _, err := p.Query(t.Context(), anything, somewhere); err == nil {
				t.Error("an answer of a program that gives none")
			}
		})
	}
	asked.Wait()
	if len(p.turn) != 0 {
		t.Error("the turn is still taken")
	}
}

// TestCallerLeaves: a caller that does not wait for its answer does not leave it to the next one.
func TestCallerLeaves(t *testing.T) {
	p := startProgram(t, programOptions(t, "answer"))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	p.turn <- struct{}{}
	_, err := p.Query(gone, anything, somewhere)
	wantError(t, err, "mcp request timed out")
	<-p.turn
	result, err := ask(t, p)
	number(t, result, err)
}

// TestEnds: what a program that ends is told as, and that it stays so for a while before it is started again.
func TestEnds(t *testing.T) {
	for behaviour, then := range map[string]string{
		"exit": "exit status: 3", "close": "signal: 9 (SIGKILL)",
		// The status is its own, although its output has ended before it.
		"close and exit": "exit status: 3",
	} {
		t.Run(behaviour, func(t *testing.T) {
			p := startProgram(t, programOptions(t, behaviour))
			_, err := ask(t, p)
			wantError(t, err, "mcp connection closed")
			_, err = ask(t, p)
			wantError(t, err, "mcp process exited: "+then)
		})
	}
	t.Run("at once", func(t *testing.T) {
		p := startProgram(t, programOptions(t, "exit at once"))
		<-p.session.command.Exited()
		_, err := ask(t, p)
		wantError(t, err, "mcp process exited: exit status: 4")
	})
	t.Run("inside of an answer", func(t *testing.T) {
		p := startProgram(t, programOptions(t, "first", strconv.Quote("Content-Length: 10\r\n\r\n123"), "exit"))
		_, err := ask(t, p)
		wantError(t, err, "mcp read failed")
		result, err := ask(t, p)
		number(t, result, err)
	})
}

// TestRestart: a program that was killed from outside is started again once its delay is over.
func TestRestart(t *testing.T) {
	options := programOptions(t, "answer")
	options.delay = time.Nanosecond
	p := startProgram(t, options)
	before := p.session.command
	if err := syscall.Kill(before.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-before.Exited()
	result, err := ask(t, p)
	number(t, result, err)
	if p.failures != 0 {
		t.Errorf("%d failures are still counted after an answer", p.failures)
	}
}

// TestRestartFails: a program that is gone is an error without the name of it, and is looked for again later.
func TestRestartFails(t *testing.T) {
	var log bytes.Buffer
	options := programOptions(t, "exit at once")
	options.delay = time.Nanosecond
	options.Logger = slog.New(slog.NewTextHandler(&log, nil))
	p := startProgram(t, options)
	<-p.session.command.Exited()
	p.Path = "/no/such/program"
	_, err := ask(t, p)
	wantError(t, err, "failed to spawn mcp provider")
	if !strings.Contains(log.String(), "/no/such/program") {
		t.Errorf("the log does not name the program: %s", &log)
	}
}

func TestBackoff(t *testing.T) {
	p := &Program{ProgramOptions: ProgramOptions{delay: restartDelay}}
	now := time.Now()
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		p.fail(now, false)
		if got := p.notBefore.Sub(now); got != want*time.Second {
			t.Errorf("after %d failures: %s", i+1, got)
		}
	}
	p.failures = 1 << 40
	if p.fail(now, true); p.notBefore.Sub(now) != maxRestartDelay {
		t.Errorf("after very many: %s", p.notBefore.Sub(now))
	}
	p.failures = 0
	if p.fail(now, true); p.notBefore.After(now) {
		t.Error("a healthy program that we have ended for one slow answer has to wait")
	}
}

// TestFlood: a program that writes to standard error without end does not block.
func TestFlood(t *testing.T) {
	p := startProgram(t, programOptions(t, "flood"))
	for want := int64(1); want < 3; want++ {
		result, err := ask(t, p)
		if n := number(t, result, err); n != want {
			t.Errorf("answer %d, want %d", n, want)
		}
	}
}

// TestCloseEndsAll: the program and what it has started are gone with the host.
func TestCloseEndsAll(t *testing.T) {
	p := startProgram(t, programOptions(t, "child"))
	result, err := ask(t, p)
	child := int(number(t, result, err))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || bytes.Contains(state, []byte(") Z ")) // reaped later by whoever adopts it
	})
	if _, err := ask(t, p); err == nil {
		t.Error("a closed program was asked")
	}
	if p.session != nil && p.session.command.PID() != 0 {
		t.Error("a closed program was started again")
	}
}

// TestCloseWhileAsked: the end of the host does not wait for an answer.
func TestCloseWhileAsked(t *testing.T) {
	p := startProgram(t, programOptions(t, "hang"))
	asked := make(chan error, 1)
	go func() {
		_, err := p.Query(context.WithoutCancel(t.Context()), anything, somewhere)
		asked <- err
	}()
	waitFor(t, func() bool { return len(p.turn) == 1 })
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-asked; err == nil {
		t.Error("an answer of a program that was ended")
	}
}
