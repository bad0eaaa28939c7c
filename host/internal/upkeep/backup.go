package upkeep

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// A backup is a file of
//
//	magic          16 bytes, the last one a newline
//	format         4 bytes, big-endian: backupFormat
//	header         a frame of JSON, see Header
//	frames         what was written and removed, in an order in which the last of a key counts
//	end            a frame of JSON, see ending
//	SHA-256        32 bytes, of everything before
//
// A frame is its kind (1 byte), the length of the key and that of the body (uvarints), and both. Keys are those of store.AppendKey.
const (
	backupMagic = "decision-gate s\n"
	// backupFormat is raised when an earlier version of this program would misread a backup.
	backupFormat = 1

	frameHeader = 'H'
	framePut    = 'P'
	frameDelete = 'D'
	frameEnd    = 'E'
)

// Header says what a backup is of.
type Header struct {
	// Store is the name of the plugin that the store was of.
	Store string `json:"store"`
	// Program is the version of this program that made it.
	Program string `json:"program"`
	// CreatedAt is when the backup began.
	CreatedAt time.Time `json:"created_at"`
}

// ending says what a backup holds.
type ending struct {
	Revision uint64 `json:"revision"`
	Records  uint64 `json:"records"`
	Removed  uint64 `json:"removed"`
}

// BackupReport is what a backup came to.
type BackupReport struct {
	Path string `json:"path"`
	// Revision is the one of the store that the backup is.
	Revision uint64 `json:"revision"`
	// Records were written, some of them more than once when they changed meanwhile.
	Records uint64 `json:"records_written"`
	// Bytes is the size of the file, SHA256 its trailer: what the restore knows it by.
	Bytes  uint64 `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Backup writes what a store holds to a file, which hosts may serve and write to meanwhile: the file is the store as it was at
// one moment. It appears under its name when it is whole and on disk; one that is there is replaced. Progress may be nil.
func Backup(ctx context.Context, s store.Store, path string, header Header, progress func(Progress)) (report *BackupReport, err error) {
	s = steadily(s)
	description, err := describe(ctx, s)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.part")
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
		file.Close()
	}()
	w := newBackupWriter(file)
	w.begin(header)
	f := newFeed(s, 0, 0)
	done := Progress{Doing: "backing up", End: description.Revision}
	take := func(b batch) error {
		for _, op := range b.ops {
			if op.Kind == store.OpPut {
				w.frame(framePut, store.AppendKey(nil, op.Key), op.Body)
				w.end.Records++
			} else {
				w.frame(frameDelete, store.AppendKey(nil, op.Key), nil)
				w.end.Removed++
			}
		}
		done.Records, done.Bytes, done.Position = done.Records+uint64(len(b.ops)), w.size, b.position
		if progress != nil {
			progress(done)
		}
		return w.err
	}
	if err := f.reach(ctx, description.Revision, take); err != nil {
		return nil, err
	}
	w.end.Revision = f.position
	sum, err := w.close()
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", file.Name(), err)
	}
	if err := settleFile(file, path); err != nil {
		return nil, err
	}
	return &BackupReport{Path: path, Revision: f.position, Records: w.end.Records, Bytes: w.size, SHA256: hex.EncodeToString(sum)}, nil
}

// settleFile gives a file its name when its bytes are on disk, and has the name there, too.
func settleFile(file *os.File, path string) error {
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// backupWriter writes frames. Its first error stays.
type backupWriter struct {
	out  *bufio.Writer
	sum  hash.Hash
	size uint64
	end  ending
	err  error
}

// backupBuffer is the size in bytes of what is written and read at once.
const backupBuffer = 1 << 20

func newBackupWriter(w io.Writer) *backupWriter {
	return &backupWriter{out: bufio.NewWriterSize(w, backupBuffer), sum: sha256.New()}
}

func (w *backupWriter) write(p []byte) {
	if w.err != nil {
		return
	}
	w.sum.Write(p)
	w.size += uint64(len(p))
	_, w.err = w.out.Write(p)
}

func (w *backupWriter) frame(kind byte, key, body []byte) {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(key)))
	head = binary.AppendUvarint(head, uint64(len(body)))
	w.write(append(head, key...))
	w.write(body)
}

func (w *backupWriter) begin(header Header) {
	w.write(binary.BigEndian.AppendUint32([]byte(backupMagic), backupFormat))
	w.json(frameHeader, header)
}

func (w *backupWriter) json(kind byte, v any) {
	body, err := json.Marshal(v)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.frame(kind, nil, body)
}

// close writes the end and the trailer, which it returns.
func (w *backupWriter) close() ([]byte, error) {
	w.json(frameEnd, w.end)
	sum := w.sum.Sum(nil)
	w.write(sum)
	if w.err != nil {
		return nil, w.err
	}
	return sum, w.out.Flush()
}
