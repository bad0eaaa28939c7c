package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

func errNoBundle() error { return fault.New(fault.NotFound, "no such bundle") }

// bundleDir opens the directory of a finished bundle.
func (s *sink) bundleDir(uri string) (dir, error) {
	parent, name, ok := bundlePath(uri)
	if !ok {
		return dir{}, fault.New(fault.NotFound, "no such bundle: the URI is not one of runpack-fs")
	}
	d, err := s.root.sub(parent + "/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return dir{}, errNoBundle()
	}
	return d, diskFault(err, "open bundle "+uri)
}

func (s *sink) Open(ctx context.Context, uri, file string) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, diskFault(err, "open a file of a bundle")
	}
	d, err := s.bundleDir(uri)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	r, err := openIn(d, uri, file)
	if err != nil && s.gone(d, uri) {
		return nil, errNoBundle()
	}
	return r, err
}

// gone reports that a bundle was deleted after d was opened: what is missing from d then is no damage.
func (s *sink) gone(d dir, uri string) bool {
	now, err := s.bundleDir(uri)
	if err != nil {
		return fault.Is(err, fault.NotFound)
	}
	defer now.Close()
	was, wasErr := d.Stat()
	is, isErr := now.Stat()
	return wasErr == nil && isErr == nil && !os.SameFile(was, is)
}

func openIn(d dir, uri, file string) (io.ReadCloser, error) {
	x, err := readIndex(d, uri)
	if err != nil {
		return nil, err
	}
	// Only a path that the index has reaches the file system.
	i := slices.IndexFunc(x.Files, func(f indexFile) bool { return f.Path == file })
	if i < 0 {
		return nil, fault.New(fault.NotFound, "the bundle has no such file")
	}
	return openFile(d, x.Files[i])
}

func openFile(d dir, want indexFile) (io.ReadCloser, error) {
	// The index was covered by a hash, but whoever can write to the directory can make another hash.
	if err := runpack.ValidatePath(want.Path); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the index has a path that no bundle can have")
	}
	parentPath, name := path.Split(filesName + "/" + want.Path)
	v := &verified{sum: sha256.New(), want: want, left: want.Size}
	parent, err := d.sub(strings.TrimSuffix(parentPath, "/"))
	if err == nil {
		defer parent.Close()
		var size int64
		v.f, size, err = parent.open(name)
		if err == nil && uint64(size) != want.Size {
			v.f.Close()
			return nil, v.corrupt()
		}
	}
	if errors.Is(err, fs.ErrNotExist) || isTampered(err) {
		return nil, fault.Wrap(fault.Corrupt, err, "%q is missing from its bundle, or something else is in its place", want.Path)
	}
	if err != nil {
		return nil, diskFault(err, "open a file of a bundle")
	}
	return v, nil
}

// Delete makes a bundle invisible with one durable rename and removes its files afterwards. Whoever reads one of them
// reads on to its end.
func (s *sink) Delete(ctx context.Context, uri string) error {
	if err := ctx.Err(); err != nil {
		return diskFault(err, "delete a bundle")
	}
	d, err := s.bundleDir(uri)
	if err != nil {
		return err
	}
	d.Close()
	parentPath, name, _ := bundlePath(uri)
	parent, err := s.root.sub(parentPath)
	if err != nil {
		return diskFault(err, "delete a bundle")
	}
	defer parent.Close()
	grave := "deleted-" + rand.Text()
	err = parent.move(name, s.staging, grave)
	if errors.Is(err, fs.ErrNotExist) {
		return errNoBundle()
	}
	if err == nil {
		err = parent.Sync()
	}
	if err != nil {
		return diskFault(err, "delete a bundle")
	}
	// The bundle is gone, whatever becomes of its files now: the sweep removes what is left.
	if err := s.staging.removeAll(grave); err != nil {
		s.log.Warn("the files of a deleted bundle are left to the sweep", "error", err)
	}
	return nil
}

// List reads the directory as it goes: memory is bounded by the entries of one directory and one index. A damaged
// bundle does not hide those after it: it is told, as CORRUPT, when the others were listed.
func (s *sink) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	l := lister{sink: s, ctx: ctx, yield: yield}
	within := "tenant/" + strconv.FormatUint(tenant, 10)
	depth := 2
	if namespace != 0 {
		within += "/namespace/" + strconv.FormatUint(namespace, 10)
		depth = 4
	}
	d, err := s.root.sub(within)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return diskFault(err, "list bundles")
	}
	defer d.Close()
	if err := l.list(d, within, depth); err != nil {
		return err
	}
	return l.damaged
}

type lister struct {
	sink    *sink
	ctx     context.Context
	yield   func(runpack.Bundle) error
	damaged error
}

// list visits what is beneath d, the directory of the first depth components of URIs.
func (l *lister) list(d dir, at string, depth int) error {
	if depth == len(uriShape) {
		return l.visit(d, at)
	}
	names, err := d.names()
	if err != nil {
		return diskFault(err, "list bundles")
	}
	for _, name := range names {
		if err := l.ctx.Err(); err != nil {
			return diskFault(err, "list bundles")
		}
		if !uriShape[depth](name) {
			continue // Not ours: a lost+found, an operator's notes.
		}
		child, err := d.child(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // Deleted meanwhile.
		case isTampered(err) && isSymlink(d, name):
			l.damage(fault.Wrap(fault.Corrupt, err, "a symlink is in the place of a directory of bundles"))
			continue
		case isTampered(err):
			continue
		case err != nil:
			return diskFault(err, "list bundles")
		}
		err = l.list(child, at+"/"+name, depth+1)
		child.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) visit(d dir, at string) error {
	x, err := readIndex(d, uriPrefix+at)
	var b runpack.Bundle
	if err == nil {
		b, err = x.bundle()
	}
	if err == nil {
		return l.yield(b)
	}
	if l.sink.gone(d, uriPrefix+at) {
		return nil
	}
	if fault.Is(err, fault.Corrupt) || fault.Is(err, fault.Unimplemented) {
		l.damage(err)
		return nil
	}
	return err
}

func (l *lister) damage(err error) {
	if l.damaged == nil {
		l.damaged = err
	}
}

func isSymlink(d dir, name string) bool {
	st, err := d.stat(name)
	return err == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK
}
