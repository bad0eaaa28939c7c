package control

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAnotherUserConnects makes the attack: with the socket open to everybody, another user asks for the logs of plugins.
// Only root can be another user; who runs this as somebody else is the other user himself, at a host that calls itself root's.
func TestAnotherUserConnects(t *testing.T) {
	if os.Getuid() != 0 {
		path := serveAs(t, fake{}, 0)
		if _, err := Dial(path).Details(t.Context()); err == nil {
			t.Error("another user was answered")
		}
		return
	}
	path := serve(t, fake{})
	// A folder that anybody can enter, as /run is; t.TempDir is closed to others.
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	open := filepath.Join(dir, "s")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Rename(path, open), os.Chmod(open, 0o666)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Rename(open, path) })
	program := copyOfSelf(t, dir)
	if out := askAs(t, 65534, program, open); strings.Contains(out, "store") {
		t.Errorf("another user was answered: %s", out)
	}
	if out := askAs(t, 0, program, open); !strings.Contains(out, "store") {
		t.Errorf("root was not answered: %s", out)
	}
}

// copyOfSelf is this program where other users can run it.
func copyOfSelf(t *testing.T, dir string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ask")
	if err := errors.Join(os.WriteFile(path, program, 0o700), os.Chmod(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}

func askAs(t *testing.T, uid uint32, program, path string) string {
	t.Helper()
	cmd := exec.Command(program)
	cmd.Env = []string{askEnv + "=" + path}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
