package sqlite

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// The layout of SQLite's write-ahead log and of the header of its index, which are parts of the file format
// (https://sqlite.org/fileformat2.html#the_write_ahead_log, https://sqlite.org/walformat.html).
const (
	logHeaderSize   = 32
	frameHeaderSize = 24
	indexHeaderSize = 48
	logMagic        = 0x377f0682 // with 1 added when checksums are of big-endian words
	maxPageSize     = 65536
)

// checkLog refuses a log that has lost commits. SQLite takes the first frame that it cannot read for the end of the log: after
// a cut or a changed byte it would go on from an earlier state without a word, and what was acknowledged would be decided
// again. The index of a process that was killed says how many frames were synced.
//
// Another process may be at work in the files. It appends, or begins the log anew with another salt; so a loss is one when
// the index has not changed meanwhile.
func checkLog(path string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return refuseFile(path, err)
	}
	if sizeOf(target) == 0 && sizeOf(target+"-wal") > 0 {
		// SQLite would remove the log of a database that is not there, which may hold all of it.
		return fault.New(fault.Corrupt, "path: %q is empty or was removed, and its log, the -wal file, holds commits; put the database back beside it, "+
			"or restore a backup; to begin anew, remove the -wal", path)
	}
	for {
		index, err := readIndex(target + "-shm")
		if err != nil {
			return refuseFile(path, err)
		}
		whole, err := index.within(target + "-wal")
		if err != nil {
			return refuseFile(path, err)
		}
		if whole {
			return nil
		}
		if again, err := readIndex(target + "-shm"); err == nil && again == index {
			return fault.New(fault.Corrupt, "path: the log of %q, its -wal file, was cut or changed and lacks commits that were acknowledged; "+
				"keep a copy of the file, its -wal and its -shm for analysis, and restore a backup; to go on without those commits, remove the -shm", path)
		}
	}
}

// sizeOf is the size in bytes, 0 when there is no such file.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logIndex is what the index says of the log.
type logIndex struct {
	frames, copied uint32
	salt           [8]byte
}

// readIndex answers an empty one when there is none that can be believed: SQLite makes it anew then.
func readIndex(path string) (logIndex, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return logIndex{}, nil
	}
	if err != nil {
		return logIndex{}, err
	}
	defer f.Close()
	var both [2*indexHeaderSize + 4]byte
	if _, err := io.ReadFull(f, both[:]); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = nil
		}
		return logIndex{}, err
	}
	header, second := both[:indexHeaderSize], both[indexHeaderSize:2*indexHeaderSize]
	native := binary.NativeEndian
	sum := logSum{order: native}
	sum.add(header[:40])
	if !bytes.Equal(header, second) || header[12] == 0 || sum.a != native.Uint32(header[40:]) || sum.b != native.Uint32(header[44:]) {
		return logIndex{}, nil
	}
	return logIndex{native.Uint32(header[16:]), native.Uint32(both[2*indexHeaderSize:]), [8]byte(header[32:40])}, nil
}

// within says whether the log holds all that the index tells of.
func (x logIndex) within(path string) (bool, error) {
	if x.frames == 0 {
		return true, nil
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return x.copied >= x.frames, nil
		}
		return false, err
	}
	defer f.Close()
	log := bufio.NewReaderSize(f, maxPageSize)
	var header [logHeaderSize]byte
	if _, err := io.ReadFull(log, header[:]); err != nil {
		return x.copied >= x.frames, endOf(err)
	}
	if [8]byte(header[16:24]) != x.salt {
		// Begun anew; or the salt itself has changed, and then its checksum is wrong.
		_, whole := startSum(header)
		return whole, nil
	}
	return x.follow(log, header)
}

// follow checks the checksums of the frames, each of which covers all before it.
func (x logIndex) follow(log io.Reader, header [logHeaderSize]byte) (bool, error) {
	sum, whole := startSum(header)
	size := binary.BigEndian.Uint32(header[8:])
	if !whole || size == 0 || size > maxPageSize {
		return false, nil
	}
	frame := make([]byte, frameHeaderSize+size)
	for range x.frames {
		if _, err := io.ReadFull(log, frame); err != nil {
			return false, endOf(err)
		}
		sum.add(frame[:8])
		sum.add(frame[frameHeaderSize:])
		if [8]byte(frame[8:16]) != x.salt || !sum.is(frame[16:24]) {
			return false, nil
		}
	}
	return true, nil
}

func endOf(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// logSum is the checksum of the log's format.
type logSum struct {
	order binary.ByteOrder
	a, b  uint32
}

// startSum is the sum of the log's header, and whether it is the one that stands there.
func startSum(header [logHeaderSize]byte) (logSum, bool) {
	magic := binary.BigEndian.Uint32(header[:])
	sum := logSum{order: binary.LittleEndian}
	if magic&1 == 1 {
		sum.order = binary.BigEndian
	}
	sum.add(header[:24])
	return sum, magic&^1 == logMagic && sum.is(header[24:])
}

func (s *logSum) add(words []byte) {
	for ; len(words) >= 8; words = words[8:] {
		s.a += s.order.Uint32(words) + s.b
		s.b += s.order.Uint32(words[4:]) + s.a
	}
}

func (s *logSum) is(stored []byte) bool {
	return binary.BigEndian.Uint32(stored) == s.a && binary.BigEndian.Uint32(stored[4:]) == s.b
}
