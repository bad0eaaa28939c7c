package sqlite

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// systemLayer is the name of the file layer that every store uses outside of tests.
const systemLayer = "store-sqlite"

func init() { vfs.Register(systemLayer, layer{vfs.Find("")}) }

// layer is the driver's file layer, except that a write for which no space is left answers SQLITE_FULL. The driver means
// to do so, but looks for a bare errno, where package os answers an fs.PathError: without the layer a full disk looks
// like a broken one, and the host tries again until its deadline instead of telling the operator.
type layer struct{ vfs.VFS }

// OpenFilename is what SQLite calls.
func (l layer) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	f, flags, err := l.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	file, ok := f.(driverFile)
	if !ok {
		return nil, flags, errors.Join(fmt.Errorf("the driver's %T lacks what SQLite needs of a file", f), f.Close())
	}
	return layerFile{file}, flags, nil
}

// driverFile is all that the driver's files do. SQLite finds optional abilities by looking for them, so that one which
// the layer does not pass on is silently lost: without HasMoved, closing a store whose file was replaced would
// remove the log of the new file. Memory mapping is left out on purpose: it would read pages past their checksums, and the
// driver crashes on closing a database that has both.
type driverFile interface {
	vfs.FileHasMoved
	vfs.FileLockState
	vfs.FilePersistWAL
	vfs.FilePowersafeOverwrite
	vfs.FileSharedMemory
	vfs.FileSizeHint
}

type layerFile struct{ driverFile }

func (f layerFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.driverFile.WriteAt(p, off)
	return n, tellFull(err)
}

func (f layerFile) Truncate(size int64) error { return tellFull(f.driverFile.Truncate(size)) }

func (f layerFile) SizeHint(size int64) error { return tellFull(f.driverFile.SizeHint(size)) }

// DeviceCharacteristics leaves out atomic batches, which driverFile does not pass on: only some platforms have them, and
// a write-ahead log does not use them.
func (f layerFile) DeviceCharacteristics() vfs.DeviceCharacteristic {
	return f.driverFile.DeviceCharacteristics() &^ vfs.IOCAP_BATCH_ATOMIC
}

// tellFull gives an error for want of space its code. A sync is not among its users: after a failed one nothing may be
// tried again, see write, whatever it failed of.
func tellFull(err error) error {
	if isFull(err) {
		return vfs.SystemError(err, sqlite3.FULL)
	}
	return err
}

// isFull says whether the disk has no space left, the user no quota, or the file has reached the largest size that is allowed.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
