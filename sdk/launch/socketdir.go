package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

const (
	// maxSocketParent leaves room for our directory and go-plugin's file below the 107 bytes that Linux allows for the
	// path of a socket.
	maxSocketParent = 60
	// socketDirPattern is the name of our directories for os.MkdirTemp and filepath.Glob.
	socketDirPattern = "dg-plugin-*"
)

// socketDir is a directory that only this user can enter, with one plugin's socket. It is locked while its process lives.
type socketDir struct {
	path string
	lock *os.File
}

func newSocketDir() (*socketDir, error) {
	parent, err := filepath.Abs(os.TempDir())
	if err != nil || len(parent) > maxSocketParent {
		parent = "/tmp"
	}
	sweepOnce(parent)
	for range maxSwept {
		dir, err := makeSocketDir(parent)
		if !errors.Is(err, errSwept) {
			return dir, err
		}
	}
	return nil, fmt.Errorf("make a directory for the socket: %w, %d times in a row", errSwept, maxSwept)
}

// maxSwept is how often a new directory may be swept away before it is given up: every host sweeps once, so twice is rare.
const maxSwept = 10

// errSwept: another host took the directory for one of a dead host, because it was not locked yet.
var errSwept = errors.New("another host removed it before it was locked")

func makeSocketDir(parent string) (*socketDir, error) {
	// MkdirTemp gives it mode 0700.
	path, err := os.MkdirTemp(parent, socketDirPattern)
	if err != nil {
		return nil, fmt.Errorf("make a directory for the socket: %w", err)
	}
	lock, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errSwept
	}
	if err != nil {
		_ = os.Remove(path)
		return nil, fmt.Errorf("open the directory of the socket: %w", err)
	}
	// Who sweeps holds the lock until the directory is gone; after that the lock is one on nothing.
	if err := tryLock(lock); err != nil || !leadsTo(path, lock) {
		_ = lock.Close()
		_ = os.Remove(path) // the sweeper does too, unless it is something else that forbids the lock
		return nil, errors.Join(errSwept, err)
	}
	return &socketDir{path: path, lock: lock}, nil
}

// leadsTo says whether the path is that of the open file.
func leadsTo(path string, file *os.File) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	found, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, found)
}

func (d *socketDir) remove() {
	_ = os.RemoveAll(d.path)
	_ = d.lock.Close()
}

var sweepDone sync.Once

// sweepOnce removes what hosts that were killed have left in a directory.
func sweepOnce(parent string) {
	sweepDone.Do(func() { sweep(parent) })
}

// sweep tells the dead from the living by the lock, which the kernel releases with its process.
func sweep(parent string) {
	if !canLock {
		return
	}
	left, _ := filepath.Glob(filepath.Join(parent, socketDirPattern))
	for _, path := range left {
		// Also an empty one: its maker may have been killed before there was a socket, and one that lives makes another.
		lock, err := os.Open(path)
		if err != nil {
			continue
		}
		if tryLock(lock) == nil {
			_ = os.RemoveAll(path)
		}
		_ = lock.Close()
	}
}
