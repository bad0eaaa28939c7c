//go:build !linux

package sandbox

import (
	"os/exec"
	"time"
)

// Check finds settings that cannot be honoured.
func (s *Sandbox) Check() error { return nil }

// Shortfalls is what this machine does not enforce of the sandbox: here, all of it.
func (s *Sandbox) Shortfalls() []Shortfall {
	return []Shortfall{{Missing: "nothing of it is enforced: " + ErrUnsupported.Error()}}
}

// Program is what a sandbox must know of the program beside its command.
type Program struct {
	Own   string
	Files []string
}

// Start is a start of a program in a sandbox.
type Start struct{}

// Wrap leaves the command as it is.
func (s *Sandbox) Wrap(*exec.Cmd, Program) (*Start, error) { return &Start{}, nil }

// Started does nothing.
func (*Start) Started(time.Duration) error { return nil }

// Abandon does nothing.
func (*Start) Abandon() {}

// Group is nil.
func (*Start) Group() *Group { return nil }

// Group does not exist here.
type Group struct{}

// OutOfMemory is 0.
func (*Group) OutOfMemory() uint64 { return 0 }

// Kill does nothing.
func (*Group) Kill() {}

// End does nothing.
func (*Group) End() {}
