package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// trust is what is asked of the bytes of a program before they are executed; the zero value asks nothing.
type trust struct {
	// pin is their SHA-256, empty for any.
	pin []byte
	// verify may be nil.
	verify func(io.Reader) error
}

func (t trust) none() bool { return len(t.pin) == 0 && t.verify == nil }

// check says what is wrong with a program, given its sum.
func (t trust) check(sum []byte, program io.Reader) error {
	if len(t.pin) > 0 && !bytes.Equal(sum, t.pin) {
		return pinError(sum, t.pin)
	}
	if t.verify != nil {
		return t.verify(program)
	}
	return nil
}

func pinError(actual, pin []byte) error {
	return fmt.Errorf("%w: its SHA-256 is %x, the pin says %x; if you have updated it, pin it again", ErrPin, actual, pin)
}

// startFailed says why the system did not execute a program. Its own words, such as "no such file", would send the operator
// to look for the program where it is the interpreter that is missing.
func startFailed(program, dir string, err error) error {
	interpreter, script := interpreterOf(program)
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf(`start the program: %s is neither a program for this machine nor a script whose first line is "#!" and an interpreter: %w`, program, syscall.ENOEXEC)
	case !errors.Is(err, syscall.ENOENT) || !exists(program):
		return fmt.Errorf("start the program: %w", err)
	case dir != "" && !exists(dir):
		return fmt.Errorf("start the program: the folder %s to run it in is not there", dir)
	case script:
		return fmt.Errorf("start the program: %s names the interpreter %s in its first line, which is not there", program, quote(interpreter))
	default:
		return fmt.Errorf("start the program: %s needs a dynamic linker that is not there: use a program that was built for this system, or statically", program)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// maxInterpreterLine is the length in bytes of the longest first line that Linux reads.
const maxInterpreterLine = 256

// interpreterOf is what the first line of a script names.
func interpreterOf(program string) (interpreter string, script bool) {
	f, err := os.Open(program)
	if err != nil {
		return "", false
	}
	defer f.Close()
	begin, err := io.ReadAll(io.LimitReader(f, maxInterpreterLine))
	if err != nil {
		return "", false
	}
	line, _, _ := bytes.Cut(begin, []byte("\n"))
	after, script := bytes.CutPrefix(line, []byte("#!"))
	// Not trimmed of "\r": it is a part of the name, and why the interpreter is not found.
	return strings.Trim(string(after), " \t"), script
}
