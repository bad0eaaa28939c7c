package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// disk is a file layer that fails on demand. The hooks get the file's suffix after "dg.db".
type disk struct {
	vfs.VFS
	name  string
	open  atomic.Pointer[func(suffix string, flags vfs.OpenFlag) error]
	write atomic.Pointer[func(suffix string, size int) error]
	sync  atomic.Pointer[func(suffix string) error]
}

var disks atomic.Int64

func newDisk(t *testing.T) *disk {
	d := &disk{VFS: vfs.Find(""), name: fmt.Sprintf("disk%d", disks.Add(1))}
	vfs.Register(d.name, layer{d})
	t.Cleanup(func() { vfs.Unregister(d.name) })
	return d
}

func (d *disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	_, suffix, _ := strings.Cut(filepath.Base(name.String()), "dg.db")
	if hook := d.open.Load(); hook != nil {
		if err := (*hook)(suffix, flags); err != nil {
			return nil, flags, err
		}
	}
	f, flags, err := d.VFS.(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, flags, err
	}
	return diskFile{f.(driverFile), d, suffix}, flags, nil
}

type diskFile struct {
	driverFile
	disk   *disk
	suffix string
}

func (f diskFile) WriteAt(p []byte, off int64) (int, error) {
	if hook := f.disk.write.Load(); hook != nil {
		if err := (*hook)(f.suffix, len(p)); err != nil {
			return 0, err
		}
	}
	return f.driverFile.WriteAt(p, off)
}

func (f diskFile) Sync(flags vfs.SyncFlag) error {
	if hook := f.disk.sync.Load(); hook != nil {
		if err := (*hook)(f.suffix); err != nil {
			return err
		}
	}
	return f.driverFile.Sync(flags)
}

// noSpace and noQuota are what the driver's own file layer answers when the disk is full or the user's part of it.
var (
	noSpace = &fs.PathError{Op: "write", Path: "dg.db-wal", Err: syscall.ENOSPC}
	noQuota = &fs.PathError{Op: "write", Path: "dg.db-wal", Err: syscall.EDQUOT}
)

// tryCommit commits one record of 1 KiB.
func tryCommit(t *testing.T, s *Store, c store.Commit) error {
	t.Helper()
	outcomes, err := s.Commit(t.Context(), []store.Commit{c})
	if err == nil && outcomes[0].Refusal != nil {
		t.Errorf("%+v", outcomes[0].Refusal)
	}
	return err
}

func recordCommit(name string) store.Commit {
	return store.Commit{ID: newID(), Ops: []store.Op{put(key(name), strings.Repeat("x", 1024), store.Absent())}}
}

// Whatever the disk does, a commit that met an error is not there, and after the disk has recovered the same commit
// succeeds with the same id.
func TestFailingDiskAcknowledgesNothing(t *testing.T) {
	fail := func(err error) func(*disk) {
		return func(d *disk) {
			hook := func(suffix string, _ int) error {
				if suffix == "-wal" {
					return err
				}
				return nil
			}
			d.write.Store(&hook)
		}
	}
	failSync := func(d *disk) {
		hook := func(string) error { return syscall.EIO }
		d.sync.Store(&hook)
	}
	tests := []struct {
		name   string
		breaks func(*disk)
		reason fault.Reason
	}{
		{"no space", fail(noSpace), fault.Full},
		{"no quota", fail(noQuota), fault.Full},
		{"write error", fail(syscall.EIO), fault.Unavailable},
		{"sync error", failSync, fault.Unavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDisk(t)
			options := testOptions(t.TempDir())
			options.VFS = d.name
			s := mustOpen(t, options)
			if err := tryCommit(t, s, recordCommit("before")); err != nil {
				t.Fatal(err)
			}
			tt.breaks(d)
			c := recordCommit("during")
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					err := tryCommit(t, s, recordCommit(fmt.Sprint("also", i)))
					if !fault.Is(err, tt.reason) {
						t.Errorf("commit: %v, want %s", err, tt.reason)
					}
					if err != nil && strings.Contains(fault.ToStatus(err).Error(), options.Path) {
						t.Errorf("the answer tells the path: %v", err)
					}
				})
			}
			if err := tryCommit(t, s, c); !fault.Is(err, tt.reason) {
				t.Errorf("commit: %v, want %s", err, tt.reason)
			}
			wg.Wait()
			if get(t, s, key("during")).Version != 0 || get(t, s, key("before")).Version == 0 {
				t.Error("a commit that failed is there, or one that succeeded is not")
			}
			d.write.Store(nil)
			d.sync.Store(nil)
			if err := tryCommit(t, s, c); err != nil {
				t.Errorf("after the disk has recovered: %v", err)
			}
			if err := tryCommit(t, s, c); err != nil || get(t, s, key("during")).Version == 0 {
				t.Errorf("a repeat after the disk has recovered: %v", err)
			}
		})
	}
}

// A request that does not fit on the disk fails alone, not with everybody whose transaction it shared.
func TestOneTooLargeRequestFailsAlone(t *testing.T) {
	d := newDisk(t)
	options := testOptions(t.TempDir())
	options.VFS = d.name
	s := mustOpen(t, options)
	var left atomic.Int64
	write := func(_ string, size int) error {
		if left.Add(-int64(size)) < 0 {
			return noSpace
		}
		return nil
	}
	d.write.Store(&write)
	// Each transaction reads the clock once, at its begin, and then has this much room.
	s.writer.now = func() time.Time { left.Store(64 << 10); return time.Now() }

	large := &request{ctx: t.Context(), done: make(chan struct{}), commits: []store.Commit{{ID: newID(), Ops: []store.Op{put(key("large"), strings.Repeat("x", 8<<20), store.Any())}}}}
	small := &request{ctx: t.Context(), done: make(chan struct{}), commits: []store.Commit{recordCommit("small")}}
	// The writer's loop is idle and its connection free: this is what it would do with a batch of both.
	s.writer.write([]*request{small, large})
	if !fault.Is(large.err, fault.Full) || get(t, s, key("large")).Version != 0 {
		t.Errorf("large: %v", large.err)
	}
	if small.err != nil || get(t, s, key("small")).Version == 0 {
		t.Errorf("the small request failed with the large one: %v", small.err)
	}
}

// The log of a killed process may hold a whole transaction that was never synced. SQLite takes it for committed, so
// opening must make it durable before a repeat is answered from the record of its id.
func TestRecoveredTransactionIsDurableBeforeItIsAnswered(t *testing.T) {
	d := newDisk(t)
	options := testOptions(t.TempDir())
	options.VFS = d.name
	s := mustOpen(t, options)
	if err := tryCommit(t, s, recordCommit("before")); err != nil {
		t.Fatal(err)
	}
	hook := func(string) error { return syscall.EIO }
	d.sync.Store(&hook)
	c := recordCommit("unsynced")
	if err := tryCommit(t, s, c); err == nil {
		t.Fatal("a commit without a sync was acknowledged")
	}
	// What a process killed at this moment leaves behind.
	left := t.TempDir()
	copyFiles(t, filepath.Dir(options.Path), left, "dg.db", "dg.db-wal")
	d.sync.Store(nil)

	again := newDisk(t)
	var synced atomic.Bool
	record := func(suffix string) error {
		if suffix == "" {
			synced.Store(true)
		}
		return nil
	}
	again.sync.Store(&record)
	options = testOptions(left)
	options.VFS = again.name
	s = mustOpen(t, options)
	if get(t, s, key("unsynced")).Version == 0 {
		t.Fatal("the log does not hold the transaction; this test shows nothing")
	}
	if !synced.Load() {
		t.Error("the recovered transaction was not synced when the store opened")
	}
	if err := tryCommit(t, s, c); err != nil {
		t.Error(err)
	}
}

func copyFiles(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Wherever the log is cut off, the store opens with a prefix of the commits, each whole.
func TestCutLog(t *testing.T) {
	options := testOptions(t.TempDir())
	s := mustOpen(t, options)
	const n = 12
	for i := range n {
		name := fmt.Sprintf("%02d", i)
		commit(t, s, put(key(name, "a"), strings.Repeat("a", 100*i), store.Any()), put(key(name, "b"), strings.Repeat("b", 700*i), store.Any()))
	}
	saved := t.TempDir()
	copyFiles(t, filepath.Dir(options.Path), saved, "dg.db", "dg.db-wal")
	whole, err := os.ReadFile(filepath.Join(saved, "dg.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for cut := 0; cut <= len(whole); cut += 1 + len(whole)/60 {
		dir := t.TempDir()
		copyFiles(t, saved, dir, "dg.db")
		if err := os.WriteFile(filepath.Join(dir, "dg.db-wal"), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), testOptions(dir))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		var names []string
		err = s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(r store.Record) error {
			names = append(names, string(r.Key.Path[0])+string(r.Key.Path[1]))
			return nil
		})
		if closeErr := s.Close(); err != nil || closeErr != nil {
			t.Fatalf("cut at %d: %v, %v", cut, err, closeErr)
		}
		for i, name := range names {
			if want := fmt.Sprintf("%02d%c", i/2, 'a'+i%2); name != want {
				t.Fatalf("cut at %d: record %d is %q, want %q", cut, i, name, want)
			}
		}
		if len(names)%2 != 0 {
			t.Fatalf("cut at %d: half a commit is there", cut)
		}
		longest = max(longest, len(names))
	}
	if longest < n {
		t.Errorf("at most %d records were ever there: the log was not in use", longest)
	}
}

func TestDamageIsReported(t *testing.T) {
	options := testOptions(t.TempDir())
	s := mustOpen(t, options)
	const n = 200
	for i := range n {
		commit(t, s, put(key(fmt.Sprintf("%03d", i)), strings.Repeat("b", 900), store.Any()))
	}
	commit(t, s, store.Op{Kind: store.OpAdd, Key: key("count"), Delta: 7, Max: 9})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	damage := map[string]func(path string) error{
		"changed bodies": func(path string) error {
			c, err := openConn(path, "", readWrite, time.Second)
			if err != nil {
				return err
			}
			return errors.Join(c.exec(`UPDATE records SET body = x'0000000000000008'`), c.close())
		},
		"zeroed pages": func(path string) error { return overwrite(path, 3*4096, make([]byte, 1<<30>>13)) },
		"flipped bits": func(path string) error { return overwrite(path, 8*4096, []byte(strings.Repeat("\xA5", 40*4096))) },
		"cut off":      func(path string) error { return os.Truncate(path, 10*4096) },
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			copyFiles(t, filepath.Dir(options.Path), dir, "dg.db")
			damaged := testOptions(dir)
			if err := do(damaged.Path); err != nil {
				t.Fatal(err)
			}
			s, err := Open(t.Context(), damaged)
			if err == nil {
				defer s.Close()
				err = s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(store.Record) error { return nil })
			}
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("%v, want CORRUPT", err)
			}
			if err != nil && strings.Contains(err.Error(), "bbbb") {
				t.Errorf("the error tells the body: %v", err)
			}
			if s == nil {
				return
			}
			if name == "changed bodies" {
				if _, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: []store.Op{{Kind: store.OpAdd, Key: key("count"), Delta: 1, Max: 9}}}}); !fault.Is(err, fault.Corrupt) {
					t.Errorf("adding to a changed counter: %v", err)
				}
			}
		})
	}
}

func overwrite(path string, at int64, with []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(with, at)
	return errors.Join(err, f.Close())
}

// The background copy alone would let the log grow without end under load.
func TestLogStaysShort(t *testing.T) {
	s := mustOpen(t, testOptions(t.TempDir()))
	const written, limit = 300 << 20, 5 * restartFrames * 4096 / 2
	body := strings.Repeat("x", 2<<20)
	for i := range written / len(body) {
		commit(t, s, put(key(fmt.Sprint(i%10)), body, store.Any()))
		if info, err := os.Stat(s.options.Path + "-wal"); err != nil || info.Size() > limit {
			t.Fatalf("after %d MiB the log has %d bytes, %v", (i+1)*len(body)>>20, info.Size(), err)
		}
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	sqliteFile := func(script string) func(path string) error {
		return func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			c, err := openConn(path, "", readWrite, time.Second)
			if err != nil {
				return err
			}
			return errors.Join(c.exec(script), c.close())
		}
	}
	ours := func(script string) func(path string) error {
		return func(path string) error {
			options := testOptions(filepath.Dir(path))
			s, err := Open(t.Context(), options)
			if err != nil {
				return err
			}
			if err := s.Close(); err != nil {
				return err
			}
			c, err := openConn(path, "", readWrite, time.Second)
			if err != nil {
				return err
			}
			return errors.Join(c.exec(script), c.close())
		}
	}
	tests := []struct {
		name   string
		make   func(path string) error
		reason fault.Reason
		says   string
	}{
		{"of the future", ours(`PRAGMA user_version=3`), fault.Invalid, "use the plugin that wrote it"},
		{"of the past", ours(`PRAGMA user_version=1`), fault.Invalid, "before the first release"},
		{"of another program", sqliteFile(`CREATE TABLE t (a)`), fault.Invalid, "another program"},
		{"of another program, marked", sqliteFile(`PRAGMA application_id=7`), fault.Invalid, "another program"},
		{"no database", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("text\n", 2000)), 0o600)
		}, fault.Invalid, "not an SQLite database"},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }, fault.Invalid, "no regular file"},
		{"a pipe", func(path string) error { return syscall.Mkfifo(path, 0o600) }, fault.Invalid, "no regular file"},
		{"in no folder", func(path string) error { return os.Remove(filepath.Dir(path)) }, fault.Invalid, "create it"},
		{"changed tables", ours(`DROP INDEX commits_at`), fault.Corrupt, "changed by another program"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			options := testOptions(t.TempDir())
			if err := tt.make(options.Path); err != nil {
				t.Fatal(err)
			}
			before := content(options.Path)
			s, err := Open(t.Context(), options)
			if err == nil {
				_ = s.Close()
			}
			if !fault.Is(err, tt.reason) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "path: ") {
				t.Errorf("%v; want %s and %q", err, tt.reason, tt.says)
			}
			if content(options.Path) != before {
				t.Error("a refused file was written")
			}
		})
	}
}

// content is a file's bytes; a pipe is not opened, it would wait for a writer.
func content(path string) string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	data, _ := io.ReadAll(f)
	return string(data)
}

func TestPlacesThatCannotBeWritten(t *testing.T) {
	// Nobody, root included, can create a file there.
	options := testOptions("/sys")
	if _, err := Open(t.Context(), options); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("a folder that cannot be written: %v", err)
	}
	// The permissions of a file do not stop root, under whom the tests may run, so the file layer refuses.
	d := newDisk(t)
	hook := func(suffix string, flags vfs.OpenFlag) error {
		if flags&vfs.OPEN_READWRITE != 0 {
			return syscall.EACCES
		}
		return nil
	}
	d.open.Store(&hook)
	options = testOptions(t.TempDir())
	options.VFS = d.name
	if _, err := Open(t.Context(), options); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("a file that cannot be written: %v", err)
	}
}
