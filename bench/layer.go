package main

import (
	"fmt"

	"github.com/ncruces/go-sqlite3/vfs"
)

// bareLayer is the name of the bare loop's file layer.
const bareLayer = "bare"

func init() { vfs.Register(bareLayer, layer{vfs.Find("")}) }

// layer is the driver's file layer without memory mapping, as in the plugin: the driver crashes when pages carry checksums and
// are mapped.
type layer struct{ vfs.VFS }

// OpenFilename is what SQLite calls.
func (l layer) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := l.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	file, ok := f.(unmapped)
	if !ok {
		return nil, flags, fmt.Errorf("the driver's %T lacks what SQLite needs of a file", f)
	}
	return struct{ unmapped }{file}, flags, nil
}

// unmapped is what the driver's files do beside memory mapping.
type unmapped interface {
	vfs.FileHasMoved
	vfs.FileLockState
	vfs.FilePersistWAL
	vfs.FilePowersafeOverwrite
	vfs.FileSharedMemory
	vfs.FileSizeHint
}
