package evidence

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// rootDir opens files beneath one directory and tells apart why it cannot.
type rootDir struct {
	// path is where the directory was when it was opened, links resolved.
	path string
	root *os.Root
}

var (
	errUnresolved  = errors.New("path cannot be resolved")
	errOutside     = errors.New("path leaves the root")
	errRootItself  = errors.New("path is the root itself")
	errSwapped     = errors.New("path changed while it was opened")
	errNotRegular  = errors.New("not a regular file")
	errNoDirectory = errors.New("root is not a directory")
)

func openRoot(path string) (*rootDir, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil {
		resolved, err = filepath.Abs(resolved)
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(resolved); err != nil {
		return nil, err
	} else if !info.IsDir() {
		return nil, errNoDirectory
	}
	root, err := os.OpenRoot(resolved)
	if err != nil {
		return nil, err
	}
	return &rootDir{path: resolved, root: root}, nil
}

// resolve follows the links and dots of a path that somebody wrote and returns where it leads, relative to the root and
// with slashes. It opens nothing: between here and open the tree may change, which open finds out.
func (d *rootDir) resolve(name string) (string, error) {
	// Not filepath.Join, which drops `missing/..` without looking.
	resolved, err := filepath.EvalSymlinks(d.path + string(filepath.Separator) + name)
	if err != nil {
		return "", errUnresolved
	}
	if directoryOnly(name) {
		if info, err := os.Stat(resolved); err != nil || !info.IsDir() {
			return "", errUnresolved
		}
	}
	rel, err := filepath.Rel(d.path, resolved)
	switch {
	case err != nil || !filepath.IsLocal(rel):
		return "", errOutside
	case rel == ".":
		return "", errRootItself
	}
	return filepath.ToSlash(rel), nil
}

// directoryOnly reports a path that only a directory can have.
func directoryOnly(name string) bool {
	return strings.HasSuffix(name, "/") || strings.HasSuffix(name, "/.") || strings.HasSuffix(name, "/..")
}

// open opens a regular file by a path that resolve has returned. Each part is looked at and then opened, and must be the
// same thing both times: that stops a part that is exchanged for a link in between, to outside or to another file beneath
// the root, whose content would then be recorded under this name ([F-13]).
func (d *rootDir) open(rel string) (*os.File, error) {
	parts := strings.Split(rel, "/")
	dir := d.root
	for _, part := range parts[:len(parts)-1] {
		next, err := openChild(dir, part)
		if dir != d.root {
			dir.Close()
		}
		if err != nil {
			return nil, err
		}
		dir = next
	}
	if dir != d.root {
		defer dir.Close()
	}
	return openRegular(dir, parts[len(parts)-1])
}

func openChild(dir *os.Root, name string) (*os.Root, error) {
	before, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	child, err := dir.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	if after, err := child.Stat("."); err != nil || !os.SameFile(before, after) {
		child.Close()
		return nil, errSwapped
	}
	return child, nil
}

func openRegular(dir *os.Root, name string) (*os.File, error) {
	info, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return openSame(dir, name, info)
}

// openSame opens the file that info is of. It does not block: a FIFO that has taken the place of the file, maybe even its
// inode, would wait for somebody to write to it ([F-13]).
func openSame(dir *os.Root, name string, info fs.FileInfo) (*os.File, error) {
	file, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := file.Stat(); err != nil || !os.SameFile(info, opened) || !opened.Mode().IsRegular() {
		file.Close()
		return nil, errSwapped
	}
	return file, nil
}

func (d *rootDir) close() error { return d.root.Close() }

// isMissing reports that a file is not there, as opposed to one that cannot be opened.
func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
