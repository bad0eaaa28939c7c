package catalog

import (
	"fmt"
	"path/filepath"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
)

// Program finds a program that comes with a plugin, to be run as a command: the one that the configuration runs as a plugin,
// with its pin, else that of plugin_dir. The checks are those of a plugin. The spec has no arguments and next to no environment.
func Program(options Options, name string) (launch.Spec, error) {
	dir, err := pluginDir(options.PluginDir)
	if err != nil {
		return launch.Spec{}, err
	}
	options.manifestOnly = true // Neither the settings nor what else is locked matter to a command.
	spec := launch.Spec{Name: name, Env: environment([]string{"TMPDIR"}), Logger: options.Logger}
	for _, p := range options.Plugins {
		if len(p.Command) != 1 || filepath.Base(p.Command[0]) != name {
			continue
		}
		found, err := resolve(p, dir, options)
		if err != nil {
			return launch.Spec{}, err
		}
		spec.Path, spec.SHA256, spec.Verify = found.path, found.pin, found.verifier()
		return spec, nil
	}
	found := &program{plugin: &config.Plugin{Command: config.Command{name}}}
	found.path, _, err = find(found.plugin, dir)
	if err == nil {
		found.signers, err = signersOf(found.plugin, options.Signatures)
	}
	spec.Path, spec.Verify = found.path, found.verifier()
	if err != nil {
		return launch.Spec{}, fmt.Errorf("program %s: %w", name, err)
	}
	return spec, nil
}
