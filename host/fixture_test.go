package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// pluginDir holds the plugins that the tests run, built once.
var pluginDir string

func TestMain(m *testing.M) {
	// One for each of many clients: with the default of two, every call of a long test would take a new port of the machine.
	http.DefaultTransport.(*http.Transport).MaxIdleConnsPerHost = 64
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

// plugins builds the product's plugins, unless an earlier test has.
func plugins(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"store-sqlite", "runpack-fs"} {
		path := filepath.Join(pluginDir, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		built := launchtest.Build(t, "../plugins/"+name)
		if err := os.Rename(built, path); err != nil {
			t.Fatal(err)
		}
	}
	return pluginDir
}

// fixture is a host on real plugins, with a client.
type fixture struct {
	t    testing.TB
	Host *host.Host
	URL  string
	Dir  string // of its data
	stop func()
}

// hcl is the configuration of the recorded vectors: asserted evidence counts, and values are disclosed.
const hcl = `
server {
  http { listen = "127.0.0.1:0" }
  max_body_bytes = 16777216
}
plugin "store" "sqlite" {
  command         = "store-sqlite"
  health_interval = "200ms"
  config { path = "gate.db" }
}
plugin "runpack" "fs" {
  command         = "runpack-fs"
  health_interval = "200ms"
  config { path = "bundles" }
}
evidence "time" {}
evidence "env" { values = { DEPLOY_ENV = "production" } }
evidence "json" {
  root    = "evidence"
  root_id = "system-tests-fixtures"
}
evidence "http" { allow_private = ["127.0.0.0/8"] }
trust { min_lane = "asserted" }
disclosure {
  raw_values              = true
  require_provider_opt_in = false
}
namespace {
  allow_default   = true
  default_tenants = [1]
}
validation {
  lexicographic = true
  deep_equals   = true
}
runpack { dirs = ["exports"] }
schemas {
  acl { allow_local = true }
}
`

// writeConfig writes the configuration of a host with its data in dir, and returns its path.
func writeConfig(t testing.TB, dir, hcl string) string {
	t.Helper()
	for _, sub := range []string{"evidence", "exports", "out"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "host.hcl")
	if err := os.WriteFile(path, []byte("plugin_dir = "+quote(plugins(t))+hcl), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// open starts a host with its data in dir.
func open(t testing.TB, dir string) *fixture {
	t.Helper()
	return openWith(t, dir, hcl)
}

// openWith starts a host with another configuration.
func openWith(t testing.TB, dir, hcl string) *fixture {
	t.Helper()
	settings, err := config.Load(writeConfig(t, dir, hcl))
	if err != nil {
		t.Fatal(err)
	}
	h, err := host.Open(context.Background(), host.Config{Settings: settings, Logger: testLog(t)})
	if err != nil {
		t.Fatal(err)
	}
	return serveHost(t, h, dir)
}

// serveHost serves a host over HTTP, until the test ends.
func serveHost(t testing.TB, h *host.Host, dir string) *fixture {
	t.Helper()
	server := httptest.NewServer(h.Handler())
	f := &fixture{t: t, Host: h, URL: server.URL, Dir: dir}
	closed := false
	f.stop = func() {
		if closed {
			return
		}
		closed = true
		server.Close()
		if err := h.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	t.Cleanup(f.stop)
	return f
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// list is a list of strings in HCL, which writes it as JSON does.
func list(items []string) string {
	b, _ := json.Marshal(items)
	return string(b)
}

// testLog shows the log of a test that fails.
func testLog(t testing.TB) *slog.Logger {
	var log bytes.Buffer
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of the host:\n%s", tail(log.String(), 40))
		}
	})
	return slog.New(slog.NewTextHandler(&lockedWriter{w: &log}, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

func tail(s string, lines int) string {
	all := strings.Split(s, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// reply is the answer to one call.
type reply struct {
	Status int
	Result json.RawMessage
	Error  *rpcError
}

type rpcError struct {
	Code    int
	Message string
	Data    struct {
		Kind      string
		Retryable bool
		RequestID *string `json:"request_id"`
	}
}

// call calls a tool.
func (f *fixture) call(tool string, arguments any) reply {
	f.t.Helper()
	r, err := post(f.URL, tool, arguments)
	if err != nil {
		f.t.Fatalf("%s: %v", tool, err)
	}
	return r
}

// must calls a tool that must succeed and decodes its result.
func (f *fixture) must(tool string, arguments, result any) {
	f.t.Helper()
	r := f.call(tool, arguments)
	if r.Error != nil {
		f.t.Fatalf("%s: %+v", tool, r.Error)
	}
	if result != nil {
		if err := json.Unmarshal(r.Result, result); err != nil {
			f.t.Fatalf("%s: %v", tool, err)
		}
	}
}

func post(url, tool string, arguments any) (reply, error) {
	body, err := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": 1, "method": "tools/call",
		"params": map[string]any{"name": tool, "arguments": arguments},
	})
	if err != nil {
		return reply{}, err
	}
	response, err := http.Post(url+"/rpc", "application/json", bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, err
	}
	result, err := acceptedByClients(response.StatusCode, response.Header.Get("Content-Type"), raw)
	if err != nil {
		return reply{}, err
	}
	var envelope struct{ Error *rpcError }
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return reply{}, err
	}
	r := reply{Status: response.StatusCode, Error: envelope.Error}
	if r.Error == nil {
		r.Result, err = toolResult(result)
	}
	return r, err
}
