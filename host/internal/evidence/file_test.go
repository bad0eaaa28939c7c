package evidence

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// fileProviderIn has a root with a few files, and one file beside it that nobody may read.
func fileProviderIn(t *testing.T) (p *fileProvider, root string) {
	t.Helper()
	base := t.TempDir()
	root = filepath.Join(base, "root")
	for name, content := range map[string]string{
		"secret.json": `"secret"`, "root/a.json": `{"a":1}`, "root/B.YAML": "yes", "root/.yaml": "1", "root/sub/b.json": "2", "root/big.json": "[" + strings.Repeat(" ", 100) + "]",
		"root/exact.json": strings.Repeat(" ", 97) + "123", "root/none": "3", "root/bad.yml": "!foo 1", "root-evil/c.json": `"secret"`,
	} {
		name = filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"inside": "sub/b.json", "absolute": filepath.Join(root, "a.json"), "escape": "../secret.json", "escape-dir": "..", "etc": "/etc",
		"loop": "loop", "dangling": "nowhere", "dir-link": "sub", "chain": "escape",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "fifo.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := newFileProvider(JSONOptions{Root: root, RootID: "r", MaxBytes: 100, AllowYAML: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, root
}

// askFile is the value as JSON or the code of the error, and the path in the anchor.
func askFile(t *testing.T, p *fileProvider, file string) (value, anchored string) {
	t.Helper()
	params := canonical.NewObject([]canonical.Member{{Name: "file", Value: canonical.NewString(file)}})
	result, err := p.Query(t.Context(), gate.EvidenceQuery{ProviderID: "json", CheckID: "path", Params: &params}, gate.EvidenceContext{})
	if err != nil {
		t.Fatal(err)
	}
	if result.EvidenceRef != nil {
		anchored = strings.TrimPrefix(result.EvidenceRef.URI, "dg+file://r/")
		anchor, err := canonical.Parse([]byte(result.EvidenceAnchor.AnchorValue))
		if path, _ := anchor.Member("path"); err != nil || text(path) != anchored {
			t.Errorf("%+v", result.EvidenceAnchor)
		}
	}
	if result.Error != nil {
		return result.Error.Code, anchored
	}
	return string(canonical.AppendValue(nil, result.Value.JSON, canonical.Declared)), anchored
}

func TestFiles(t *testing.T) {
	p, root := fileProviderIn(t)
	for _, c := range []struct{ file, want, anchored string }{
		{"a.json", `{"a":1}`, "a.json"},
		{"./sub/../a.json", `{"a":1}`, "a.json"},
		{"sub//b.json", "2", "sub/b.json"},
		{"inside", "2", "sub/b.json"},
		{"dir-link/b.json", "2", "sub/b.json"},
		{"absolute", `{"a":1}`, "a.json"},
		{"B.YAML", `"yes"`, "B.YAML"},
		{".yaml", "1", ".yaml"},
		{"none", "3", "none"},
		{"exact.json", "123", "exact.json"},
		{"big.json", "size_limit_exceeded", "big.json"},
		{"bad.yml", "invalid_yaml", "bad.yml"},
		{"sub", "file_read_failed", "sub"},
		{"sub/", "file_read_failed", "sub"},
		{"", "path_missing", ""},
		{".", "path_invalid", ""},
		{"sub/..", "path_invalid", ""},
		{"a.json/", "file_not_found", ""},
		{"a.json/.", "file_not_found", ""},
		{"a.json/..", "file_not_found", ""},
		{"missing/../a.json", "file_not_found", ""},
		{"../missing", "file_not_found", ""},
		{"a\x00b", "file_not_found", ""},
		{strings.Repeat("x", 5000), "file_not_found", ""},
		{"loop", "file_not_found", ""},
		{"dangling", "file_not_found", ""},
		// The ways out of the root.
		{"/etc/passwd", "absolute_path_forbidden", ""},
		{filepath.Join(root, "a.json"), "absolute_path_forbidden", ""},
		{"../secret.json", "path_outside_root", ""},
		{"../root-evil/c.json", "path_outside_root", ""},
		{"..", "path_outside_root", ""},
		{"escape", "path_outside_root", ""},
		{"chain", "path_outside_root", ""},
		{"escape-dir/secret.json", "path_outside_root", ""},
		{"etc/passwd", "path_outside_root", ""},
		// Opening it would wait for somebody to write ([F-13]).
		{"fifo.json", "file_read_failed", "fifo.json"},
	} {
		if got, anchored := askFile(t, p, c.file); got != c.want || anchored != c.anchored {
			t.Errorf("%.60q: got %s at %q, want %s at %q", c.file, got, anchored, c.want, c.anchored)
		}
	}
}

// TestFileSwaps exchanges parts of a path after it was resolved ([F-13]).
func TestFileSwaps(t *testing.T) {
	p, root := fileProviderIn(t)
	for _, c := range []struct{ name, rel, part, target string }{
		{"file to outside", "a.json", "a.json", "../secret.json"},
		{"file to another inside", "a.json", "a.json", "none"},
		{"folder to outside", "sub/b.json", "sub", "../root-evil"},
		{"folder to another inside", "sub/b.json", "sub", "sub2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rel, err := p.dir.resolve(c.rel)
			if err != nil {
				t.Fatal(err)
			}
			part := filepath.Join(root, c.part)
			if err := os.Rename(part, part+".kept"); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(c.target, part); err != nil {
				t.Fatal(err)
			}
			defer func() {
				os.Remove(part)
				os.Rename(part+".kept", part)
			}()
			if c.target == "sub2" {
				if err := os.MkdirAll(filepath.Join(root, "sub2"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(root, "sub2", "b.json"), []byte("9"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if file, err := p.dir.open(rel); err == nil {
				file.Close()
				t.Error("opened")
			}
		})
	}
}

// TestFileSwappedLast exchanges the file in the last moment, after it was looked at ([F-13]).
func TestFileSwappedLast(t *testing.T) {
	p, root := fileProviderIn(t)
	name := filepath.Join(root, "a.json")
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	for swap, put := range map[string]func() error{
		"link inside":  func() error { return os.Symlink("none", name) },
		"link outside": func() error { return os.Symlink("../secret.json", name) },
		"FIFO":         func() error { return syscall.Mkfifo(name, 0o600) },
	} {
		if err := put(); err != nil {
			t.Fatal(err)
		}
		if file, err := openSame(p.dir.root, "a.json", info); err == nil {
			file.Close()
			t.Errorf("%s: opened", swap)
		}
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFileSwapRace exchanges a file for a link as fast as it can while it is read: what is read is always the file.
func TestFileSwapRace(t *testing.T) {
	p, root := fileProviderIn(t)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		name := filepath.Join(root, "a.json")
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Rename(name, name+".kept")
			os.Symlink("../secret.json", name)
			os.Remove(name)
			os.Symlink("none", name)
			os.Rename(name+".kept", name)
		}
	}()
	seen := map[string]bool{}
	for deadline := time.Now().Add(300 * time.Millisecond); time.Now().Before(deadline); {
		value, anchored := askFile(t, p, "a.json")
		seen[value] = true
		// The link inside is a file of its own: it may be read, as what it is.
		if value == `"secret"` || value == "3" && anchored != "none" {
			t.Fatalf("read %s as %s", value, anchored)
		}
	}
	close(stop)
	<-done
	if !seen[`{"a":1}`] {
		t.Errorf("the file was never read: %v", seen)
	}
}

func TestJSONOptions(t *testing.T) {
	root := t.TempDir()
	file := filepath.Join(root, "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ root, id, want string }{
		{root, "a-1_", ""},
		{root, strings.Repeat("a", 64), ""},
		{"", "a", "json provider requires config.root"},
		{root, "", "json provider requires config.root_id"},
		{root, strings.Repeat("a", 65), "json provider root_id exceeds 64 characters"},
		{root, "A", "json provider root_id must be lowercase ascii, digits, '-' or '_'"},
		{root, "a/b", "json provider root_id must be lowercase ascii, digits, '-' or '_'"},
		{root + "/missing", "a", "json provider root does not exist"},
		{file, "a", "json provider root is not a directory"},
	} {
		r, err := New(Options{JSON: &JSONOptions{Root: c.root, RootID: c.id, MaxBytes: 1}})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			r.Close()
		}
		if got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.root, c.id, got, c.want)
		}
	}
}

func TestYAMLMayBeOff(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "a.yaml"), []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := newFileProvider(JSONOptions{Root: root, RootID: "r", MaxBytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if got, anchored := askFile(t, p, "a.yaml"); got != "yaml_disabled" || anchored != "a.yaml" {
		t.Errorf("%s at %s", got, anchored)
	}
}

// TestJSONResultsAreBounded has small files whose answers are not.
func TestJSONResultsAreBounded(t *testing.T) {
	root := t.TempDir()
	deep := strings.Repeat("[", 100) + `"` + strings.Repeat("x", 1<<19) + `"` + strings.Repeat("]", 100)
	for name, content := range map[string]string{"deep.json": deep, "nested.json": strings.Repeat("[", 100) + strings.Repeat("]", 100)} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := recordedRegistry(t, root)
	for _, c := range []struct{ file, path string }{{"deep.json", "$..*"}, {"nested.json", "$..*..*..*..*..*..*"}} {
		params := canonical.NewObject([]canonical.Member{{Name: "file", Value: canonical.NewString(c.file)}, {Name: "jsonpath", Value: canonical.NewString(c.path)}})
		result, err := r.Query(t.Context(), gate.EvidenceQuery{ProviderID: "json", CheckID: "path", Params: &params}, gate.EvidenceContext{})
		if err != nil || result.Value != nil || result.Error == nil || result.Error.Code != "size_limit_exceeded" {
			t.Errorf("%s: %v %+v", c.path, err, result.Error)
		}
	}
}
