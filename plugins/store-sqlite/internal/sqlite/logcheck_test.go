package sqlite

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// killedStore is a folder as a store leaves it that is killed: all commits are in the log.
func killedStore(t *testing.T, commits int) (dir string) {
	t.Helper()
	options := testOptions(t.TempDir())
	s := mustOpen(t, options)
	for i := range commits {
		commit(t, s, put(key(fmt.Sprintf("%03d", i)), strings.Repeat("b", 300), store.Absent()))
	}
	dir = t.TempDir()
	copyFiles(t, filepath.Dir(options.Path), dir, "dg.db", "dg.db-wal", "dg.db-shm")
	return dir
}

// SQLite opens a log that was cut or changed, and knows nothing of the commits from there on.
func TestLogThatLostCommits(t *testing.T) {
	const commits = 40
	dir := killedStore(t, commits)
	log, err := os.ReadFile(filepath.Join(dir, "dg.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string]func(log []byte) []byte{
		"cut anywhere":      func(log []byte) []byte { return log[:rand.IntN(len(log))] },
		"cut to nothing":    func([]byte) []byte { return nil },
		"cut by one frame":  func(log []byte) []byte { return log[:len(log)-frameHeaderSize-4096] },
		"cut to its header": func(log []byte) []byte { return log[:logHeaderSize] },
		"a changed byte":    func(log []byte) []byte { log[rand.IntN(len(log))] ^= byte(1 + rand.IntN(255)); return log },
		"a changed salt":    func(log []byte) []byte { log[16] ^= 1; return log },
		"a page of noise":   func(log []byte) []byte { copy(log[len(log)/2:], strings.Repeat("\xA5", 4096)); return log },
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			for range 4 {
				damaged := testOptions(t.TempDir())
				copyFiles(t, dir, filepath.Dir(damaged.Path), "dg.db", "dg.db-shm")
				bytes := do(append([]byte(nil), log...))
				if err := os.WriteFile(damaged.Path+"-wal", bytes, 0o600); err != nil {
					t.Fatal(err)
				}
				for range 2 { // A refusal must not mend what it refuses.
					s, err := Open(t.Context(), damaged)
					if err == nil {
						s.Close()
					}
					if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "-wal") {
						t.Fatalf("%v, want CORRUPT", err)
					}
				}
				if err := os.Remove(damaged.Path + "-shm"); err != nil {
					t.Fatal(err)
				}
				s, err := Open(t.Context(), damaged) // as the message says
				if err != nil {
					t.Fatalf("without the -shm: %v", err)
				}
				s.Close()
			}
		})
	}
	for name, lose := range map[string]func(path string) error{
		"database removed": os.Remove,
		"database emptied": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			damaged := testOptions(t.TempDir())
			copyFiles(t, dir, filepath.Dir(damaged.Path), "dg.db", "dg.db-wal", "dg.db-shm")
			if err := lose(damaged.Path); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := Open(t.Context(), damaged); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "holds commits") {
					t.Errorf("%v, want CORRUPT", err)
				}
			}
			if content(damaged.Path+"-wal") != string(log) {
				t.Error("the log was not left alone")
			}
		})
	}
	t.Run("removed", func(t *testing.T) {
		if err := os.Remove(filepath.Join(dir, "dg.db-wal")); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), testOptions(dir)); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%v, want CORRUPT", err)
		}
	})
}

// What a power cut or a kill leaves is no loss: frames that nobody was told of, and an index that is behind or gone.
func TestLogThatLostNothing(t *testing.T) {
	const commits = 20
	dir := killedStore(t, commits)
	leftovers := map[string]func(path string) error{
		"as it was":          func(string) error { return nil },
		"no index":           func(path string) error { return os.Remove(path + "-shm") },
		"an empty index":     func(path string) error { return os.Truncate(path+"-shm", 0) },
		"a torn index":       func(path string) error { return overwrite(path+"-shm", 48, make([]byte, 48)) },
		"a torn last commit": func(path string) error { return appendTo(path+"-wal", strings.Repeat("x", 5000)) },
	}
	for name, leave := range leftovers {
		t.Run(name, func(t *testing.T) {
			options := testOptions(t.TempDir())
			copyFiles(t, dir, filepath.Dir(options.Path), "dg.db", "dg.db-wal", "dg.db-shm")
			if err := leave(options.Path); err != nil {
				t.Fatal(err)
			}
			s := mustOpen(t, options)
			if r := get(t, s, key(fmt.Sprintf("%03d", commits-1))); r.Version == 0 {
				t.Error("the last commit is not there")
			}
		})
	}
}

func appendTo(path, text string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return overwrite(path, info.Size(), []byte(text))
}
