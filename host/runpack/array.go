package runpack

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// MaxRecord is the size in bytes of the largest record of a log that is read, and of the spec: no step of a run is larger,
// and it bounds the memory of a verification whatever the size of the files.
const MaxRecord = 32 << 20

// arrayReader splits a JSON array into its elements without holding more than one. It finds the end of an element by its
// brackets and strings only; whether the element is JSON is for the parser to say.
type arrayReader struct {
	in      *bufio.Reader
	element []byte
	state   arrayState
	count   uint64
	// loose is set when there is white space between elements, which the canonical form does not have.
	loose bool
}

type arrayState uint8

const (
	beforeArray arrayState = iota
	inArray
	afterArray
)

// readBuffer is how many bytes of a file are read at a time.
const readBuffer = 64 << 10

func newArrayReader(r io.Reader) *arrayReader {
	return &arrayReader{in: bufio.NewReaderSize(r, readBuffer)}
}

// syntaxError is an error of what was read, not of reading.
type syntaxError struct{ text string }

func (e *syntaxError) Error() string { return e.text }

func syntax(format string, args ...any) error { return &syntaxError{fmt.Sprintf(format, args...)} }

// next returns the bytes of the next element, valid until the call after; io.EOF after the last, when nothing but white
// space follows. A *syntaxError says that this is no array; other errors are those of reading.
func (a *arrayReader) next() ([]byte, error) {
	switch a.state {
	case afterArray:
		return nil, io.EOF
	case beforeArray:
		if err := a.open(); err != nil {
			return nil, err
		}
	}
	closing, err := a.scan()
	if err != nil {
		return nil, err
	}
	if closing {
		a.state = afterArray
		if err := a.trailer(); err != nil {
			return nil, err
		}
		if a.count == 0 && len(bytes.TrimSpace(a.element)) == 0 {
			a.loose = a.loose || len(a.element) > 0
			return nil, io.EOF
		}
	}
	a.count++
	return a.element, nil
}

func (a *arrayReader) open() error {
	c, err := a.significant()
	switch {
	case errors.Is(err, io.EOF):
		return syntax("EOF while parsing a value at line 1 column 0")
	case err != nil:
		return err
	case c != '[':
		return a.notArray(c)
	}
	a.state = inArray
	return nil
}

// notArray says what is there instead of an array, from its first bytes.
func (a *arrayReader) notArray(first byte) error {
	kinds := map[byte]string{'{': "map", '"': "string", 't': "boolean", 'f': "boolean", 'n': "null"}
	kind, known := kinds[first]
	switch {
	case known:
	case first == '-' || first >= '0' && first <= '9':
		kind = "number"
	default:
		return syntax("expected value at line 1 column 1")
	}
	return syntax("invalid type: %s, expected a sequence at line 1 column 0", kind)
}

// significant reads the next byte that is not white space.
func (a *arrayReader) significant() (byte, error) {
	for {
		c, err := a.in.ReadByte()
		if err != nil || !isSpace(c) {
			return c, err
		}
		a.loose = true
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// trailer sees that only white space follows the array.
func (a *arrayReader) trailer() error {
	_, err := a.significant()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return syntax("trailing characters after the sequence")
	}
}

// scan gathers an element up to the comma or bracket that ends it, which it reads too; closing tells which it was.
func (a *arrayReader) scan() (closing bool, err error) {
	a.element = a.element[:0]
	s := scanner{}
	for {
		chunk, err := a.chunk()
		if err != nil {
			return false, err
		}
		n := s.scan(chunk)
		// Stops a file that is one endless element from filling the memory.
		if len(a.element)+n > MaxRecord {
			return false, syntax("record %d is over %d bytes", a.count+1, MaxRecord)
		}
		a.element = append(a.element, chunk[:n]...)
		if n == len(chunk) {
			a.in.Discard(n)
			continue
		}
		end := chunk[n]
		a.in.Discard(n + 1)
		if end == '}' {
			return false, syntax("expected `,` or `]` after record %d", a.count+1)
		}
		return end == ']', nil
	}
}

// chunk returns what is buffered, at least one byte.
func (a *arrayReader) chunk() ([]byte, error) {
	_, err := a.in.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil, syntax("EOF while parsing a list")
	}
	if err != nil {
		return nil, err
	}
	return a.in.Peek(a.in.Buffered())
}

// scanner follows strings and brackets.
type scanner struct {
	depth    int
	inString bool
	escaped  bool
}

// scan returns where in the chunk the element ends: the place of the comma or bracket, or the length of the chunk.
func (s *scanner) scan(chunk []byte) int {
	for i, c := range chunk {
		switch {
		case s.escaped:
			s.escaped = false
		case s.inString:
			s.escaped, s.inString = c == '\\', c != '"'
		case c == '"':
			s.inString = true
		case c == '[' || c == '{':
			s.depth++
		case (c == ']' || c == '}' || c == ',') && s.depth == 0:
			return i
		case c == ']' || c == '}':
			s.depth--
		}
	}
	return len(chunk)
}

// log reads the records of one file.
type log[R any] struct {
	path  string
	array *arrayReader
	// head is the next record, nil at the end; size is the length of its bytes.
	head *R
	size int
	// canonical is false once a record has other bytes than its canonical form.
	canonical bool
	buffer    []byte
}

// newLog opens a log and reads its first record.
func newLog[R any](in io.Reader, path string) (*log[R], error) {
	l := &log[R]{path: path, array: newArrayReader(in), canonical: true}
	return l, l.advance()
}

// advance moves head to the next record. The file is read to its end, so that its hash is checked, when head becomes nil.
func (l *log[R]) advance() error {
	raw, err := l.array.next()
	if errors.Is(err, io.EOF) {
		l.head = nil
		l.canonical = l.canonical && !l.array.loose
		return nil
	}
	if err != nil {
		return err
	}
	v, err := canonical.ParseRecord(raw)
	if err != nil {
		return syntax("record %d: %v", l.array.count, err)
	}
	record := new(R)
	if err := canonical.Decode(v, record); err != nil {
		return syntax("record %d: %v", l.array.count, err)
	}
	l.head, l.size = record, len(raw)
	if l.canonical {
		l.buffer = canonical.Append(l.buffer[:0], *record, canonical.Canonical)
		l.canonical = string(l.buffer) == string(raw)
	}
	return nil
}
