// Package sandbox takes from a program what it does not need before its first instruction: files (Landlock), the network
// and dangerous system calls (seccomp), capabilities, and memory, processes and descriptors beyond a bound (control groups
// and resource limits). It needs no privileges, except to change the user.
//
// Nothing of a program's can run between fork and exec in Go. So the program that starts another one executes itself once
// more: an init function of this package finds that it was started for that, takes everything away from its own process,
// and executes the other program in its place. Whoever links this package has it, with nothing to call.
//
// What a machine cannot enforce is told by Shortfalls, before anything is started; what it can enforce and then does not is
// an error, and the program is not started.
package sandbox

import (
	"errors"
	"fmt"
)

// Sandbox is what a program may do. The zero value lets it read the system's libraries and work with what it is handed.
type Sandbox struct {
	// Read are paths of files and folders that it may read and execute, Write those that it may read and change, with all
	// below them. They must be there, and absolute. Nothing in Write may be executed.
	Read, Write []string
	// Network is None or Any; empty is None.
	Network string
	// Connect are the TCP ports that it may connect to, and it may listen on none then; nil does not restrict it. It
	// needs Any.
	Connect []uint16
	// User is the name of the user to run as; empty is the user of this process. Only root can change it.
	User string
	// Memory is the most that it may use, in bytes; 0 is no bound.
	Memory int64
	// Processes is the most processes and threads, Files the most open descriptors of each process; 0 is no bound.
	Processes, Files int64
}

// What Network may be.
const (
	// None: no sockets but those that others connect to on this machine by a path, and no connection to anybody.
	None = "none"
	// Any: whatever the user may do, or what Connect leaves of it.
	Any = "any"
)

// Shortfall is something that a sandbox asks for and this machine does not enforce.
type Shortfall struct {
	// Setting is the setting that it concerns, as in the configuration; empty when it is all of it.
	Setting string
	// Missing says what is not enforced, why, and what would help.
	Missing string
}

func (s Shortfall) String() string {
	if s.Setting == "" {
		return s.Missing
	}
	return s.Setting + ": " + s.Missing
}

// SettingError is a setting that no machine, or not this user, can do.
type SettingError struct {
	// Setting is its name in the configuration.
	Setting string
	Err     error
}

func (e *SettingError) Error() string { return fmt.Sprintf("%s: %v", e.Setting, e.Err) }

// Unwrap is the error without the name of the setting.
func (e *SettingError) Unwrap() error { return e.Err }

func wrong(setting, format string, args ...any) error {
	return &SettingError{setting, fmt.Errorf(format, args...)}
}

// ErrUnsupported: this system has nothing of what the package stands on.
var ErrUnsupported = errors.New("sandboxes need Linux")

// ExecuteError is that of the system when it was asked to execute the program in the sandbox.
type ExecuteError struct{ Err error }

func (e *ExecuteError) Error() string { return "execute the program in its sandbox: " + e.Err.Error() }

// Unwrap is the error of the system.
func (e *ExecuteError) Unwrap() error { return e.Err }
