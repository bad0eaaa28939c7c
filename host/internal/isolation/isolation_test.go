package isolation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var (
	operations = flag.Int("operations", 2000, "random calls of a trial")
	clients    = flag.Int("clients", 4, "clients of each tenant")
	seed       = flag.Uint64("seed", 1, "seed of the calls")
)

// pluginDir holds the plugins that the tests run, built once.
var pluginDir string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "dg-plugins-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		pluginDir = dir
		return m.Run()
	}())
}

// plugin builds a plugin, unless an earlier test has.
func plugin(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join(pluginDir, name)
	if _, err := os.Stat(path); err == nil {
		return
	}
	if err := os.Rename(launchtest.Build(t, "../../../plugins/"+name), path); err != nil {
		t.Fatal(err)
	}
}

func sqlite(t *testing.T, folder string) *config.Config {
	t.Helper()
	plugin(t, "store-sqlite")
	plugin(t, "runpack-fs")
	settings, err := Temporary(folder, pluginDir)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func try(t *testing.T, o Options) *Report {
	t.Helper()
	o.Operations, o.Clients, o.Seed = *operations, *clients, *seed
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls in %.0f s, scope checks: %t", report.Operations, report.Seconds, report.ScopeChecks)
	for _, line := range report.Tools {
		t.Logf("%-26s rpc %5d mcp %5d %v", line.Tool, line.RPC, line.MCP, line.Outcomes)
	}
	return report
}

func good(t *testing.T, r *Report) {
	t.Helper()
	for _, m := range r.Missing {
		t.Error(m)
	}
	for _, f := range r.Findings {
		t.Errorf("%s: %s %s, %s\n%.1500s\n%.1500s\n%.1500s\n%.1500s", f.What, f.Surface, f.Tool, f.Aim, f.Request, f.Response, f.OtherRequest, f.OtherResponse)
	}
}

// postgres starts a server with functions of a variant, and answers the configuration of a host on it.
func postgres(t *testing.T, folder, variant string) *config.Config {
	t.Helper()
	plugin(t, "store-postgres")
	plugin(t, "runpack-fs")
	cmd := exec.Command(launchtest.Build(t, "../../../plugins/store-postgres/internal/pgserver"))
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewReader(output)
	dsn, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("the database server: %v", err)
	}
	if variant != "" {
		fmt.Fprintln(input, "vary", variant)
		if told, err := lines.ReadString('\n'); told != "ready\n" {
			t.Fatalf("the database server: %s, %v", told, err)
		}
	}
	settings, err := config.Parse(fmt.Appendf(nil, `plugin_dir = %q
plugin "store" "postgres" {
  command = "store-postgres"
  config { dsn = %q }
}
plugin "runpack" "fs" {
  command = "runpack-fs"
  config { path = %q }
}
`, pluginDir, strings.TrimSpace(dsn), folder), "postgres.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// TestPostgres: the same on PostgreSQL. Without the host's checks of scope it is row-level security that holds.
func TestPostgres(t *testing.T) {
	folder := t.TempDir()
	good(t, try(t, Options{Settings: postgres(t, folder, ""), Folder: folder}))
}

// leaky is a store that takes one tenant's record for another's, where its own has none.
type leaky struct {
	store.Store
	gets, scans bool
	// fails: it fails for ids that another tenant alone has, and tells nothing else of them.
	fails bool

	mu     sync.Mutex
	places map[string]store.Key // by what is left of a key without its tenant
}

func tenantless(k store.Key) string {
	k.Tenant = 0
	return string(store.AppendKey(nil, k))
}

func (l *leaky) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	l.mu.Lock()
	for _, c := range commits {
		for _, op := range c.Ops {
			l.places[tenantless(op.Key)] = op.Key
		}
	}
	l.mu.Unlock()
	return l.Store.Commit(ctx, commits)
}

func (l *leaky) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	records, err := l.Store.Get(ctx, keys)
	for i := range records {
		l.mu.Lock()
		other, known := l.places[tenantless(keys[i])]
		l.mu.Unlock()
		if l.fails && known && other.Tenant != keys[i].Tenant && keys[i].Tenant != 0 && bytes.HasPrefix(keys[i].Path[0], []byte("only-")) {
			return nil, fault.New(fault.Corrupt, "damaged")
		}
		if l.gets && known && records[i].Version == 0 {
			if found, err := l.Store.Get(ctx, []store.Key{other}); err == nil {
				records[i] = found[0]
				records[i].Key = keys[i]
			}
		}
	}
	return records, err
}

func (l *leaky) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	if err := l.Store.Scan(ctx, scan, yield); err != nil || !l.scans {
		return err
	}
	l.mu.Lock()
	tenants := map[uint64]bool{}
	for _, k := range l.places {
		tenants[k.Tenant] = k.Tenant != scan.Tenant
	}
	l.mu.Unlock()
	for tenant, other := range tenants {
		if scan.Tenant = tenant; other && tenant != 0 {
			if err := l.Store.Scan(ctx, scan, yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyOne is a store that has no tenants.
type onlyOne struct{ store.Store }

func (o *onlyOne) Commit(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
	for _, c := range commits {
		for i := range c.Ops {
			c.Ops[i].Key.Tenant = 1
		}
	}
	return o.Store.Commit(ctx, commits)
}

func (o *onlyOne) Get(ctx context.Context, keys []store.Key) ([]store.Record, error) {
	for i := range keys {
		keys[i].Tenant = 1
	}
	return o.Store.Get(ctx, keys)
}

func (o *onlyOne) Scan(ctx context.Context, scan store.Scan, yield func(store.Record) error) error {
	scan.Tenant = 1
	return o.Store.Scan(ctx, scan, yield)
}

// TestNoTenants: that one tenant's ids are taken by the other is found out as well.
func TestNoTenants(t *testing.T) {
	folder := t.TempDir()
	r := try(t, Options{Settings: sqlite(t, folder), Folder: folder, Store: &onlyOne{faultystore.New()}})
	if len(r.Findings) == 0 || r.Findings[0].What != refusedOwn {
		t.Errorf("found is %+v", r.Findings)
	}
}

// TestLeakyStore: a host that mixes up tenants is found out, with its own checks of scope or without.
func TestLeakyStore(t *testing.T) {
	for name, l := range map[string]*leaky{"gets": {gets: true}, "scans": {scans: true}, "fails": {fails: true}} {
		t.Run(name, func(t *testing.T) {
			l.Store, l.places = faultystore.New(), map[string]store.Key{}
			folder := t.TempDir()
			r := try(t, Options{Settings: sqlite(t, folder), Folder: folder, Store: l})
			if len(r.Findings) == 0 {
				t.Error("nothing was found")
			}
			for _, f := range r.Findings {
				if l.fails && f.OtherRequest == "" {
					t.Errorf("found is %+v", f)
				}
				if f.Request == "" || f.Response == "" || f.Tool == "" {
					t.Errorf("a finding that does not say what was asked and answered: %+v", f)
				}
			}
		})
	}
}

// TestWatch finds a secret in every form that it may be told in, and nothing in what is like it.
func TestWatch(t *testing.T) {
	const secret = "canaryABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefghijklmn"
	var w watch
	w.add(secret)
	w.addHash("0123456789abcdef0123456789abcdef")
	numbers := strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(secret)), "[]"), " ", ",")
	escaped := ""
	for _, c := range secret {
		escaped += fmt.Sprintf(`\u%04x`, c)
	}
	for name, text := range map[string]string{
		"as it is": secret, "in a text": `{"a":"` + secret + `"}`, "in lower case": strings.ToLower(secret), "in upper case": strings.ToUpper(secret),
		"half of it": secret[:len(secret)/2], "the other half": secret[len(secret)/2:], "in two members": `{"` + secret[:28] + `":{"` + secret[28:] + `":1}}`,
		"character by character": strings.Join(strings.Split(secret, ""), `","`), "escaped as JSON": escaped, "escaped as URL": strings.ReplaceAll(url.QueryEscape(secret), "A", "%41"),
		"hexadecimal": hex.EncodeToString([]byte(secret)), "hexadecimal in groups": fmt.Sprintf("% X", secret), "numbers": "[" + numbers + "]",
		"base64": base64.StdEncoding.EncodeToString([]byte("{" + secret)), "base64, moved": base64.RawURLEncoding.EncodeToString([]byte("{}" + secret + "x")), "base64, moved again": base64.StdEncoding.EncodeToString([]byte("{}}" + secret)),
		"hash": `"value":"0123456789ABCDEF0123456789abcdef"`,
	} {
		if _, form := w.find([]byte(text)); form == "" {
			t.Errorf("%s: not found in %s", name, text)
		}
	}
	for _, text := range []string{"", "canary", strings.Repeat("x", 1000), "canaryABCDEFGHIJKLMNOPQRS", strings.ToUpper(numbers[:60]), `\u`, `\u00`, "%", "%4", "=", hex.EncodeToString([]byte("canary"))} {
		if _, form := w.find([]byte(text)); form != "" {
			t.Errorf("%q holds the secret as %s", text, form)
		}
	}
}
