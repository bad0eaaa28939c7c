package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

// askEnv makes the test binary a client of the socket that it names.
const askEnv = "CONTROL_TEST_ASK"

func TestMain(m *testing.M) {
	if path := os.Getenv(askEnv); path != "" {
		details, err := Dial(path).Details(context.Background())
		fmt.Println(details, err)
		return
	}
	m.Run()
}

type fake struct{ reload error }

func (fake) Details() []catalog.Detail {
	return []catalog.Detail{{Status: catalog.Status{Kind: "store", Name: "main", State: catalog.Ready}}}
}

func (fake) Restart(_ context.Context, kind, name string) (catalog.Swapped, error) {
	if name != "main" {
		return catalog.Swapped{}, catalog.ErrNoPlugin
	}
	return catalog.Swapped{Kind: kind, Name: name, PID: 7}, nil
}

func (f fake) Reload(context.Context) (*Reloaded, error) {
	return &Reloaded{Restart: []string{"server"}}, f.reload
}

func serve(t *testing.T, host Host) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- socket.Serve(Handler(host)) }()
	t.Cleanup(func() {
		if err := errors.Join(socket.Close(), <-ended); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Error("the socket is left behind")
		}
	})
	return path
}

func TestControl(t *testing.T) {
	client := Dial(serve(t, fake{}))
	details, err := client.Details(t.Context())
	if err != nil || len(details) != 1 || details[0].Name != "main" {
		t.Errorf("%+v, %v", details, err)
	}
	if swapped, err := client.Restart(t.Context(), "store", "main"); err != nil || swapped.PID != 7 {
		t.Errorf("%+v, %v", swapped, err)
	}
	if _, err := client.Restart(t.Context(), "store", "a/../b"); !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	if reloaded, err := client.Reload(t.Context()); err != nil || reloaded.Restart[0] != "server" {
		t.Errorf("%+v, %v", reloaded, err)
	}
}

func TestReloadRefused(t *testing.T) {
	_, err := Dial(serve(t, fake{reload: errors.New("host.hcl line 3: no")})).Reload(t.Context())
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("got %v", err)
	}
}

// TestOtherUsers connects as another user of the machine, who could otherwise read the logs of plugins and restart them: the
// mode of the socket keeps it out, and where that was opened, the host does.
func TestOtherUsers(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be another user; the tests that stand for a release run as root")
	}
	path := serve(t, fake{})
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	// A folder that anybody can enter, as /run is; t.TempDir is closed to others.
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Rename(path, filepath.Join(dir, "s"))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Rename(filepath.Join(dir, "s"), path) })
	program := copyOfSelf(t, dir)
	for _, mode := range []os.FileMode{0o600, 0o666} {
		if err := os.Chmod(filepath.Join(dir, "s"), mode); err != nil {
			t.Fatal(err)
		}
		if out := askAs(t, 65534, program, filepath.Join(dir, "s")); strings.Contains(out, "store") {
			t.Errorf("mode %o: another user was answered: %s", mode, out)
		}
		if out := askAs(t, 0, program, filepath.Join(dir, "s")); !strings.Contains(out, "store") {
			t.Errorf("mode %o: root was not answered: %s", mode, out)
		}
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

// TestTakenPath leaves alone what another has there, and replaces what a dead host has left.
func TestTakenPath(t *testing.T) {
	path := serve(t, fake{})
	if _, err := Listen(path); err == nil || !strings.Contains(err.Error(), "another host answers") {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("keep"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(file); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(file); string(text) != "keep" {
		t.Error("the file is gone")
	}
	stale := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	socket, err := Listen(stale)
	if err != nil {
		t.Fatal(err)
	}
	if err := socket.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Listen(filepath.Join(t.TempDir(), strings.Repeat("x", MaxPath))); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("got %v", err)
	}
}
