package config

import (
	"strings"
	"testing"
)

// TestListeners loads listeners that are reached from other machines, and those that are not.
func TestListeners(t *testing.T) {
	const (
		bearer  = "\nauth {\n bearer { tokens = [\"t\"] }\n}\n"
		mtls    = "\nauth {\n mtls { subjects = [\"CN=a\"] }\n}\n"
		local   = "\nauth {\n local {}\n bearer { tokens = [\"t\"] }\n}\n"
		subject = "\nauth {\n mtls {\n subjects = [\"CN=a\"]\n client_subject_header { from = \"loopback\" }\n }\n}\n"
		files   = "tls {\n cert = \"c\"\n key = \"k\"\n}\n"
		ca      = "tls {\n cert = \"c\"\n key = \"k\"\n client_ca = \"ca\"\n}\n"
		plugin  = "\nplugin \"auth\" \"a\" { command = \"a\" }\n"
		names   = "hosts = [\"gate.example.com\", \"2001:db8::1\"]\n"
		proxy   = "tls_upstream = true\n"
	)
	for name, test := range map[string]struct {
		listen, http, rest string
		refused            string // a part of the text; empty when it is good
	}{
		"loopback":                         {"127.0.0.1:0", "", "", ""},
		"loopback by name":                 {"localhost:0", "", "", ""},
		"loopback in IPv6":                 {"[::1]:0", "", "", ""},
		"another address of loopback":      {"127.3.2.1:0", "", "", ""},
		"loopback in IPv6 form":            {"[::ffff:127.0.0.1]:0", "", "", ""},
		"loopback with TLS":                {"127.0.0.1:0", files, "", ""},
		"loopback with certificates":       {"127.0.0.1:0", ca, mtls, ""},
		"tokens and TLS":                   {"0.0.0.0:0", names + files, bearer, ""},
		"tokens and a proxy":               {"[::]:0", names + proxy, bearer, ""},
		"a plugin and TLS":                 {"0.0.0.0:0", names + files, plugin, ""},
		"a plugin, and local callers":      {"0.0.0.0:0", names + proxy, plugin + "auth {\n local {}\n}\n", "Remove local"},
		"any name for a plugin":            {"127.0.0.1:0", "hosts = [\"*\"]\n", plugin, ""},
		"any name":                         {"0.0.0.0:0", "hosts = [\"*\"]\n" + files, bearer, ""},
		"certificates":                     {"192.0.2.1:0", names + ca, mtls, ""},
		"a proxy that names clients":       {"192.0.2.1:0", names + proxy, subject, ""},
		"nobody asked who calls":           {"0.0.0.0:0", names + files, "", "Without auth"},
		"local callers only":               {"0.0.0.0:0", names + files, "\nauth {\n local {}\n}\n", "Without auth"},
		"clear text":                       {"0.0.0.0:0", names, bearer, "clear text"},
		"no names":                         {"0.0.0.0:0", files, bearer, "Set hosts"},
		"certificates without TLS":         {"0.0.0.0:0", names + proxy, mtls, "sees none of them"},
		"certificates without a CA":        {"0.0.0.0:0", names + files, mtls, "needs client_ca"},
		"local callers behind a proxy":     {"0.0.0.0:0", names + proxy, local, "Remove local"},
		"any name beside local callers":    {"127.0.0.1:0", "hosts = [\"*\"]\n", "", "Any name beside local callers"},
		"any name beside both":             {"127.0.0.1:0", "hosts = [\"*\"]\n", local, "Any name beside local callers"},
		"any name with TLS":                {"127.0.0.1:0", "hosts = [\"*\"]\n" + files, local, ""},
		"any name for tokens":              {"127.0.0.1:0", "hosts = [\"*\"]\n", bearer, ""},
		"a proxy beside local callers":     {"127.0.0.1:0", "", strings.Replace(subject, "mtls", "local {}\n mtls", 1), "Proxy beside local callers"},
		"a named proxy":                    {"127.0.0.1:0", ca, strings.NewReplacer("mtls", "local {}\n mtls", "loopback", "CN=proxy").Replace(subject), ""},
		"no port":                          {"127.0.0.1", "", "", "Not a listen address"},
		"a port that is none":              {"127.0.0.1:65536", "", "", "Not a listen address"},
		"every address by omission":        {":8080", "", "", "Not a listen address"},
		"a name that is not loopback":      {"gate.example.com:80", "", "", "Not a listen address"},
		"names with a port":                {"127.0.0.1:0", "hosts = [\"gate.example.com:443\"]\n", "", "Wrong host"},
		"an empty name":                    {"127.0.0.1:0", "hosts = [\"\"]\n", "", "Wrong host"},
		"a pattern":                        {"127.0.0.1:0", "hosts = [\"*.example.com\"]\n", "", "Wrong host"},
		"another format":                   {"127.0.0.1:0", "rpc_format = \"ndjson\"\n", "", "Unknown value"},
		"TLS without a key":                {"127.0.0.1:0", "tls { cert = \"c\" }\n", "", `"key" is required`},
		"window too short":                 {"127.0.0.1:0", "}\nrate_limit {\n window = \"99ms\"\n", "", "rate_limit.window must be"},
		"window too long":                  {"127.0.0.1:0", "}\nrate_limit {\n window = \"61s\"\n", "", "rate_limit.window must be"},
		"no requests":                      {"127.0.0.1:0", "}\nrate_limit {\n max_requests = 0\n", "", "rate_limit.max_requests must be"},
		"too many callers":                 {"127.0.0.1:0", "}\nrate_limit {\n max_entries = 65537\n", "", "rate_limit.max_entries must be"},
		"the widest limit of the contract": {"127.0.0.1:0", "}\nrate_limit {\n max_requests = 100000\n window = \"1m\"\n max_entries = 65536\n", "", ""},
	} {
		text := "server {\n http {\n listen = \"" + test.listen + "\"\n" + test.http + "}\n}\n" + test.rest + "\nplugin \"store\" \"x\" { command = \"y\" }\n"
		c, err := Parse([]byte(text), "c.hcl")
		switch {
		case test.refused == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.refused == "" && c.Validate() != nil:
			t.Errorf("%s: valid in a file, not in Go: %v", name, c.Validate())
		case test.refused != "" && (err == nil || !strings.Contains(err.Error(), test.refused)):
			t.Errorf("%s: %v", name, err)
		}
	}
}
