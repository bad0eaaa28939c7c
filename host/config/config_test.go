package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "write the golden files anew")

const secret = "s3cret-value"

// TestDiagnostics loads every wrong file of testdata and compares the text with the file beside it.
func TestDiagnostics(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", secret)
	files, err := filepath.Glob("testdata/*.hcl")
	if err != nil || len(files) < 20 {
		t.Fatalf("testdata has %d files: %v", len(files), err)
	}
	for _, path := range files {
		if path == "testdata/full.hcl" {
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".hcl"), func(t *testing.T) {
			_, err := Load(path)
			if err == nil {
				t.Fatal("the file was accepted")
			}
			golden(t, strings.TrimSuffix(path, ".hcl")+".txt", err.Error()+"\n")
			if strings.Contains(err.Error(), secret) {
				t.Error("the text shows a value that came from env()")
			}
		})
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update writes it anew):\n%s", path, diff)
	}
}

func TestDiagnosticsAsJSON(t *testing.T) {
	_, err := Load("testdata/attribute-typo.hcl")
	var out bytes.Buffer
	if err := err.(*Error).WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{{
		"file": "testdata/attribute-typo.hcl", "line": 2.0, "column": 3.0, "severity": "error",
		"summary": "Unsupported argument",
		"detail":  `An argument named "max_inflght" is not expected here. Did you mean "max_inflight"?`,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoad(t *testing.T) {
	got, err := Load("testdata/full.hcl")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Path = "testdata/full.hcl"
	want.Server.HTTP.Listen = "localhost:0"
	want.Server.MaxInflight = 8
	want.Server.DrainTimeout = 3 * time.Second
	want.PluginDir = "testdata/plugins"
	want.Plugins = []*Plugin{
		{
			Kind: "store", Name: "main", Command: Command{"python3", "store.py"}, Env: []string{"HTTPS_PROXY"},
			SHA256:       "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
			StartTimeout: 10 * time.Second, HealthInterval: time.Second, Dir: "testdata",
		},
		{Kind: "runpack", Name: "fs", Command: Command{"runpack-fs"}, StartTimeout: 10 * time.Second, HealthInterval: 5 * time.Second, Dir: "testdata"},
	}
	want.Evidence.Time = &TimeEvidence{}
	want.Evidence.Env = &EnvEvidence{Allow: []string{}, MaxValueBytes: 65536, MaxKeyBytes: 3, Values: map[string]string{"NAME": "value"}}
	want.Evidence.JSON = &JSONEvidence{EvidencePolicy: EvidencePolicy{MinLane: "asserted"}, Root: "testdata/files", RootID: "files", MaxBytes: 1048576, AllowYAML: true}
	want.Evidence.HTTP = &HTTPEvidence{
		EvidencePolicy: EvidencePolicy{AllowRaw: true}, Timeout: 5 * time.Second, MaxResponseBytes: 1048576,
		UserAgent: "decision-gate/0.1", AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	want.Disclosure.RawValues = true
	want.Namespace = Namespace{AllowDefault: true, DefaultTenants: []uint64{1, 18446744073709551615}}
	want.Validation.DeepEquals = true
	want.Anchors = []*AnchorPolicy{{Provider: "json", Type: "file_path_rooted", RequiredFields: []string{"path"}}}
	want.Runpack.Dirs = []string{"testdata/out"}
	want.Tools.Deny = []string{"scenario_define"}
	want.Discovery.Deny = []string{"env"}
	want.Docs.Resources, want.Docs.ExtraPaths, want.Docs.MaxSections = false, []string{"testdata/guides"}, 5
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(Body{}, origin{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("a loaded configuration is not valid: %v", err)
	}
}

// TestDefaults compares the documented defaults with the contract's and with our own decisions.
func TestDefaults(t *testing.T) {
	got, err := Parse([]byte(`plugin "store" "x" { command = "y" }`), "c.hcl")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path: "c.hcl",
		Server: Server{
			HTTP: &HTTP{Listen: "127.0.0.1:8080", RPCFormat: "json"}, MaxBodyBytes: 1 << 20, MaxInflight: 256, MaxEvidenceMemory: 256 << 20, MaxConnections: 1024, ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, DrainTimeout: 10 * time.Second,
		},
		Plugins:    []*Plugin{{Kind: "store", Name: "x", Command: Command{"y"}, StartTimeout: 10 * time.Second, HealthInterval: 5 * time.Second, Dir: "."}},
		Auth:       Auth{Tenants: "any"},
		Trust:      Trust{MinLane: "verified"},
		Disclosure: Disclosure{RequireProviderOptIn: true},
		Validation: Validation{Strict: true, Profile: "strict_core_v1"},
		Runpack:    Runpack{MaxArtifactBytes: 4 << 30},
		Schemas:    Schemas{MaxSchemaBytes: 1 << 20, ACL: SchemaACL{Mode: "builtin", Default: "deny", Signing: "none"}},
		Feedback:   Feedback{Default: "summary", LocalDefault: "trace", Max: "trace"},
		Tools:      Tools{List: "callable"},
		Discovery:  Discovery{MaxResponseBytes: 1 << 20},
		Docs:       Docs{Search: true, Resources: true, Own: true, MaxDocBytes: 1 << 18, MaxTotalBytes: 1 << 20, MaxDocs: 32, MaxSections: 10},
		Log:        Log{Format: "text", Level: "info"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(Body{}, origin{})); diff != "" {
		t.Error(diff)
	}
}

func TestListen(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:0": true, "127.9.9.9:65535": true, "[::1]:80": true, "localhost:80": true, "[::ffff:127.0.0.1]:80": true,
		"": false, ":80": false, "0.0.0.0:80": false, "[::]:80": false, "10.0.0.1:80": false, "127.0.0.1": false,
		"127.0.0.1:65536": false, "127.0.0.1:http": false, "localhost.:80": false, "0x7f.1:80": false, "[fe80::1%lo]:1": false,
		"[::ffff:10.0.0.1]:80": false,
	} {
		c := Default()
		c.Plugins = []*Plugin{{Kind: "store", Name: "a", Command: Command{"x"}, StartTimeout: time.Second, HealthInterval: time.Second}}
		c.Server.HTTP.Listen = listen
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("listen = %q: %v", listen, err)
		}
	}
}

func TestStdioAlone(t *testing.T) {
	got, err := Parse([]byte("server {\n  stdio {}\n}\n"+`plugin "store" "x" { command = "y" }`), "c.hcl")
	if err != nil {
		t.Fatal(err)
	}
	if got.Server.HTTP != nil || got.Server.Stdio == nil {
		t.Errorf("stdio alone also listens: %+v", got.Server)
	}
}

func TestEnvAndFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "agent"), "agent/1\r\n")
	write(t, filepath.Join(dir, "big"), strings.Repeat("x", maxFileValue+1))
	t.Setenv("CONFIG_TEST_N", "17")
	t.Setenv("CONFIG_TEST_B", "true")
	const store = "\n" + `plugin "store" "x" { command = "y" }`
	load := func(text string) (*Config, error) {
		write(t, filepath.Join(dir, "c.hcl"), text+store)
		return Load(filepath.Join(dir, "c.hcl"))
	}
	c, err := load(`
server { max_inflight = env("CONFIG_TEST_N") }
evidence "http" {
  user_agent = file("agent")
  allow_http = env("CONFIG_TEST_B")
  timeout    = env("CONFIG_TEST_NONE", "7s")
}`)
	if err != nil {
		t.Fatal(err)
	}
	if h := c.Evidence.HTTP; c.Server.MaxInflight != 17 || h.UserAgent != "agent/1" || !h.AllowHTTP || h.Timeout != 7*time.Second {
		t.Errorf("got %+v %+v", c.Server, h)
	}
	for _, text := range []string{`plugin_dir = file("big")`, `plugin_dir = file(".")`, `plugin_dir = file("/dev/zero")`, `plugin_dir = env("A", "b", "c")`} {
		if _, err := load(text); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestNoValueInText prints a configuration in every way that a log may.
func TestNoValueInText(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", secret)
	c, err := Parse([]byte(`evidence "env" { values = { A = env("CONFIG_TEST_SECRET") } }
plugin "store" "x" {
  command = "y"
  config { dsn = env("CONFIG_TEST_SECRET") }
}`), "c.hcl")
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{c, *c, c.Plugins[0].Config} {
			if text := fmt.Sprintf(format, v); strings.Contains(text, secret) {
				t.Errorf("%s shows the secret: %s", format, text)
			}
		}
	}
}

// TestTooDeep gives files that would exhaust the parser's stack.
func TestTooDeep(t *testing.T) {
	for _, unit := range []string{"(", "[", "{", "!", "-", "a?", `"${`, "a{\n"} {
		text := strings.Repeat(unit, 100_000)
		if unit != "a{\n" {
			text = "x = " + text
		}
		if _, err := Parse([]byte(text), "c.hcl"); err == nil || !strings.Contains(err.Error(), "Nested too deep") {
			t.Errorf("100000 times %q: %.200v", unit, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.hcl")
	write(t, path, strings.Repeat("#\n", maxFileBytes/2+1))
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
}

// TestReference holds every setting to its documentation: a type, a help text, and bounds where there is a number.
func TestReference(t *testing.T) {
	rows := Reference()
	if len(rows) < 60 {
		t.Fatalf("only %d rows", len(rows))
	}
	for _, r := range rows {
		bounded := r.Type != "whole number" && r.Type != "duration" || r.Bounds != ""
		if r.Help == "" || !strings.HasSuffix(r.Help, ".") || (r.Name != "" && r.Type == "") || !bounded {
			t.Errorf("incomplete: %+v", r)
		}
	}
	want := Row{Block: `plugin "KIND" "NAME"`, Name: "start_timeout", Type: "duration", Default: "10s", Bounds: "100ms to 5m", Help: "Time to start and shake hands."}
	for _, r := range rows {
		if reflect.DeepEqual(r, want) {
			return
		}
	}
	t.Errorf("%+v is missing in %+v", want, rows)
}

func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.hcl")
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, err := Parse(src, "testdata/fuzz.hcl")
		if err != nil {
			_ = err.Error()
			return
		}
		if err := c.Validate(); err != nil {
			t.Errorf("loaded but not valid: %v", err)
		}
		for _, p := range c.Plugins {
			if text, err := p.ConfigJSON(nil); err == nil && !json.Valid(text) {
				t.Errorf("settings are no JSON: %s", text)
			}
		}
	})
}
