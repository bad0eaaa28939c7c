package host

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	plugin "github.com/decision-gate-host/decision-gate-host/sdk/evidence"
)

// addProviders registers the evidence plugins, and the Go values in their place, each by its name.
func addProviders(ctx context.Context, cfg Config, plugins *catalog.Catalog, providers *evidence.Registry) error {
	for _, p := range plugins.Evidence() {
		if err := addProvider(providers, p.Name, p.Provider, p.Contract); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Evidence)) {
		contract, err := cfg.Evidence[name].Contract(ctx)
		if err != nil {
			return fmt.Errorf("evidence provider %q does not say what it can be asked: %w", name, err)
		}
		if err := addProvider(providers, name, cfg.Evidence[name], contract); err != nil {
			return err
		}
	}
	return nil
}

func addProvider(providers *evidence.Registry, name string, p plugin.Provider, raw json.RawMessage) error {
	id := gate.ProviderID(name)
	contract, err := evidence.PluginContract(id, raw)
	if err == nil {
		err = providers.Register(id, evidence.NewPlugin(p, evidence.DefaultPluginTimeout), contract)
	}
	if err != nil {
		return fmt.Errorf("plugin %q: %w", "evidence/"+name, err)
	}
	return nil
}
