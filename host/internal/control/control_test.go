package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
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
	return serveAs(t, host, os.Getuid())
}

// serveAs serves as if the host's user were another.
func serveAs(t *testing.T, host Host, uid int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	socket, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	socket.uid = uid
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

// TestMode keeps other users of the machine out of the socket.
func TestMode(t *testing.T) {
	info, err := os.Lstat(serve(t, fake{}))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
}

// TestOtherUsers asks who is let in where the mode of the socket does not keep others out: the host's user and root.
func TestOtherUsers(t *testing.T) {
	for _, tt := range []struct {
		peer, own int
		want      bool
	}{{1000, 1000, true}, {0, 1000, true}, {1001, 1000, false}, {65534, 0, false}, {0, 0, true}} {
		if got := trusted(tt.peer, tt.own); got != tt.want {
			t.Errorf("user %d at the host of %d: %v", tt.peer, tt.own, got)
		}
	}
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
