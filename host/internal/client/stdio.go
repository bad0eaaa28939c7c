package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Bounds of a program that is talked to.
const (
	// maxFrameHeader is the size in bytes of one line of a frame's header, and maxFrameLines how many there may be.
	maxFrameHeader = 4 << 10
	maxFrameLines  = 32
	// maxLastWords is how much is kept of what the program writes to its error stream, for the error that says why it ended.
	maxLastWords = 4 << 10
	// endPatience is the time that a program has to end once its standard input has: a host drains its calls, 10 s by default.
	endPatience = 12 * time.Second
	// wordsPatience is the time to hear why a program has ended, after its output has.
	wordsPatience = time.Second
)

// Start starts a program that serves Content-Length frames on its standard input and output (mcp contract §1.5), with an
// environment. The context ends it.
func Start(ctx context.Context, command, environment []string) (*Client, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = environment
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endPatience
	p := &program{cmd: cmd, name: command[0], frames: make(chan frame), gone: make(chan struct{}), ended: make(chan struct{})}
	cmd.Stderr = &p.words
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w", command[0], err)
	}
	p.in, p.out = in, out
	go p.read(bufio.NewReaderSize(out, maxFrameHeader))
	return &Client{peer: p}, nil
}

type program struct {
	cmd    *exec.Cmd
	name   string
	in     io.WriteCloser
	out    io.Closer
	frames chan frame
	// gone is closed when nobody waits for frames any more.
	gone  chan struct{}
	words lastWords
	// waiting makes sure that the program is waited for once; ended is closed after it, when failure is set.
	waiting sync.Once
	ended   chan struct{}
	failure error
}

type frame struct {
	body []byte
	err  error
}

// read reads beside the calls, so that a program that says nothing can be left.
func (p *program) read(out *bufio.Reader) {
	for {
		body, err := readFrame(out)
		select {
		case p.frames <- frame{body, err}:
		case <-p.gone:
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *program) exchange(ctx context.Context, body []byte) (answer, error) {
	// Beside the wait: a program that does not read must not hold the caller. One that has ended is told by its output.
	go fmt.Fprintf(p.in, "Content-Length: %d\r\n\r\n%s", len(body), body)
	select {
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return answer{}, fmt.Errorf("%s has not answered in time%s", p.name, p.words.said())
		}
		return answer{}, ctx.Err()
	case f := <-p.frames:
		if f.err != nil {
			select {
			case <-p.wait():
			case <-time.After(wordsPatience):
			}
			return answer{}, fmt.Errorf("%s has ended, or answers no frames: %w%s", p.name, f.err, p.words.said())
		}
		return answer{body: f.body, status: http.StatusOK, server: p.name}, nil
	}
}

// wait has the program end, and waits beside the caller until it has and all of its last words are there. Its output is
// closed as well as its input: a program that goes on writing would wait for a reader.
func (p *program) wait() <-chan struct{} {
	p.waiting.Do(func() {
		_ = p.in.Close()
		_ = p.out.Close()
		go func() {
			p.failure = p.cmd.Wait()
			close(p.ended)
		}()
	})
	return p.ended
}

// Close ends the program by the end of its standard input, and by force when it does not end.
func (p *program) Close() error {
	close(p.gone)
	force := time.AfterFunc(endPatience, func() { _ = p.cmd.Process.Kill() })
	defer force.Stop()
	<-p.wait()
	var exit *exec.ExitError
	if errors.As(p.failure, &exit) {
		return fmt.Errorf("%s ended with %s%s", p.name, exit, p.words.said())
	}
	return p.failure
}

var errNoFrame = errors.New("no Content-Length frame")

// readFrame reads one frame of an answer.
func readFrame(in *bufio.Reader) ([]byte, error) {
	length := -1
	for lines := 0; ; lines++ {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil, io.EOF
		case err != nil || lines == maxFrameLines:
			return nil, errNoFrame
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, text, isHeader := bytes.Cut(line, []byte(":"))
		if !isHeader || bytes.ContainsAny(name, " {\"") {
			return nil, errNoFrame // lines of JSON, or a log: no frame would ever come
		}
		if string(name) == "Content-Length" {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil || length < 0 {
				return nil, errNoFrame
			}
		}
	}
	switch {
	case length < 0:
		return nil, errNoFrame
	case length > MaxAnswer:
		return nil, fmt.Errorf("the answer is larger than %d bytes", MaxAnswer)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return nil, fmt.Errorf("the answer is cut off: %w", err)
	}
	return body, nil
}

// lastWords keeps the end of what is written.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (w *lastWords) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if over := len(w.text) - maxLastWords; over > 0 {
		w.text = append(w.text[:0], w.text[over:]...)
	}
	return len(p), nil
}

// said is what was written, as the end of an error.
func (w *lastWords) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text := bytes.TrimSpace(w.text); len(text) > 0 {
		return fmt.Sprintf("; its last words: %s", bytes.ReplaceAll(text, []byte("\n"), []byte(" | ")))
	}
	return ""
}
