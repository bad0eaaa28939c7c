package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// disk is a writer that takes so many bytes and then is full, as a file system is: half a line may be taken.
type disk struct{ bytes.Buffer }

// limited is a disk with room left.
type limited struct {
	disk
	room int
}

func (d *limited) Write(p []byte) (int, error) {
	if len(p) <= d.room {
		d.room -= len(p)
		return d.disk.Write(p)
	}
	n, _ := d.disk.Write(p[:d.room])
	d.room = 0
	return n, syscall.ENOSPC
}

// TestFull has a disk become full at every byte of three lines, and room again: nothing is lost, torn or out of order.
func TestFull(t *testing.T) {
	lines := []string{"one\n", "two\n", "three\n"}
	whole := strings.Join(lines, "")
	for room := range len(whole) {
		d := &limited{room: room}
		l := New(d)
		failed := 0
		for _, line := range lines {
			if err := l.Write([]byte(line)); err != nil {
				failed++
				if !errors.Is(err, syscall.ENOSPC) || l.Ready() == nil {
					t.Fatalf("room for %d: %v, ready %v", room, err, l.Ready())
				}
			} else if failed > 0 {
				t.Fatalf("room for %d: %q was taken after a failure", room, line)
			}
		}
		if failed == 0 {
			t.Fatalf("room for %d: nothing failed", room)
		}
		d.room = 2 // not enough
		if room < len(whole)-2 && l.Ready() == nil {
			t.Fatalf("room for %d: ready with 2 bytes more", room)
		}
		d.room = 100
		if err := l.Ready(); err != nil {
			t.Fatalf("room for %d: %v", room, err)
		}
		if err := l.Write([]byte("four\n")); err != nil || d.String() != whole+"four\n" {
			t.Fatalf("room for %d: %q, %v", room, d.String(), err)
		}
	}
}

// TestFullDevice writes to a real file that has no room.
func TestFullDevice(t *testing.T) {
	const device = "/dev/full"
	if _, err := os.Stat(device); err != nil {
		return // only Linux has it; TestFull is for all systems
	}
	l, err := Open(device)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write([]byte("line\n")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "5 bytes of the audit log were not written") {
		t.Errorf("close: %v", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRotation moves the file away while many write: every line is whole, and in one of the files.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "audit.jsonl")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	const writers, each, rotations = 8, 200, 20
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for i := range each {
				if err := l.Write([]byte(fmt.Sprintf("%d %d first\n%d %d %s\n", w, i, w, i, strings.Repeat("x", i)))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range rotations {
		// What moves it need not tell; it may.
		if err := os.Rename(path, fmt.Sprintf("%s.%d", path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if i%2 == 0 {
			if err := l.Reopen(); err != nil {
				t.Error(err)
			}
		}
	}
	writing.Wait()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	files, _ := filepath.Glob(path + "*")
	next := make([]int, writers)
	lines := map[string]bool{}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != fileMode {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
		text := strings.TrimSuffix(read(t, file), "\n")
		if text == "" {
			continue
		}
		all := strings.Split(text, "\n")
		for i := 0; i < len(all); i += 2 {
			var w, n int
			if _, err := fmt.Sscanf(all[i], "%d %d first", &w, &n); err != nil || all[i+1] != fmt.Sprintf("%d %d %s", w, n, strings.Repeat("x", n)) {
				t.Fatalf("%s: line %d: %q, %q", file, i, all[i], all[i+1])
			}
			lines[all[i]] = true
			next[w]++
		}
	}
	if len(lines) != writers*each {
		t.Errorf("%d of %d lines are there: %v", len(lines), writers*each, next)
	}
}

// TestReplaced puts a new file where the log was, as programs do that rotate logs and make the next one themselves.
func TestReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := errors.Join(l.Write([]byte("one\n")), os.Rename(path, path+".1"), os.WriteFile(path, nil, 0o600), l.Write([]byte("two\n"))); err != nil {
		t.Fatal(err)
	}
	if old, now := read(t, path+".1"), read(t, path); old != "one\n" || now != "two\n" {
		t.Errorf("the old file holds %q, the new one %q", old, now)
	}
}

// TestMovedForGood has the folder of the log disappear: requests fail until there is one again, and none is lost.
func TestMovedForGood(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "audit.jsonl")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := l.Write([]byte("two\n")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := l.Ready(); err != nil {
		t.Error(err)
	}
	if got := read(t, path); got != "two\n" {
		t.Errorf("got %q", got)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Write([]byte("three\n")); !errors.Is(err, errClosed) {
		t.Errorf("after its end: %v", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		dir:                                     "it is not a file",
		pipe:                                    "it is not a file", // opening it would wait for a reader
		filepath.Join(dir, "none", "log.jsonl"): "no such file or directory",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	path := filepath.Join(dir, "kept")
	if err := os.WriteFile(path, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Write([]byte("after\n")), l.Close(), l.Close()); err != nil || read(t, path) != "before\nafter\n" {
		t.Errorf("%q, %v", read(t, path), err)
	}
}

// TestNone: a host without an audit log asks it nothing.
func TestNone(t *testing.T) {
	var l *Log
	if err := errors.Join(l.Write([]byte("x")), l.Ready(), l.Reopen(), l.Close()); err != nil {
		t.Error(err)
	}
}
