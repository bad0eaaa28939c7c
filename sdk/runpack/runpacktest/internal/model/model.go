// Package model is a plain sink on a directory, the right one that the kit's own tests break on purpose. It is no
// product: it rereads everything for every call and never sweeps.
package model

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// Sink keeps each bundle as index.json and numbered files. The switches break it in ways that need its inside.
type Sink struct {
	Dir string
	// NoFileSync and NoDirSync leave out a sync; LateSync does it after the answer.
	NoFileSync, NoDirSync, LateSync bool
	// DeafSync does not hear when a sync fails.
	DeafSync bool
	// Buffers holds a whole file in memory.
	Buffers bool

	mu   sync.Mutex
	open map[string]*staged
}

type staged struct {
	mu     sync.Mutex
	bundle runpack.Bundle
	taken  map[string]bool
	busy   int
}

const prefix = "model:"

var errUnknown = fault.New(fault.NotFound, "no such unfinished bundle")

// Begin implements runpack.Sink.
func (s *Sink) Begin(_ context.Context, key runpack.Key, tags map[string]string) (string, error) {
	if err := key.Validate(); err != nil {
		return "", err
	}
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[string]*staged{}
	}
	s.open[id] = &staged{bundle: runpack.Bundle{Key: key, Tags: tags}, taken: map[string]bool{}}
	return id, os.Mkdir(s.staging(id), 0o700)
}

func (s *Sink) staging(id string) string { return filepath.Join(s.Dir, "."+id) }

func (s *Sink) staged(id string) *staged {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open[id]
}

// Write implements runpack.Sink.
func (s *Sink) Write(ctx context.Context, id, path string, content io.Reader) (w runpack.Written, err error) {
	if err := runpack.ValidatePath(path); err != nil {
		return w, err
	}
	b := s.staged(id)
	if b == nil {
		return w, errUnknown
	}
	b.mu.Lock()
	taken := b.taken[path]
	full := len(b.taken) >= runpack.MaxFiles
	b.taken[path] = true
	b.busy++
	b.mu.Unlock()
	if taken {
		err = fault.New(fault.Invalid, "written already")
	} else if full {
		err = fault.New(fault.TooLarge, "too many files")
	} else {
		w, err = s.store(ctx, filepath.Join(s.staging(id), fileName(path)), content)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy--
	if err == nil {
		b.bundle.Files = append(b.bundle.Files, runpack.File{Path: path, Size: w.Size, SHA256: w.SHA256})
	}
	return w, err
}

func fileName(path string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(path))) }

func (s *Sink) store(ctx context.Context, name string, content io.Reader) (w runpack.Written, err error) {
	f, err := os.Create(name)
	if err != nil {
		return w, err
	}
	defer f.Close()
	if s.Buffers {
		all, err := io.ReadAll(content)
		if err != nil {
			return w, err
		}
		content = bytes.NewReader(all)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), ctxReader{ctx, content})
	if err != nil {
		return w, err
	}
	w.Size = uint64(n)
	sum.Sum(w.SHA256[:0])
	return w, s.syncFile(f)
}

type ctxReader struct {
	ctx context.Context
	io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

func (s *Sink) syncFile(f *os.File) error {
	if s.NoFileSync || s.LateSync {
		return nil
	}
	return s.heard(f.Sync())
}

func (s *Sink) syncDir(name string) error {
	if s.NoDirSync {
		return nil
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return s.heard(d.Sync())
}

func (s *Sink) heard(err error) error {
	if s.DeafSync {
		return nil
	}
	return err
}

// Finish implements runpack.Sink.
func (s *Sink) Finish(_ context.Context, id, manifestPath string, manifestSHA256 [32]byte) (string, error) {
	b := s.staged(id)
	if b == nil {
		return "", errUnknown
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.bundle.Files, func(f runpack.File) bool { return f.Path == manifestPath })
	if i < 0 || b.busy > 0 {
		return "", fault.New(fault.Invalid, "no manifest, or still writing")
	}
	if b.bundle.Files[i].SHA256 != manifestSHA256 {
		return "", fault.New(fault.Corrupt, "another manifest")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
	b.bundle.ManifestPath, b.bundle.ManifestSHA256 = manifestPath, manifestSHA256
	b.bundle.URI = uriOf(b.bundle)
	return b.bundle.URI, s.publish(id, b.bundle)
}

func uriOf(b runpack.Bundle) string {
	b.Tags = nil
	b.Files = slices.SortedFunc(slices.Values(b.Files), func(x, y runpack.File) int { return cmp.Compare(x.Path, y.Path) })
	text, _ := json.Marshal(b)
	return fmt.Sprintf("%s%x", prefix, sha256.Sum256(text))
}

func (s *Sink) publish(id string, b runpack.Bundle) error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	if _, err := s.store(context.Background(), filepath.Join(s.staging(id), "index.json"), bytes.NewReader(text)); err != nil {
		return err
	}
	if err := s.syncDir(s.staging(id)); err != nil {
		return err
	}
	final := filepath.Join(s.Dir, strings.TrimPrefix(b.URI, prefix))
	if err := os.Rename(s.staging(id), final); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return os.RemoveAll(s.staging(id))
		}
		return err
	}
	if s.LateSync {
		go func() {
			entries, _ := os.ReadDir(final)
			for _, e := range entries {
				_ = s.syncDir(filepath.Join(final, e.Name()))
			}
			_ = s.syncDir(s.Dir)
		}()
		return nil
	}
	return s.syncDir(s.Dir)
}

// Abort implements runpack.Sink.
func (s *Sink) Abort(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] == nil {
		return nil
	}
	delete(s.open, id)
	return os.RemoveAll(s.staging(id))
}

// find answers a finished bundle and its directory.
func (s *Sink) find(uri string) (runpack.Bundle, string, error) {
	var b runpack.Bundle
	name, ok := strings.CutPrefix(uri, prefix)
	if !ok || len(name) != 64 || strings.Trim(name, "0123456789abcdef") != "" {
		return b, "", fault.New(fault.NotFound, "no such bundle")
	}
	dir := filepath.Join(s.Dir, name)
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return b, "", fault.New(fault.NotFound, "no such bundle")
	}
	return b, dir, json.Unmarshal(text, &b)
}

// Open implements runpack.Sink.
func (s *Sink) Open(_ context.Context, uri, path string) (io.ReadCloser, error) {
	b, dir, err := s.find(uri)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(b.Files, func(f runpack.File) bool { return f.Path == path }) {
		return nil, fault.New(fault.NotFound, "no such file")
	}
	return os.Open(filepath.Join(dir, fileName(path)))
}

// List implements runpack.Sink.
func (s *Sink) List(ctx context.Context, tenant, namespace uint64, yield func(runpack.Bundle) error) error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, _, err := s.find(prefix + e.Name())
		if err != nil || b.Key.Tenant != tenant || namespace != 0 && b.Key.Namespace != namespace {
			continue
		}
		if err := yield(b); err != nil {
			return err
		}
	}
	return nil
}

// Delete implements runpack.Sink.
func (s *Sink) Delete(_ context.Context, uri string) error {
	_, dir, err := s.find(uri)
	if err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Close implements runpack.Sink.
func (s *Sink) Close() error { return nil }
