package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/control"
)

// controlFlags say which host is asked.
type controlFlags struct {
	configFlag
	Socket string `placeholder:"PATH" help:"The host's control socket; that of the configuration when absent."`
	JSON   bool   `help:"Answer with JSON."`
}

// host is a client of the host.
func (f *controlFlags) host(std streams) (*control.Client, error) {
	if f.Socket != "" {
		return control.Dial(f.Socket), nil
	}
	settings, err := f.load(config.LoadUnlocked)
	if err != nil {
		return nil, tellFindings(err, std, f.JSON)
	}
	if settings.Server.Control == nil {
		return nil, fmt.Errorf(`%s has no control socket: add control { socket = "decision-gate.sock" } to its server block and restart the host, or name one with --socket`, f.Config)
	}
	return control.Dial(settings.Server.Control.Socket), nil
}

// named is the plugin of a name: KIND/NAME, or a name alone that only one has.
func named(ctx context.Context, client *control.Client, name string) (*host.PluginDetail, error) {
	all, err := client.Details(ctx)
	if err != nil {
		return nil, err
	}
	var found []host.PluginDetail
	var names []string
	for _, d := range all {
		names = append(names, d.Kind+"/"+d.Name)
		if name == d.Name || name == d.Kind+"/"+d.Name {
			found = append(found, d)
		}
	}
	switch len(found) {
	case 1:
		return &found[0], nil
	case 0:
		return nil, refused("The host has no plugin %s. It has %s.", printable(name), strings.Join(names, ", "))
	default:
		return nil, refused("More than one plugin is called %s: name it as KIND/NAME, one of %s.", printable(name), strings.Join(names, ", "))
	}
}

// declined makes an answer of the host an answer of the command.
func declined(err error) error {
	if errors.Is(err, control.ErrRefused) {
		return &exitError{code: exitNo, err: err}
	}
	return err
}
