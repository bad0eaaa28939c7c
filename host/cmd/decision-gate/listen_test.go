package main

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// TestPosture says what a host tells of how far it is open.
func TestPosture(t *testing.T) {
	const tokens = "auth {\n bearer { tokens = [\"s3cret-token\"] }\n}\n"
	for name, test := range map[string]struct {
		hcl            string
		told, withheld []string
	}{
		"nothing said": {
			"",
			[]string{"transport=http auth=local tls=none", "rate_limit=none", "every process of it can call every tool"},
			[]string{"SECURITY WARNING", "WARN"},
		},
		"standard input": {
			"server {\n stdio {}\n}\n",
			[]string{"transport=stdio auth=local tls=none"}, []string{"SECURITY WARNING"},
		},
		"beyond loopback": {
			"server {\n http {\n listen = \"192.0.2.1:8080\"\n hosts = [\"*\"]\n tls {\n cert = \"c\"\n key = \"k\"\n client_ca = \"ca\"\n }\n }\n rate_limit {}\n}\n" + tokens,
			[]string{
				"level=WARN msg=\"SECURITY WARNING: Decision Gate is exposed on the network. Verify firewall rules and credentials; this exposure is intentional.\" bind=192.0.2.1:8080 auth=bearer tls=\"server, with client certificates\" audit=false rate_limit=\"1000 in 1s\"",
			},
			[]string{"every process", "s3cret-token"},
		},
		"behind a proxy": {
			"server {\n http {\n listen = \"192.0.2.1:8080\"\n hosts = [\"*\"]\n tls_upstream = true\n }\n}\n" + tokens,
			[]string{"SECURITY WARNING", "tls=upstream"}, nil,
		},
		"a proxy on this machine": {
			"server {\n http { tls_upstream = true }\n}\n", []string{"level=WARN msg=\"server.http.tls_upstream says that a proxy is in front"}, []string{"SECURITY WARNING"},
		},
		"tokens that a plugin judges": {
			"plugin \"auth\" \"x\" { command = \"y\" }\n", []string{"auth=plugin tls=none"}, []string{"every process"},
		},
		"local callers without a role": {
			"auth {\n local {}\n bearer { tokens = [\"t\"] }\n}\nschemas {\n acl { allow_local = true }\n}\n",
			[]string{"auth=local,bearer", "level=WARN msg=\"schemas.acl.allow_local is true"}, []string{"every process"},
		},
	} {
		c, err := config.Parse([]byte(test.hcl+"plugin \"store\" \"x\" { command = \"y\" }\n"), "c.hcl")
		if err != nil {
			t.Fatal(name, err)
		}
		var log bytes.Buffer
		tellPosture(c, (&serveCommand{}).logger(c, streams{err: &log}))
		for _, text := range test.told {
			if !strings.Contains(log.String(), text) {
				t.Errorf("%s: does not tell %s:\n%s", name, text, log.String())
			}
		}
		for _, text := range test.withheld {
			if strings.Contains(log.String(), text) {
				t.Errorf("%s: tells %s:\n%s", name, text, log.String())
			}
		}
	}
}

// TestListenFamily listens on all addresses of IPv4, and finds none of IPv6 among them.
func TestListenFamily(t *testing.T) {
	settings := config.Default()
	settings.Server.HTTP.Listen = "0.0.0.0:0"
	e, err := listen(settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	address, err := netip.ParseAddrPort(e.Addr().String())
	if e.Close() != nil || err != nil || !address.Addr().Is4() {
		t.Errorf("%s, %v", e.Addr(), err)
	}
	for _, both := range []string{"[::]:8080", "localhost:8080"} {
		if got := network(both); got != "tcp" {
			t.Errorf("%s is listened on by %s", both, got)
		}
	}
}

// TestLogSettings writes a line by the file's settings and by the flags, which win.
func TestLogSettings(t *testing.T) {
	warn := "warn"
	for name, test := range map[string]struct {
		log  config.Log
		flag serveCommand
		want string // how a line of the level info begins; empty when it is not written
	}{
		"text":             {config.Log{Format: "text", Level: "info"}, serveCommand{}, "time="},
		"JSON":             {config.Log{Format: "json", Level: "info"}, serveCommand{}, "{"},
		"JSON by the flag": {config.Log{Format: "text", Level: "info"}, serveCommand{JSON: true}, "{"},
		"less":             {config.Log{Format: "text", Level: "error"}, serveCommand{}, ""},
		"less by the flag": {config.Log{Format: "text", Level: "debug"}, serveCommand{LogLevel: &warn}, ""},
	} {
		settings := config.Default()
		settings.Log = test.log
		var log bytes.Buffer
		test.flag.logger(settings, streams{err: &log}).Info("x")
		if !strings.HasPrefix(log.String(), test.want) || (test.want == "") != (log.Len() == 0) {
			t.Errorf("%s: %q", name, log.String())
		}
	}
}
