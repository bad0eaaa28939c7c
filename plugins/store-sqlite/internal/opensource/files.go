package opensource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// SQLite's lock bytes: whoever has a database open for a transaction, and in write-ahead mode whoever has it open at all, holds a
// lock on some of these.
const (
	lockBytes    = 0x40000000
	lockBytesLen = 512
)

// checkFile refuses what is no file, and a database that another program has open: while the server writes, what was read first
// may be older than what is read last.
func checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s", path)
	case err != nil:
		return fmt.Errorf("%s cannot be read: %w", path, err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file: name the database file, not its folder", path)
	case info.Size() == 0:
		return fmt.Errorf("%s is empty: it is not a database of the open-source Decision Gate", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", path, err)
	}
	defer f.Close()
	lock := syscall.Flock_t{Type: syscall.F_WRLCK, Start: lockBytes, Len: lockBytesLen}
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_GETLK, &lock); err != nil {
		return nil // A file system without locks: that the files stay as they are is looked at in the end.
	}
	if lock.Type == syscall.F_UNLCK {
		return nil
	}
	holder := "another program"
	if lock.Pid > 0 {
		holder = fmt.Sprintf("process %d", lock.Pid)
	}
	return fmt.Errorf("%s is in use by %s: stop the server first, so that nothing is written while it is read", path, holder)
}

// stamp tells whether files were written.
type stamp [2]struct {
	size     int64
	modified time.Time
}

// stampOf looks at a database and its write-ahead log.
func stampOf(path string) (s stamp) {
	for i, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			s[i].size, s[i].modified = info.Size(), info.ModTime()
		}
	}
	return s
}
