package main

import (
	"context"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

type pinCommand struct {
	configFlag
	JSON bool `help:"Answer with one JSON object."`
}

func (c *pinCommand) Help() string {
	return help("Starts each plugin just to ask for its manifest, and writes it with the SHA-256 of the program into "+config.LockFile+
		" beside the configuration. From then on the host runs only these programs, and validate checks the plugins' settings.",
		"decision-gate plugin pin --config decision-gate.hcl")
}

// pinned is what was written of one plugin.
type pinned struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Command string `json:"command"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"`
	// Change is new, same or changed against the lock file before.
	Change string `json:"change"`
	// SignedBy is the key of the configuration that has signed the program, with what its owner says of it; empty without a
	// signature.
	SignedBy string `json:"signed_by,omitempty"`
	Comment  string `json:"comment,omitempty"`
}

func (c *pinCommand) Run(ctx context.Context, std streams) error {
	settings, err := c.load(config.LoadUnlocked)
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	path := config.LockPath(c.Config)
	// A lock file that cannot be read is replaced like any other.
	before, _ := config.LoadLock(path)
	lock, err := catalog.Pin(ctx, catalog.From(settings))
	if err != nil {
		return tellFindings(err, std, c.JSON)
	}
	if err := config.WriteLock(path, lock); err != nil {
		return err
	}
	list := make([]pinned, 0, len(lock.Plugins))
	for _, p := range lock.Plugins {
		list = append(list, pinned{p.Kind, p.Name, strings.Join(p.Command, " "), p.Version, p.SHA256, changeOf(before.Find(p.Kind, p.Name), p), p.SignedBy, p.Comment})
	}
	if c.JSON {
		return writeJSON(std.out, struct {
			LockFile string   `json:"lock_file"`
			Plugins  []pinned `json:"plugins"`
		}{path, list})
	}
	out := newScreen(std.out)
	for _, p := range list {
		out.line("%-7s  %s %q: %s %s, sha256 %s", p.Change, p.Kind, p.Name, p.Command, p.Version, p.SHA256)
	}
	for _, p := range list {
		if p.SignedBy != "" {
			out.line("%s %q is signed by %q: %s", p.Kind, p.Name, p.SignedBy, p.Comment)
		}
	}
	out.line("Pinned %s in %s.", plural(len(list), "plugin"), path)
	return out.err
}

func changeOf(before, now *config.Locked) string {
	switch {
	case before == nil:
		return "new"
	case before.SHA256 == now.SHA256:
		return "same"
	default:
		return "changed"
	}
}
