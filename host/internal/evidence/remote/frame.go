package remote

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"unicode/utf8"
)

// Limits of the header of a frame: a program that never ends a line, or its header, is cut off.
const (
	maxHeaderLine  = 8 << 10
	maxHeaderLines = 64
)

// What goes wrong between the host and a program (mcp contract §5.1).
var (
	errNoLength  = errors.New("missing content length header")
	errBadLength = errors.New("invalid content length")
	errTooLarge  = errors.New("mcp response too large")
	errRead      = errors.New("mcp read failed")
	errClosed    = errors.New("mcp connection closed")
)

// newFrame is a message with its header. It ends with the JSON.
func newFrame(body []byte) []byte {
	return append(fmt.Appendf(nil, "Content-Length: %d\r\n\r\n", len(body)), body...)
}

// readFrame reads one message. After an error the frames can no longer be told apart.
func readFrame(r *bufio.Reader) ([]byte, error) {
	length, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	if length > MaxAnswer {
		return nil, errTooLarge
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, errRead
	}
	return body, nil
}

// readHeader is the length that a header gives: the name is compared exactly, other lines are skipped, the last length wins
// (mcp contract §5.2).
func readHeader(r *bufio.Reader) (uint64, error) {
	var length uint64
	found := false
	for range maxHeaderLines {
		line, err := r.ReadSlice('\n')
		switch {
		case err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded):
			// The deadline is set when the process has ended and something else holds its output open.
			return 0, errClosed
		case err != nil || !utf8.Valid(line):
			return 0, errRead
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(bytes.TrimSpace(line)) == 0 {
			if !found {
				return 0, errNoLength
			}
			return length, nil
		}
		value, ok := bytes.CutPrefix(line, []byte("Content-Length:"))
		if !ok {
			continue
		}
		found = true
		length, err = strconv.ParseUint(string(bytes.TrimPrefix(bytes.TrimSpace(value), []byte("+"))), 10, 64)
		if err != nil {
			return 0, errBadLength
		}
	}
	return 0, errRead
}
