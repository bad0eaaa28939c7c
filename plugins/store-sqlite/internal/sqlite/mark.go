package sqlite

import (
	"encoding/binary"
	"os"
)

// The log's index tells of every transaction that is committed, synced or not, so it does not say what the disk must hold
// after the power went. How many frames are synced is noted beside it, in four bytes of the -shm file that SQLite keeps for
// later use and never reads or writes ("notUsed0" of its WalCkptInfo; a test fails when it does). They come and go with the
// index: whoever makes that anew makes them 0, which says nothing of the log.
const (
	markOffset = 2*indexHeaderSize + 36
	// markFrames is how many bits of the mark are the number of frames, which are 64 GiB of log. The others are the last bits
	// of the log's salt, which SQLite counts up when the log begins anew: a mark of an earlier log says nothing of this one.
	markFrames = 24
)

// syncMark is the place of the mark.
type syncMark struct{ shm *os.File }

func openMark(path string) (*syncMark, error) {
	shm, err := os.OpenFile(path+"-shm", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return &syncMark{shm}, nil
}

// look is what a sync that begins now can be marked with. Frames are written before the index tells of them.
func (m *syncMark) look() logIndex {
	// An index that is just being written is not marked; the next sync will be.
	index, _ := readIndex(m.shm)
	return index
}

// set notes that so much of the log is synced. An error is no failure of the sync: a smaller mark finds less damage later.
func (m *syncMark) set(index logIndex) {
	if index.frames == 0 {
		return
	}
	var bytes [4]byte
	binary.NativeEndian.PutUint32(bytes[:], min(index.frames, 1<<markFrames-1)|uint32(index.salt[3])<<markFrames)
	_, _ = m.shm.WriteAt(bytes[:], markOffset)
}

// close ends the marks. What it could not do matters to nobody.
func (m *syncMark) close() { _ = m.shm.Close() }

// marked is how many frames of the log a mark says are synced.
func (x logIndex) marked(mark uint32) uint32 {
	if byte(mark>>markFrames) != x.salt[3] {
		return 0
	}
	return min(mark&(1<<markFrames-1), x.frames)
}
