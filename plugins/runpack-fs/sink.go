package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// stagingName is the directory, inside the root so that a rename is atomic, of bundles that nobody may see: unfinished
// ones, and deleted ones whose files are being removed.
const stagingName = ".staging"

// sink keeps bundles in a directory. What is finished is on disk only, so that processes may share the directory;
// what is unfinished belongs to the process that began it.
type sink struct {
	root, staging dir
	sweepAfter    time.Duration
	log           *slog.Logger
	stop          func()

	mu         sync.Mutex
	unfinished map[string]*unfinished
}

var _ runpack.Sink = (*sink)(nil)

// unfinished is a bundle between Begin and Finish.
type unfinished struct {
	key  runpack.Key
	tags map[string]string

	mu sync.Mutex
	// paths holds every path that was written or is being written.
	paths map[string]struct{}
	// writing counts the calls of Write that have not returned.
	writing int
	files   []indexFile
	// closed is set by Finish and Abort: a Write that comes later finds nothing.
	closed bool
}

func (s *sink) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", diskFault(err, "begin a bundle")
	}
	if err := key.Validate(); err != nil {
		return "", err
	}
	for k, v := range tags {
		// JSON would replace what is not UTF-8.
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return "", fault.New(fault.Invalid, "a tag of the bundle is not UTF-8 text")
		}
	}
	id := rand.Text()
	if err := s.stage(id); err != nil {
		return "", diskFault(err, "begin a bundle")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unfinished[id] = &unfinished{key: key, tags: maps.Clone(tags), paths: map[string]struct{}{}}
	return id, nil
}

// stage makes the directory of an unfinished bundle.
func (s *sink) stage(id string) error {
	if err := s.staging.mkdir(id); err != nil {
		return err
	}
	d, err := s.staging.child(id)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.mkdir(filesName)
}

func (s *sink) lookup(id string) (*unfinished, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.unfinished[id]
	if !ok {
		return nil, errUnknown()
	}
	return u, nil
}

func errUnknown() error {
	return fault.New(fault.NotFound, "no such unfinished bundle: it was finished, aborted, swept, or this plugin was restarted")
}

func (s *sink) Write(ctx context.Context, id, path string, content io.Reader) (runpack.Written, error) {
	if err := runpack.ValidatePath(path); err != nil {
		return runpack.Written{}, err
	}
	u, err := s.lookup(id)
	if err != nil {
		return runpack.Written{}, err
	}
	if err := u.reserve(path); err != nil {
		return runpack.Written{}, err
	}
	written, err := s.write(ctx, id, path, content)
	if err := u.settle(path, written, err); err != nil {
		return runpack.Written{}, diskFault(err, "write a file of a bundle")
	}
	return written, nil
}

// reserve claims a path, so that two concurrent calls cannot write one file.
func (u *unfinished) reserve(path string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return errUnknown()
	}
	if _, taken := u.paths[path]; taken {
		return fault.New(fault.Invalid, "the bundle has a file of this path already")
	}
	if len(u.paths) >= runpack.MaxFiles {
		return fault.New(fault.TooLarge, "a bundle holds at most %d files", runpack.MaxFiles)
	}
	u.paths[path] = struct{}{}
	u.writing++
	return nil
}

// settle records what became of a reserved path; a failed one may be written again.
func (u *unfinished) settle(path string, written runpack.Written, err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.writing--
	if err == nil && u.closed {
		err = errUnknown()
	}
	if err != nil {
		delete(u.paths, path)
		return err
	}
	u.files = append(u.files, indexFile{Path: path, Size: written.Size, SHA256: hex.EncodeToString(written.SHA256[:])})
	return nil
}

// write streams a file to the staging directory and syncs it. A file that was not written whole is removed.
func (s *sink) write(ctx context.Context, id, file string, content io.Reader) (runpack.Written, error) {
	parentPath, name := path.Split(id + "/" + filesName + "/" + file)
	parent, err := s.staging.walk(strings.TrimSuffix(parentPath, "/"), dir.make)
	if err != nil {
		return runpack.Written{}, conflict(err)
	}
	defer parent.Close()
	f, err := parent.create(name)
	if err != nil {
		return runpack.Written{}, conflict(err)
	}
	written, err := stream(ctx, f, content)
	if err = errors.Join(err, f.Close()); err != nil {
		return runpack.Written{}, errors.Join(err, parent.removeAll(name))
	}
	return written, nil
}

// conflict is for a path that has a file of the same bundle as one of its directories, or the other way round.
func conflict(err error) error {
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTDIR) {
		return fault.Wrap(fault.Invalid, err, "the path is a directory of another file of the bundle, or has a file as its directory")
	}
	return err
}

// stream copies in chunks, so that memory does not grow with the file, and asks the context between them.
func stream(ctx context.Context, f *os.File, content io.Reader) (runpack.Written, error) {
	var w runpack.Written
	sum := sha256.New()
	chunk := make([]byte, runpack.MaxChunk)
	for {
		if err := ctx.Err(); err != nil {
			return w, err
		}
		n, err := content.Read(chunk)
		if n > 0 {
			sum.Write(chunk[:n])
			if _, err := f.Write(chunk[:n]); err != nil {
				return w, err
			}
			w.Size += uint64(n)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return w, err
		}
	}
	sum.Sum(w.SHA256[:0])
	return w, f.Sync()
}

func (s *sink) Finish(ctx context.Context, id, manifestPath string, manifestSHA256 [32]byte) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", diskFault(err, "finish a bundle")
	}
	u, err := s.lookup(id)
	if err != nil {
		return "", err
	}
	x, err := u.close(manifestPath, hex.EncodeToString(manifestSHA256[:]))
	if err != nil {
		return "", err
	}
	// From here on the id is spent: after a failed sync a second one may claim to succeed although the kernel has dropped
	// the pages, so a bundle that could not be made durable is given up and exported again.
	uri, err := s.publish(id, x)
	if err := s.forget(id); err != nil {
		s.log.Warn("an unfinished bundle is left to the sweep", "error", err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", errUnknown() // Another process swept it.
	}
	if err != nil {
		return "", diskFault(err, "finish a bundle")
	}
	return uri, nil
}

// close ends the writing of a bundle whose manifest is the expected one.
func (u *unfinished) close(manifestPath, manifestSHA256 string) (index, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return index{}, errUnknown()
	}
	if u.writing > 0 {
		return index{}, fault.New(fault.Invalid, "a file of the bundle is still being written")
	}
	found := false
	for _, f := range u.files {
		if f.Path != manifestPath {
			continue
		}
		found = true
		if f.SHA256 != manifestSHA256 {
			return index{}, fault.New(fault.Corrupt, "the manifest that arrived is not the one that was sent")
		}
	}
	if !found {
		return index{}, fault.New(fault.Invalid, "the bundle has no file of the manifest's path")
	}
	u.closed = true
	return index{Format: indexFormat, Tags: u.tags, content: content{
		Tenant: u.key.Tenant, Namespace: u.key.Namespace, Scenario: u.key.Scenario, Run: u.key.Run, SpecSHA256: u.key.SpecSHA256,
		ManifestPath: manifestPath, ManifestSHA256: manifestSHA256, Files: u.files,
	}}, nil
}

// publish makes a closed bundle durable, then visible, then the visibility durable.
func (s *sink) publish(id string, x index) (string, error) {
	staged, err := s.staging.child(id)
	if err != nil {
		return "", err
	}
	defer staged.Close()
	if err := writeIndex(staged, x); err != nil {
		return "", err
	}
	if err := syncParents(staged, x.Files); err != nil {
		return "", err
	}
	uri := x.uri()
	parentPath, name, _ := bundlePath(uri)
	parent, err := s.root.walk(parentPath, dir.make)
	if err != nil {
		return "", err
	}
	defer parent.Close()
	err = s.staging.move(id, parent, name)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		return uri, s.adopt(parentPath, parent, name, uri)
	}
	if err != nil {
		return "", err
	}
	if err := s.root.syncUp(parentPath); err != nil {
		// Unanswered, so it must not stay visible.
		return "", errors.Join(err, parent.move(name, s.staging, id))
	}
	return uri, nil
}

// adopt answers with the bundle of the same content that is there already, when it is sound. Another process may have
// renamed it a moment ago and not have synced the directory yet.
func (s *sink) adopt(parentPath string, parent dir, name, uri string) error {
	existing, err := parent.child(name)
	if err != nil {
		return err
	}
	defer existing.Close()
	if _, err := readIndex(existing, uri); err != nil {
		return err
	}
	return s.root.syncUp(parentPath)
}

func writeIndex(d dir, x index) error {
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	if len(b) > maxIndex {
		return fault.New(fault.TooLarge, "the ids, tags and paths of the bundle take more than %d bytes", maxIndex)
	}
	f, err := d.create(indexName)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncParents makes durable that the files are in their directories, and those in the bundle's.
func syncParents(staged dir, files []indexFile) error {
	parents := map[string]struct{}{}
	for _, f := range files {
		for p := path.Dir(filesName + "/" + f.Path); p != "."; p = path.Dir(p) {
			parents[p] = struct{}{}
		}
	}
	for parent := range parents {
		d, err := staged.sub(parent)
		if err != nil {
			return err
		}
		err = d.Sync()
		d.Close()
		if err != nil {
			return err
		}
	}
	return staged.Sync()
}

func (s *sink) Abort(_ context.Context, id string) error {
	u, err := s.lookup(id)
	if err != nil {
		return nil
	}
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	return diskFault(s.forget(id), "abort a bundle")
}

// forget removes what is left of an unfinished bundle; what cannot be removed is left to the sweep.
func (s *sink) forget(id string) error {
	s.mu.Lock()
	delete(s.unfinished, id)
	s.mu.Unlock()
	return s.staging.removeAll(id)
}

// Close ends the sink. No other call may be under way.
func (s *sink) Close() error {
	s.stop()
	return errors.Join(s.staging.Close(), s.root.Close())
}
