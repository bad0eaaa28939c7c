package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
)

// box is the sandbox of one start; nil is none.
type box struct {
	sandbox *sandbox.Sandbox
	program sandbox.Program
	timeout time.Duration
	// group is the control group of the program once it was started; nil for none.
	group *sandbox.Group
}

// start starts a command, in the sandbox if there is one, and says why the system did not execute the program.
func (b *box) start(cmd *exec.Cmd, start func() error) error {
	program, dir := cmd.Args[0], cmd.Dir
	if b == nil {
		if err := start(); err != nil {
			return startFailed(program, dir, err)
		}
		return nil
	}
	wrapped, err := b.sandbox.Wrap(cmd, b.program)
	if err != nil {
		return err
	}
	if err := start(); err != nil {
		wrapped.Abandon()
		return startFailed(program, dir, err)
	}
	if err := wrapped.Started(b.timeout); err != nil {
		_ = killGroup(cmd.Process)
		_ = cmd.Wait()
		wrapped.Group().End()
		if execute := (*sandbox.ExecuteError)(nil); errors.As(err, &execute) {
			if errors.Is(err, fs.ErrPermission) && b.sandbox.User != "" {
				return fmt.Errorf("start the program: the user %s may not execute %s: let everybody read it and enter the folders above it, or pin it", b.sandbox.User, program)
			}
			return startFailed(program, dir, execute)
		}
		return err
	}
	b.group = wrapped.Group()
	return nil
}
