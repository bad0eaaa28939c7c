//go:build !linux

package launch

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// startPinned is weaker here than on Linux: the program could be swapped between the check and the execution, a plugin
// that does not watch its control descriptor outlives a killed host, and its children are not killed with it.
func startPinned(cmd *exec.Cmd, trust trust, box *box) error {
	if !trust.none() {
		if err := checkFile(cmd.Path, trust); err != nil {
			return err
		}
	}
	return box.start(cmd, cmd.Start)
}

func checkFile(path string, trust trust) error {
	program, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the program: %w", err)
	}
	defer program.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, program); err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	if _, err := program.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the program: %w", err)
	}
	return trust.check(sum.Sum(nil), program)
}

func waitForEnd(cmd *exec.Cmd) { _ = cmd.Wait() }

func endGroup(*exec.Cmd) {}

func killGroup(process *os.Process) error { return process.Kill() }

func signalName(signal syscall.Signal) string { return signal.String() }
