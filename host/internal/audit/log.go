package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
)

// Log is where lines are written: a file, or a writer such as the error output. It is safe for concurrent use. A nil *Log
// is none, and takes everything.
type Log struct {
	path string // empty for a writer

	mu     sync.Mutex
	out    io.Writer
	file   *os.File // out, when it is a file
	closed bool
	// pending are the bytes that could not be written, in the order in which they came; failure is why, and nil when there
	// are none. What is refused before its work leaves no lines, so it holds no more than what requests in flight left.
	pending []byte
	failure error
}

// fileMode lets the user of the host alone read who called.
const fileMode = 0o600

// Open makes a Log that appends to a file, which it makes when it is not there.
func Open(path string) (*Log, error) {
	l := &Log{path: path}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

// New makes a Log that writes to out, one Write for the lines of a request.
func New(out io.Writer) *Log { return &Log{out: out} }

var errNotFile = errors.New("it is not a file")

// open opens the file anew; without success the open one stays.
func (l *Log) open() error {
	// To open a pipe would wait for somebody who reads it.
	if info, err := os.Stat(l.path); err == nil && (info.IsDir() || info.Mode()&(fs.ModeNamedPipe|fs.ModeSocket) != 0) {
		return fmt.Errorf("audit log %s: %w", l.path, errNotFile)
	}
	file, err := os.OpenFile(l.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, fileMode)
	if err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if l.file != nil {
		_ = l.file.Close()
	}
	l.file, l.out = file, file
	return nil
}

// Write writes whole lines, those of one request, together, after all that came before. An error means that they, or some
// of them, are not in the log yet; they are kept and will be written before any other.
func (l *Log) Write(lines []byte) error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure != nil {
		l.pending = append(l.pending, lines...)
		return l.retry()
	}
	n, err := l.write(lines)
	if err != nil {
		l.pending, l.failure = append([]byte(nil), lines[n:]...), err
	}
	return err
}

// Ready reports why nothing may be done now: what was done before is not recorded yet. It tries again to write it.
func (l *Log) Ready() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failure == nil {
		return nil
	}
	return l.retry()
}

// retry writes what is pending. Half a line that a full disk has taken is completed.
func (l *Log) retry() error {
	n, err := l.write(l.pending)
	l.pending, l.failure = l.pending[n:], err
	if err == nil {
		l.pending = nil
	}
	return err
}

// errClosed is the failure of a log that was closed.
var errClosed = errors.New("audit log: it is closed")

// write returns how many bytes are written.
func (l *Log) write(lines []byte) (int, error) {
	if l.closed {
		return 0, errClosed
	}
	if err := l.follow(); err != nil {
		return 0, err
	}
	n, err := l.out.Write(lines)
	if err == nil && n < len(lines) {
		err = io.ErrShortWrite
	}
	return n, err
}

// follow opens the file anew when it was moved away or removed, as programs that rotate logs do. What was written before is
// in the file that was moved; what follows is in the new one.
func (l *Log) follow() error {
	if l.file == nil {
		return nil
	}
	there, err := os.Stat(l.path)
	if err == nil {
		open, err := l.file.Stat()
		if err != nil {
			return fmt.Errorf("audit log: %w", err)
		}
		if os.SameFile(there, open) {
			return nil
		}
	}
	return l.open()
}

// Reopen opens the file anew, as programs that rotate logs ask for by a signal.
func (l *Log) Reopen() error {
	if l == nil || l.path == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	return l.open()
}

// Close writes what could not be written before, if that is possible now, and closes the file. A second Close does nothing.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	var err error
	if l.failure != nil {
		if err = l.retry(); err != nil {
			err = fmt.Errorf("%d bytes of the audit log were not written: %w", len(l.pending), err)
		}
	}
	l.closed = true
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
	}
	return err
}
