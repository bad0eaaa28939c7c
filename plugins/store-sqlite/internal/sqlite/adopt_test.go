package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// copyWithoutSums is a database as another program copies it: the bytes of the checksums are zeros.
func copyWithoutSums(t *testing.T) (path string, want map[string]string) {
	t.Helper()
	options := testOptions(t.TempDir())
	s := mustOpen(t, options)
	want = map[string]string{}
	for i := range 60 {
		name := strings.Repeat("k", 100) + fmt.Sprintf("%03d", i)
		want[name] = strings.Repeat(name, i%7)
		commit(t, s, put(key(name), want[name], store.Absent()))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(options.Path)
	if err != nil {
		t.Fatal(err)
	}
	for end := 4096; end <= len(file); end += 4096 {
		clear(file[end-8 : end])
	}
	path = filepath.Join(t.TempDir(), "dg.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, want
}

func TestAdopt(t *testing.T) {
	path, want := copyWithoutSums(t)
	options := testOptions(filepath.Dir(path))
	if _, err := Open(t.Context(), options); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "adopt") {
		t.Errorf("before: %v, want CORRUPT and what to do", err)
	}
	if err := Adopt(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := answersAsBefore(t, "adopted", options, want); err != nil {
		t.Error(err)
	}
	if err := Adopt(t.Context(), path); err != nil {
		t.Errorf("once more: %v", err)
	}
}

func TestAdoptRefusesDamage(t *testing.T) {
	const pageSize = 4096
	path, want := copyWithoutSums(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for page := range len(whole) / pageSize {
		file := append([]byte(nil), whole...)
		clear(file[page*pageSize+3072:][:512]) // a lost sector
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Adopt(t.Context(), path); err == nil {
			// What was lost was not in use.
			if err := answersAsBefore(t, fmt.Sprint("page ", page+1), testOptions(filepath.Dir(path)), want); err != nil {
				t.Errorf("page %d: adopted, and then %v", page+1, err)
			}
		}
	}
}

func TestAdoptWhatIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("text\n", 2000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, filepath.Join(dir, "none")} {
		if err := Adopt(t.Context(), path); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want INVALID", filepath.Base(path), err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a file was made")
	}
}
