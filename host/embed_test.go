package host_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// TestEmbeddedStore opens a host on a Go value instead of a plugin, as an embedder may: no process is started, the host is
// ready, and what the store says when it fails is not for clients.
func TestEmbeddedStore(t *testing.T) {
	settings := config.Default()
	settings.Evidence.Time = &config.TimeEvidence{}
	settings.Namespace.AllowDefault, settings.Namespace.DefaultTenants = true, []uint64{1}
	settings.Plugins = []*config.Plugin{{Kind: "store", Name: "unused", Command: []string{"/nonexistent"}}}
	store := faultystore.New()
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Store: store, Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	f := &fixture{t: t, Host: h, URL: server.URL, Dir: t.TempDir()}
	if !h.Ready() || len(h.Plugins()) != 0 {
		t.Errorf("ready %v, plugins %+v", h.Ready(), h.Plugins())
	}
	defineLoop(f, "r")
	store.Counts()
	f.must("scenario_next", next("r", "t"), nil)
	if got := store.Counts(); got[faultystore.Get] != 1 || got[faultystore.Commit] != 1 {
		t.Errorf("a decision costs %v", got)
	}
	store.Around(func(context.Context, faultystore.Call, func()) error { return fault.New(fault.Full, "/var/lib/secret") })
	r := f.call("scenario_next", next("r", "t2"))
	if r.Error == nil || r.Error.Code != -32050 || !r.Error.Data.Retryable || strings.Contains(r.Error.Message, "secret") {
		t.Errorf("%+v", r.Error)
	}
	if r := f.call("runpack_export", json.RawMessage(`{"scenario_id":"loop","tenant_id":1,"namespace_id":1,"run_id":"r","generated_at":{"kind":"logical","value":1},"include_verification":false}`)); r.Error == nil {
		t.Error("an export without a runpack plugin succeeded")
	}
	for range 2 {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestOpenIsPinned opens what config.Load returns, as every embedder does, with a program that is not the pinned one.
func TestOpenIsPinned(t *testing.T) {
	path := writeConfig(t, t.TempDir(), hcl)
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	lock := &config.Lock{}
	for _, p := range settings.Plugins {
		entry := &config.Locked{Kind: p.Kind, Name: p.Name, Command: p.Command, SHA256: strings.Repeat("0a", 32), Plugin: "x", Version: "1"}
		entry.SetConfigSchema(sdk.ConfigSchema{Attributes: []sdk.Attribute{{Name: "path", Type: sdk.String}}})
		lock.Plugins = append(lock.Plugins, entry)
	}
	if err := config.WriteLock(config.LockPath(path), lock); err != nil {
		t.Fatal(err)
	}
	if settings, err = config.Load(path); err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(t.Context(), host.Config{Settings: settings, Logger: testLog(t)})
	if err == nil {
		h.Close()
		t.Fatal("a program runs that is not the pinned one")
	}
	if !strings.Contains(err.Error(), "not the pinned one") {
		t.Error(err)
	}
}

// TestOpenRefuses says what an embedder has left out.
func TestOpenRefuses(t *testing.T) {
	for want, c := range map[string]host.Config{
		"host.Config.Settings is nil": {Store: faultystore.New()},
		"no store":                    {Settings: config.Default()},
	} {
		if h, err := host.Open(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v, want an error that says %q", h, err, want)
		}
	}
}
