package database

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

// ProgramName is the program that reads databases: the SQLite plugin, whose command this is.
const (
	ProgramName = "store-sqlite"
	readCommand = "read-decision-gate"
)

// Reading is a database that is being read by a program of its own.
type Reading struct {
	*Reader
	command *launch.Command
	stop    func() bool
}

// Open has a program read a database. It ends with ctx; Close must be called.
func Open(ctx context.Context, program launch.Spec, path string) (*Reading, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	program.Args = []string{readCommand, path}
	command, err := launch.StartCommand(program)
	if err != nil {
		return nil, err
	}
	r := &Reading{command: command}
	r.stop = context.AfterFunc(ctx, func() { _ = command.Kill() })
	if r.Reader, err = NewReader(output{command.Stdout}); err != nil {
		r.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return r, nil
}

// Close ends the program, which has nothing to lose.
func (r *Reading) Close() {
	r.stop()
	_ = r.command.Kill()
}

// output is what a command writes. Once the command has ended its pipe has a deadline, for the sake of commands with children that
// hold it open; this one has none, and what it wrote may be read when a slow store has taken what came before.
type output struct{ *os.File }

func (o output) Read(p []byte) (int, error) {
	n, err := o.File.Read(p)
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		if err := o.SetReadDeadline(time.Time{}); err != nil {
			return 0, err
		}
		return o.File.Read(p)
	}
	return n, err
}
