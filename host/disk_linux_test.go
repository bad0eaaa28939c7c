package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// limitFiles makes writes beyond so many bytes of a file fail in a process that runs, as on a full disk. It needs no rights
// over file systems. 0 lifts the limit.
func limitFiles(t *testing.T, pid int, bytes uint64) {
	t.Helper()
	const rlimitFileSize, unlimited = 1, ^uint64(0)
	limit := [2]uint64{bytes, unlimited} // what counts now, and to what it may be raised
	if bytes == 0 {
		limit[0] = unlimited
	}
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRLIMIT64, uintptr(pid), rlimitFileSize, uintptr(unsafe.Pointer(&limit)), 0, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
}

// mountSmall mounts a file system of its own on the folder, where the tests may.
func mountSmall(t *testing.T, dir, options string) bool {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Logf("no file system of its own, as it cannot be mounted here: %v", err)
		return false
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return true
}

// fullDisk is a way to take the space away from a running host, and to give it back.
type fullDisk struct {
	name       string
	prepare    func(t *testing.T, s *siege) bool
	fill, free func(t *testing.T, s *siege)
}

var fullDisks = []fullDisk{
	{
		"a limit on files", func(*testing.T, *siege) bool { return true },
		func(t *testing.T, s *siege) { limitFiles(t, storeOf(t, s), 4096) },
		func(t *testing.T, s *siege) { limitFiles(t, storeOf(t, s), 0) },
	},
	{
		"a full file system", func(t *testing.T, s *siege) bool {
			data := filepath.Join(s.dir, "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			s.configure(t, `path = "gate.db"`, `path = "data/gate.db"`)
			return mountSmall(t, data, "size=128m") // more than the log may take
		},
		func(t *testing.T, s *siege) {
			f, err := os.Create(filepath.Join(s.dir, "data", "ballast"))
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
		func(t *testing.T, s *siege) {
			if err := os.Remove(filepath.Join(s.dir, "data", "ballast")); err != nil {
				t.Fatal(err)
			}
		},
	},
}

func storeOf(t *testing.T, s *siege) int {
	t.Helper()
	pid := childNamed(t, s.hosts[0].host.cmd.Process.Pid, "store-sqlite")
	if pid == 0 {
		t.Fatal("the host has no store process")
	}
	return pid
}

// configure changes the configuration of the hosts that start from now on.
func (s *siege) configure(t *testing.T, old, with string) {
	t.Helper()
	text, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), old, with, 1)
	if changed == string(text) {
		t.Fatalf("the configuration lacks %s", old)
	}
	if err := os.WriteFile(s.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFills takes the space away while clients decide: they are told to try again, nobody learns where the disk is, the
// operator learns what to do, and all goes on without a restart once there is space.
func TestDiskFills(t *testing.T) {
	binary(t)
	plugins(t)
	for _, disk := range fullDisks {
		t.Run(disk.name, func(t *testing.T) {
			t.Parallel()
			s := newSiege(t, 1)
			if !disk.prepare(t, s) {
				return
			}
			b := s.hosts[0]
			if err := b.open(); err != nil {
				t.Fatal(err)
			}
			f := &fixture{t: t, URL: b.host.url, Dir: s.dir}
			runs := []string{"r1", "r2"}
			defineLoop(f, runs...)
			got, stop := newAcknowledged(), make(chan struct{})
			clients := drive(t, func(int) string { return f.URL }, runs, fewClients, stop, got)
			waitFor(t, "decisions", func() bool { return got.count() > 50 })
			pid := storeOf(t, s)

			disk.fill(t, s)
			waitFor(t, "the host not to be ready", func() bool { return !b.ready() })
			var refused reply
			waitFor(t, "a call to be refused", func() bool {
				refused = f.call("scenario_next", next("r1", "while-full"))
				return refused.Error != nil
			})
			if e := refused.Error; e.Code != -32050 || !e.Data.Retryable || !strings.Contains(e.Message, "out of space") || strings.Contains(e.Message, "/") {
				t.Errorf("the client is told %+v", e)
			}
			for _, says := range []string{"store/sqlite", "free space on its disk"} {
				waitFor(t, "the log to say "+says, func() bool { return strings.Contains(b.host.log.String(), says) })
			}

			disk.free(t, s)
			waitFor(t, "readiness", b.ready)
			before := got.count()
			waitFor(t, "decisions", func() bool { return got.count() > before+50 })
			close(stop)
			clients.Wait()
			got.check(f)
			if storeOf(t, s) != pid {
				t.Error("the store was restarted")
			}
			if err := b.host.end(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestRunpackCannotBeWritten exports to the plugin while it can write no file: nothing of the bundle is to be seen, and once it
// can the same export succeeds.
func TestRunpackCannotBeWritten(t *testing.T) {
	s := newSiege(t, 1)
	b := s.hosts[0]
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, URL: b.host.url, Dir: s.dir}
	defineLoop(f, "r1")
	f.must("scenario_next", next("r1", "t1"), nil)
	export := map[string]any{
		"scenario_id": "loop", "tenant_id": 1, "namespace_id": 1, "run_id": "r1",
		"generated_at": map[string]any{"kind": "logical", "value": 1}, "include_verification": true,
	}
	sink := childNamed(t, b.host.cmd.Process.Pid, "runpack-fs")
	limitFiles(t, sink, 64)
	if e := f.call("runpack_export", export).Error; e == nil || strings.Contains(e.Message, "/") {
		t.Errorf("a client is told %+v", e)
	}
	waitFor(t, "the operator to be told", func() bool { return strings.Contains(b.host.log.String(), "file too large") })
	if bundles, err := filepath.Glob(filepath.Join(s.dir, "bundles", "*", "*")); err != nil || len(bundles) > 0 {
		t.Errorf("%v, %v are there", err, bundles)
	}
	limitFiles(t, sink, 0)
	var stored struct {
		URI string `json:"storage_uri"`
	}
	f.must("runpack_export", export, &stored)
	var verdict struct{ Status string }
	f.must("runpack_verify", map[string]any{"runpack_dir": stored.URI, "manifest_path": "manifest.json"}, &verdict)
	if verdict.Status != "pass" {
		t.Errorf("the bundle is %q", verdict.Status)
	}
	s.end()
}

// TestDatabaseThatIsRefused starts a host on what is no database of its own, or no longer.
func TestDatabaseThatIsRefused(t *testing.T) {
	whole, _ := served(t, false)
	inFile := func(change func(file []byte) []byte) func(*testing.T, *siege) {
		return func(t *testing.T, s *siege) {
			path := filepath.Join(s.dir, "gate.db")
			file, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(file), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	elsewhere := func(path string) func(*testing.T, *siege) {
		return func(t *testing.T, s *siege) { s.configure(t, `path = "gate.db"`, "path = "+quote(path)) }
	}
	const layout = 60 // where the header has the version of the layout
	tests := []struct {
		name  string
		spoil func(*testing.T, *siege)
		says  []string
	}{
		{"of the future", inFile(func(file []byte) []byte { file[layout+3] = 99; sumPage(file[:4096]); return file }),
			[]string{"gate.db", "layout version 99", "use the plugin that wrote it"}},
		{"no database", inFile(func([]byte) []byte { return []byte(strings.Repeat("some text\n", 1000)) }),
			[]string{"gate.db", "not an SQLite database", "choose another path"}},
		{"a changed first page", inFile(func(file []byte) []byte { file[200] ^= 1; return file }),
			[]string{"gate.db", "damaged", "restore a backup"}},
		{"cut", inFile(func(file []byte) []byte { return file[:len(file)/2] }),
			[]string{"gate.db", "damaged", "restore a backup"}},
		{"a folder", elsewhere("evidence"), []string{"evidence", "no regular file", "name the database file"}},
		{"in no folder", elsewhere("nowhere/gate.db"), []string{"nowhere", "does not exist", "create it"}},
		{"where nobody can write", elsewhere("/sys/gate.db"), []string{"/sys/gate.db", "cannot be written", "choose another path"}},
		{"on a disk for reading", func(t *testing.T, s *siege) {
			data := filepath.Join(s.dir, "data")
			if err := os.Mkdir(data, 0o700); err != nil {
				t.Fatal(err)
			}
			if !mountSmall(t, data, "size=8m") {
				elsewhere("/sys/gate.db")(t, s)
				return
			}
			copyFile(t, filepath.Join(s.dir, "gate.db"), filepath.Join(data, "gate.db"))
			if err := syscall.Mount("", data, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
			elsewhere("data/gate.db")(t, s)
		}, []string{"gate.db", "cannot be written", "permissions"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSiege(t, 1)
			copyFile(t, filepath.Join(whole.dir, "gate.db"), filepath.Join(s.dir, "gate.db"))
			tt.spoil(t, s)
			said := refusedStart(t, s)
			for _, want := range append(tt.says, `plugin "store/sqlite"`) {
				if !strings.Contains(said, want) {
					t.Errorf("the host does not say %s, but\n%s", want, said)
				}
			}
		})
	}
	t.Run("an empty file", func(t *testing.T) {
		s := newSiege(t, 1)
		if err := os.WriteFile(filepath.Join(s.dir, "gate.db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.hosts[0].open(); err != nil {
			t.Fatal(err)
		}
		defineLoop(&fixture{t: t, URL: s.hosts[0].host.url, Dir: s.dir}, "r1")
	})
}

// TestFullDiskAtStart starts a host that cannot make its database.
func TestFullDiskAtStart(t *testing.T) {
	s := newSiege(t, 1)
	p, err := launchProgram(filepath.Join(s.dir, "decision-gate"), s.config, s.temp)
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	limitFiles(t, p.cmd.Process.Pid, 512) // its plugins inherit the limit
	if p.announced() == nil {
		t.Fatal("the host starts")
	}
	p.kill()
	for _, says := range []string{"store", "sqlite", "no space is left for the database", "free space on its disk"} {
		if !strings.Contains(p.log.String(), says) {
			t.Errorf("the host does not say %q, but\n%s", says, p.log)
		}
	}
}

// sumPage writes the checksum that a page of a database ends with (https://sqlite.org/cksumvfs.html).
func sumPage(page []byte) {
	var a, b uint32
	word := func(at int) uint32 {
		return uint32(page[at]) | uint32(page[at+1])<<8 | uint32(page[at+2])<<16 | uint32(page[at+3])<<24
	}
	end := len(page) - 8
	for at := 0; at < end; at += 8 {
		a += word(at) + b
		b += word(at+4) + a
	}
	for i := range 4 {
		page[end+i], page[end+4+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
}
