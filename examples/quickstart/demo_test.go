package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// root is the root of the repository; binaries holds everything that the tests run, built once.
var root, binaries string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if root, err = filepath.Abs(filepath.Join("..", "..")); err != nil {
			panic(err)
		}
		// Not t.TempDir: its long names leave too few of the 108 bytes that the path of a socket may have.
		if binaries, err = os.MkdirTemp("", "dg-quickstart-"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(binaries)
		for name, pkg := range map[string]string{
			"decision-gate": "./host/cmd/decision-gate", "quickstart": "./examples/quickstart",
			"store-sqlite": "./plugins/store-sqlite", "runpack-fs": "./plugins/runpack-fs", "auth-oidc": "./plugins/auth-oidc",
		} {
			build := exec.Command("go", "build", "-o", filepath.Join(binaries, name), pkg)
			build.Dir = root
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build %s: %v\n%s", pkg, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// showing is one run of the demo with a folder of its own for temporary files, which must be empty afterwards.
type showing struct {
	cmd         *exec.Cmd
	out, errors bytes.Buffer
	tmp         string
}

func newShowing(t *testing.T, files string, args ...string) *showing {
	t.Helper()
	tmp, err := os.MkdirTemp("", "dg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(tmp) })
	s := &showing{tmp: tmp}
	s.cmd = exec.Command(filepath.Join(binaries, "quickstart"), append([]string{"-bin", binaries, "-repo", root, "-files", files}, args...)...)
	s.cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.errors
	return s
}

func (s *showing) run(t *testing.T, want int) {
	t.Helper()
	_ = s.cmd.Run()
	if got := s.cmd.ProcessState.ExitCode(); got != want {
		t.Fatalf("exit code %d, want %d\n%s%s", got, want, &s.out, &s.errors)
	}
}

func (s *showing) left(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(s.tmp)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		// Go makes its folder before it listens to signals: one that comes in between leaves it there.
		if !strings.HasPrefix(e.Name(), "go-build") {
			names = append(names, e.Name())
		}
	}
	return names
}

// wantLines checks that lines occur, in this order.
func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	rest := text
	for _, line := range lines {
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Fatalf("%q is missing, or comes too early, in\n%s", line, text)
		}
		rest = after
	}
}

// copied is a copy of the files of the demo, in which a test may break something.
func copied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, path := range []string{"host.hcl", "scenario.json", "reviews", "sample"} {
		from, to := path, filepath.Join(dir, path)
		var err error
		if info, statErr := os.Stat(from); statErr == nil && info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
		} else {
			err = copyFile(from, to)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func replace(t *testing.T, path, old, with string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(old)) {
		t.Fatalf("%s has no %q to replace", path, old)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(old), []byte(with), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDemo(t *testing.T) {
	s := newShowing(t, ".")
	s.run(t, 0)
	wantLines(t, s.out.String(),
		"1. Start a host",
		"READY    http://127.0.0.1:",
		"DEFINED  quickstart-release, sha256 ",
		"HOLD     unmet gates: tests, vet, change",
		"tests is Unknown: tests_ran=Unknown tests_pass=Unknown",
		"evidence checks/vet.json: clean is true",
		" passed, 0 failed",
		"ADVANCE  to stage review",
		"HOLD     unmet gates: quorum",
		"quorum is Unknown: ana_approves=True ben_approves=Unknown cleo_approves=Unknown",
		"HOLD     unmet gates: quorum",
		"ADVANCE  to stage release",
		"COMPLETE run change-1 is completed",
		"STORED ", "VERIFIED", "REFUSED  verification fails and names artifacts/gate_evals.json",
		"What to try next",
	)
	if strings.ContainsAny(s.out.String(), "\x1b\r") {
		t.Errorf("output into a pipe has control characters:\n%q", &s.out)
	}
	if left := s.left(t); left != nil {
		t.Errorf("the demo leaves %q", left)
	}
}

// What a reader may change decides: each change makes the demo stop where it must.
func TestDemoHolds(t *testing.T) {
	for _, test := range []struct {
		name, file, old, with string
		lines                 []string
		never                 string
		stopped               string
	}{
		{
			name: "failing test", file: "sample/price.go", old: "100 - discount", with: "100 + discount",
			lines: []string{"4. Vet and test", "example.com/sample TestTotal", "HOLD     unmet gates: tests\n", "tests is False: tests_ran=True tests_pass=False"},
			never: "ADVANCE", stopped: "the run is held, and that is as it should be: the evidence does not meet the gates (unmet gates: tests). Mend",
		},
		{
			name: "code that does not build", file: "sample/price.go", old: "package sample", with: "package sample nonsense",
			lines: []string{"HOLD     unmet gates: tests, vet\n"}, never: "ADVANCE", stopped: "unmet gates: tests, vet",
		},
		{
			name: "broken module file", file: "sample/go.mod", old: "module", with: "nonsense",
			lines: []string{"HOLD     unmet gates: tests, vet\n"}, never: "ADVANCE", stopped: "unmet gates: tests, vet",
		},
		{
			name: "second reviewer rejects", file: "reviews/ben.json", old: `"approve"`, with: `"reject"`,
			lines: []string{"ADVANCE  to stage review", "quorum is False"}, never: "COMPLETE", stopped: "unmet gates: quorum",
		},
		{
			name: "emergency stop", file: "host.hcl", old: `ALLOW_UNCOMMITTED = "yes"`, with: `ALLOW_UNCOMMITTED = "yes", EMERGENCY_STOP = "1"`,
			lines: []string{"ADVANCE  to stage release", "HOLD     unmet gates: window\n"}, never: "COMPLETE", stopped: "unmet gates: window",
		},
		{
			name: "scenario with a mistake", file: "scenario.json", old: `"tests_pass"}`, with: `"tests_passed"}`,
			never: "STARTED", stopped: "gate references undefined condition: tests_passed",
		},
		{
			name: "configuration with a mistake", file: "host.hcl", old: "gate.db", with: "no/such/folder/gate.db",
			never: "READY", stopped: "the host did not start",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := copied(t)
			replace(t, filepath.Join(files, test.file), test.old, test.with)
			s := newShowing(t, files)
			s.run(t, exitHeld)
			wantLines(t, s.out.String(), test.lines...)
			if strings.Contains(s.out.String(), test.never) {
				t.Errorf("%s in\n%s", test.never, &s.out)
			}
			if !strings.Contains(s.errors.String(), test.stopped) {
				t.Errorf("it stopped with %s, want %q", &s.errors, test.stopped)
			}
			if left := s.left(t); left != nil {
				t.Errorf("the demo leaves %q", left)
			}
		})
	}
}

func TestDemoKeeps(t *testing.T) {
	s := newShowing(t, ".", "-keep")
	s.run(t, 0)
	_, command, _ := strings.Cut(s.out.String(), "bin/decision-gate runpack inspect ")
	dir, _, _ := strings.Cut(command, "\n")
	inspect := exec.Command(filepath.Join(binaries, "decision-gate"), "runpack", "inspect", dir)
	if out, err := inspect.CombinedOutput(); err != nil || !strings.Contains(string(out), "quickstart-release") {
		t.Errorf("inspect %q: %v\n%s", dir, err, out)
	}
}

// Everything that the demo started ends with it, plugins and sockets too.
func TestDemoInterrupted(t *testing.T) {
	s := newShowing(t, ".")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s.cmd.Stdout = out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(time.Minute)
	var text []byte
	for !bytes.Contains(text, []byte("4. Vet")) {
		time.Sleep(20 * time.Millisecond)
		if text, err = os.ReadFile(out.Name()); err != nil || time.Now().After(deadline) {
			t.Errorf("the demo does not start: %v\n%s", err, text)
			break
		}
	}
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if got := s.cmd.ProcessState.ExitCode(); got != exitInterrupted || !strings.Contains(s.errors.String(), "Interrupted") {
		t.Errorf("exit code %d, want %d\n%s", got, exitInterrupted, &s.errors)
	}
	if left := s.left(t); left != nil {
		t.Errorf("the demo leaves %q", left)
	}
	_, address, _ := strings.Cut(string(text), "READY    http://")
	address, _, _ = strings.Cut(address, "/rpc")
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Errorf("the host still answers on %s", address)
	}
}
