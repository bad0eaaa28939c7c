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
