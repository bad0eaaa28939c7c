package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	pathpkg "path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
	// pathMax is the kernel's limit of one path, its final NUL included: longer ones are walked component by component.
	pathMax = 4096
	dirOpen = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
)

// dir is an open directory. Everything the sink does on disk is relative to one, so that nothing that is renamed or
// replaced by a symlink while a call runs can lead that call elsewhere. Names are single components; only sub takes a
// path. No method follows a symlink, in any component: one inside the root could make a bundle answer another's bytes.
type dir struct{ *os.File }

// sub opens the directory at a relative path without ".." components.
func (d dir) sub(path string) (dir, error) {
	if len(path) >= pathMax {
		return d.walk(path, dir.child)
	}
	fd, err := openBeneath(int(d.Fd()), path)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// An old kernel, or a container's system call filter that does not know openat2.
		return d.walk(path, dir.child)
	}
	if err != nil {
		return dir{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return dir{os.NewFile(uintptr(fd), path)}, nil
}

// walk applies step to each component of path and closes what it opened on the way.
func (d dir) walk(path string, step func(dir, string) (dir, error)) (dir, error) {
	at := d
	for name := range strings.SplitSeq(path, "/") {
		next, err := step(at, name)
		if at != d {
			at.Close()
		}
		if err != nil {
			return dir{}, err
		}
		at = next
	}
	return at, nil
}

func (d dir) child(name string) (dir, error) {
	f, err := d.openat(name, dirOpen, 0)
	return dir{f}, err
}

// make opens a directory entry, and makes it when it is missing.
func (d dir) make(name string) (dir, error) {
	if err := d.mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return dir{}, err
	}
	return d.child(name)
}

// syncUp makes durable the entry of everything on the way to the directory at path, and in it: also what another process
// made a moment ago and has not synced. To make first and sync afterwards costs one commit of a journal, not one a level.
func (d dir) syncUp(path string) error {
	for ; path != "."; path = pathpkg.Dir(path) {
		at, err := d.sub(path)
		if err != nil {
			return err
		}
		err = at.Sync()
		at.Close()
		if err != nil {
			return err
		}
	}
	return d.Sync()
}

func (d dir) mkdir(name string) error {
	return pathError("mkdir", name, unix.Mkdirat(int(d.Fd()), name, dirMode))
}

// create makes a new file and refuses one that is there.
func (d dir) create(name string) (*os.File, error) {
	return d.openat(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, fileMode)
}

// errNotRegular is answered for what is there in place of a file.
var errNotRegular = errors.New("not a regular file")

// open opens a regular file for reading. O_NONBLOCK keeps a FIFO that was put in its place from blocking the call
// until a writer comes.
func (d dir) open(name string) (*os.File, int64, error) {
	f, err := d.openat(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = pathError("open", name, errNotRegular)
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

func (d dir) openat(name string, flags int, mode uint32) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(d.Fd()), name, flags, mode)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, pathError("open", name, err)
		}
		return os.NewFile(uintptr(fd), name), nil
	}
}

// move renames a directory entry into another directory and refuses to replace what is there.
func (d dir) move(name string, to dir, newName string) error {
	return pathError("rename", newName, renameNoReplace(int(d.Fd()), name, int(to.Fd()), newName))
}

// removeAll removes an entry and what is beneath it; an absent one is removed already.
func (d dir) removeAll(name string) error {
	err := unix.Unlinkat(int(d.Fd()), name, 0)
	switch {
	case err == nil, errors.Is(err, unix.ENOENT):
		return nil
	case !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM):
		return pathError("unlink", name, err)
	}
	child, err := d.child(name)
	if err != nil {
		return err
	}
	defer child.Close()
	names, err := child.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := child.removeAll(name); err != nil {
			return err
		}
	}
	if err := unix.Unlinkat(int(d.Fd()), name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return pathError("rmdir", name, err)
	}
	return nil
}

// names lists the directory in the order that the entries' URIs have: a name is compared as if its "/" followed, since
// "a-b/" sorts before "a/".
func (d dir) names() ([]string, error) {
	if _, err := d.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	// Not ReadDir: where the file system does not tell types it would look the entries up by a path.
	names, err := d.Readdirnames(-1)
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(a+"/", b+"/") })
	return names, err
}

// stat describes an entry itself, not what a symlink leads to.
func (d dir) stat(name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	return st, pathError("stat", name, err)
}

func pathError(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// isTampered reports that something stands where the sink never puts it: a symlink, a FIFO, a file for a directory.
func isTampered(err error) bool {
	return errors.Is(err, errNotRegular) || errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENOTDIR) ||
		errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EMLINK) || errors.Is(err, syscall.EXDEV)
}
