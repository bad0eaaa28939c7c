package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/opensource"
)

type configImportCommand struct {
	File    string `arg:"" help:"The configuration of the open-source Decision Gate: TOML, or the same as JSON."`
	Output  string `short:"o" required:"" placeholder:"OUT.hcl" help:"The new configuration. A file that is there is never overwritten."`
	DataDir string `placeholder:"DIR" help:"Folder for the database, and for runpacks where the old file has runpack_storage; made when it is not there. By default a folder beside the new file, named like it with -data."`
	Lenient bool   `help:"Write the file even when something could not be carried over, with a comment for each."`
	JSON    bool   `help:"Answer with one JSON object."`
}

func (c *configImportCommand) Help() string {
	return help("Makes a configuration for this host from one of the open-source Decision Gate. What the host has nothing for is named, with its line, and then nothing is written unless --lenient is given; "+
		"with it, the new host may allow what the old one refused: read the comments first. Unknown options and wrong values are always refused. Runs and data shapes are taken over by \"decision-gate store import-decision-gate\". "+
		"The answer is no (1) when something was not carried over or the file is wrong; an existing output is a 3.",
		"decision-gate config import decision-gate.toml -o decision-gate.hcl")
}

// imported is the answer.
type imported struct {
	Written    bool                 `json:"written"`
	Output     string               `json:"output"`
	DataDir    string               `json:"data_dir"`
	Carried    []string             `json:"carried"`
	NotCarried []opensource.Finding `json:"not_carried"`
	Notes      []opensource.Finding `json:"notes"`
	Errors     []opensource.Finding `json:"errors"`
}

func (c *configImportCommand) Run(std streams) error {
	src, modified, err := readLimited(c.File)
	if err != nil {
		return err
	}
	// Said before the work, and made sure of again when the file is written.
	if _, err := os.Lstat(c.Output); err == nil {
		return c.taken()
	}
	if c.DataDir == "" {
		c.DataDir = strings.TrimSuffix(c.Output, filepath.Ext(c.Output)) + "-data"
	}
	options, err := c.options()
	if err != nil {
		return err
	}
	options.Modified = modified
	answer := imported{Output: c.Output, DataDir: c.DataDir, Carried: []string{}, NotCarried: []opensource.Finding{}, Notes: []opensource.Finding{}, Errors: []opensource.Finding{}}
	result, err := opensource.Import(src, options)
	var wrong *opensource.Error
	if errors.As(err, &wrong) {
		answer.Errors = wrong.Findings
		return c.tell(answer, std)
	}
	if err != nil {
		return err
	}
	answer.Carried, answer.NotCarried, answer.Notes = append(answer.Carried, result.Carried...), append(answer.NotCarried, result.NotCarried...), append(answer.Notes, result.Notes...)
	if len(result.NotCarried) > 0 && !c.Lenient {
		return c.tell(answer, std)
	}
	if err := c.write(result.Text); err != nil {
		return err
	}
	answer.Written = true
	return c.tell(answer, std)
}

// maxImportBytes is one byte more than the package reads, so that it is the one that says no.
const maxImportBytes = 1<<20 + 1

// readLimited reads a file, and when it was last written.
func readLimited(path string) (text []byte, modified time.Time, _ error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, modified, fmt.Errorf("there is no file %s", path)
	}
	if err != nil {
		return nil, modified, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, modified, err
	}
	text, err = io.ReadAll(io.LimitReader(f, maxImportBytes))
	return text, info.ModTime(), err
}

func (c *configImportCommand) options() (opensource.Options, error) {
	workDir, err := os.Getwd()
	if err != nil {
		return opensource.Options{}, err
	}
	absolute := func(path string) string {
		if filepath.IsAbs(path) {
			return filepath.Clean(path)
		}
		return filepath.Join(workDir, path)
	}
	return opensource.Options{Name: c.File, WorkDir: workDir, OutDir: filepath.Dir(absolute(c.Output)), DataDir: absolute(c.DataDir)}, nil
}

func (c *configImportCommand) taken() error {
	return fmt.Errorf("%s is there already and is not overwritten: remove it, or name another file with -o", c.Output)
}

// write makes the data folder and the file, whole or not at all.
func (c *configImportCommand) write(text []byte) (err error) {
	made, err := makeDataDir(c.DataDir)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && made {
			_ = os.Remove(c.DataDir)
		}
	}()
	// Mode 0600: what the old file held in secret, this one does.
	tmp, err := os.CreateTemp(filepath.Dir(c.Output), ".decision-gate-import.*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w; its folder must exist and be writable", c.Output, err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", c.Output, err)
	}
	// A link, and not a rename, which would replace a file that somebody made meanwhile.
	if err = os.Link(tmp.Name(), c.Output); errors.Is(err, fs.ErrExist) {
		return c.taken()
	}
	return err
}

// makeDataDir makes the folder for the new host alone: its database holds what callers sent. One that is there stays as
// it is.
func makeDataDir(dir string) (made bool, err error) {
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return false, nil
	case err == nil:
		return false, fmt.Errorf("the data folder %s is a file: name another with --data-dir", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, fmt.Errorf("the data folder cannot be made: %w", err)
	}
	return true, nil
}

// tell says what came of it: to people what is wrong goes to the error stream.
func (c *configImportCommand) tell(a imported, std streams) error {
	if c.JSON {
		if err := writeJSON(std.out, a); err != nil || a.Written {
			return err
		}
		return no()
	}
	out := newScreen(std.out)
	if !a.Written {
		out = newScreen(std.err)
	}
	c.list(out, "Wrong in the file:", a.Errors)
	c.list(out, "Not carried over:", a.NotCarried)
	if !a.Written {
		if len(a.Errors) > 0 {
			out.line("Nothing was written: %s. Correct the file first.", plural(len(a.Errors), "mistake"))
		} else {
			out.line("Nothing was written: %s could not be carried over. Change the file, or write it without them with --lenient.", plural(len(a.NotCarried), "option"))
		}
		if out.err != nil {
			return out.err
		}
		return no()
	}
	c.list(out, "Different from now on:", a.Notes)
	out.line("Wrote %s with %s carried over. The database will be in %s.", a.Output, plural(len(a.Carried), "option"), a.DataDir)
	out.line("Next: decision-gate serve --config %s", a.Output)
	return out.err
}

func (c *configImportCommand) list(out *screen, title string, findings []opensource.Finding) {
	if len(findings) == 0 {
		return
	}
	out.line("%s", title)
	for _, f := range findings {
		where := c.File
		if f.Path != "" {
			where = f.Path + " in " + c.File
		}
		out.line("  %s (line %d): %s", where, f.Line, f.Reason)
	}
}
