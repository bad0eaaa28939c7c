package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// binDir holds the test plugin, built once.
var binDir string

// childEnv makes the test binary a host that opens a catalog and waits to be killed.
const childEnv = "CATALOG_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
	}
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "catalog")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binDir = dir
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "plugin"), "./testdata/plugin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v\n%s", err, out))
	}
	if err := os.Chmod(filepath.Join(dir, "plugin"), 0o755); err != nil {
		panic(err)
	}
	code := m.Run()
	// The thread from which plugins are started must live as long as the host.
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

func child(dir string) {
	c, err := Open(context.Background(), Options{PluginDir: dir, Plugins: []*config.Plugin{storePlugin("store", nil)}})
	if err != nil {
		panic(err)
	}
	fmt.Println(c.Status()[0].PID)
	select {}
}

var fastPace = func() pace {
	p := defaultPace
	p.restart, p.slowRestart = 5*time.Millisecond, 200*time.Millisecond
	p.retry, p.maxRetry = 5*time.Millisecond, 50*time.Millisecond
	p.hold, p.health, p.shutdown = 100*time.Millisecond, 300*time.Millisecond, time.Second
	return p
}()

func storePlugin(mode string, settings map[string]any) *config.Plugin {
	return testPlugin("store", settings, mode)
}

func testPlugin(kind string, settings map[string]any, args ...string) *config.Plugin {
	body, err := json.Marshal(settings)
	if err != nil || settings == nil {
		body = []byte("{}")
	}
	return &config.Plugin{
		Kind: kind, Name: "main", Command: append(config.Command{"plugin"}, args...),
		StartTimeout: 5 * time.Second, HealthInterval: 50 * time.Millisecond, Config: config.Body{JSON: body},
	}
}

// testLog is a log that can be searched while it is written.
type testLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func options(log *testLog, plugins ...*config.Plugin) Options {
	return Options{Plugins: plugins, PluginDir: binDir, pace: fastPace, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
}

// open opens a catalog that ends with the test.
func open(t *testing.T, plugins ...*config.Plugin) (*Catalog, *testLog) {
	t.Helper()
	log := &testLog{}
	c, err := Open(t.Context(), options(log, plugins...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = c.Close(ctx)
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return c, log
}

// state is the letter of a process's state; empty when it is gone.
func state(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, found := strings.Cut(string(stat), ") ")
	if err != nil || !found {
		return ""
	}
	return after[:1]
}

// alive is false for a process that nobody has reaped yet, too: in a container the first process may never do it.
func alive(pid int) bool {
	now := state(pid)
	return now != "" && now != "Z"
}

// eventually polls for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func wantContains(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("%q is missing in:\n%s", w, text)
		}
	}
}
