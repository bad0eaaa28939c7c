package sqlite

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// reserve is the space in bytes that a disk which was full must have again before the store counts as ready: a few
// hundred commits. A single commit proves nothing, it may fit into what a failed one has left in the log.
const reserve = 1 << 20

// Health implements sdk.HealthChecker: it says whether a commit would succeed now.
func (s *Store) Health(ctx context.Context) error {
	if err := s.files.inPlace(); err != nil {
		return err
	}
	if s.full.Load() {
		if err := s.probe(filepath.Dir(s.options.Path)); err != nil {
			return err
		}
		s.full.Store(false)
	}
	_, err := s.newest(ctx)
	return err
}

// probeSpace writes the reserve into a nameless file of the folder: what the system says of free space knows nothing of
// the user's quota.
func probeSpace(dir string) error {
	f, err := os.CreateTemp(dir, ".space-*")
	if err == nil {
		// Random bytes, because zeros take no space on file systems that compress.
		bytes := make([]byte, reserve)
		_, _ = rand.Read(bytes)
		err = os.Remove(f.Name())
		_, writeErr := f.Write(bytes)
		err = errors.Join(err, writeErr, f.Close())
	}
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return classify(context.Background(), err)
	}
	return fault.Wrap(fault.Unavailable, err, "the disk was full, and whether it still is cannot be found out; look at the database's folder")
}

// openFiles are the files of an open database.
type openFiles []openFile

type openFile struct {
	path string
	info os.FileInfo
}

// findFiles remembers the files that SQLite has just opened. before is the database from before it did.
func findFiles(path string, before os.FileInfo) (openFiles, error) {
	// SQLite follows links and keeps its other files beside the target.
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, errMoved(err)
	}
	files := openFiles{{path, before}}
	if err := files.inPlace(); err != nil {
		return nil, err
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		info, err := os.Stat(target + suffix)
		if err != nil {
			return nil, errMoved(err)
		}
		files = append(files, openFile{target + suffix, info})
	}
	return files, nil
}

// inPlace refuses when a path no longer leads to the file that is open. Connections go on working on a removed file, so
// commits would be acknowledged that nobody finds again; after the loss of the log a crash loses them; and without the
// shared memory another process writes into the same file at the same time.
func (files openFiles) inPlace() error {
	for _, f := range files {
		info, err := os.Stat(f.path)
		if err != nil {
			return errMoved(err)
		}
		if !os.SameFile(info, f.info) {
			return errMoved(nil)
		}
	}
	return nil
}

// replaced says whether the database itself, which is the first of the files, is no longer in place.
func (files openFiles) replaced() bool { return len(files) > 0 && files[:1].inPlace() != nil }

func errMoved(err error) error {
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Denied, err, "the database file cannot be looked at any more; its folder must be accessible for the plugin's user")
	}
	return fault.Wrap(fault.Denied, err, "the database file, or its -wal or -shm, was replaced or removed; restart the host")
}
