// Command nosync is the same plugin on a file layer that answers every sync without doing it: as a disk that lies, or
// a database that was told to be fast. It exists so that a test can show that the conformance kit catches it.
package main

import (
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-sqlite/internal/sqlite"
	"github.com/decision-gate-host/decision-gate-host/sdk"
)

func main() {
	vfs.Register("nosync", layer{vfs.Find("")})
	sdk.Serve(sqlite.Plugin("0.0.0", "nosync"))
}

type layer struct{ vfs.VFS }

// OpenFilename is what SQLite calls.
func (l layer) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := l.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	return file{f}, flags, nil
}

type file struct{ vfs.File }

func (f file) Sync(vfs.SyncFlag) error { return nil }

// SharedMemory is what the write-ahead log needs of a file.
func (f file) SharedMemory() vfs.SharedMemory { return f.File.(vfs.FileSharedMemory).SharedMemory() }
