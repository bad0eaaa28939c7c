package opensource

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// layer is a file layer that changes nothing: the database and its write-ahead log are opened to be read, nothing is deleted, and
// the index of the log is kept in a file of our own. SQLite alone, told to read only, makes that index beside the database, and so
// needs a folder that can be written.
type layer struct {
	vfs.VFS
	// index is the path of our own file.
	index string
}

// OpenFilename is what SQLite calls.
func (l layer) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	system := l.VFS.(vfs.VFSFilename)
	if flags&(vfs.OPEN_MAIN_DB|vfs.OPEN_WAL|vfs.OPEN_MAIN_JOURNAL) == 0 {
		return system.OpenFilename(name, flags) // Temporary files are SQLite's own.
	}
	flags = flags&^(vfs.OPEN_READWRITE|vfs.OPEN_CREATE) | vfs.OPEN_READONLY
	f, out, err := system.OpenFilename(name, flags)
	switch {
	case flags&vfs.OPEN_WAL != 0 && errors.Is(err, fs.ErrNotExist):
		// SQLite would make an empty log for a database that was closed cleanly.
		f, out, err = emptyFile{}, flags, nil
	case err != nil:
		return nil, flags, err
	}
	file := readFile{File: f}
	if flags&vfs.OPEN_MAIN_DB != 0 {
		file.index = vfs.NewSharedMemory(l.index, flags)
	}
	return file, out, nil
}

// Delete refuses: SQLite removes logs and journals that it takes for finished.
func (layer) Delete(string, bool) error { return sqlite3.READONLY }

type readFile struct {
	vfs.File
	index vfs.SharedMemory
}

// SharedMemory is the index of the log; nil for files that have none.
func (f readFile) SharedMemory() vfs.SharedMemory { return f.index }

// Lock lets a reader's lock through. With a writer's, SQLite would copy the log into the database when it closes it.
func (f readFile) Lock(lock vfs.LockLevel) error {
	if lock > vfs.LOCK_SHARED {
		return sqlite3.BUSY
	}
	return f.File.Lock(lock)
}

func (readFile) WriteAt([]byte, int64) (int, error) { return 0, sqlite3.READONLY }

func (readFile) Truncate(int64) error { return sqlite3.READONLY }

func (readFile) Sync(vfs.SyncFlag) error { return nil }

// Close ends the use of the file and of its index.
func (f readFile) Close() error {
	if f.index == nil {
		return f.File.Close()
	}
	return errors.Join(f.index.Close(), f.File.Close())
}

// emptyFile is a log that is not there.
type emptyFile struct{}

func (emptyFile) Close() error                                    { return nil }
func (emptyFile) ReadAt([]byte, int64) (int, error)               { return 0, io.EOF }
func (emptyFile) WriteAt([]byte, int64) (int, error)              { return 0, os.ErrPermission }
func (emptyFile) Truncate(int64) error                            { return os.ErrPermission }
func (emptyFile) Sync(vfs.SyncFlag) error                         { return nil }
func (emptyFile) Size() (int64, error)                            { return 0, nil }
func (emptyFile) Lock(vfs.LockLevel) error                        { return nil }
func (emptyFile) Unlock(vfs.LockLevel) error                      { return nil }
func (emptyFile) CheckReservedLock() (bool, error)                { return false, nil }
func (emptyFile) SectorSize() int                                 { return 0 }
func (emptyFile) DeviceCharacteristics() vfs.DeviceCharacteristic { return 0 }
