package sdk

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

var testSchema = ConfigSchema{
	Attributes: []Attribute{
		{Name: "path", Type: String, Required: true},
		{Name: "mode", Type: String, Default: `"safe"`, OneOf: []string{"safe", "fast"}},
		{Name: "size", Type: Integer, Default: "10", Minimum: "1", Maximum: "9223372036854775807"},
		{Name: "share", Type: Number, Minimum: "0", Maximum: "1"},
		{Name: "wait", Type: Duration, Default: `"5s"`, Minimum: "1ms", Maximum: "1h"},
		{Name: "on", Type: Bool},
		{Name: "tags", Type: StringList, OneOf: []string{"a", "b"}},
		{Name: "password", Type: String, Secret: true, OneOf: []string{"x"}},
	},
	Blocks: []Block{
		{Name: "lock", Body: ConfigSchema{Attributes: []Attribute{{Name: "keep", Type: Duration, Default: `"24h"`}}}},
		{Name: "rule", Repeated: true, Body: ConfigSchema{Attributes: []Attribute{{Name: "name", Type: String, Required: true}}}},
	},
}

func TestConfigApply(t *testing.T) {
	const defaults = `"mode":"safe","path":"p","size":10,"wait":"5s"`
	for config, want := range map[string]string{
		`{"path":"p"}`:                `{` + defaults + `}`,
		` {"path":"p", "mode":null} `: `{` + defaults + `}`,
		`{"path":"","mode":"fast","size":9223372036854775807,"wait":"1h","share":0.5,"on":true,"tags":["a","b"]}`: `{"mode":"fast","on":true,"path":"","share":0.5,"size":9223372036854775807,"tags":["a","b"],"wait":"1h"}`,
		`{"path":"p","share":1e0,"tags":[]}`: `{"mode":"safe","path":"p","share":1e0,"size":10,"tags":[],"wait":"5s"}`,
		`{"path":"p","lock":{}}`:             `{"lock":{"keep":"24h"},` + defaults + `}`,
		`{"path":"p","rule":[{"name":"a"}]}`: `{"mode":"safe","path":"p","rule":[{"name":"a"}],"size":10,"wait":"5s"}`,
	} {
		got, err := testSchema.Apply(json.RawMessage(config))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s, %v; want %s", config, got, err, want)
		}
	}
}

// Each refusal names the attribute, and never its value.
func TestConfigApplyRefuses(t *testing.T) {
	for config, want := range map[string]string{
		``:                               "config path: the attribute is required",
		`null`:                           "config body: want an object",
		`[]`:                             "config body: want an object",
		`{"path":"p"} x`:                 "config body: want an object",
		`{"path":"p","pth":1}`:           "config pth: the plugin has no such attribute",
		`{"path":7}`:                     "config path: want a string",
		`{"path":"p","mode":"reckless"}`: `config mode: want one of ["safe" "fast"]`,
		`{"path":"p","size":"10"}`:       "config size: want an integer",
		`{"path":"p","size":1.5}`:        "config size: want an integer",
		`{"path":"p","size":0}`:          "config size: want at least 1",
		`{"path":"p","size":9223372036854775808}`: "config size: want an integer",
		`{"path":"p","share":1.0001}`:             "config share: want at most 1",
		`{"path":"p","share":1e999999999}`:        "config share: want a number",
		`{"path":"p","share":"0.5"}`:              "config share: want a number",
		`{"path":"p","wait":5}`:                   "config wait: want a duration",
		`{"path":"p","wait":"soon"}`:              "config wait: want a duration",
		`{"path":"p","wait":"2h"}`:                "config wait: want at most 1h",
		`{"path":"p","on":"true"}`:                "config on: want true or false",
		`{"path":"p","tags":"a"}`:                 "config tags: want a list of strings",
		`{"path":"p","tags":["a","c"]}`:           "config tags: want one of",
		`{"path":"p","password":"hunter2"}`:       "config password: want one of",
		`{"path":"p","lock":[]}`:                  "config lock: want an object",
		`{"path":"p","lock":{"kep":1}}`:           "config lock.kep: the plugin has no such attribute",
		`{"path":"p","rule":{}}`:                  "config rule: want a list of objects",
		`{"path":"p","rule":[{"name":"a"},{}]}`:   "config rule[1].name: the attribute is required",
	} {
		got, err := testSchema.Apply(json.RawMessage(config))
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %s, %v; want %q", config, got, err, want)
		}
	}
	required := ConfigSchema{Blocks: []Block{{Name: "one", Required: true}, {Name: "many", Required: true, Repeated: true}}}
	for config, want := range map[string]string{
		`{"many":[{}]}`:        "config one: the block is required",
		`{"one":{}}`:           "config many: the block is required",
		`{"one":{},"many":[]}`: "config many: the block is required",
	} {
		if _, err := required.Apply(json.RawMessage(config)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

// What the host sends must not crash the plugin, and what Apply gives out it also takes.
func FuzzConfigApply(f *testing.F) {
	f.Add([]byte(`{"path":"p","size":1,"share":0.1,"wait":"1s","tags":["a"],"lock":{},"rule":[{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		once, err := testSchema.Apply(config)
		if err != nil {
			return
		}
		twice, err := testSchema.Apply(once)
		if err != nil || string(once) != string(twice) {
			t.Errorf("%s became %s and then %s, %v", config, once, twice, err)
		}
	})
}

func TestPluginCheck(t *testing.T) {
	attribute := func(a Attribute) ConfigSchema { return ConfigSchema{Attributes: []Attribute{a}} }
	for name, schema := range map[string]ConfigSchema{
		"no name":          attribute(Attribute{Type: String}),
		"no type":          attribute(Attribute{Name: "a"}),
		"bad default":      attribute(Attribute{Name: "a", Type: Integer, Default: `"x"`}),
		"default too big":  attribute(Attribute{Name: "a", Type: Integer, Default: "2", Maximum: "1"}),
		"bad bound":        attribute(Attribute{Name: "a", Type: Duration, Default: `"1s"`, Maximum: "1"}),
		"required default": attribute(Attribute{Name: "a", Type: Bool, Default: "true", Required: true}),
		"twice":            {Attributes: []Attribute{{Name: "a", Type: Bool}}, Blocks: []Block{{Name: "a"}}},
		"in a block":       {Blocks: []Block{{Name: "b", Body: attribute(Attribute{Name: "a"})}}},
	} {
		if err := schema.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := testSchema.check(); err != nil {
		t.Error(err)
	}
	if err := (Plugin{Name: "n", Version: "1"}).check(); err == nil {
		t.Error("a plugin of no kind was accepted")
	}
}
