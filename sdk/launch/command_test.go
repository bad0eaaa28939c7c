package launch_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

const commandParent = "command"

// script is a command that the shell runs.
func script(text string) launch.Spec {
	return launch.Spec{Name: "test", Path: "/bin/sh", Args: []string{"-c", text}, Env: []string{"PATH=" + os.Getenv("PATH")}}
}

func startCommand(t *testing.T, spec launch.Spec) (*launch.Command, *bufio.Reader) {
	t.Helper()
	c, err := launch.StartCommand(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Kill(); err != nil {
			t.Error(err)
		}
	})
	return c, bufio.NewReader(c.Stdout)
}

func readPID(t *testing.T, r *bufio.Reader) int {
	t.Helper()
	line, err := r.ReadString('\n')
	pid, numberErr := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, numberErr); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return pid
}

// TestCommand speaks with a program, which sees nothing of the environment, and is told how it has ended.
func TestCommand(t *testing.T) {
	t.Setenv("LAUNCH_TEST_SECRET", "s")
	c, out := startCommand(t, script(`read line; echo "$line $LAUNCH_TEST_SECRET $PWD"; exit 3`))
	if _, err := io.WriteString(c.Stdin, "hello\n"); err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if line, err := out.ReadString('\n'); err != nil || line != "hello  "+wd+"\n" {
		t.Errorf("%q, %v", line, err)
	}
	<-c.Exited()
	if c.State().ExitCode() != 3 || c.PID() != 0 {
		t.Errorf("ended with %v, id %d", c.State(), c.PID())
	}
}

// TestCommandMissing starts what is not there.
func TestCommandMissing(t *testing.T) {
	if _, err := launch.StartCommand(launch.Spec{Path: "/no/such/program"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// TestCommandTakesItsChildrenAlong kills a program that has started another, and one that has ended before its child.
func TestCommandTakesItsChildrenAlong(t *testing.T) {
	for name, text := range map[string]string{
		"killed":          "sleep 60 & echo $!; wait",
		"ended by itself": "sleep 60 & echo $!",
	} {
		t.Run(name, func(t *testing.T) {
			c, out := startCommand(t, script(text))
			child := readPID(t, out)
			if name == "killed" {
				if err := c.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			waitFor(t, func() bool { return gone(child) })
		})
	}
}

// TestCommandOutputEnds: a grandchild that left the group and holds the output open keeps nobody waiting for more of it.
func TestCommandOutputEnds(t *testing.T) {
	c, out := startCommand(t, script("setsid sleep 60 & echo $!"))
	child := readPID(t, out)
	defer func() { _ = syscall.Kill(child, syscall.SIGKILL) }()
	<-c.Exited()
	if _, err := out.ReadByte(); !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
}

// TestCommandFloods writes to standard error without end: it does not block, and only a part of it is logged, cut.
func TestCommandFloods(t *testing.T) {
	var log syncBuffer
	spec := script(`i=0; while [ $i -lt 5000 ]; do echo "line $i" >&2; i=$((i+1)); done; head -c 1000000 /dev/zero | tr '\0' x >&2; echo done`)
	spec.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, out := startCommand(t, spec)
	if line, err := out.ReadString('\n'); err != nil || line != "done\n" {
		t.Errorf("%q, %v", line, err)
	}
	waitFor(t, func() bool { return strings.Contains(log.String(), "lines were dropped") })
	if text := log.String(); len(text) > 2<<20 || !strings.Contains(text, "line 0") {
		t.Errorf("%d bytes were logged: %.200s", len(text), text)
	}
}

// beCommandParent is this test binary as a host that runs a command and is killed then.
func beCommandParent() {
	spec := script("echo $$; exec sleep 60")
	c, err := launch.StartCommand(spec)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	line, _ := bufio.NewReader(c.Stdout).ReadString('\n')
	fmt.Print(line)
	time.Sleep(time.Minute)
}

// TestNoOrphanCommand kills a host, whose command has no way to notice but the end of its input, which it does not read.
func TestNoOrphanCommand(t *testing.T) {
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "LAUNCH_TEST_PARENT="+commandParent)
	stdout, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, bufio.NewReader(stdout))
	_ = parent.Process.Kill()
	_ = parent.Wait()
	waitFor(t, func() bool { return gone(pid) })
}
