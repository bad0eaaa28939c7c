package upkeep

import (
	"bufio"
	"bytes"
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

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// RestoreReport is what a restore came to.
type RestoreReport struct {
	Backup Header `json:"backup"`
	// Revision is that of the store which was backed up.
	Revision uint64 `json:"revision"`
	// Resumed is the offset in the file at which it went on; 0 when it began.
	Resumed uint64 `json:"resumed_from"`
	Records uint64 `json:"records_written"`
	Bytes   uint64 `json:"bytes_written"`
	// Runs and Steps have chains that were verified in the store.
	Runs     uint64    `json:"runs"`
	Steps    uint64    `json:"steps"`
	Findings []Finding `json:"findings"`
}

// OK says that what was restored is sound.
func (r *RestoreReport) OK() bool { return len(r.Findings) == 0 }

// Restore fills an empty store from a backup, or goes on with a restore of the same backup that was cut off. Before anything is
// written the whole file is read: one that was cut, changed or made by a later version is a *RefusedError, as is a store that
// holds anything else. Progress may be nil.
func Restore(ctx context.Context, path string, to store.Store, progress func(Progress)) (*RestoreReport, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	to = steadily(to)
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	whole, err := readBackup(ctx, file, uint64(info.Size()), nil, func(at uint64) {
		progress(Progress{Doing: "checking the file", Bytes: at, Position: at, End: uint64(info.Size())})
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t, err := openTarget(ctx, to, "backup "+whole.sum)
	if err != nil {
		return nil, err
	}
	report := &RestoreReport{Backup: whole.header, Revision: whole.end.Revision, Resumed: t.Position, Findings: []Finding{}}
	r := &restorer{target: t, progress: progress, done: Progress{Doing: "restoring", End: uint64(info.Size())}}
	again, err := readBackup(ctx, file, uint64(info.Size()), r, func(uint64) {})
	if err == nil {
		err = r.flush(ctx, uint64(info.Size()))
	}
	if err == nil && again.sum != whole.sum {
		err = refuse("the file was changed while it was read")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	report.Records, report.Bytes = t.Records, t.Bytes
	var verified runs.Verified
	if verified, err = verifyRuns(ctx, to, collect(&report.Findings), progress); err != nil {
		return nil, err
	}
	report.Runs, report.Steps = verified.Runs, verified.Steps
	return report, nil
}

// restorer commits frames in batches.
type restorer struct {
	target   *target
	progress func(Progress)
	done     Progress
	batch    batch
	keys     map[string]struct{}
}

// take adds a frame, which ends at an offset, to the batch. What was restored before is passed over.
func (r *restorer) take(ctx context.Context, op store.Op, begin, end uint64) error {
	if end <= r.target.Position {
		return nil
	}
	name := string(store.AppendKey(nil, op.Key))
	if _, twice := r.keys[name]; twice || len(r.batch.ops) == batchRecords || len(r.batch.ops) > 0 && r.batch.bytes+uint64(len(op.Body)) > batchBytes {
		if err := r.flush(ctx, begin); err != nil {
			return err
		}
	}
	if r.keys == nil {
		r.keys = map[string]struct{}{}
	}
	r.keys[name] = struct{}{}
	r.batch.ops = append(r.batch.ops, op)
	r.batch.bytes += uint64(len(op.Body))
	return nil
}

// flush commits the batch, which ends at an offset.
func (r *restorer) flush(ctx context.Context, end uint64) error {
	if end <= r.target.Position {
		return nil
	}
	r.batch.position = end
	if err := r.target.take(ctx, r.batch); err != nil {
		return err
	}
	r.done.Records += uint64(len(r.batch.ops))
	r.done.Bytes += r.batch.bytes
	r.done.Position = end
	r.progress(r.done)
	r.batch, r.keys = batch{}, nil
	return nil
}

// backupFile is what a backup says of itself.
type backupFile struct {
	header Header
	end    ending
	sum    string
}

// readBackup reads a backup of a size to its end and checks it; its frames go to the restorer, when there is one.
func readBackup(ctx context.Context, file io.ReaderAt, size uint64, to *restorer, at func(uint64)) (*backupFile, error) {
	r := &backupReader{in: bufio.NewReaderSize(io.NewSectionReader(file, 0, int64(size)), backupBuffer), sum: sha256.New(), size: size}
	if err := r.preamble(); err != nil {
		return nil, err
	}
	found := &backupFile{}
	var count ending
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		begin := r.read
		kind, key, body, err := r.frame()
		if err != nil {
			return nil, err
		}
		if first != (kind == frameHeader) {
			return nil, errChanged
		}
		op := store.Op{Body: body}
		switch kind {
		case frameHeader:
			if err := json.Unmarshal(body, &found.header); err != nil {
				return nil, errChanged
			}
			continue
		case framePut:
			op.Kind = store.OpPut
			count.Records++
		case frameDelete:
			op.Kind = store.OpDelete
			count.Removed++
		case frameEnd:
			if err := json.Unmarshal(body, &found.end); err != nil {
				return nil, errChanged
			}
			count.Revision = found.end.Revision
			if count != found.end {
				return nil, errChanged
			}
			found.sum, err = r.trailer()
			return found, err
		default:
			return nil, errChanged
		}
		if op.Key, err = store.ParseKey(key); err != nil || op.Key.Collection == ownCollection {
			return nil, errChanged
		}
		if to != nil {
			if err := to.take(ctx, op, begin, r.read); err != nil {
				return nil, err
			}
		}
		at(r.read)
	}
}

var (
	errNoBackup = refuse("this is no backup of \"decision-gate store backup\"")
	errCut      = refuse("the backup is cut off, or was changed: it ends before its end; restore another one")
	errChanged  = refuse("the backup was changed after it was made; restore another one")
)

// backupReader reads the parts of a backup.
type backupReader struct {
	in         *bufio.Reader
	sum        hash.Hash
	read, size uint64
	one        [1]byte
}

// take reads n bytes.
func (r *backupReader) take(n uint64) ([]byte, error) {
	if n > r.size-r.read {
		return nil, errCut
	}
	p := make([]byte, n)
	if _, err := io.ReadFull(r.in, p); err != nil {
		return nil, cut(err)
	}
	r.sum.Write(p)
	r.read += n
	return p, nil
}

// cut is the end of the file where there should be more; other errors are those of the disk.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errCut
	}
	return err
}

// ReadByte is for binary.ReadUvarint.
func (r *backupReader) ReadByte() (byte, error) {
	b, err := r.in.ReadByte()
	if err != nil {
		return 0, cut(err)
	}
	r.one[0] = b
	r.sum.Write(r.one[:])
	r.read++
	return b, nil
}

func (r *backupReader) preamble() error {
	magic, err := r.take(uint64(len(backupMagic)))
	if err != nil || string(magic) != backupMagic {
		return errNoBackup
	}
	format, err := r.take(4)
	if err != nil {
		return err
	}
	if n := binary.BigEndian.Uint32(format); n != backupFormat {
		return refuse("the backup has format %d and this program knows format %d: restore it with the version that made it, or a newer one", n, backupFormat)
	}
	return nil
}

// maxFramePart is the length in bytes of the longest key or body: of a changed length, no more memory is taken than that.
const maxFramePart = store.MaxBody

func (r *backupReader) frame() (kind byte, key, body []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, nil, err
	}
	var lengths [2]uint64
	for i := range lengths {
		if lengths[i], err = binary.ReadUvarint(r); err != nil {
			var refused *RefusedError
			if !errors.As(err, &refused) {
				err = errChanged // too long for a number
			}
			return 0, nil, nil, err
		}
		if lengths[i] > maxFramePart {
			return 0, nil, nil, errChanged
		}
	}
	if key, err = r.take(lengths[0]); err != nil {
		return 0, nil, nil, err
	}
	body, err = r.take(lengths[1])
	return kind, key, body, err
}

func (r *backupReader) trailer() (string, error) {
	want := r.sum.Sum(nil)
	got, err := r.take(sha256.Size)
	if err != nil {
		return "", err
	}
	if !bytes.Equal(got, want) || r.read != r.size {
		return "", errChanged
	}
	return hex.EncodeToString(got), nil
}
