package sqlite

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The power goes between a commit and its sync: the index may be on the disk and the last frames of the log not. Nobody was
// told of them, so the store opens.
func TestUnsyncedFramesMayBeLost(t *testing.T) {
	s, committing, _, disk := unsyncedStore(t)
	options := testOptions(t.TempDir())
	copyFiles(t, filepath.Dir(s.options.Path), filepath.Dir(options.Path), "dg.db", "dg.db-wal", "dg.db-shm")
	disk.release()
	if err := <-committing; err != nil {
		t.Fatal(err)
	}
	before, err := openIndex(options.Path + "-shm")
	if err != nil || before.synced == 0 || before.synced >= before.frames {
		t.Fatalf("%+v, %v: the index does not tell synced frames from others", before, err)
	}
	after, err := openIndex(s.options.Path + "-shm")
	if err != nil || after.synced != after.frames {
		t.Errorf("%+v, %v: synced frames are not marked", after, err)
	}
	if err := os.Truncate(options.Path+"-wal", logHeaderSize+int64(before.synced)*(frameHeaderSize+4096)); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, options)
	if get(t, again, key("new")).Version != 0 || string(get(t, again, key("old")).Body) != "x" {
		t.Error("a cut log holds what was cut off; this test shows nothing")
	}
}

// A mark of one log says nothing of the next.
func TestMarkOfEarlierLog(t *testing.T) {
	x := logIndex{frames: 7, salt: [8]byte{3: 9}}
	for mark, want := range map[uint32]uint32{0: 0, 9<<markFrames | 5: 5, 9<<markFrames | 50: 7, 8<<markFrames | 5: 0} {
		if got := x.marked(mark); got != want {
			t.Errorf("mark %x: %d frames, want %d", mark, got, want)
		}
	}
}

// The place of the mark is SQLite's: a version that uses it must not be used.
func TestMarkIsWhereSQLiteWritesNothing(t *testing.T) {
	options := testOptions(t.TempDir())
	mustOpen(t, options)
	other, err := openConn(options.Path, "", readWrite, options.BusyTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	shm, err := os.OpenFile(options.Path+"-shm", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer shm.Close()
	var mark, after [4]byte
	binary.NativeEndian.PutUint32(mark[:], 0xA5A5A5A5)
	if _, err := shm.WriteAt(mark[:], markOffset); err != nil {
		t.Fatal(err)
	}
	insert := `INSERT INTO records VALUES (100, x'00', NULL, '` + strings.Repeat("x", 100_000) + `')`
	for _, sql := range []string{insert, `DELETE FROM records`, `PRAGMA wal_checkpoint(PASSIVE)`, insert, `PRAGMA wal_checkpoint(RESTART)`, `DELETE FROM records`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if err := other.exec(sql); err != nil {
			t.Fatal(err)
		}
		if _, err := shm.ReadAt(after[:], markOffset); err != nil || after != mark {
			t.Fatalf("%.30s has written %x where the mark is, %v", sql, after, err)
		}
	}
}
