package config

import (
	"strings"
	"testing"
)

// TestTypos makes the mistakes that people make: each is told with its place, and how it is written instead.
func TestTypos(t *testing.T) {
	const store = "\nplugin \"store\" \"main\" {\n  command = \"store-sqlite\"\n}\n"
	for _, test := range []struct {
		text         string
		line, column int
		want         string
	}{
		{"server {\n  max_inflght = 3\n}" + store, 2, 3, `Did you mean "max_inflight"?`},
		{"server {\n  max-inflight = 3\n}" + store, 2, 3, `Did you mean "max_inflight"?`},
		{"server {\r\n  max_inflght = 3\r\n}" + store, 2, 3, `Did you mean "max_inflight"?`},
		{"\ufeffserver {\n  max_inflght = 3\n}" + store, 2, 3, `Did you mean "max_inflight"?`},
		{"Server {\n}" + store, 1, 1, `Did you mean "server"?`},
		{"servr {\n}" + store, 1, 1, `Did you mean "server"?`},
		{"evidence \"jsn\" {\n}" + store, 1, 10, `Did you mean "json"?`},
		{"evidence \"env\" {\n  allowed = []\n}" + store, 2, 3, `Did you mean "allow"?`},
		{"trust {\n  min_lane = \"verifed\"\n}" + store, 2, 14, `Did you mean "verified"?`},
		{"http { listen = \"127.0.0.1:0\" }" + store, 1, 1, "It belongs in the block server."},
		{"evidence \"env\" {\n  root_id = \"a\"\n}" + store, 2, 3, `It belongs in the block evidence "json".`},
		{"server {\n  plugin_dir = \"a\"\n}" + store, 2, 3, "It belongs at the top level."},
		{"server {\n  http = \"127.0.0.1:8080\"\n}" + store, 2, 3, `Did you mean to define a block of type "http"?`},
		{"server = {\n}" + store, 1, 1, `Did you mean to define a block of type "server"?`},
		{"plugin \"store\" \"main\" {\n  command = \"a\"\n  path = \"gate.db\"\n}", 3, 3, "Settings of the plugin's own belong in its config block."},
		{"plugin \"store\" {\n  command = \"a\"\n}", 1, 16, `Write it as in: plugin "store" "main" { ... }`},
		{"plugin {\n  command = \"a\"\n}", 1, 8, `Write it as in: plugin "store" "main" { ... }`},
		{"evidence {\n}" + store, 1, 10, `Write it as in: evidence "env" { ... }`},
		{"server {\n  http { listen = localhost }\n}" + store, 2, 19, "Text is in double quotes"},
		{"plugin_dir = \"${HOME}/plugins\"" + store, 1, 17, `a variable of the environment is read with env("NAME")`},
		{"server {\n  http { listen = '127.0.0.1:0' }\n}" + store, 2, 19, "Use double quotes"},
		{"server {\n  http { listen = \u201c127.0.0.1:0\u201d }\n}" + store, 2, 19, `"straight quote"`},
		{"server {\n  read_timeout = 30s\n}" + store, 2, 20, `durations such as "30s"`},
		{"server {\n  read_timeout = 30\n}" + store, 2, 18, `such as "250ms", "5s" or "1h"`},
		{"server {\n  read_timeout = \"30\"\n}" + store, 2, 18, `such as "250ms", "5s" or "1h"`},
		{"server {\n  max_body_bytes = \"1MB\"\n}" + store, 2, 20, "write digits, without quotes and units"},
		{"server {\n  max_body_bytes = 1_000_000\n}" + store, 2, 21, "numbers have neither units nor underscores"},
		{"server {\n  max_inflight = -3\n}" + store, 2, 18, "server.max_inflight must be 1 to 65536 requests"},
		{"server {\n  max_inflight = 3,\n}" + store, 2, 19, "must be separated by newlines, not commas"},
		{"runpack {\n  dirs = \"out\"\n}" + store, 2, 10, `write it in brackets, as in ["a", "b"]`},
		{"runpack {\n  dirs = [1]\n}" + store, 2, 10, "item 1 is wrong: this is a number."},
		{"namespace {\n  allow_default = \"yes\"\n}" + store, 2, 19, "write true or false, without quotes"},
		{"namespace {\n  default_tenants = 1\n}" + store, 2, 21, "write it in brackets, as in [1, 2]"},
		{"server {\n  http { listen = \"127.0.0.1:0\"\n}" + store, 2, 32, "closing brace"},
		{"server {\n}\nserver {\n}" + store, 3, 1, "already declared at c.hcl line 1"},
		{"[server]\nlisten = \"127.0.0.1:0\"\n", 1, 1, "neither TOML nor JSON"},
		{`{"server": {}}`, 1, 1, "neither TOML nor JSON"},
		{"server {\n  http { listen = \"\xe9\" }\n}" + store, 2, 20, "must be UTF-8"},
	} {
		_, err := Parse([]byte(test.text), "c.hcl")
		found, ok := err.(*Error)
		if !ok {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if d := found.Diagnostics[0]; d.File != "c.hcl" || d.Line != test.line || d.Column != test.column || !strings.Contains(d.Detail, test.want) {
			t.Errorf("%q: at %d:%d, %s; want %d:%d, %q", test.text, d.Line, d.Column, d.Detail, test.line, test.column, test.want)
		}
	}
}
