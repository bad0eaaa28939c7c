package launch

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// A host that was killed cannot remove its plugins' sockets: the next one does, and leaves alone what is in use.
func TestSweep(t *testing.T) {
	outside := t.TempDir()
	parent, err := os.MkdirTemp("/tmp", "sweep-") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(parent)
	t.Setenv("TMPDIR", parent)
	living, err := newSocketDir()
	if err != nil {
		t.Fatal(err)
	}
	defer living.remove()
	for _, dir := range []string{"dg-plugin-dead", "dg-plugin-killed-before-its-socket", "somebody-else"} {
		if err := os.Mkdir(filepath.Join(parent, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	kept := []string{filepath.Join(living.path, "socket"), filepath.Join(parent, "somebody-else", "file"), filepath.Join(outside, "file")}
	for _, path := range append(kept, filepath.Join(parent, "dg-plugin-dead", "socket")) {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The attack: a link with our name, for a host that runs as root to follow.
	if err := os.Symlink(outside, filepath.Join(parent, "dg-plugin-link")); err != nil {
		t.Fatal(err)
	}
	sweep(parent)
	var left []string
	entries, err := os.ReadDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	if want := []string{filepath.Base(living.path), "somebody-else"}; !slices.Equal(left, want) {
		t.Errorf("left %v, want %v", left, want)
	}
	for _, path := range kept {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

// Hosts that start while others sweep get a directory that stays.
func TestSweepSparesTheNew(t *testing.T) {
	parent, err := os.MkdirTemp("/tmp", "sweep-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(parent)
	t.Setenv("TMPDIR", parent)
	done := make(chan struct{})
	var sweeper sync.WaitGroup
	sweeper.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Duration(rand.IntN(200)) * time.Microsecond):
				sweep(parent)
			}
		}
	})
	for range 300 {
		dir, err := newSocketDir()
		if err != nil {
			t.Error(err)
			break
		}
		if err := os.WriteFile(filepath.Join(dir.path, "socket"), nil, 0o600); err != nil {
			t.Error(err)
		}
		if !leadsTo(dir.path, dir.lock) {
			t.Error("a new directory was swept away")
		}
		dir.remove()
	}
	close(done)
	sweeper.Wait()
}
