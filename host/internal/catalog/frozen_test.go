package catalog

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// frozen builds a plugin with the SDK of version 1.0 of the protocol.
func frozen(t *testing.T, kind string) *config.Plugin {
	t.Helper()
	path := filepath.Join(t.TempDir(), "frozen-"+kind)
	build := exec.Command("go", "build", "-o", path, "./frozen/"+kind)
	build.Dir = "testdata/sdk-v1.0"
	// A workspace would put the SDK of today in the place of the frozen one.
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	p := testPlugin(kind, nil)
	p.Command = config.Command{path}
	return p
}

// TestFrozenPlugins drives what a vendor built and shipped when the protocol was frozen.
func TestFrozenPlugins(t *testing.T) {
	keeper, provider := frozen(t, "store"), frozen(t, "evidence")
	keeper.Config = config.Body{JSON: []byte(`{"greeting":"hello"}`)}
	c, log := open(t, keeper, provider)
	commit := store.Commit{ID: [16]byte{1}, Ops: []store.Op{{Kind: store.OpPut, Key: key("n"), Body: []byte("kept")}}}
	if _, err := c.Store().Commit(t.Context(), []store.Commit{commit}); err != nil {
		t.Fatal(err)
	}
	records, err := c.Store().Get(t.Context(), []store.Key{key("n")})
	if err != nil || string(records[0].Body) != "kept" {
		t.Errorf("got %+v, %v", records, err)
	}
	scanned := 0
	if err := c.Store().Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 2}, func(store.Record) error { scanned++; return nil }); err != nil || scanned != 1 {
		t.Errorf("scanned %d: %v", scanned, err)
	}
	if answer, err := query(t, c.Evidence()[0].Provider, "who", 5*time.Second); err != nil || answer != `"frozen"` {
		t.Errorf("got %q, %v", answer, err)
	}
	wantContains(t, log.String(), "built for version 1.0 of the protocol")
	if _, err := c.Restart(t.Context(), "evidence", "main"); err != nil {
		t.Error(err)
	}
}

// TestMinors is which minor versions a host supports: its own, the one before it, and what is newer.
func TestMinors(t *testing.T) {
	for _, tt := range []struct {
		host, plugin uint32
		tooOld       bool
	}{{0, 0, false}, {1, 0, false}, {1, 1, false}, {1, 2, false}, {2, 0, true}, {2, 1, false}, {9, 7, true}, {9, 8, false}} {
		if got := tooOld(tt.host, tt.plugin); got != tt.tooOld {
			t.Errorf("host 1.%d, plugin 1.%d: %v", tt.host, tt.plugin, got)
		}
	}
}
