package config

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zclconf/go-cty/cty"
	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/sdk"
)

// settingsSchema has one of everything.
var settingsSchema = sdk.ConfigSchema{
	Attributes: []sdk.Attribute{
		{Name: "path", Type: sdk.String, Required: true, Help: "Database file."},
		{Name: "mode", Type: sdk.String, Default: `"full"`, OneOf: []string{"full", "normal"}},
		{Name: "size", Type: sdk.Integer, Minimum: "1", Maximum: "9007199254740993"},
		{Name: "ratio", Type: sdk.Number, Minimum: "0.5"},
		{Name: "strict", Type: sdk.Bool},
		{Name: "hosts", Type: sdk.StringList, OneOf: []string{"alpha", "beta"}},
		{Name: "wait", Type: sdk.Duration, Minimum: "1s", Maximum: "1h"},
		{Name: "password", Type: sdk.String, Secret: true, OneOf: []string{"correct horse"}},
	},
	Blocks: []sdk.Block{
		{Name: "object_lock", Body: sdk.ConfigSchema{Attributes: []sdk.Attribute{{Name: "retain", Type: sdk.Duration, Required: true}}}},
		{Name: "replica", Repeated: true, Body: sdk.ConfigSchema{Attributes: []sdk.Attribute{{Name: "dsn", Type: sdk.String, Secret: true}}}},
	},
}

func pluginWith(t *testing.T, body string) *Plugin {
	t.Helper()
	c, err := Parse([]byte("plugin \"store\" \"main\" {\n  command = \"x\"\n"+body+"}\n"), "c.hcl")
	if err != nil {
		t.Fatal(err)
	}
	return c.Plugins[0]
}

func TestConfigJSON(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", secret)
	const all = `config {
  path     = "data.db"
  mode     = "normal"
  size     = 9007199254740993
  ratio    = 0.75
  strict   = true
  hosts    = ["beta"]
  wait     = "90s"
  password = null
  object_lock {
    retain = "24h"
  }
  replica {
    dsn = env("CONFIG_TEST_SECRET")
  }
  replica {}
}
`
	const want = `{"hosts":["beta"],"mode":"normal","object_lock":{"retain":"24h"},"path":"data.db","ratio":0.75,` +
		`"replica":[{"dsn":"s3cret-value"},{}],"size":9007199254740993,"strict":true,"wait":"90s"}`
	for name, schema := range map[string]*sdk.ConfigSchema{"schema": &settingsSchema, "no schema": nil} {
		got, err := pluginWith(t, all).ConfigJSON(schema)
		if err != nil || string(got) != want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, got, want)
		}
	}
	if got, err := (&Plugin{Config: Body{JSON: json.RawMessage(`{"a":1}`)}}).ConfigJSON(&settingsSchema); err != nil || string(got) != `{"a":1}` {
		t.Errorf("settings from Go: %s %v", got, err)
	}
	if got, err := pluginWith(t, "").ConfigJSON(nil); err != nil || string(got) != `{}` {
		t.Errorf("no config block: %s %v", got, err)
	}
}

func TestConfigJSONDiagnostics(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", secret)
	tests := []struct {
		name, body string
		want       []string
	}{
		{"no config block", "", []string{"c.hcl line 1, column 1", `store "main" needs a config block`, `"path" is required`}},
		{"missing", "config {}\n", []string{"c.hcl line 3", `"path" is required`}},
		{"typo", "config {\n  path = \"a\"\n  mdoe = \"full\"\n}\n", []string{"c.hcl line 5, column 3", `Did you mean "mode"?`}},
		{"block typo", "config {\n  path = \"a\"\n  objectlock {}\n}\n", []string{"line 5, column 3", `Did you mean "object_lock"?`}},
		{"type", "config {\n  path = 1\n}\n", []string{"line 4, column 10", "path must be a string; this is a number.", "Database file."}},
		{"one of", "config {\n  path = \"a\"\n  mode = \"ful\"\n}\n", []string{"line 5", `must be one of full, normal; this is "ful". Did you mean "full"`}},
		{"one of a list", "config {\n  path = \"a\"\n  hosts = [\"gamma\"]\n}\n", []string{`must be one of alpha, beta`}},
		{"below", "config {\n  path = \"a\"\n  size = 0\n}\n", []string{"must be 1 to 9007199254740993"}},
		{"above", "config {\n  path = \"a\"\n  size = 9007199254740994\n}\n", []string{"must be 1 to 9007199254740993"}},
		{"fraction", "config {\n  path = \"a\"\n  size = 1.5\n}\n", []string{"a whole number; this number has a fraction"}},
		{"ratio", "config {\n  path = \"a\"\n  ratio = 0.1\n}\n", []string{"must be at least 0.5"}},
		{"huge", "config {\n  path = \"a\"\n  ratio = 1e999999\n}\n", []string{"too large"}},
		{"duration", "config {\n  path = \"a\"\n  wait = \"2h\"\n}\n", []string{"must be 1s to 1h"}},
		{"nested", "config {\n  path = \"a\"\n  object_lock {\n  }\n}\n", []string{"line 5", `"retain" is required`}},
		{"twice", "config {\n  path = \"a\"\n  object_lock {\n retain = \"1h\" \n}\n  object_lock {\n retain = \"1h\" \n}\n}\n", []string{"Duplicate block", "already declared at c.hcl line 5"}},
		{"secret", "config {\n  path = \"a\"\n  password = \"s3cret-value\"\n}\n", []string{"line 5", "must be one of", "hidden"}},
		{"secret from env", "config {\n  path = \"a\"\n  mode = env(\"CONFIG_TEST_SECRET\")\n}\n", []string{"line 5", "hidden"}},
		{"secret with an error", "config {\n  path = \"a\"\n  password = \"s3cret-value${nope}\"\n}\n", []string{"line 5", "Variables not allowed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := pluginWith(t, test.body).ConfigJSON(&settingsSchema)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the secret is shown:\n%v", err)
			}
		})
	}
	if _, err := pluginWith(t, "config {\n  dsn = \"s3cret-value${nope}\"\n}\n").ConfigJSON(nil); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("without a schema: %v", err)
	}
}

func TestLockRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), LockFile)
	if _, err := LoadLock(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a missing lock file: %v", err)
	}
	locked := &Locked{
		Kind: "store", Name: "main", Command: Command{"python3", "store.py"}, SHA256: strings.Repeat("0a", 32),
		Files: map[string]string{"store.py": strings.Repeat("1b", 32)}, Plugin: "store-mine", Version: "1.2.3",
		Protocols: []string{"decisiongate.plugin.v1"}, Capabilities: []string{"changes"},
	}
	locked.SetConfigSchema(settingsSchema)
	other := &Locked{Kind: "runpack", Name: "fs", Command: Command{"runpack-fs"}, SHA256: strings.Repeat("0c", 32), Plugin: "runpack-fs", Version: "1.0.0"}
	if err := WriteLock(path, &Lock{Plugins: []*Locked{locked, other}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/lock.golden", string(text))

	lock, err := LoadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(locked, lock.Find("store", "main"), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&settingsSchema, lock.Find("store", "main").ConfigSchema(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if lock.Find("store", "other") != nil || (*Lock)(nil).Find("store", "main") != nil {
		t.Error("found what is not there")
	}
	if err := WriteLock(path, lock); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(path); string(again) != string(text) {
		t.Errorf("written again it differs:\n%s", again)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestLoadReadsLock expects the lock file beside a configuration to be part of it: a host that runs without it runs any
// program.
func TestLoadReadsLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.hcl")
	write(t, path, `plugin "store" "a" { command = "x" }`)
	if c, err := Load(path); err != nil || c.Lock != nil {
		t.Fatalf("without a lock file: %v", err)
	}
	entry := &Locked{Kind: "store", Name: "a", Command: Command{"x"}, SHA256: strings.Repeat("0", 64), Plugin: "p", Version: "1"}
	if err := WriteLock(LockPath(path), &Lock{Plugins: []*Locked{entry}}); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(path); err != nil || c.Lock.Find("store", "a") == nil || c.Lock.Path != LockPath(path) {
		t.Fatalf("the lock file was not read: %v", err)
	}
	write(t, LockPath(path), "foo = 1")
	if _, err := Load(path); err == nil {
		t.Error("a lock file that cannot be read is left out")
	}
	if _, err := LoadUnlocked(path); err != nil {
		t.Errorf("a lock file that is to be written anew: %v", err)
	}
}

// TestLockCannotBeWritten names the lock file and its folder, not the file that is made on the way.
func TestLockCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "absent")
	err := WriteLock(filepath.Join(dir, LockFile), &Lock{})
	want := "the lock file " + filepath.Join(dir, LockFile) + " cannot be written: no such file or directory; the folder " + dir + " must exist and be writable"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestLockRefused(t *testing.T) {
	for name, text := range map[string]string{
		"sum":      `plugin "store" "a" {` + "\ncommand=[\"x\"]\nsha256=\"ab\"\nplugin=\"p\"\nversion=\"1\"\n}\n",
		"function": `plugin "store" "a" {` + "\ncommand=[env(\"HOME\")]\nsha256=\"" + strings.Repeat("0", 64) + "\"\nplugin=\"p\"\nversion=\"1\"\n}\n",
		"unknown":  "foo = 1\n",
	} {
		path := filepath.Join(t.TempDir(), LockFile)
		write(t, path, text)
		if _, err := LoadLock(path); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestLockText writes any text that a plugin may put into its manifest and reads it back: a help text with "${" or a
// quote must not become syntax.
func TestLockText(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.OneOf(rapid.SampledFrom([]rune("\"${}%\\\n\r\t#\x00")), rapid.Rune())).Draw(t, "text")
		text = cty.NormalizeString(text) // all text of HCL is in NFC
		locked := &Locked{Kind: "store", Name: "a", Command: Command{"x", text}, SHA256: strings.Repeat("0", 64), Plugin: "p", Version: "1"}
		locked.SetConfigSchema(sdk.ConfigSchema{Attributes: []sdk.Attribute{{Name: text, Type: sdk.String, Help: text}}})
		path := filepath.Join(dir, LockFile)
		if err := WriteLock(path, &Lock{Plugins: []*Locked{locked}}); err != nil {
			t.Fatal(err)
		}
		lock, err := LoadLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]*Locked{locked}, lock.Plugins, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}
