package runpack

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Files of a bundle hold raw evidence: they are for the user of the host alone.
const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Directory is a bundle in a directory (contract §9.6): a Sink and a Reader. Nothing outside of the directory is read or
// written, and no symbolic link in it is followed: through a link, an export would overwrite, and a verification read, any
// file of the machine ([F-04]).
type Directory struct {
	root *os.Root
	// length is that of the directory's own path, which counts for the limit of paths.
	length int
}

// OpenDirectory opens a directory to read a bundle.
func OpenDirectory(path string) (*Directory, error) {
	if path == "" {
		return nil, artifactError(textResolveRoot, nil)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		message := textResolveRoot
		if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
			message = textReadMetadata
		}
		return nil, artifactError(message, err)
	}
	return &Directory{root: root, length: len(path)}, nil
}

// CreateDirectory opens a directory to write a bundle, and makes it where it is not there.
func CreateDirectory(path string) (*Directory, error) {
	if err := checkRoot(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, dirMode); err != nil {
		return nil, artifactError(textCreateDir, err)
	}
	return OpenDirectory(path)
}

func checkRoot(path string) error {
	switch {
	case path == "":
		return artifactError(textResolveRoot, nil)
	case len(path) > maxPath:
		return artifactError(textPathLong, nil)
	case slices.ContainsFunc(splitNative(path), func(c string) bool { return len(c) > maxComponent }):
		return artifactError(textComponentLong, nil)
	default:
		return nil
	}
}

func splitNative(path string) []string {
	var components []string
	for dir := path; ; {
		parent, name := filepath.Split(filepath.Clean(dir))
		if name == "" {
			return components
		}
		components = append(components, name)
		if parent == "" {
			return components
		}
		dir = parent
	}
}

// OpenAllowed and CreateAllowed are for paths that a client names: the directory must lie in one of those allowed, and no
// symbolic link may be on the way from there.
func OpenAllowed(allowed []string, path string) (*Directory, error) {
	return descendAllowed(allowed, path, false)
}

// CreateAllowed makes the directory where it is not there; see OpenAllowed.
func CreateAllowed(allowed []string, path string) (*Directory, error) {
	return descendAllowed(allowed, path, true)
}

func descendAllowed(allowed []string, path string, create bool) (*Directory, error) {
	if err := checkRoot(path); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, artifactError(textResolveRoot, err)
	}
	for _, dir := range allowed {
		if dir == "" {
			continue // Abs would make it the working directory, which nobody has allowed.
		}
		// A configuration that was named by a relative path has relative directories.
		dir, err := filepath.Abs(dir)
		if err != nil {
			return nil, artifactError(textResolveRoot, err)
		}
		below, err := filepath.Rel(dir, absolute)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}
		base, err := OpenDirectory(dir)
		if err != nil {
			return nil, err
		}
		defer base.Close()
		components := splitNative(below)
		slices.Reverse(components)
		if below == "." {
			components = nil
		}
		root, err := base.descend(components, create)
		switch {
		case err == nil:
			return &Directory{root: root, length: len(absolute)}, nil
		case create:
			return nil, artifactError(textCreateDir, err)
		case errors.Is(err, errNotDirectory):
			return nil, artifactError(textReadMetadata, err)
		default:
			return nil, artifactError(textResolveRoot, err)
		}
	}
	return nil, artifactError(textNotAllowed, nil)
}

// Close ends the use of the directory; what is in it stays.
func (d *Directory) Close() error { return d.root.Close() }

var (
	errNotDirectory = errors.New("not a directory")
	errMoved        = errors.New("the directory was replaced while it was being opened")
	errNotRegular   = errors.New("not a regular file")
)

// descend opens a directory below the root component by component.
func (d *Directory) descend(components []string, create bool) (*os.Root, error) {
	current, err := d.root.OpenRoot(".")
	if err != nil {
		return nil, err
	}
	for _, name := range components {
		next, err := enter(current, name, create)
		current.Close()
		if err != nil {
			return nil, err
		}
		current = next
	}
	return current, nil
}

// enter opens a directory in another, unless it is a symbolic link. os.Root follows links that stay inside, so what was
// opened must be what was looked at: a link that is put in its place in between leads elsewhere.
func enter(parent *os.Root, name string, create bool) (*os.Root, error) {
	if create {
		if err := parent.Mkdir(name, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		// Also what is there already: an export that failed or was killed may have made it, and not have synced it.
		if err := syncDir(parent); err != nil {
			return nil, err
		}
	}
	seen, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !seen.IsDir() {
		return nil, errNotDirectory
	}
	next, err := parent.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	opened, err := next.Stat(".")
	if err == nil && !os.SameFile(seen, opened) {
		err = errMoved
	}
	if err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

func syncDir(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// locate opens the directory of a file.
func (d *Directory) locate(path string, create bool) (dir *os.Root, name string, err error) {
	components, err := splitPath(path)
	if err != nil {
		return nil, "", err
	}
	if d.length+1+len(path) > maxPath {
		return nil, "", artifactError(textPathLong, nil)
	}
	last := len(components) - 1
	dir, err = d.descend(components[:last], create)
	if err != nil {
		message := textResolvePath
		if create {
			message = textCreateDir
		}
		return nil, "", artifactError(message, err)
	}
	return dir, components[last], nil
}

// WriteFile writes a file so that it is there whole and durably, or not at all. A file of the same path is replaced; a
// symbolic link in its place is replaced too, not followed.
func (d *Directory) WriteFile(ctx context.Context, path string, content io.Reader) error {
	dir, name, err := d.locate(path, true)
	if err != nil {
		return err
	}
	defer dir.Close()
	temporary := ".runpack-" + rand.Text()
	if err := writeFile(ctx, dir, temporary, content); err != nil {
		dir.Remove(temporary)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return artifactError(textWrite, err)
	}
	if err := dir.Rename(temporary, name); err != nil {
		dir.Remove(temporary)
		return artifactError(textWrite, err)
	}
	if err := syncDir(dir); err != nil {
		return artifactError(textWrite, err)
	}
	return nil
}

func writeFile(ctx context.Context, dir *os.Root, name string, content io.Reader) error {
	// O_EXCL does not follow a link either.
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, &contextReader{ctx, content})
	return errors.Join(err, f.Sync(), f.Close())
}

// contextReader ends with its context.
type contextReader struct {
	ctx context.Context
	in  io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.in.Read(p)
}

// Open reads a file.
func (d *Directory) Open(_ context.Context, path string) (io.ReadCloser, int64, error) {
	dir, name, err := d.locate(path, false)
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	seen, err := dir.Lstat(name)
	if err != nil {
		return nil, 0, artifactError(textReadMetadata, err)
	}
	if !seen.Mode().IsRegular() {
		return nil, 0, artifactError(textRead, errNotRegular)
	}
	// Without O_NONBLOCK a pipe that is put in the file's place would hold up the verification for ever.
	f, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, artifactError(textRead, err)
	}
	opened, err := f.Stat()
	if err == nil && !os.SameFile(seen, opened) {
		err = errMoved
	}
	if err != nil {
		f.Close()
		return nil, 0, artifactError(textRead, err)
	}
	return f, opened.Size(), nil
}

// List names everything in the directory that is not a directory; links are named, not followed.
func (d *Directory) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := fs.WalkDir(d.root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return artifactError(textReadMetadata, err)
			case ctx.Err() != nil:
				return ctx.Err()
			case !entry.IsDir() && !yield(path, nil):
				return fs.SkipAll
			default:
				return nil
			}
		})
		if err != nil {
			yield("", err)
		}
	}
}
