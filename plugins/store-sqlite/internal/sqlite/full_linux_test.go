package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// place is somewhere a store can run out of space.
type place struct {
	options Options
	// opened is called with each store that is opened there.
	opened func(*Store)
	fill   func(t *testing.T)
	free   func(t *testing.T)
}

// places answers a file system that is really full, where the tests may mount one, and always a disk whose writes are
// made to /dev/full instead, so that the kernel's own error comes the way of the driver's.
func places(t *testing.T) map[string]func(*testing.T) place {
	all := map[string]func(*testing.T) place{"writes to /dev/full": devFull}
	probe := t.TempDir()
	if err := syscall.Mount("tmpfs", probe, "tmpfs", 0, "size=64k"); err != nil {
		t.Logf("no file system of its own, as it cannot be mounted here: %v", err)
		return all
	}
	if err := syscall.Unmount(probe, 0); err != nil {
		t.Error(err)
	}
	all["a full file system"] = smallDisk
	return all
}

func devFull(t *testing.T) place {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = full.Close() })
	d := newDisk(t)
	p := place{options: testOptions(t.TempDir())}
	p.options.VFS = d.name
	filled := false
	write := func(_ string, size int) error {
		_, err := full.WriteAt(make([]byte, size), 0)
		return err
	}
	p.fill = func(*testing.T) { filled = true; d.write.Store(&write) }
	p.free = func(*testing.T) { filled = false; d.write.Store(nil) }
	p.opened = func(s *Store) {
		s.probe = func(dir string) error {
			if filled {
				return classify(t.Context(), write("", reserve))
			}
			return probeSpace(dir)
		}
	}
	return p
}

func smallDisk(t *testing.T) place {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("something in it is still open: %v", err)
		}
	})
	ballast := filepath.Join(dir, "ballast")
	return place{
		options: testOptions(dir),
		opened:  func(*Store) {},
		fill: func(t *testing.T) {
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 4096))
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		},
		free: func(t *testing.T) {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func TestFullDisk(t *testing.T) {
	for name, make := range places(t) {
		t.Run(name, func(t *testing.T) {
			p := make(t)
			s := mustOpen(t, p.options)
			p.opened(s)
			if err := tryCommit(t, s, recordCommit("before")); err != nil {
				t.Fatal(err)
			}
			if err := s.Health(t.Context()); err != nil {
				t.Errorf("health before: %v", err)
			}

			p.fill(t)
			acknowledged := commitUntilFull(t, s)
			err := s.Health(t.Context())
			if !fault.Is(err, fault.Full) || !strings.Contains(err.Error(), "free space on its disk") {
				t.Errorf("health of a full disk: %v", err)
			}

			p.free(t)
			if err := s.Health(t.Context()); err != nil {
				t.Errorf("health after: %v", err)
			}
			if s.full.Load() {
				t.Error("each health check will go on writing to a disk that is no longer full")
			}
			if err := tryCommit(t, s, recordCommit("after")); err != nil {
				t.Error(err)
			}
			for _, name := range append(acknowledged, "before", "after") {
				if get(t, s, key(name)).Version == 0 {
					t.Errorf("commit %q was acknowledged and is not there", name)
				}
			}
			if get(t, s, key("refused")).Version != 0 {
				t.Error("a commit that failed is there")
			}
		})
	}
}

// commitUntilFull commits what still fits into the log's last block, and then one commit that does not fit.
func commitUntilFull(t *testing.T, s *Store) (acknowledged []string) {
	t.Helper()
	for {
		name := fmt.Sprint("filler", len(acknowledged))
		if err := tryCommit(t, s, recordCommit(name)); err != nil {
			break
		}
		if acknowledged = append(acknowledged, name); len(acknowledged) > 100 {
			t.Fatal("the disk never fills")
		}
	}
	large := recordCommit("refused")
	large.Ops[0].Body = make([]byte, 64<<10)
	start := time.Now()
	err := tryCommit(t, s, large)
	if !fault.Is(err, fault.Full) {
		t.Errorf("a commit on a full disk: %v, want FULL", err)
	}
	// Not a measure of speed: what waits for a lock or a retry takes the busy timeout, which is 5 s.
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the answer took %s", took)
	}
	return acknowledged
}

// A host that is started on a full disk says so too, although nothing is to be written but the shared memory.
func TestOpenOnFullDisk(t *testing.T) {
	for name, make := range places(t) {
		t.Run(name, func(t *testing.T) {
			p := make(t)
			p.fill(t)
			if _, err := Open(t.Context(), p.options); !fault.Is(err, fault.Full) {
				t.Fatalf("a new database: %v, want FULL", err)
			}
			p.free(t)
			if s, err := Open(t.Context(), p.options); err != nil || s.Close() != nil {
				t.Fatal(err)
			}
			p.fill(t)
			s, err := Open(t.Context(), p.options)
			if err == nil { // The shared memory is not written to /dev/full.
				err = errors.Join(tryCommit(t, s, recordCommit("a")), s.Close())
			}
			if !fault.Is(err, fault.Full) {
				t.Errorf("a database from before: %v, want FULL", err)
			}
		})
	}
}
