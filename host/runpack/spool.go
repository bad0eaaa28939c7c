package runpack

import (
	"bufio"
	"crypto/sha256"
	"hash"
	"io"
	"os"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Spool makes the files in which a bundle is assembled before it is sent.
type Spool interface {
	Create() (SpoolFile, error)
}

// SpoolFile is written once from its start, then read; Close forgets it.
type SpoolFile interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// DiskSpool spools into files of a directory, the system's temporary one when empty. The files have no name as soon as they
// are made: they hold raw evidence, and nothing of them is left behind when the host is killed.
type DiskSpool string

// Create makes a file.
func (dir DiskSpool) Create() (SpoolFile, error) {
	f, err := os.CreateTemp(string(dir), "runpack-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// spoolBuffer is how many bytes are gathered before they are written to a spool file.
const spoolBuffer = 64 << 10

// logWriter writes records as a canonical JSON array into a spool file and hashes them on the way.
type logWriter struct {
	file   SpoolFile
	out    *bufio.Writer
	sum    hash.Hash
	size   int64
	record []byte
}

func newLogWriter(spool Spool) (*logWriter, error) {
	file, err := spool.Create()
	if err != nil {
		return nil, err
	}
	w := &logWriter{file: file, sum: sha256.New()}
	w.out = bufio.NewWriterSize(io.MultiWriter(file, w.sum), spoolBuffer)
	return w, nil
}

// appendRecord writes one record.
func appendRecord[R any](w *logWriter, record *R) error {
	separator := byte(',')
	if w.size == 0 {
		separator = '['
	}
	w.record = canonical.Append(append(w.record[:0], separator), *record, canonical.Canonical)
	return w.write(w.record)
}

func (w *logWriter) write(p []byte) error {
	n, err := w.out.Write(p)
	w.size += int64(n)
	return err
}

// finish closes the array and returns its hash.
func (w *logWriter) finish() (canonical.HashDigest, error) {
	closing := "]"
	if w.size == 0 {
		closing = "[]"
	}
	if err := w.write([]byte(closing)); err != nil {
		return canonical.HashDigest{}, err
	}
	if err := w.out.Flush(); err != nil {
		return canonical.HashDigest{}, err
	}
	return canonical.Digest([sha256.Size]byte(w.sum.Sum(nil))), nil
}

func (w *logWriter) reader() io.Reader { return io.NewSectionReader(w.file, 0, w.size) }
