package launch_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	// The test plugin is built of it: without this import, go test would take an old result for one of a changed SDK.
	_ "github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// program is the test plugin, built once.
var program string

func TestMain(m *testing.M) {
	if mode := os.Getenv("LAUNCH_TEST_PARENT"); mode != "" {
		beParent(mode)
		return
	}
	// What is fuzzed starts no plugin, and each of its workers would build one.
	if flag.Parse(); flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "launch-test-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "plugin")
	// Likewise for its own source, which go test follows because it is read.
	sources, err := filepath.Glob("testdata/plugin/*.go")
	for _, source := range sources {
		_, readErr := os.ReadFile(source)
		err = errors.Join(err, readErr)
	}
	if err != nil {
		panic(err)
	}
	build := exec.Command("go", "build", "-o", program, "./testdata/plugin")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	// Sockets are looked for here, so nothing else may be in it. A plugin that runs as another user enters it.
	sockets := filepath.Join(dir, "s")
	if err := errors.Join(os.Mkdir(sockets, 0o711), os.Chmod(dir, 0o711), os.Setenv("TMPDIR", sockets)); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread")); code == 0 && err != nil {
		os.Stderr.WriteString(err.Error())
		code = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		panic(err)
	}
	os.Exit(code)
}

func spec(mode ...string) launch.Spec {
	return launch.Spec{Name: "test", Path: program, Args: mode, StartTimeout: 10 * time.Second}
}

// start launches the test plugin and configures it.
func start(t *testing.T, spec launch.Spec) *launch.Process {
	t.Helper()
	p, err := launch.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Kill(2 * time.Second)
		wantNoSockets(t)
	})
	configure(t, p)
	return p
}

func configure(t *testing.T, p *launch.Process) {
	t.Helper()
	if _, err := pb.NewPluginClient(p.Conn()).Configure(t.Context(), &pb.ConfigureRequest{ConfigJson: []byte(`{"secret":"s3cret"}`)}); err != nil {
		t.Fatal(err)
	}
}

func sumOf(t *testing.T, path string) []byte {
	t.Helper()
	return mustSum(path)
}

func mustSum(path string) []byte {
	body, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(body)
	return sum[:]
}

func wantNoSockets(t *testing.T) {
	t.Helper()
	entries, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "dg-plugin-*"))
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind in the temporary directory: %v, %v", entries, err)
	}
}

// ask calls Get with one key, which tells the plugin what to do.
func ask(ctx context.Context, p *launch.Process, question string) (string, error) {
	records, err := store.NewClient(p.Conn()).Get(ctx, []store.Key{{Collection: "runs", Path: [][]byte{[]byte(question)}}})
	if err != nil {
		return "", err
	}
	return string(records[0].Body), nil
}

func wantExit(t *testing.T, p *launch.Process, reason string) {
	t.Helper()
	select {
	case <-p.Exited():
	case <-time.After(10 * time.Second):
		t.Fatal("the process did not end")
	}
	// Whether the kernel has killed other processes meanwhile is not this test's.
	if got, _, _ := strings.Cut(p.ExitReason(), "SIGKILL"); got != strings.TrimSuffix(reason, "SIGKILL") {
		t.Errorf("exit reason %q, want %q", p.ExitReason(), reason)
	}
}

func TestStartAndKill(t *testing.T) {
	p := start(t, spec())
	if body, err := ask(t.Context(), p, "config"); err != nil || body != `{"greeting":"hello","secret":"s3cret"}` {
		t.Errorf("config = %s, %v", body, err)
	}
	manifest, err := pb.NewPluginClient(p.Conn()).Manifest(t.Context(), &pb.ManifestRequest{})
	if err != nil || manifest.GetName() != "store-test" || manifest.GetKind() != pb.Kind_KIND_STORE || !manifest.GetConfig().GetAttributes()[1].GetSecret() {
		t.Errorf("manifest = %v, %v", manifest, err)
	}
	p.Kill(5 * time.Second)
	wantExit(t, p, "exit code 0")
	if logs := strings.Join(p.LastLog(), "\n"); !strings.Contains(logs, `"closed"`) {
		t.Errorf("the backend was not closed:\n%s", logs)
	}
	if _, err := ask(t.Context(), p, "config"); err == nil {
		t.Error("a killed plugin answered")
	}
}

// A start that fails says what happened, and leaves no process and no file.
func TestStartFails(t *testing.T) {
	for mode, want := range map[string]struct {
		err  error
		text []string
	}{
		"garbage":      {launch.ErrHandshake, []string{`hello \x1b[31mworld`, "stderr instead"}},
		"garbage-exit": {launch.ErrHandshake, []string{"usage: plugin [flags]", "exit code 2"}},
		"exit":         {launch.ErrExited, []string{"exit code 3", "cannot find my licence"}},
		"panic":        {launch.ErrExited, []string{"exit code 2 (panic)", "panic: no such luck"}},
		"memory":       {launch.ErrExited, []string{"exit code 2 (out of memory: the Go runtime was refused more)", "fatal error: "}},
		"abort":        {launch.ErrExited, []string{"ended by SIGABRT (panic)", "panic: no such luck"}},
		"segfault":     {launch.ErrExited, []string{"exit code 2 (segmentation violation)"}},
		"deaf":         {launch.ErrTimeout, []string{"the health check was not answered"}},
		"hang":         {launch.ErrTimeout, []string{"no handshake line"}},
		"flood":        {launch.ErrTimeout, []string{"no handshake line"}},
		// The attacks: somebody else answers on the socket, or the plugin serves without TLS.
		"impostor":       {launch.ErrHandshake, []string{"mutual TLS failed"}},
		"plaintext":      {launch.ErrHandshake, []string{"mutual TLS failed"}},
		"other-protocol": {launch.ErrHandshake, []string{`speaks version "7"`}},
		"no-certificate": {launch.ErrHandshake, []string{"no certificate"}},
	} {
		t.Run(mode, func(t *testing.T) {
			spec := spec(mode)
			if errors.Is(want.err, launch.ErrTimeout) {
				spec.StartTimeout = 300 * time.Millisecond
			}
			p, err := launch.Start(t.Context(), spec)
			if p != nil || !errors.Is(err, want.err) {
				t.Fatalf("Start = %v, %v; want %v", p, err, want.err)
			}
			for _, text := range append(want.text, `plugin "test": `) {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("%q does not say %q", err, text)
				}
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q carries an escape sequence to the terminal", err)
			}
			wantNoSockets(t)
		})
	}
}

func TestStartMissingProgram(t *testing.T) {
	for _, pin := range [][]byte{nil, make([]byte, 32)} {
		spec := spec()
		spec.Path, spec.SHA256 = filepath.Join(t.TempDir(), "absent"), pin
		if _, err := launch.Start(t.Context(), spec); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("Start = %v, want not exist", err)
		}
		wantNoSockets(t)
	}
}

func TestStartCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := launch.Start(ctx, spec("hang")); !errors.Is(err, context.Canceled) {
		t.Errorf("Start = %v, want cancelled", err)
	}
}

func TestPin(t *testing.T) {
	body, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)

	t.Run("other program", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, append(body, 0), 0o700); err != nil {
			t.Fatal(err)
		}
		spec := spec()
		spec.Path, spec.SHA256 = other, sum[:]
		_, err := launch.Start(t.Context(), spec)
		if !errors.Is(err, launch.ErrPin) || !strings.Contains(err.Error(), "pin it again") {
			t.Errorf("Start = %v, want a wrong pin", err)
		}
		wantNoSockets(t)
	})
	// The attack: swap the file after it was checked. The pinned bytes run from memory, so a file that is replaced while
	// the plugin runs changes nothing, and a file that cannot be executed at all proves that it is not what is executed.
	t.Run("executes the bytes that were hashed", func(t *testing.T) {
		if runtime.GOOS != "linux" {
			return
		}
		plain := filepath.Join(t.TempDir(), "plain")
		if err := os.WriteFile(plain, body, 0o400); err != nil {
			t.Fatal(err)
		}
		spec := spec()
		spec.Path, spec.SHA256 = plain, sum[:]
		p := start(t, spec)
		if _, err := ask(t.Context(), p, "config"); err != nil {
			t.Error(err)
		}
	})
}

// The attack: a plugin reads the database password of another one from the environment.
func TestEnvironmentIsEmpty(t *testing.T) {
	t.Setenv("HOST_SECRET", "do not tell")
	spec := spec()
	spec.Env = []string{"ALLOWED=yes", "PLUGIN_CLIENT_CERT=mine", "DECISION_GATE_CONTROL_FD="}
	got, err := ask(t.Context(), start(t, spec), "environment")
	if err != nil {
		t.Fatal(err)
	}
	allowed := []string{"ALLOWED", "DECISION_GATE_PLUGIN", "DECISION_GATE_CONTROL_FD", "DECISION_GATE_LOG_LEVEL",
		"PLUGIN_CLIENT_CERT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR"}
	names := map[string]bool{}
	for line := range strings.Lines(got) {
		if name, _, ok := strings.Cut(line, "="); ok && strings.ToUpper(name) == name {
			names[name] = true
		}
	}
	for _, name := range allowed {
		delete(names, name)
	}
	if len(names) > 0 || strings.Contains(got, "do not tell") {
		t.Errorf("the plugin sees %v", names)
	}
	if !strings.Contains(got, "ALLOWED=yes") || strings.Contains(got, "=mine") || !strings.Contains(got, "DECISION_GATE_CONTROL_FD=3") {
		t.Errorf("environment:\n%s", got)
	}
}

func TestPanicOfBackend(t *testing.T) {
	p := start(t, spec())
	_, err := ask(t.Context(), p, "panic")
	if !fault.Is(err, fault.Internal) || strings.Contains(err.Error(), "secret detail") {
		t.Errorf("Get = %v, want an internal error without detail", err)
	}
	if _, err := ask(t.Context(), p, "config"); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	p.Kill(time.Second)
	if logs := strings.Join(p.LastLog(), "\n"); !strings.Contains(logs, "secret detail") {
		t.Errorf("the log does not tell of the panic:\n%s", logs)
	}
}

func TestCrash(t *testing.T) {
	p := start(t, spec())
	if _, err := ask(t.Context(), p, "crash"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Get = %v, want unavailable", err)
	}
	wantExit(t, p, "exit code 2 (panic)")
	if logs := strings.Join(p.LastLog(), "\n"); !strings.Contains(logs, "panic: crashed in a goroutine") {
		t.Errorf("the log does not tell of the crash:\n%s", logs)
	}
}

// The attack: a plugin that is stopped, or spins, keeps the host from ending.
func TestKillOfStoppedProcessIsBounded(t *testing.T) {
	p := start(t, spec())
	if err := p.Signal(stopSignal); err != nil {
		t.Fatal(err)
	}
	// The signal takes effect when each thread meets it: one that still runs would answer the request to shut down.
	waitFor(t, func() bool { return allThreadsStopped(p.PID()) })
	begin := time.Now()
	p.Kill(200 * time.Millisecond)
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("Kill took %s", took)
	}
	wantExit(t, p, "killed by the host")
	wantNoSockets(t)
}

func TestKilledFromOutside(t *testing.T) {
	p := start(t, spec())
	if err := p.Signal(os.Kill); err != nil {
		t.Fatal(err)
	}
	wantExit(t, p, "killed by SIGKILL")
	if err := p.Signal(os.Kill); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("a signal to an id that may be another's: %v", err)
	}
	p.Kill(time.Minute)
	p.Kill(time.Minute)
}

// What a plugin prints after the handshake must reach the log and must not block it on a full pipe.
func TestPrintingDoesNotBlock(t *testing.T) {
	p := start(t, spec())
	if _, err := ask(t.Context(), p, "print"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return strings.Contains(strings.Join(p.LastLog(), "\n"), "the end of printing") })
}

// The attack: a line without an end fills the host's memory.
func TestLongLine(t *testing.T) {
	p := start(t, spec())
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	asked := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), p, "long line")
		asked <- err
	}()
	waitFor(t, func() bool {
		if runtime.ReadMemStats(&now); now.HeapAlloc > before.HeapAlloc+32<<20 {
			t.Fatalf("a line of 100 MB takes %d bytes of memory", now.HeapAlloc-before.HeapAlloc)
		}
		return strings.Contains(strings.Join(p.LastLog(), "\n"), "the end of the long line")
	})
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
}

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

func TestLogIsForwarded(t *testing.T) {
	var out syncBuffer
	spec := spec()
	spec.Logger = slog.New(slog.NewJSONHandler(&out, nil))
	start(t, spec)
	waitFor(t, func() bool {
		return strings.Contains(out.String(), `"level":"INFO","msg":"opened","plugin":"test","config":`)
	})
}
