package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Program is what a sandbox must know of the program beside its command.
type Program struct {
	// Own is a private folder that the program may write: its temporary folder, and that of its socket.
	Own string
	// Files are files that it reads to run at all: the program itself, and the script of an interpreter.
	Files []string
}

// plan is all that the process does to itself before it becomes the program. It is handed over in a sealed file in memory:
// neither arguments nor the environment of any process show it.
type plan struct {
	Path string
	Args []string
	Env  []string
	// Parent is the process id that the process must be a child of.
	Parent      int
	Rules       ruleset
	Credentials *credentials
	Network     reach
	// Group is the path of a control group, empty for none.
	Group string
	// Data, Processes and Files are resource limits; 0 is none.
	Data, Processes, Files int64
}

// Start is a start of a program in a sandbox.
type Start struct {
	group           *Group
	settings        *os.File
	report, theirs  *os.File
	originalProgram string
}

// Wrap changes a command that was not started yet to one that does the same in the sandbox. Its ExtraFiles keep their
// numbers. Started or Abandon must be called afterwards.
func (s *Sandbox) Wrap(cmd *exec.Cmd, program Program) (_ *Start, err error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	st := &Start{originalProgram: cmd.Args[0]}
	defer func() {
		if err != nil {
			st.Abandon()
		}
	}()
	p, err := s.plan(cmd, program)
	if err != nil {
		return nil, err
	}
	if st.group, err = newGroup(s); err != nil {
		return nil, err
	}
	p.limit(s, st.group)
	if st.settings, err = p.seal(); err != nil {
		return nil, err
	}
	if st.report, st.theirs, err = os.Pipe(); err != nil {
		return nil, err
	}
	first := 3 + len(cmd.ExtraFiles)
	cmd.ExtraFiles = append(slices.Clone(cmd.ExtraFiles), st.settings, st.theirs)
	// This program once more, also when its file was replaced since it was started.
	cmd.Path, cmd.Args = "/proc/self/exe", cmd.Args[:1]
	cmd.Env = []string{fmt.Sprintf("%s=%d", settingsEnv, first)}
	return st, nil
}

func (s *Sandbox) plan(cmd *exec.Cmd, program Program) (*plan, error) {
	creds, err := s.credentials()
	if err != nil {
		return nil, err
	}
	if creds != nil {
		if err := os.Chown(program.Own, creds.UID, creds.GID); err != nil {
			return nil, fmt.Errorf("give the private folder to %s: %w", s.User, err)
		}
	}
	p := &plan{
		Path: cmd.Path, Args: cmd.Args, Env: slices.Clone(cmd.Env), Parent: os.Getpid(),
		Rules: s.rules(program), Credentials: creds, Network: s.reach(), Files: s.Files,
	}
	if !slices.ContainsFunc(p.Env, func(v string) bool { return strings.HasPrefix(v, "TMPDIR=") }) {
		p.Env = append(p.Env, "TMPDIR="+program.Own)
	}
	return p, nil
}

func (s *Sandbox) reach() reach {
	switch {
	case s.Network != Any:
		return noNetwork
	case s.Connect != nil:
		return plainNetwork
	default:
		return anyNetwork
	}
}

// limit takes from the resource limits what the control group does better.
func (p *plan) limit(s *Sandbox, group *Group) {
	if group != nil {
		p.Group = group.path
		return
	}
	p.Data = s.Memory
	if p.Credentials != nil {
		p.Processes = s.Processes
	}
}

func (p *plan) seal() (*os.File, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("sandbox", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("hand the sandbox over: %w", err)
	}
	file := os.NewFile(uintptr(fd), "sandbox")
	_, err = file.Write(text)
	if err == nil {
		_, err = unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, settingsSeals)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("hand the sandbox over: %w", err)
	}
	return file, nil
}

// Group is the control group of the program, nil when it has none. Its End is the caller's to call, unless the start has
// failed.
func (st *Start) Group() *Group { return st.group }

// maxReport is the length in bytes of the longest report of a start that failed.
const maxReport = 64 << 10

// Started waits until the program runs in the place of the process that was started. On an error the process ends by
// itself.
func (st *Start) Started(timeout time.Duration) error {
	closeAll(st.settings, st.theirs)
	defer closeAll(st.report)
	_ = st.report.SetReadDeadline(time.Now().Add(timeout))
	text, err := io.ReadAll(io.LimitReader(st.report, maxReport))
	if err != nil {
		return fmt.Errorf("put the program into its sandbox: %w", err)
	}
	if len(text) == 0 {
		// Closed without a word: by the execution of the program, or by a death that the caller sees.
		return nil
	}
	var failed failure
	if err := json.Unmarshal(text, &failed); err != nil {
		return errors.New("put the program into its sandbox: the report of it cannot be read")
	}
	return failed.err()
}

// Abandon undoes what Wrap has made, of a command that does not run.
func (st *Start) Abandon() {
	closeAll(st.settings, st.theirs, st.report)
	st.group.End()
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close()
		}
	}
}

// failure is a step that did not work, as one process tells the other.
type failure struct {
	Step  string
	Text  string
	Errno int
	// Execute says that everything was taken away, and the program was not executed.
	Execute bool
}

func (f failure) err() error {
	var cause error = errors.New(f.Text)
	if f.Errno != 0 {
		cause = unix.Errno(f.Errno)
	}
	if f.Execute {
		return &ExecuteError{cause}
	}
	return fmt.Errorf("put the program into its sandbox: %s: %w", f.Step, cause)
}
