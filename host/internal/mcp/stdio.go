package mcp

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// maxHeaderLine is the length in bytes of the longest header line of a frame; a peer that never ends one is cut off.
const maxHeaderLine = 8 << 10

// errNoStdio refuses to serve whoever cannot be known.
var errNoStdio = errors.New("standard input is not served: whoever starts the host has neither a token nor a certificate; add local {} to auth")

// Errors that end a stdio server: after them the frames can no longer be told apart (mcp contract §1.5).
var (
	errNoLength      = errors.New("transport error: missing content length")
	errBadLength     = errors.New("transport error: invalid content length")
	errFrameTooLarge = errors.New("transport error: payload too large")
	errReadFailed    = errors.New("transport error: stdio read failed")
)

// ServeStdio answers Content-Length frames one at a time, in order, until in ends, which is a clean exit, or the context does.
// A client that begins with a brace sends JSON by the line, as stock clients of the Model Context Protocol do, and is served
// as one. It may leave a read of in behind, since nothing can end one.
func (s *Server) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	// Otherwise stock clients would be told of tools and documents that nobody here may use.
	if who := s.newCaller(ctx, "stdio", access.Credentials{Stdio: true}); who.denial != nil {
		return errNoStdio
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reader := bufio.NewReaderSize(in, maxHeaderLine)
	byLine := make(chan bool, 1)
	go func() {
		first, _ := reader.Peek(1)
		byLine <- len(first) > 0 && (first[0] == '{' || first[0] == '[')
	}()
	select {
	case <-ctx.Done():
		return nil
	case lines := <-byLine:
		if lines {
			return s.standard.ServeLines(ctx, reader, out)
		}
	}
	frames := make(chan frame)
	go s.readFrames(ctx, reader, frames)
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-frames:
			if errors.Is(f.err, io.EOF) {
				return nil
			}
			if f.err != nil {
				return f.err
			}
			a := s.serveFrame(ctx, f.body)
			if _, err := fmt.Fprintf(out, "Content-Length: %d\r\n\r\n%s", len(a.body), a.body); err != nil {
				return fmt.Errorf("transport error: stdio write failed: %w", err)
			}
		}
	}
}

func (s *Server) serveFrame(ctx context.Context, body []byte) answer {
	who := s.newCaller(ctx, "stdio", access.Credentials{Stdio: true})
	if limited := s.limited(&who); limited != nil {
		refused := s.recordRefusal(ctx, &refusal{Error: limited, who: who, received: len(body)}, errorSize)
		return failed(nil, refused.Error)
	}
	return s.serve(ctx, who, body)
}

// frame is what was read: a body, or the error after which nothing can be read.
type frame struct {
	body []byte
	err  error
}

// readFrames reads beside the loop that serves: waiting for a peer that says nothing must not keep a host from ending.
func (s *Server) readFrames(ctx context.Context, reader *bufio.Reader, frames chan<- frame) {
	for {
		body, err := s.readFrame(reader)
		select {
		case frames <- frame{body, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// readFrame reads one frame; io.EOF means that the peer is gone between frames.
func (s *Server) readFrame(reader *bufio.Reader) ([]byte, error) {
	length := int64(-1)
	for {
		line, err := reader.ReadSlice('\n')
		switch {
		case err == io.EOF:
			return nil, io.EOF
		case err != nil || !utf8.Valid(line):
			return nil, errReadFailed
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		value, found := bytes.CutPrefix(line, []byte("Content-Length:"))
		if !found {
			// Other headers are skipped (mcp contract §1.5).
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimPrefix(bytes.TrimSpace(value), []byte("+"))), 10, 63)
		if err != nil {
			return nil, errBadLength
		}
		length = int64(n)
	}
	switch {
	case length < 0:
		return nil, errNoLength
	case length > s.MaxBody:
		return nil, errFrameTooLarge
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(reader, body); err != nil {
		return nil, errReadFailed
	}
	return body, nil
}
