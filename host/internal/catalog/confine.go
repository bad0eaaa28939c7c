package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/sandbox"
)

// confine makes the sandbox of a plugin, or says at which line it cannot be had.
func (p *program) confine(dir string) error {
	s := p.plugin.Sandbox
	if s == nil {
		return nil
	}
	box := &sandbox.Sandbox{Network: s.Network, User: s.User, Memory: int64(s.Memory), Processes: s.Processes, Files: s.Files}
	var err error
	if box.Read, err = absolute(s.Read); err != nil {
		return p.refuse(&s.Read, err)
	}
	if box.Write, err = absolute(s.Write); err != nil {
		return p.refuse(&s.Write, err)
	}
	for _, port := range s.Connect {
		box.Connect = append(box.Connect, uint16(port))
	}
	if s.Connect != nil && box.Connect == nil {
		box.Connect = []uint16{}
	}
	if err := p.checkBox(box, dir); err != nil {
		return err
	}
	p.sandbox, p.lacking = box, box.Shortfalls()
	if s.Required && len(p.lacking) > 0 {
		return p.refuse(&s.Required, fmt.Errorf("its sandbox is required, and this machine does not enforce all of it: %s; mend that, or remove required to run with less", shortfalls(p.lacking)))
	}
	return nil
}

func absolute(paths []string) ([]string, error) {
	out := make([]string, len(paths))
	for i, path := range paths {
		var err error
		if out[i], err = filepath.Abs(path); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// checkBox finds what cannot be had of a sandbox, and what would make it none.
func (p *program) checkBox(box *sandbox.Sandbox, dir string) error {
	s := p.plugin.Sandbox
	fields := map[string]any{"read": &s.Read, "write": &s.Write, "network": &s.Network, "connect": &s.Connect, "user": &s.User}
	var errs []error
	for _, err := range flatten(box.Check()) {
		var setting *sandbox.SettingError
		if errors.As(err, &setting) {
			errs = append(errs, p.refuse(fields[setting.Setting], fmt.Errorf("sandbox.%w", err)))
		} else {
			errs = append(errs, p.refuse(s, err))
		}
	}
	for _, path := range box.Write {
		if what := p.decides(path, dir); what != "" {
			errs = append(errs, p.refuse(&s.Write, fmt.Errorf("sandbox.write: %s holds %s, and a plugin that can change that decides what is executed at the next start: let it write into a folder of its own", path, what)))
		}
	}
	return config.Join(errs...)
}

// decides says what of a path decides about what the host executes; empty when nothing does. A plugin that may change it is
// the host's user at the next start.
func (p *program) decides(path, dir string) string {
	holy := [][2]string{{p.plugin.Dir, "the configuration and its lock file"}, {p.path, "the plugin itself"}, {dir, "the plugins"}}
	for _, file := range p.files() {
		holy = append(holy, [2]string{file, "the plugin itself"})
	}
	if p.plugin.Dir != "" {
		// Of a single file: the lock file, the configuration, or what that reads.
		files, _ := filepath.Glob(filepath.Join(p.plugin.Dir, "*.hcl"))
		for _, file := range files {
			holy = append(holy, [2]string{file, "the configuration or its lock file"})
		}
	}
	for _, h := range holy {
		if h[0] != "" && within(h[0], path) {
			return h[1]
		}
	}
	return ""
}

func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// within says whether a path is a folder or lies below it, links followed.
func within(path, folder string) bool {
	real := func(path string) string {
		if path, err := filepath.Abs(path); err == nil {
			if followed, err := filepath.EvalSymlinks(path); err == nil {
				return followed
			}
		}
		return path
	}
	relative, err := filepath.Rel(real(folder), real(path))
	return err == nil && relative != ".." && !strings.HasPrefix(relative, ".."+string(filepath.Separator))
}

func shortfalls(lacking []sandbox.Shortfall) string {
	texts := make([]string, len(lacking))
	for i, s := range lacking {
		texts[i] = s.String()
	}
	return strings.Join(texts, "; ")
}

// tellLacking says what is not enforced of a sandbox, and what has none.
func (p *program) tellLacking(ctx context.Context, logger *slog.Logger) {
	for _, s := range p.lacking {
		logger.WarnContext(ctx, "the sandbox of the plugin is not enforced in full on this machine", "plugin", processName(p.plugin), "missing", s.String())
	}
}
