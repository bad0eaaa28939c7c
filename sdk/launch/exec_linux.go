package launch

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxProgram is the size in bytes of the largest program that is pinned: it is copied to memory.
const maxProgram = 1 << 30

// startPinned starts a command that dies with this process. With a pin or a signature it executes exactly the bytes that were checked: a
// sealed copy in memory, which nobody can swap or write to between the check and the execution.
func startPinned(cmd *exec.Cmd, trust trust, box *box) error {
	if !trust.none() {
		program, err := sealedCopy(cmd.Path, trust)
		if err != nil {
			return err
		}
		defer program.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, program)
		// The child opens it by the number it has there; an interpreter named by "#!" can open it too.
		cmd.Path = "/proc/self/fd/" + strconv.Itoa(2+len(cmd.ExtraFiles))
	}
	// A group of its own: terminal signals pass it by, and it can be killed with its children. The parent's death kills
	// it even when it is stopped or does not watch its control descriptor.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return box.start(cmd, func() error { return onLauncherThread(cmd.Start) })
}

func sealedCopy(path string, trust trust) (*os.File, error) {
	source, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the program: %w", err)
	}
	defer source.Close()
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate("plugin", flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		// Kernels before 6.3 do not know the flag; every memory file is executable there.
		fd, err = unix.MemfdCreate("plugin", flags)
	}
	if err != nil {
		return nil, fmt.Errorf("make a sealed copy of the program in memory: %w", err)
	}
	program := os.NewFile(uintptr(fd), "plugin")
	if err := copyPinned(program, source, trust); err != nil {
		program.Close()
		return nil, err
	}
	return program, nil
}

func copyPinned(program *os.File, source io.Reader, trust trust) error {
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(program, sum), io.LimitReader(source, maxProgram+1))
	switch {
	case err != nil:
		return fmt.Errorf("copy the program to memory: %w", err)
	case size > maxProgram:
		return fmt.Errorf("%w: it has more than %d bytes", ErrPin, maxProgram)
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(program.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return fmt.Errorf("seal the copy of the program: %w", err)
	}
	return trust.check(sum.Sum(nil), io.NewSectionReader(program, 0, size))
}

// onLauncherThread runs a start on one thread that never ends. The kernel sends Pdeathsig when the parent's *thread*
// ends, and Go ends threads as it likes: without this a healthy host would kill its plugins.
func onLauncherThread(start func() error) error {
	result := make(chan error, 1)
	launcher() <- func() { result <- start() }
	return <-result
}

var launcher = sync.OnceValue(func() chan<- func() {
	starts := make(chan func())
	go launcherThread(starts)
	return starts
})

func launcherThread(starts <-chan func()) {
	runtime.LockOSThread()
	for start := range starts {
		start()
	}
}

// waitForEnd waits without reaping, so that the process id stays ours until the group was killed.
func waitForEnd(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// endGroup kills what a dead process has left in its group, and then reaps it.
func endGroup(cmd *exec.Cmd) {
	_ = killGroup(cmd.Process)
	_ = cmd.Wait()
}

// killGroup kills a process that was not reaped yet and all that is in its group.
func killGroup(process *os.Process) error {
	return syscall.Kill(-process.Pid, syscall.SIGKILL)
}

func signalName(signal syscall.Signal) string { return unix.SignalName(signal) }
