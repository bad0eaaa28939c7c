package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// The accident: somebody removes the database, or restores a backup over it, under a running host.
func TestMovedFiles(t *testing.T) {
	replace := func(suffix string) func(path string) error {
		return func(path string) error {
			other := filepath.Join(filepath.Dir(path), "other")
			return errors.Join(os.WriteFile(other, []byte("other"), 0o600), os.Rename(other, path+suffix))
		}
	}
	remove := func(suffix string) func(path string) error {
		return func(path string) error { return os.Remove(path + suffix) }
	}
	tests := map[string]func(path string) error{
		"database removed":       remove(""),
		"database replaced":      replace(""),
		"log removed":            remove("-wal"),
		"log replaced":           replace("-wal"),
		"shared memory removed":  remove("-shm"),
		"shared memory replaced": replace("-shm"),
		"all removed": func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		},
		"database moved away": func(path string) error { return os.Rename(path, path+".old") },
		"folder moved away":   func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+".old") },
	}
	for name, move := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			options := testOptions(dir)
			s := mustOpen(t, options)
			commit(t, s, put(key("before"), "x", store.Any()))
			if err := s.Health(t.Context()); err != nil {
				t.Fatalf("health before: %v", err)
			}
			if err := move(options.Path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				err := tryCommit(t, s, recordCommit("a"))
				if !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "restart the host") {
					t.Errorf("commit: %v", err)
				}
				if err != nil && strings.Contains(fault.ToStatus(err).Error(), dir) {
					t.Errorf("the answer tells the path: %v", err)
				}
			}
			if err := s.Health(t.Context()); !fault.Is(err, fault.Denied) {
				t.Errorf("health: %v", err)
			}
			if r := get(t, s, key("a")); r.Version != 0 {
				t.Error("a commit that was refused is there")
			}
		})
	}
}

// Closing must not finish its work in somebody else's files, and must not leave a log that SQLite would apply to them when
// the host is started again, as it is told to be.
func TestCloseLeavesTheReplacementAlone(t *testing.T) {
	for _, names := range [][]string{{"dg.db"}, {"dg.db", "dg.db-wal"}} {
		t.Run(strings.Join(names, " and "), func(t *testing.T) {
			backup := testOptions(t.TempDir())
			b := mustOpen(t, backup)
			commit(t, b, put(key("a"), "new", store.Any()))
			if len(names) == 1 { // The log is part of the database until it is closed.
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			}
			options, kept := testOptions(t.TempDir()), testOptions(t.TempDir())
			s := mustOpen(t, options)
			commit(t, s, put(key("a"), "old", store.Any()))
			if err := os.Rename(options.Path, kept.Path); err != nil {
				t.Fatal(err)
			}
			if len(names) == 2 {
				if err := os.Remove(options.Path + "-wal"); err != nil {
					t.Fatal(err)
				}
			}
			copyFiles(t, filepath.Dir(backup.Path), filepath.Dir(options.Path), names...)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			for _, name := range names {
				if content(filepath.Join(filepath.Dir(options.Path), name)) != content(filepath.Join(filepath.Dir(backup.Path), name)) {
					t.Errorf("closing wrote into the %s that replaced the store's", name)
				}
			}
			if r := get(t, mustOpen(t, options), key("a")); string(r.Body) != "new" {
				t.Errorf("the replacement holds %+v after a restart", r)
			}
			if r := get(t, mustOpen(t, kept), key("a")); string(r.Body) != "old" {
				t.Errorf("the file that was replaced lacks what was acknowledged: %+v", r)
			}
		})
	}
}

// A link may lead to the database; what counts is where it leads.
func TestDatabaseBehindLink(t *testing.T) {
	target := testOptions(t.TempDir())
	options := testOptions(t.TempDir())
	b := mustOpen(t, target)
	if err := os.Symlink(target.Path, options.Path); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, options)
	commit(t, s, put(key("a"), "x", store.Any()))
	if r := get(t, b, key("a")); string(r.Body) != "x" {
		t.Errorf("the link leads elsewhere: %+v", r)
	}
	other := filepath.Join(filepath.Dir(options.Path), "other")
	if err := errors.Join(os.WriteFile(other, nil, 0o600), os.Remove(options.Path), os.Symlink(other, options.Path)); err != nil {
		t.Fatal(err)
	}
	if err := tryCommit(t, s, recordCommit("b")); !fault.Is(err, fault.Denied) {
		t.Errorf("after the link was turned: %v", err)
	}
	if err := tryCommit(t, b, recordCommit("b")); err != nil {
		t.Errorf("whose files are in place: %v", err)
	}
}

// The path is escaped on its way to SQLite, which reads options out of one that is not.
func TestPathIsNoURI(t *testing.T) {
	for _, name := range []string{"a?nolock=1&_pragma=synchronous(0)", "a%00b#c", "file:x y;é"} {
		options := testOptions(t.TempDir())
		options.Path = filepath.Join(filepath.Dir(options.Path), name)
		s := mustOpen(t, options)
		commit(t, s, put(key("a"), "x", store.Any()))
		if _, err := os.Stat(options.Path + "-wal"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
