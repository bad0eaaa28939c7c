package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Times that other programs have, generous for a loaded machine.
const (
	startTime = 60 * time.Second
	// endTime is more than the host's own drain timeout of 10 s.
	endTime = 20 * time.Second
)

// command is a program in a process group of its own: Ctrl-C on the terminal then reaches only the demo, which ends
// everything in order, the children of its children too.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endTime
	return cmd
}

// runningHost is decision-gate serve.
type runningHost struct {
	cmd *exec.Cmd
	log string // file
	URL string
}

// startHost starts a host and waits until it says where it listens.
func startHost(ctx context.Context, program, config string) (*runningHost, error) {
	h := &runningHost{log: filepath.Join(filepath.Dir(config), "host.log")}
	log, err := os.Create(h.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// The host outlives the context, so that end can let it drain.
	h.cmd = command(context.WithoutCancel(ctx), "", program, "serve", "--json", "--config", config)
	h.cmd.Stderr = log
	stdout, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w; \"make build\" makes it", err)
	}
	announced := make(chan error, 1)
	go func() { announced <- h.listen(stdout) }()
	select {
	case err = <-announced:
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(startTime):
		err = fmt.Errorf("it did not say where it listens within %s", startTime)
	}
	if err != nil {
		_ = h.end()
		return nil, fmt.Errorf("the host did not start: %w\n%s", err, h.logTail())
	}
	return h, nil
}

// listen reads the one line that the host writes to its output.
func (h *runningHost) listen(stdout io.Reader) error {
	text, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		return err
	}
	var announcement struct{ RPC string }
	err = json.Unmarshal(text, &announcement)
	h.URL = announcement.RPC
	return err
}

func (h *runningHost) logTail() string {
	text, _ := os.ReadFile(h.log)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// end stops the host in order, and by force when that takes too long.
func (h *runningHost) end() error {
	_ = h.cmd.Process.Signal(syscall.SIGTERM)
	force := time.AfterFunc(endTime, func() { _ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL) })
	defer force.Stop()
	if err := h.cmd.Wait(); err != nil {
		return fmt.Errorf("the host did not end in order: %w", err)
	}
	return nil
}

// output runs a program to its end and answers what it wrote and its exit code; the error is for one that did not run.
func output(cmd *exec.Cmd) (stdout, stderr string, code int, err error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	if cmd.ProcessState != nil && cmd.ProcessState.Exited() {
		return out.String(), errs.String(), cmd.ProcessState.ExitCode(), nil
	}
	return out.String(), errs.String(), -1, err
}
