package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPostgresDiskFills takes the space away from a database server while clients decide: they are told to try again, the
// operator what to do, and all goes on without a restart once there is space.
func TestPostgresDiskFills(t *testing.T) {
	disk := t.TempDir()
	if err := os.Chmod(filepath.Dir(disk), 0o755); err != nil { // the server is another user's
		t.Fatal(err)
	}
	if !mountSmall(t, disk, "size=192m,mode=1777") {
		return
	}
	t.Setenv("TMPDIR", disk)
	db := startDatabase(t, "min_wal_size=32MB", "max_wal_size=64MB")
	t.Setenv("TMPDIR", "")
	s := newSiegeOn(t, 1, "store-postgres", postgresHCL(t, db.dsn))
	b := s.hosts[0]
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, URL: b.host.url, Dir: s.dir}
	runs := []string{"r1", "r2"}
	defineLoop(f, runs...)
	got, stop := newAcknowledged(), make(chan struct{})
	s.got = got
	clients := drive(t, func(int) string { return f.URL }, runs, fewClients, stop, got)
	if err := b.decided(20); err != nil {
		t.Fatal(err)
	}
	pid := childNamed(t, b.host.cmd.Process.Pid, s.plugin)
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer ballast.Close()
	for err == nil {
		_, err = ballast.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	waitFor(t, "the host not to be ready", func() bool { return !b.ready() })
	refusedWhile(t, f, "the disk is full")
	waitFor(t, "the log to say so", func() bool {
		return strings.Contains(b.host.log.String(), "the disk of the database server is full; make room")
	})
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	if err := ballast.Truncate(0); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "readiness", b.ready)
	if err := b.decided(20); err != nil {
		t.Fatal(err)
	}
	close(stop)
	clients.Wait()
	got.check(f)
	if now := childNamed(t, b.host.cmd.Process.Pid, s.plugin); now != pid {
		t.Error("the store was restarted")
	}
	s.end()
}
