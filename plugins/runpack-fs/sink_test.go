package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

var (
	quiet    = slog.New(slog.DiscardHandler)
	specHash = strings.Repeat("5e", sha256.Size)
)

// newSink opens a sink in a directory with a neighbour that holds a file nobody may touch.
func newSink(t *testing.T) (s *sink, root, outside string) {
	t.Helper()
	base := t.TempDir()
	root, outside = filepath.Join(base, "root"), filepath.Join(base, "outside")
	if err := errors.Join(os.Mkdir(outside, 0o700), os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return reopen(t, root), root, outside
}

func reopen(t *testing.T, root string) *sink {
	t.Helper()
	s, err := openSink(root, defaultSweepAfter, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var someKey = runpack.Key{Tenant: 1, Namespace: 2, Scenario: "scenario", Run: "run", SpecSHA256: specHash}

const manifest = "manifest.json"

// put exports a bundle of three files and answers its URI and directory.
func put(t *testing.T, s *sink, root, content string) (uri, dir string) {
	t.Helper()
	id := begin(t, s, content)
	uri, err := s.Finish(t.Context(), id, manifest, sha256.Sum256([]byte(content)))
	if err != nil {
		t.Fatal(err)
	}
	return uri, filepath.Join(root, strings.TrimPrefix(uri, uriPrefix))
}

func begin(t *testing.T, s *sink, content string) string {
	t.Helper()
	id, err := s.Begin(t.Context(), someKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"steps/1.json", "empty", manifest} {
		text := content
		if path == "empty" {
			text = ""
		}
		if _, err := s.Write(t.Context(), id, path, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	return id
}

func read(s *sink, uri, path string) (string, error) {
	r, err := s.Open(context.Background(), uri, path)
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

func list(s *sink) (uris []string, err error) {
	err = s.List(context.Background(), 1, 0, func(b runpack.Bundle) error {
		uris = append(uris, b.URI)
		return nil
	})
	return uris, err
}

func wantReason(t *testing.T, err error, doing string, want fault.Reason) {
	t.Helper()
	if !fault.Is(err, want) {
		t.Errorf("%s: answered %v, want %s", doing, err, want)
	}
	if err != nil && strings.Contains(fault.ToStatus(err).Error(), os.TempDir()) {
		t.Errorf("%s: the host is told a path of the machine: %v", doing, fault.ToStatus(err))
	}
}

// TestLayout is what the README promises to whoever looks into the directory.
func TestLayout(t *testing.T) {
	s, root, _ := newSink(t)
	uri, dir := put(t, s, root, "content")
	const parent = "runpack-fs://tenant/1/namespace/2/scenario/scenario/run/run/"
	if !strings.HasPrefix(uri, parent) {
		t.Errorf("the URI is %s, want it beneath %s", uri, parent)
	}
	for name, want := range map[string]fs.FileMode{".": dirMode, "bundle.json": fileMode, "files/steps/1.json": fileMode, "files/manifest.json": fileMode} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want mode %o", name, info.Mode(), err, want)
		}
	}
	if left, err := os.ReadDir(filepath.Join(root, stagingName)); err != nil || len(left) != 0 {
		t.Errorf("the staging directory holds %v, %v", left, err)
	}
}

// TestDamage changes what is stored in every way that reading must find.
func TestDamage(t *testing.T) {
	flip := func(name string) func(string, string) error {
		return func(dir, _ string) error {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		}
	}
	replace := func(name string, put func(path, outside string) error) func(string, string) error {
		return func(dir, outside string) error {
			path := filepath.Join(dir, name)
			return errors.Join(os.RemoveAll(path), put(path, outside))
		}
	}
	symlinkTo := func(target string) func(string, string) error {
		return func(path, outside string) error {
			if filepath.IsAbs(target) {
				target = outside + target
			}
			return os.Symlink(target, path)
		}
	}
	fifo := func(path, _ string) error { return syscall.Mkfifo(path, 0o600) }
	for _, c := range []struct {
		name   string
		damage func(dir, outside string) error
		// listed says that the damage is found only when the file is read.
		listed bool
	}{
		{"a flipped bit", flip("files/steps/1.json"), true},
		{"a file cut off", func(dir, _ string) error { return os.Truncate(filepath.Join(dir, "files/steps/1.json"), 2) }, true},
		{"a longer file", func(dir, _ string) error { return os.Truncate(filepath.Join(dir, "files/steps/1.json"), 1000) }, true},
		{"a missing file", func(dir, _ string) error { return os.Remove(filepath.Join(dir, "files/steps/1.json")) }, true},
		{"a symlink out of the root", replace("files/steps/1.json", symlinkTo("/secret")), true},
		{"a symlink to another file of the bundle", replace("files/steps/1.json", symlinkTo("../manifest.json")), true},
		{"a FIFO in place of a file", replace("files/steps/1.json", fifo), true},
		{"a FIFO in place of an empty file", replace("files/empty", fifo), true},
		{"a directory in place of a file", replace("files/steps/1.json", func(p, _ string) error { return os.Mkdir(p, 0o700) }), true},
		{"a symlink as a directory of files", replace("files/steps", symlinkTo("/")), true},
		{"a flipped bit in the index", flip(indexName), false},
		{"no index", func(dir, _ string) error { return os.Remove(filepath.Join(dir, indexName)) }, false},
		{"a FIFO as the index", replace(indexName, fifo), false},
		{"a symlink as the index", replace(indexName, symlinkTo("files/manifest.json")), false},
		{"a huge index", func(dir, _ string) error { return os.Truncate(filepath.Join(dir, indexName), maxIndex+1) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, root, outside := newSink(t)
			var sound []string
			for _, content := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
				uri, _ := put(t, s, root, content)
				sound = append(sound, uri)
			}
			uri, dir := put(t, s, root, "some content")
			if err := c.damage(dir, outside); err != nil {
				t.Fatal(err)
			}
			got, err := read(s, uri, "steps/1.json")
			if err == nil {
				_, err = read(s, uri, "empty")
			}
			wantReason(t, err, "read", fault.Corrupt)
			if strings.Contains(got, "secret") {
				t.Errorf("the read answered the bytes of another file")
			}
			uris, err := list(s)
			for _, other := range sound {
				if !slices.Contains(uris, other) {
					t.Errorf("the damage of one bundle hides another, %s", other)
				}
			}
			if c.listed && err != nil {
				t.Errorf("List: %v", err)
			} else if !c.listed {
				wantReason(t, err, "List", fault.Corrupt)
			}
		})
	}
}

// TestSymlinkedDirectories swaps a symlink in for a directory on the way to a bundle: one that leads out of the root,
// and one that leads to another bundle inside it, which os.Root would follow.
func TestSymlinkedDirectories(t *testing.T) {
	for _, component := range []string{"tenant", "tenant/1", "tenant/1/namespace", "tenant/1/namespace/2", "tenant/1/namespace/2/scenario/scenario/run/run", "bundle"} {
		for _, inside := range []bool{false, true} {
			t.Run(component+map[bool]string{true: " inside"}[inside], func(t *testing.T) {
				s, root, outside := newSink(t)
				uri, dir := put(t, s, root, "content")
				at := filepath.Join(root, component)
				if component == "bundle" {
					at = dir
				}
				// The real directory moves away, whole, and a symlink to it takes its place.
				target := filepath.Join(outside, "moved")
				if inside {
					target = filepath.Join(root, "moved")
				}
				// Relative, as one that names the root from the file system's top is refused for that alone.
				link, err := filepath.Rel(filepath.Dir(at), target)
				if err = errors.Join(err, os.Rename(at, target), os.Symlink(link, at)); err != nil {
					t.Fatal(err)
				}
				_, err = read(s, uri, manifest)
				wantReason(t, err, "Open through a symlink", fault.Corrupt)
				if err := s.Delete(t.Context(), uri); err == nil {
					t.Errorf("Delete followed a symlink")
				}
				if uris, err := list(s); err == nil || len(uris) != 0 {
					t.Errorf("List followed a symlink: %q, %v", uris, err)
				}
				before := tree(t, target)
				id := begin(t, s, "other content")
				if component != "bundle" {
					_, err = s.Finish(t.Context(), id, manifest, sha256.Sum256([]byte("other content")))
					wantReason(t, err, "Finish through a symlink", fault.Corrupt)
				}
				if after := tree(t, target); !slices.Equal(before, after) {
					t.Errorf("a call wrote through a symlink: %q became %q", before, after)
				}
			})
		}
	}
}

// tree lists everything beneath a directory.
func tree(t *testing.T, root string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		names = append(names, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestSymlinkInStaging puts a symlink where a file of an unfinished bundle will be written.
func TestSymlinkInStaging(t *testing.T) {
	s, root, outside := newSink(t)
	id := begin(t, s, "content")
	files := filepath.Join(root, stagingName, id, filesName)
	if err := errors.Join(os.Symlink(filepath.Join(outside, "secret"), filepath.Join(files, "x")), os.Symlink(outside, filepath.Join(files, "d"))); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"x", "d/secret", "d/new"} {
		if _, err := s.Write(t.Context(), id, path, strings.NewReader("overwritten")); err == nil {
			t.Errorf("Write followed the symlink at %s", path)
		}
	}
	if got, err := os.ReadFile(filepath.Join(outside, "secret")); err != nil || string(got) != "secret" {
		t.Errorf("the file outside holds %q, %v", got, err)
	}
	if err := s.Abort(t.Context(), id); err != nil {
		t.Error(err)
	}
	if got := tree(t, outside); len(got) != 2 {
		t.Errorf("removing the bundle, or writing it, reached outside: %q", got)
	}
}

// TestSwappedSymlink swaps a directory and a symlink as fast as it can while files are read: whatever the moment, the
// answer is the bundle's bytes or an error.
func TestSwappedSymlink(t *testing.T) {
	s, root, outside := newSink(t)
	uri, dir := put(t, s, root, "content")
	files, away := filepath.Join(dir, filesName), filepath.Join(dir, "away")
	if err := os.WriteFile(filepath.Join(outside, manifest), []byte("s3cret!"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var swapping sync.WaitGroup
	swapping.Go(func() {
		for ctx.Err() == nil {
			_ = os.Rename(files, away)
			_ = os.Symlink(outside, files)
			_ = os.Remove(files)
			_ = os.Rename(away, files)
		}
	})
	for range 2000 {
		if got, err := read(s, uri, manifest); err == nil && got != "content" || strings.Contains(got, "s3cret") {
			t.Errorf("the read answered %q, %v", got, err)
			break
		}
	}
	stop()
	swapping.Wait()
}

// TestMovedBundle copies a whole bundle, with its index and hash, to another tenant's place.
func TestMovedBundle(t *testing.T) {
	s, root, _ := newSink(t)
	uri, dir := put(t, s, root, "content")
	other := strings.Replace(uri, "tenant/1/", "tenant/9/", 1)
	if err := os.CopyFS(filepath.Join(root, strings.TrimPrefix(other, uriPrefix)), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_, err := read(s, other, manifest)
	wantReason(t, err, "read of a bundle in another tenant's place", fault.Corrupt)
}

func TestStrayFilesAreNotListed(t *testing.T) {
	s, root, _ := newSink(t)
	uri, dir := put(t, s, root, "content")
	for _, name := range []string{"tenant/README", "tenant/1/lost+found", filepath.Join(filepath.Dir(dir), "notes.txt"), filepath.Join(filepath.Dir(dir), strings.Repeat("0", 64))} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(root, name)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := list(s); err != nil || !slices.Equal(got, []string{uri}) {
		t.Errorf("List answered %q, %v", got, err)
	}
}

func TestSweep(t *testing.T) {
	s, root, _ := newSink(t)
	old, young := begin(t, s, "old"), begin(t, s, "young")
	past := time.Now().Add(-defaultSweepAfter - time.Minute)
	for _, name := range []string{old, "deleted-leftover"} {
		path := filepath.Join(root, stagingName, name)
		if err := errors.Join(os.MkdirAll(filepath.Join(path, "files"), 0o700), os.Chtimes(path, past, past)); err != nil {
			t.Fatal(err)
		}
	}
	// Another process sweeps when it starts.
	reopen(t, root)
	_, err := s.Finish(t.Context(), old, manifest, sha256.Sum256([]byte("old")))
	wantReason(t, err, "Finish of a swept bundle", fault.NotFound)
	if _, err := s.Finish(t.Context(), young, manifest, sha256.Sum256([]byte("young"))); err != nil {
		t.Errorf("a young bundle was swept: %v", err)
	}
	if left := tree(t, filepath.Join(root, stagingName)); len(left) != 1 {
		t.Errorf("the sweep left %q", left)
	}
	if uris, err := list(s); err != nil || len(uris) != 1 {
		t.Errorf("List answered %q, %v", uris, err)
	}
}

func TestAdoptRefusesDamage(t *testing.T) {
	s, root, _ := newSink(t)
	_, dir := put(t, s, root, "content")
	if err := os.WriteFile(filepath.Join(dir, indexName), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := s.Finish(t.Context(), begin(t, s, "content"), manifest, sha256.Sum256([]byte("content")))
	wantReason(t, err, "Finish onto a damaged bundle", fault.Corrupt)
}

func TestPathsWithinABundle(t *testing.T) {
	s, _, _ := newSink(t)
	id := begin(t, s, "content")
	for _, path := range []string{"steps", "manifest.json/x", "steps/1.json/x"} {
		_, err := s.Write(t.Context(), id, path, strings.NewReader("x"))
		wantReason(t, err, "Write of "+path+", which is a directory or beneath a file", fault.Invalid)
	}
	if _, err := s.Finish(t.Context(), id, manifest, sha256.Sum256([]byte("content"))); err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	s, root, _ := newSink(t)
	if err := s.Health(t.Context()); err != nil {
		t.Errorf("Health: %v", err)
	}
	if left := tree(t, filepath.Join(root, stagingName)); len(left) != 1 {
		t.Errorf("Health left %q", left)
	}
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	wantReason(t, s.Health(t.Context()), "Health without the directory", fault.Unavailable)
}

// TestFullDisk writes to a device that has no space.
func TestFullDisk(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	_, err = stream(t.Context(), f, bytes.NewReader([]byte("x")))
	wantReason(t, diskFault(err, "write"), "a full disk", fault.Full)
}

func TestDiskFault(t *testing.T) {
	for err, want := range map[error]fault.Reason{
		syscall.ENOSPC: fault.Full, syscall.EDQUOT: fault.Full, syscall.EROFS: fault.Denied, syscall.EACCES: fault.Denied,
		syscall.EMFILE: fault.Unavailable, syscall.EIO: fault.Internal, syscall.ELOOP: fault.Corrupt,
		context.Canceled: fault.Unavailable, context.DeadlineExceeded: fault.Deadline,
	} {
		got := diskFault(&fs.PathError{Op: "write", Path: "/secret/place", Err: err}, "write a file")
		wantReason(t, got, err.Error(), want)
		if strings.Contains(fault.ToStatus(got).Error(), "secret") {
			t.Errorf("the host is told the path: %v", fault.ToStatus(got))
		}
	}
}

func TestConfig(t *testing.T) {
	base := t.TempDir()
	writable, file := filepath.Join(base, "writable"), filepath.Join(base, "file")
	if err := errors.Join(os.Mkdir(writable, 0o700), os.Chmod(writable, 0o775), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config map[string]any
		says   string
	}{
		{map[string]any{"path": filepath.Join(base, "new"), "sweep_after": "24h"}, ""},
		{map[string]any{"path": base}, "chmod go-w"}, // Made open for others below.
		{map[string]any{"path": ""}, "path"},
		{map[string]any{"path": filepath.Join(base, "no", "parent")}, "does not exist"},
		{map[string]any{"path": file}, "not a directory"},
		{map[string]any{"path": writable}, "chmod go-w " + writable},
		{map[string]any{"path": filepath.Join(base, "new"), "sweep_after": "59m"}, "sweep_after"},
		{map[string]any{"path": filepath.Join(base, "new"), "sweep_after": "soon"}, "sweep_after"},
	} {
		if err := os.Chmod(base, 0o777); err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(c.config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := open(t.Context(), body)
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
		if c.says == "" && err != nil || c.says != "" && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%v: %v, want INVALID with %q", c.config, err, c.says)
		}
	}
	if info, err := os.Stat(filepath.Join(base, "new")); err != nil || info.Mode().Perm() != dirMode {
		t.Errorf("the root was made with %v, %v", info, err)
	}
}
