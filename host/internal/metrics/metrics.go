// Package metrics writes what is counted of plugins in the text format of Prometheus
// (https://prometheus.io/docs/instrumenting/exposition_formats). It says nothing of tenants, runs or settings.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

// Handler answers /metrics.
func Handler(plugins func() []catalog.Detail) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		// Attack stopped: a web page whose name is rebound to 127.0.0.1 reads the page in a browser of this machine.
		if !loopback(r.Host) {
			http.Error(w, "ask by a loopback address", http.StatusMisdirectedRequest)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = Write(w, plugins())
	})
	return mux
}

// loopback says whether a Host header names this machine alone.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// family is one metric of every plugin.
type family struct {
	name, kind, help string
	write            func(p *page, d *catalog.Detail)
}

var families = []family{
	{"decision_gate_plugin_ready", "gauge", "Whether calls to the plugin are expected to succeed.", func(p *page, d *catalog.Detail) {
		ready := 0.0
		if d.State == catalog.Ready {
			ready = 1
		}
		p.sample("", d, ready)
	}},
	{"decision_gate_plugin_restarts_total", "counter", "Processes that took the place of one that was lost.", func(p *page, d *catalog.Detail) {
		p.sample("", d, float64(d.Restarts))
	}},
	{"decision_gate_plugin_resident_bytes", "gauge", "Memory of the plugin's process.", func(p *page, d *catalog.Detail) {
		if d.ResidentBytes > 0 {
			p.sample("", d, float64(d.ResidentBytes))
		}
	}},
	{"decision_gate_plugin_errors_total", "counter", "Calls that failed, by method and reason.", func(p *page, d *catalog.Detail) {
		for _, c := range d.Calls {
			for _, reason := range slices.Sorted(maps.Keys(c.Errors)) {
				p.sample("", d, float64(c.Errors[reason]), "method", c.Method, "reason", reason)
			}
		}
	}},
	{"decision_gate_plugin_call_seconds", "histogram", "How long calls to the plugin took, by method.", func(p *page, d *catalog.Detail) {
		for _, c := range d.Calls {
			c.Buckets(func(bound time.Duration, calls uint64) {
				p.sample("_bucket", d, float64(calls), "method", c.Method, "le", number(bound.Seconds()))
			})
			p.sample("_bucket", d, float64(c.Calls), "method", c.Method, "le", "+Inf")
			p.sample("_sum", d, c.Seconds, "method", c.Method)
			p.sample("_count", d, float64(c.Calls), "method", c.Method)
		}
	}},
}

// Write writes every metric of the plugins.
func Write(w io.Writer, plugins []catalog.Detail) error {
	p := &page{Writer: bufio.NewWriter(w)}
	for _, f := range families {
		p.family = f.name
		fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, f.kind)
		for i := range plugins {
			f.write(p, &plugins[i])
		}
	}
	writeProcess(p)
	return p.Flush()
}

type page struct {
	*bufio.Writer
	family string
}

var escape = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// sample writes one line; labels are pairs of a name and a value.
func (p *page) sample(suffix string, d *catalog.Detail, value float64, labels ...string) {
	fmt.Fprintf(p, `%s%s{kind="%s",plugin="%s"`, p.family, suffix, escape.Replace(d.Kind), escape.Replace(d.Name))
	for i := 0; i+1 < len(labels); i += 2 {
		fmt.Fprintf(p, `,%s="%s"`, labels[i], escape.Replace(labels[i+1]))
	}
	fmt.Fprintf(p, "} %s\n", number(value))
}

func number(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }
