package modelcontext

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// stdioSession is the name of the one session that standard input is.
const stdioSession = "stdio"

// lines is a conversation over standard input and output.
type lines struct {
	*Server
	mu  sync.Mutex // of out
	out io.Writer
	err error // of writing

	session session // as the handshake left it; for legacy requests
}

// ServeLines answers messages, one a line, until in ends, which is a clean end, or the context does. Requests are served at
// the same time, so that one can be cancelled and a slow one does not keep others; answers come as they are ready. It may
// leave a read of in behind, since nothing can end one.
func (s *Server) ServeLines(ctx context.Context, in *bufio.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	l := &lines{Server: s, out: out, session: session{revision: latestLegacy, level: defaultLevel, name: stdioSession}}
	incoming := make(chan line)
	go readLines(ctx, in, s.options.MaxMessage, incoming)
	slots := make(chan struct{}, max(1, s.options.MaxInflight))
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case <-ctx.Done():
			return l.failed()
		case line := <-incoming:
			switch {
			case errors.Is(line.err, io.EOF):
				// What was asked is still answered.
				calls.Wait()
				return l.failed()
			case errors.Is(line.err, errLongLine):
				l.refuse(ctx, &message{}, 0, refuse(InvalidRequest, "message larger than %d bytes", s.options.MaxMessage))
			case line.err != nil:
				return fmt.Errorf("transport error: stdio read failed: %w", line.err)
			default:
				l.take(ctx, cancel, line.text, slots, &calls)
			}
		}
	}
}

// take serves a message: a request beside the others, anything else at once.
func (l *lines) take(ctx context.Context, fail context.CancelCauseFunc, text []byte, slots chan struct{}, calls *sync.WaitGroup) {
	if len(bytes.TrimSpace(text)) == 0 {
		return
	}
	m, malformed := parse(text)
	switch {
	case malformed != nil:
		l.refuse(ctx, &m, len(text), malformed)
		return
	case !m.request:
		l.notify(ctx, &m, len(text))
		return
	}
	r := &request{message: m, size: len(text), session: l.session, out: l}
	if isModern(&m, "") || m.method == "server/discover" {
		found, refused := readModern(&m)
		if refused != nil {
			l.refuse(ctx, &m, len(text), refused)
			return
		}
		found.name = stdioSession
		r.session = found
	} else if r.session.level = l.levels.get(stdioSession); m.method == "initialize" {
		declared, _ := m.params.Member("capabilities")
		l.session.capabilities = capabilitiesOf(declared)
	}
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	calls.Go(func() {
		defer func() { <-slots }()
		ctx, refused := l.begin(ctx)
		if refused != nil {
			l.write(l.refused(ctx, &r.message, r.size, refused))
			return
		}
		if answer, _, answered := l.serve(ctx, r); answered && !l.send(answer) {
			fail(l.failed()) // nobody reads
		}
	})
}

func (l *lines) begin(ctx context.Context) (context.Context, *Error) {
	if l.options.Begin == nil {
		return ctx, nil
	}
	return l.options.Begin(ctx)
}

// refuse answers a message that is not served.
func (l *lines) refuse(ctx context.Context, m *message, size int, e *Error) {
	ctx, refused := l.begin(ctx)
	if refused != nil {
		e = refused
	}
	l.write(l.refused(ctx, m, size, e))
}

// notify takes what is no request, also where a request would be refused: a client must always be able to cancel. On a line
// nothing can be answered.
func (l *lines) notify(ctx context.Context, m *message, size int) {
	if ctx, refused := l.begin(ctx); refused == nil {
		_, _ = l.taken(ctx, stdioSession, m, size)
		return
	}
	l.notified(stdioSession, m)
}

func (l *lines) write(message []byte) { l.send(message) }

// send writes a message. It is false when nobody reads.
func (l *lines) send(message []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		_, l.err = l.out.Write(append(message, '\n'))
	}
	return l.err == nil
}

func (l *lines) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return fmt.Errorf("transport error: stdio write failed: %w", l.err)
	}
	return nil
}

// line is what was read: a line without its end, or why there is none.
type line struct {
	text []byte
	err  error
}

var errLongLine = errors.New("line is too long")

// readLines reads beside the loop that serves, since nothing can end a read.
func readLines(ctx context.Context, in *bufio.Reader, limit int64, lines chan<- line) {
	for {
		text, err := readLine(in, limit)
		select {
		case lines <- line{text, err}:
		case <-ctx.Done():
			return
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return
		}
	}
}

// readLine reads a line; what is beyond the limit is skipped, so that the next line can be read, and never held.
func readLine(in *bufio.Reader, limit int64) (text []byte, err error) {
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if long = long || int64(len(text)+len(part)) > limit+1; !long {
			text = append(text, part...)
		}
		switch {
		case err == nil && long:
			return nil, errLongLine
		case err == nil:
			return text[:len(text)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(text) > 0 && !long:
			return text, nil // the next read says that it is the end
		default:
			return nil, err
		}
	}
}
