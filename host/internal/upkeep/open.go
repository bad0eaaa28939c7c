// Package upkeep tends stores: it copies them, backs them up and restores them, verifies them and says what takes the space.
// It knows a store by the five calls of its protocol alone, so it works on every store plugin, and beside hosts that serve.
package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Store is the store plugin of a configuration, running without a host.
type Store struct {
	store.Store
	// Plugin is the name that the configuration gives the plugin.
	Plugin string
	// Runpacks is the runpack plugin, nil unless it was opened, too, and is declared.
	Runpacks runpack.Sink
	plugins  *catalog.Catalog
}

// closeTimeout is what the plugin has to end; no call is in flight then.
const closeTimeout = 5 * time.Second

// Open starts the store plugin of a configuration, and nothing else that it declares. Findings in the configuration are a
// *config.Error. The caller closes the store.
func Open(ctx context.Context, settings *config.Config, logger *slog.Logger) (*Store, error) {
	return open(ctx, settings, logger, "store")
}

// OpenWithRunpacks is Open, and starts the runpack plugin beside the store.
func OpenWithRunpacks(ctx context.Context, settings *config.Config, logger *slog.Logger) (*Store, error) {
	return open(ctx, settings, logger, "store", "runpack")
}

func open(ctx context.Context, settings *config.Config, logger *slog.Logger, kinds ...string) (*Store, error) {
	options := catalog.From(settings)
	options.Plugins, options.Logger = nil, logger
	name := ""
	for _, p := range settings.Plugins {
		if !slices.Contains(kinds, p.Kind) {
			continue
		}
		options.Plugins = append(options.Plugins, p)
		if p.Kind == "store" {
			name = p.Name
		}
	}
	if name == "" {
		return nil, errors.New(`no store: declare a plugin "store" block`)
	}
	plugins, err := catalog.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	return &Store{plugins.Store(), name, plugins.Runpack(), plugins}, nil
}

// Close ends the plugin.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	return s.plugins.Close(ctx)
}
