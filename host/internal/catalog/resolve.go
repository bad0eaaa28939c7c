package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
)

// program is a plugin that may be started: found, safe to execute, pinned, its settings checked as far as the lock file
// knows them.
type program struct {
	plugin *config.Plugin
	locked *config.Locked // nil without a lock file entry
	path   string
	pin    []byte // empty without a pin
	env    []string
	pace   *pace
	// file is the program as it was found.
	file os.FileInfo
	// script is the sum of an interpreter's script as it was found, by its argument.
	script map[string]string
	// observe is told of the calls to its processes; nil when nobody counts them.
	observe func(method string, took time.Duration, err error)
	// signers is nil when the configuration asks for no signatures; signed is the one that was found last.
	signers *signers
	signed  atomic.Pointer[signature]
	// fromSystem says that the program was found in the folders of PATH.
	fromSystem bool
	// sandbox is nil without one; lacking is what this machine does not enforce of it.
	sandbox *sandbox.Sandbox
	lacking []sandbox.Shortfall
	// contract is what an evidence plugin can be asked, from its first start on.
	contract json.RawMessage
}

// resolve finds a plugin's program and its pin, or says at which line of the configuration it cannot.
func resolve(p *config.Plugin, dir string, options Options) (*program, error) {
	if options.pace == (pace{}) {
		options.pace = defaultPace
	}
	out := &program{plugin: p, locked: options.Lock.Find(p.Kind, p.Name), env: environment(p.Env), pace: options.pace.of(p)}
	err := config.Join(out.locate(dir, options), out.confine(dir))
	signers, errSigners := signersOf(p, options.Signatures)
	if out.signers = signers; errSigners != nil {
		err = config.Join(err, out.refuse(p, errSigners))
	}
	if !options.manifestOnly {
		err = config.Join(err, out.checkLock(options.Lock), out.checkSettings())
	}
	return out, err
}

func (p *program) locate(dir string, options Options) (err error) {
	if p.path, p.fromSystem, err = find(p.plugin, dir); err != nil {
		return p.refuse(&p.plugin.Command, err)
	}
	if p.file, err = os.Stat(p.path); err != nil {
		return p.refuse(&p.plugin.Command, err)
	}
	if p.pin, err = pinOf(p.plugin, p.locked); err != nil {
		return p.refuse(&p.plugin.SHA256, err)
	}
	if len(p.pin) == 0 && options.RequirePins {
		return p.refuse(p.plugin, errors.New(`it has no pin, which is allowed only while every listener is loopback: run "decision-gate plugin pin", or set sha256`))
	}
	if err := p.checkFiles(); err != nil {
		return p.refuse(&p.plugin.Command, err)
	}
	return nil
}

// refuse is a finding in the configuration.
func (p *program) refuse(field any, err error) error {
	return p.plugin.Refuse(field, "Plugin cannot be started", "%s", pluginError(p.plugin, err))
}

// environment is the values of the names that a configuration allows; the plugin gets nothing else of the host's.
func environment(names []string) []string {
	var out []string
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+value)
		}
	}
	return out
}

const pinAgain = `if that is what you want, run "decision-gate plugin pin"`

// checkLock compares the configuration with what was pinned.
func (p *program) checkLock(lock *config.Lock) error {
	switch {
	case lock == nil:
		return nil
	case p.locked == nil:
		// A lock file says which programs may run: without this, a block that is added or renamed would run any.
		return p.refuse(p.plugin, fmt.Errorf("the lock file %s has no entry for it; %s", cmp.Or(lock.Path, config.LockFile), pinAgain))
	case !slices.Equal(p.locked.Command, p.plugin.Command):
		return p.refuse(&p.plugin.Command, fmt.Errorf("its command is %q, but %s was written for %q; %s", []string(p.plugin.Command), config.LockFile, []string(p.locked.Command), pinAgain))
	default:
		return nil
	}
}

// checkSettings compares the settings with the pinned manifest, so that they are refused with file and line before
// anything is started. Without one they are evaluated only.
func (p *program) checkSettings() error {
	var schema *sdk.ConfigSchema
	if p.locked != nil {
		schema = p.locked.ConfigSchema()
	}
	_, err := p.plugin.ConfigJSON(schema)
	return err
}

// checkSum compares the program with its pin. A start does it on the very bytes that are executed; this is for who asks
// without starting anything.
func (p *program) checkSum() error {
	if p.path == "" || len(p.pin) == 0 {
		return nil
	}
	have, err := fileSum(p.path)
	want := hex.EncodeToString(p.pin)
	switch {
	case err != nil:
		return p.refuse(&p.plugin.Command, err)
	case have == want:
		return nil
	case p.locked != nil:
		return p.refuse(&p.plugin.Command, fmt.Errorf("the SHA-256 of %s is %s, %s says %s; if you have updated it, run \"decision-gate plugin pin\"", p.path, have, config.LockFile, want))
	default:
		return p.refuse(&p.plugin.SHA256, fmt.Errorf("the SHA-256 of %s is %s, sha256 says %s; correct or remove sha256", p.path, have, want))
	}
}

// find is the path of a plugin's program. A bare name is looked up in one folder and not in the search path, in which
// another program of that name could come first; only the interpreter of a command with arguments is.
func find(p *config.Plugin, dir string) (path string, fromSystem bool, err error) {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return "", false, errors.New("it has no command")
	}
	name := p.Command[0]
	if strings.ContainsRune(name, filepath.Separator) {
		if !filepath.IsAbs(name) {
			name = filepath.Join(p.Dir, name)
		}
		path, err := executable(name)
		if errors.Is(err, fs.ErrNotExist) {
			if absolute, err := filepath.Abs(name); err == nil {
				name = absolute
			}
			return "", false, fmt.Errorf("there is no program %s; a command with a slash is relative to the folder of the configuration", name)
		}
		return path, false, err
	}
	path, err = executable(filepath.Join(dir, name))
	if !errors.Is(err, fs.ErrNotExist) {
		return path, false, err
	}
	if len(p.Command) == 1 {
		return "", false, fmt.Errorf("there is no command %q: looked in plugin_dir, which is %s", name, dir)
	}
	path, err = exec.LookPath(name)
	if err != nil {
		return "", false, fmt.Errorf("there is no command %q: looked in plugin_dir, which is %s, and in the folders of PATH", name, dir)
	}
	path, err = executable(path)
	return path, true, err
}

// executable is the file behind a path, symbolic links followed: what is checked is what is run. It is one that nobody else
// can replace.
func executable(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	if real, err = filepath.Abs(real); err != nil {
		return "", err
	}
	info, err := os.Stat(real)
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s is not a file but a folder: name the program in it", path)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a file", path)
	case info.Mode().Perm()&0o111 == 0:
		return "", fmt.Errorf("%s is not executable: chmod +x %s", path, path)
	}
	return real, safeToExecute(path)
}

// pinOf is the sum that the program must have. Two that differ are refused: one of them is out of date, and nobody but
// the operator knows which.
func pinOf(p *config.Plugin, locked *config.Locked) ([]byte, error) {
	sum := p.SHA256
	if locked != nil {
		if sum != "" && sum != locked.SHA256 {
			return nil, fmt.Errorf("sha256 in the configuration is %s, in %s it is %s; remove the wrong one", sum, config.LockFile, locked.SHA256)
		}
		sum = locked.SHA256
	}
	pin, err := hex.DecodeString(sum)
	if err != nil || (len(pin) != 0 && len(pin) != sha256.Size) {
		return nil, errors.New("its sha256 is no SHA-256 in hexadecimal")
	}
	return pin, nil
}

// checkFiles compares the arguments that name files with the lock file. It is weaker than the program's own pin, which is
// checked on the bytes that are executed: an interpreter opens its script again.
func (p *program) checkFiles() error {
	files, err := script(p.plugin)
	p.script = files
	if err != nil || p.locked == nil {
		return err
	}
	for name, want := range p.locked.Files {
		if have := files[name]; have != want {
			return fmt.Errorf("the SHA-256 of %s is %s, %s says %s; %s", name, cmp.Or(have, "unknown, there is no such file"), config.LockFile, want, pinAgain)
		}
	}
	for name := range files {
		if _, pinned := p.locked.Files[name]; !pinned && len(p.pin) > 0 {
			return fmt.Errorf("the argument %s is a file that %s does not name; %s", name, config.LockFile, pinAgain)
		}
	}
	return nil
}

// script is the sum of the first argument that names a file, which for an interpreter is the script; empty when none does.
func script(p *config.Plugin) (map[string]string, error) {
	name, path := scriptPath(p)
	if path == "" {
		return nil, nil
	}
	if err := safeToExecute(path); err != nil {
		return nil, err
	}
	sum, err := fileSum(path)
	return map[string]string{name: sum}, err
}

// scriptPath is the first argument that names a file, and its path; empty when none does.
func scriptPath(p *config.Plugin) (name, path string) {
	for _, name := range p.Command[min(1, len(p.Command)):] {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(p.Dir, path)
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return name, path
		}
	}
	return "", ""
}

// files are those beside the program that it cannot run without.
func (p *program) files() []string {
	_, path := scriptPath(p.plugin)
	if path == "" {
		return nil
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return []string{path}
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
