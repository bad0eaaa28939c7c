package runpack

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func create(t *testing.T, path string) *Directory {
	t.Helper()
	d, err := CreateDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b")
	in := goldenRun(t).input()
	in.ManifestPath = "sub/./m.json"
	d := create(t, path)
	for range 2 {
		// A second export to the same place replaces the files.
		if _, err := Build(t.Context(), in, d); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range goldenFiles[:8] {
		content, err := os.ReadFile(filepath.Join(path, want.path))
		if err != nil || len(content) != want.size {
			t.Errorf("%s: %d bytes, %v", want.path, len(content), err)
		}
		if info, err := os.Stat(filepath.Join(path, want.path)); err != nil || info.Mode().Perm() != fileMode {
			t.Errorf("%s: mode %v, %v", want.path, info.Mode(), err)
		}
	}
	d, err := OpenDirectory(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	report, err := Verify(t.Context(), d, "./sub/m.json", Options{Replay: true})
	if err != nil {
		t.Fatal(err)
	}
	requirePass(t, report)
	if err := os.WriteFile(filepath.Join(path, "sub", "more"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err = Verify(t.Context(), d, "sub/m.json", Options{})
	if err != nil || !strings.Contains(list(report), "[file sub/more]") {
		t.Errorf("an extra file: %v\n%s", err, list(report))
	}
}

// TestManifestNames exports under names of all sorts.
func TestManifestNames(t *testing.T) {
	long := strings.Repeat("a", maxComponent+1)
	for name, want := range map[string]string{
		"":                         "artifact error: manifest name missing filename",
		".":                        "artifact error: manifest name missing filename",
		"./":                       "artifact error: manifest name missing filename",
		"..":                       "artifact error: artifact path escapes runpack root",
		"../zz.json":               "artifact error: artifact path escapes runpack root",
		"a/../../zz.json":          "artifact error: artifact path escapes runpack root",
		"/abs/m.json":              "artifact error: absolute artifact path not allowed",
		long:                       "artifact error: runpack path component too long",
		strings.Repeat("a/", 2048): "artifact error: runpack path exceeds limit",
		"a\x00b":                   "artifact error: unable to resolve artifact path",
	} {
		in := goldenRun(t).input()
		in.ManifestPath = name
		dir := t.TempDir()
		if _, err := Build(t.Context(), in, create(t, dir)); err == nil || err.Error() != want {
			t.Errorf("manifest name %.20q: %v, want %s", name, err, want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 && len(name) < maxPath {
			t.Errorf("manifest name %.20q: %v was written", name, entries)
		}
	}
}

// TestManifestOverArtifact names the manifest like an artifact: it takes its place, and the report says so.
func TestManifestOverArtifact(t *testing.T) {
	in := goldenRun(t).input()
	in.ManifestPath = TriggersPath
	result, err := Build(t.Context(), in, create(t, t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(encode(*result.Report)); got != `{"checked_files":7,"errors":["hash mismatch for artifacts/triggers.json"],"status":"fail"}` {
		t.Errorf("report %s", got)
	}
}

// TestUnwritable has something in the way of every file.
func TestUnwritable(t *testing.T) {
	for _, test := range []struct{ blocked, want string }{
		{"artifacts", "artifact error: unable to create artifact directory"},
		{SpecPath + "/", "artifact error: unable to write artifact"},
		{"m/manifest.json/", "artifact error: unable to write manifest"},
		{"m", "artifact error: unable to create manifest directory"},
	} {
		path := t.TempDir()
		block(t, filepath.Join(path, test.blocked), strings.HasSuffix(test.blocked, "/"))
		in := goldenRun(t).input()
		in.ManifestPath = "m/manifest.json"
		if _, err := Build(t.Context(), in, create(t, path)); err == nil || err.Error() != test.want {
			t.Errorf("%s: %v, want %s", test.blocked, err, test.want)
		}
		filepath.WalkDir(path, func(path string, _ os.DirEntry, _ error) error {
			if strings.HasPrefix(filepath.Base(path), ".runpack-") {
				t.Errorf("%s was left behind", path)
			}
			return nil
		})
	}
}

func block(t *testing.T, path string, dir bool) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if dir {
		err = errors.Join(err, os.MkdirAll(path, 0o700))
	} else {
		err = errors.Join(err, os.WriteFile(path, []byte("x"), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestRoots(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	block(t, file, false)
	for path, want := range map[string]string{
		"":          "artifact error: unable to resolve runpack root",
		file:        "artifact error: unable to create artifact directory",
		file + "/g": "artifact error: unable to create artifact directory",
		"/tmp/" + strings.Repeat("a", maxComponent+1): "artifact error: runpack path component too long",
		"/tmp/" + strings.Repeat("a/", maxPath/2):     "artifact error: runpack path exceeds limit",
	} {
		if _, err := CreateDirectory(path); err == nil || err.Error() != want {
			t.Errorf("create %.20q: %v, want %s", path, err, want)
		}
	}
	for path, want := range map[string]string{
		"":            "artifact error: unable to resolve runpack root",
		file + "none": "artifact error: unable to resolve runpack root",
		file:          "artifact error: unable to read artifact metadata",
	} {
		if _, err := OpenDirectory(path); err == nil || err.Error() != want {
			t.Errorf("open %q: %v, want %s", path, err, want)
		}
	}
}

// TestReadErrors asks for manifests that are not there, or not to be had.
func TestReadErrors(t *testing.T) {
	path := t.TempDir()
	block(t, filepath.Join(path, "none.json"), false)
	block(t, filepath.Join(path, "dir/"), true)
	if err := syscall.Mkfifo(filepath.Join(path, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := create(t, path)
	for name, want := range map[string]string{
		"":              "artifact error: artifact path escapes runpack root",
		"../x":          "artifact error: artifact path escapes runpack root",
		"/etc/hostname": "artifact error: absolute artifact path not allowed",
		"manifest.json": "artifact error: unable to read artifact metadata",
		"no/m.json":     "artifact error: unable to resolve artifact path",
		"dir":           "artifact error: unable to read artifact",
		"pipe":          "artifact error: unable to read artifact",
		"none.json":     "invalid manifest",
	} {
		if _, err := Verify(t.Context(), d, name, Options{}); err == nil || err.Error() != want {
			t.Errorf("manifest %q: %v, want %s", name, err, want)
		}
	}
}

// TestLinks puts symbolic links wherever a path could go through one: nothing is read or written behind them.
func TestLinks(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	block(t, secret, false)
	link := func(path, to string) string {
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, inside := range []bool{false, true} {
		path := t.TempDir()
		block(t, filepath.Join(path, "real/"), true)
		target, file := outside, secret
		if inside {
			// os.Root follows these by itself.
			target, file = "real", "real/file"
			block(t, filepath.Join(path, file), false)
		}
		link(filepath.Join(path, "dir"), target)
		link(filepath.Join(path, "file"), file)
		d := create(t, path)
		for _, name := range []string{"dir/secret", "dir/file", "file"} {
			if content, _, err := d.Open(t.Context(), name); err == nil {
				content.Close()
				t.Errorf("read through the link %s", name)
			}
		}
		if err := d.WriteFile(t.Context(), "dir/new", strings.NewReader("new")); err == nil {
			t.Error("wrote through the link dir")
		}
		if err := d.WriteFile(t.Context(), "file", strings.NewReader("new")); err != nil {
			t.Errorf("a link in the place of a file is replaced: %v", err)
		}
		if !inside {
			file = ""
		}
		if content, err := os.ReadFile(filepath.Join(path, "file")); err != nil || string(content) != "new" {
			t.Errorf("file: %q, %v", content, err)
		}
	}
	if content, err := os.ReadFile(secret); err != nil || string(content) != "x" {
		t.Errorf("the file outside now holds %q, %v", content, err)
	}
	// A link in a bundle is an extra file.
	path := t.TempDir()
	d := create(t, path)
	if _, err := Build(t.Context(), goldenRun(t).input(), d); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(path, "artifacts", "more"), outside)
	report, err := Verify(t.Context(), d, DefaultManifest, Options{})
	if err != nil || !strings.Contains(list(report), "unlisted_file: the manifest does not list this file [file artifacts/more]") {
		t.Errorf("%v\n%s", err, list(report))
	}
	var paths []string
	for path, err := range d.List(t.Context()) {
		paths = append(paths, path)
		if err != nil {
			t.Error(err)
		}
	}
	if slices.Contains(paths, "artifacts/more/secret") {
		t.Errorf("the listing went through a link: %v", paths)
	}
}

// TestAllowed opens directories that a client names.
func TestAllowed(t *testing.T) {
	base, other := t.TempDir(), t.TempDir()
	if err := os.Symlink(other, filepath.Join(base, "link")); err != nil {
		t.Fatal(err)
	}
	block(t, filepath.Join(base, "f"), false)
	allowed := []string{base}
	for _, test := range []struct {
		path   string
		create string
		open   string
	}{
		{filepath.Join(base, "a", "b"), "", "artifact error: unable to resolve runpack root"},
		{base, "", ""},
		{other, "artifact error: directory is not inside runpack_dirs", "artifact error: directory is not inside runpack_dirs"},
		{base + "/../" + filepath.Base(other), "artifact error: directory is not inside runpack_dirs", "artifact error: directory is not inside runpack_dirs"},
		{base + "x", "artifact error: directory is not inside runpack_dirs", "artifact error: directory is not inside runpack_dirs"},
		{filepath.Join(base, "link"), "artifact error: unable to create artifact directory", "artifact error: unable to read artifact metadata"},
		{filepath.Join(base, "link", "c"), "artifact error: unable to create artifact directory", "artifact error: unable to read artifact metadata"},
		{filepath.Join(base, "f"), "artifact error: unable to create artifact directory", "artifact error: unable to read artifact metadata"},
		{"", "artifact error: unable to resolve runpack root", "artifact error: unable to resolve runpack root"},
	} {
		for _, try := range []struct {
			open func([]string, string) (*Directory, error)
			want string
		}{{OpenAllowed, test.open}, {CreateAllowed, test.create}} {
			d, err := try.open(allowed, test.path)
			text := ""
			if err != nil {
				text = err.Error()
			} else {
				err = d.WriteFile(t.Context(), "artifacts/x", strings.NewReader("x"))
				if _, missing := os.Stat(filepath.Join(test.path, "artifacts", "x")); err != nil || missing != nil {
					t.Errorf("%s: %v, %v", test.path, err, missing)
				}
				d.Close()
			}
			if text != try.want {
				t.Errorf("%s: %q, want %q", test.path, text, try.want)
			}
		}
	}
	if entries, _ := os.ReadDir(other); len(entries) > 0 {
		t.Errorf("written behind the link: %v", entries)
	}
}

// A configuration that was named by a relative path allows relative directories; an empty one allows nothing.
func TestAllowedRelative(t *testing.T) {
	base := t.TempDir()
	t.Chdir(base)
	for _, test := range []struct {
		allowed, path string
		allow         bool
	}{
		{"out", filepath.Join(base, "out", "a"), true},
		{"out", "out/a", true},
		{"./", filepath.Join(base, "out"), true},
		{"out", filepath.Join(base, "other"), false},
		{"out", filepath.Join(base, "out", "..", "other"), false},
		{"", filepath.Join(base, "out"), false},
		{"", "out", false},
	} {
		if err := os.MkdirAll("out", 0o700); err != nil {
			t.Fatal(err)
		}
		d, err := CreateAllowed([]string{test.allowed}, test.path)
		if (err == nil) != test.allow {
			t.Errorf("%q in %q: %v", test.path, test.allowed, err)
		}
		if err == nil {
			d.Close()
		}
	}
}

// slow ends the context after its first bytes.
type slow struct {
	io.Reader
	cancel context.CancelFunc
}

func (s *slow) Read(p []byte) (int, error) {
	s.cancel()
	return s.Reader.Read(p[:1])
}

func TestWriteEndsWithContext(t *testing.T) {
	path := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err := create(t, path).WriteFile(ctx, "a", &slow{strings.NewReader("content"), cancel})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(path); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}
