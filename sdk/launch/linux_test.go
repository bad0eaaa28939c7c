package launch_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
)

const stopSignal = syscall.SIGSTOP

// unprivileged is a user with no rights, which a test that runs as root starts plugins as.
const unprivileged = "nobody"

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// beParent is this test binary as a host that starts a plugin and is killed then.
func beParent(mode string) {
	if mode == commandParent {
		beCommandParent()
		return
	}
	program, mode, _ = strings.Cut(mode, "|")
	mode, boxed := strings.CutPrefix(mode, "sandboxed ")
	spec := spec(mode)
	if boxed {
		spec.SHA256, spec.Sandbox = mustSum(program), &sandbox.Sandbox{}
		if os.Geteuid() == 0 {
			spec.Sandbox.User = unprivileged
		}
	}
	p, err := launch.Start(context.Background(), spec)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	time.Sleep(time.Minute)
}

// Whoever kills the host must not leave a plugin behind that holds the database: it ends by the control descriptor, by
// Pdeathsig when it ignores that, and also when it is stopped.
func TestNoOrphan(t *testing.T) {
	for name, test := range map[string]struct {
		mode string
		stop bool
	}{
		"serving":              {},
		"ignores the control":  {mode: "ignore-control"},
		"stopped by somebody":  {stop: true},
		"stopped and ignorant": {mode: "ignore-control", stop: true},
		// The kernel forgets the signal when a process changes its user.
		"in a sandbox":         {mode: "sandboxed ignore-control"},
		"stopped in a sandbox": {mode: "sandboxed ignore-control", stop: true},
	} {
		t.Run(name, func(t *testing.T) {
			parent := exec.Command(os.Args[0])
			parent.Env = append(os.Environ(), "LAUNCH_TEST_PARENT="+program+"|"+test.mode, "TMPDIR="+enterable(t))
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(stdout).ReadString('\n')
			pid, numberErr := strconv.Atoi(strings.TrimSpace(line))
			if err != nil || numberErr != nil {
				t.Fatalf("the parent said %q, %v", line, err)
			}
			if test.stop {
				if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
			}
			_ = parent.Process.Kill()
			_ = parent.Wait()
			waitFor(t, func() bool { return gone(pid) })
		})
	}
}

// Where there is no Pdeathsig the control descriptor alone must do: the process is started here without the former.
func TestEndOfControlEndsTheProcess(t *testing.T) {
	control, hosts, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// The path of the test's own folder may be too long for a socket.
	sockets, err := os.MkdirTemp("/tmp", "launch-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(sockets)
	cmd := exec.Command(program)
	cmd.ExtraFiles = []*os.File{control}
	cmd.Env = []string{
		handshake.CookieKey + "=" + handshake.CookieValue, handshake.ControlEnv + "=3",
		handshake.SocketDirEnv + "=" + sockets,
		handshake.ClientCertEnv + "=" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: forged(t)[0].Certificate[0]})),
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	control.Close()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.HasPrefix(line, "1|1|unix|") {
		t.Errorf("the plugin said %q, %v", line, err)
	}
	// A terminal's interrupt is for the host, which ends its plugins in order.
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	time.Sleep(50 * time.Millisecond)
	if gone(cmd.Process.Pid) {
		t.Error("the plugin ended by an interrupt")
	}
	hosts.Close()
	waitFor(t, func() bool { return gone(cmd.Process.Pid) })
	_ = cmd.Wait()
}

// enterable is a temporary folder that a plugin which runs as another user can enter.
func enterable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "launch-test-")
	if err == nil {
		err = os.Chmod(dir, 0o711)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// gone says whether a process has ended, if only as a zombie that its new parent has not reaped.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

// allThreadsStopped says whether a stop signal has taken effect.
func allThreadsStopped(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, path := range threads {
		stat, _ := os.ReadFile(path)
		if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return len(threads) > 0
}

// The attack: a child of the plugin holds stderr open, so that whoever reads it waits for ever.
func TestChildrenEndWithThePlugin(t *testing.T) {
	p := start(t, spec("child"))
	var child int
	waitFor(t, func() bool {
		_, err := fmt.Sscanf(strings.Join(p.LastLog(), "\n"), "child %d", &child)
		return err == nil
	})
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wantExit(t, p, "killed by SIGKILL")
	waitFor(t, func() bool { return gone(child) })
}

// The attack: the child has left the group, so that killing that does not reach it, and it keeps stderr open.
func TestDaemonDoesNotHoldTheEnd(t *testing.T) {
	p := start(t, spec("daemon"))
	var child int
	waitFor(t, func() bool {
		_, err := fmt.Sscanf(strings.Join(p.LastLog(), "\n"), "child %d", &child)
		return err == nil
	})
	defer func() { _ = syscall.Kill(child, syscall.SIGKILL) }()
	p.Kill(2 * time.Second)
	wantExit(t, p, "exit code 0")
}
