package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// settingsEnv names the descriptor of the plan; the next one is that of the report.
const settingsEnv = "DECISION_GATE_SANDBOX_FD"

// settingsSeals are those of a plan, which nobody can change any more.
const settingsSeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// exitFailed is the exit code of a process that did not become the program.
const exitFailed = 127

// init makes another program of this one when it was started for that; see the package's comment. Nothing of the main
// package has run then.
func init() {
	if text, ok := os.LookupEnv(settingsEnv); ok {
		become(text)
		os.Exit(exitFailed)
	}
}

// become returns only when it has failed, and has reported that.
func become(text string) {
	// All that follows is of one thread, and execution leaves no other.
	runtime.LockOSThread()
	fd, err := strconv.Atoi(text)
	var p *plan
	if err == nil {
		p, err = readPlan(fd)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is set, which the host does itself when it starts a plugin: unset it (%v)\n", settingsEnv, err)
		return
	}
	report := os.NewFile(uintptr(fd+1), "report")
	unix.CloseOnExec(fd)
	unix.CloseOnExec(fd + 1)
	// What a library of the host's has left open is not for the program.
	_ = unix.CloseRange(uint(fd+2), ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
	var failed failure
	if step, err := p.apply(); err != nil {
		failed = failure{Step: step, Text: err.Error()}
		if errno := syscall.Errno(0); errors.As(err, &errno) && step == "" {
			failed.Errno, failed.Execute = int(errno), true
		}
	}
	_ = json.NewEncoder(report).Encode(failed)
}

func readPlan(fd int) (*plan, error) {
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil || seals != settingsSeals {
		return nil, errors.New("the descriptor it names is not one of a sandbox")
	}
	// Not by the position of the descriptor, which is that of who wrote it.
	text, err := io.ReadAll(io.NewSectionReader(os.NewFile(uintptr(fd), "sandbox"), 0, 1<<30))
	if err != nil {
		return nil, err
	}
	p := &plan{}
	return p, json.Unmarshal(text, p)
}

// apply takes everything away and executes the program. It returns the step that failed, empty for the execution itself.
// The order matters: paths are opened and groups entered while there are rights for it, and what would stop a later step
// comes after that.
func (p *plan) apply() (step string, err error) {
	if p.Group != "" {
		if err := os.WriteFile(filepath.Join(p.Group, "cgroup.procs"), []byte("0"), 0); err != nil {
			return "enter the control group", err
		}
	}
	ruleset, withLandlock := -1, false
	if _, err := landlockABI(); err == nil {
		withLandlock = true
		if ruleset, err = p.Rules.open(); err != nil {
			return "Landlock", err
		}
	}
	if err := p.dropPrivileges(); err != nil {
		return "give up privileges", err
	}
	if err := p.staySubordinate(); err != nil {
		return "stay with the host", err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return "give up new privileges", err
	}
	if withLandlock {
		if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {
			return "Landlock", errno
		}
		_ = unix.Close(ruleset)
	}
	if auditArch != 0 {
		if err := systemCalls(p.Network).install(); err != nil {
			return "seccomp", err
		}
	}
	if err := p.setLimits(); err != nil {
		return "resource limits", err
	}
	return "", syscall.Exec(p.Path, p.Args, p.Env)
}

// dropPrivileges changes the user, and gives up all capabilities for good: no_new_privs keeps root from getting them back.
// The calls are those of one thread, not those of package syscall, which are of all.
func (p *plan) dropPrivileges() error {
	for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
		// Refused to who has none to give up, and unknown to older kernels.
		_ = unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
	}
	if c := p.Credentials; c != nil {
		if err := c.assume(); err != nil {
			return err
		}
	}
	_ = unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	var none [2]unix.CapUserData
	return unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
}

// assume makes this thread one of another user, who cannot go back.
func (c *credentials) assume() error {
	groups := make([]uint32, max(1, len(c.Groups)))
	for i, id := range c.Groups {
		groups[i] = uint32(id)
	}
	if err := setGroups(groups[:len(c.Groups)]); err != nil {
		return fmt.Errorf("set the groups: %w", err)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, uintptr(c.GID), uintptr(c.GID), uintptr(c.GID)); errno != 0 {
		return fmt.Errorf("set the group: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(c.UID), uintptr(c.UID), uintptr(c.UID)); errno != 0 {
		return fmt.Errorf("set the user: %w", errno)
	}
	// Whoever changes the user may not open his own /proc/self/fd, through which a pinned program is executed.
	return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
}

// staySubordinate asks once more to be killed with the parent: the kernel forgets that when the user changes.
func (p *plan) staySubordinate() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if os.Getppid() != p.Parent {
		return errors.New("the host has ended")
	}
	return nil
}

func (p *plan) setLimits() error {
	for resource, value := range map[int]int64{unix.RLIMIT_NOFILE: p.Files, unix.RLIMIT_DATA: p.Data, unix.RLIMIT_NPROC: p.Processes} {
		if value == 0 {
			continue
		}
		if err := setLimit(resource, uint64(value)); err != nil {
			return err
		}
	}
	// A core dump has all secrets of the process. With a limit of 0 it would still be piped to a collector; 1 byte is too
	// little for a file, and the kernel's word for no pipe.
	return setLimit(unix.RLIMIT_CORE, 1)
}

// setLimit sets a limit that cannot be raised again. One that is lower already stays.
func setLimit(resource int, value uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(0, resource, nil, &now); err != nil {
		return err
	}
	value = min(value, now.Max)
	return unix.Prlimit(0, resource, &unix.Rlimit{Cur: value, Max: value}, nil)
}
