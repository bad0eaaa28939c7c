package launch

import (
	"fmt"
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
	// MkdirTemp gives it mode 0700.
	path, err := os.MkdirTemp(parent, socketDirPattern)
	if err != nil {
		return nil, fmt.Errorf("make a directory for the socket: %w", err)
	}
	lock, err := os.Open(path)
	if err == nil {
		err = tryLock(lock)
	}
	if err != nil {
		_ = os.RemoveAll(path)
		return nil, fmt.Errorf("lock the directory of the socket: %w", err)
	}
	return &socketDir{path: path, lock: lock}, nil
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
		// An empty one may be about to be locked by its maker, who must not find it locked by us.
		entries, err := os.ReadDir(path)
		if err != nil || len(entries) == 0 {
			continue
		}
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
