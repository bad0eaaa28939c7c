package host

import (
	"context"
	"net/http"
	"reflect"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
	"github.com/decision-gate-host/decision-gate-host/host/internal/control"
	"github.com/decision-gate-host/decision-gate-host/host/internal/metrics"
)

// Reloaded is what a reload did: the plugins with whether each was replaced, and the blocks of the configuration that have
// changed and wait for a restart.
type Reloaded = control.Reloaded

// PluginDetail is everything that is known of one plugin, its calls, its memory and its last log lines among it.
type PluginDetail = catalog.Detail

// PluginCalls is what was counted of one method of a plugin.
type PluginCalls = catalog.Calls

// Reload lets new processes take the place of those plugins whose block, settings, pin or program has changed. Until all of
// the new ones are ready the old ones serve, and when anything is wrong with the settings or with any of them, they go on
// doing so and the error says why. No call fails for a reload. Settings of other blocks stay as they were when the host was
// opened; the answer names them. What was in Config beside the settings stays as well.
func (h *Host) Reload(ctx context.Context, settings *config.Config) (*Reloaded, error) {
	cfg := h.opened
	cfg.Settings = settings
	if settings == nil {
		return nil, errNoSettings
	}
	if err := check(cfg); err != nil {
		return nil, err
	}
	swapped, err := h.catalog.Reload(ctx, catalogOptions(cfg))
	if err != nil {
		return nil, err
	}
	return &Reloaded{Plugins: swapped, Restart: otherBlocks(h.opened.Settings, settings)}, nil
}

// otherBlocks names what differs of two configurations beside the plugins.
func otherBlocks(before, after *config.Config) []string {
	names := []string{}
	a, b := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	for i := range a.NumField() {
		field := a.Type().Field(i)
		name := field.Tag.Get("block") + field.Tag.Get("hcl")
		if name == "" || name == "plugin" || name == "plugin_dir" || name == "plugin_signatures" {
			continue
		}
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

// Control serves the operator of the machine: the state, the calls and the logs of plugins, restarts and reloads, as
// "decision-gate plugin list" and its neighbours ask for them. Serve it where nobody else can reach it. reload is called for
// a reload, to read the configuration and call Reload.
func (h *Host) Control(reload func(context.Context) (*Reloaded, error)) http.Handler {
	return control.Handler(&controlled{h, reload})
}

// Metrics answers GET /metrics with what is counted of the plugins, as text for Prometheus. It tells nothing of tenants and
// runs; still, serve it on loopback or behind a proxy that asks who is there.
func (h *Host) Metrics() http.Handler { return metrics.Handler(h.catalog.Details) }

// controlled is a host as the control sees it.
type controlled struct {
	host   *Host
	reload func(context.Context) (*Reloaded, error)
}

func (c *controlled) Details() []catalog.Detail { return c.host.catalog.Details() }

func (c *controlled) Restart(ctx context.Context, kind, name string) (catalog.Swapped, error) {
	return c.host.catalog.Restart(ctx, kind, name)
}

func (c *controlled) Reload(ctx context.Context) (*control.Reloaded, error) { return c.reload(ctx) }
