package host

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	plugin "github.com/decision-gate-host/decision-gate-host/sdk/evidence"
)

// checkProviders finds settings of evidence plugins that are not there: a lane or signatures that were asked for would not
// be, for the provider that was meant.
func checkProviders(cfg Config) error {
	names := slices.Sorted(maps.Keys(cfg.Evidence))
	for _, p := range cfg.Settings.Plugins {
		if p.Kind == "evidence" {
			names = append(names, p.Name)
		}
	}
	var errs []error
	for _, e := range cfg.Settings.Evidence.Plugin {
		if !slices.Contains(names, e.ID) {
			errs = append(errs, cfg.Settings.Refuse(e, "No such evidence plugin", `The block evidence "plugin" %q sets something for a plugin that is not declared. Declare it as: plugin "evidence" %q { command = ... }`, e.ID, e.ID))
		}
	}
	return config.Join(errs...)
}

// timeoutOf is the time that a provider has for an answer.
func timeoutOf(c *config.Config, name string) time.Duration {
	for _, e := range c.Evidence.Plugin {
		if e.ID == name {
			return e.Timeout
		}
	}
	return evidence.DefaultPluginTimeout
}

// addProviders registers the evidence plugins, and the Go values in their place, each by its name.
func addProviders(ctx context.Context, cfg Config, plugins *catalog.Catalog, providers *evidence.Registry) error {
	for _, p := range plugins.Evidence() {
		if err := addProvider(cfg, providers, p.Name, p.Provider, p.Contract); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Evidence)) {
		contract, err := cfg.Evidence[name].Contract(ctx)
		if err != nil {
			return fmt.Errorf("evidence provider %q does not say what it can be asked: %w", name, err)
		}
		if err := addProvider(cfg, providers, name, cfg.Evidence[name], contract); err != nil {
			return err
		}
	}
	return nil
}

func addProvider(cfg Config, providers *evidence.Registry, name string, p plugin.Provider, raw json.RawMessage) error {
	id := gate.ProviderID(name)
	contract, err := evidence.PluginContract(id, raw)
	if err == nil {
		err = providers.Register(id, evidence.NewPlugin(p, timeoutOf(cfg.Settings, name)), contract)
	}
	if err != nil {
		return fmt.Errorf("plugin %q: %w", "evidence/"+name, err)
	}
	return nil
}
