package metrics

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/catalog"
)

var line = regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+\{([a-z]+="([^"\\\n]|\\["\\n])*",?)+\} [0-9.e+-]+|[a-z_]+ [0-9]+)$`)

// TestWrite reads every line by the grammar of the format, with a name that would break out of its quotes.
func TestWrite(t *testing.T) {
	var page strings.Builder
	plugins := []catalog.Detail{{
		Status:        catalog.Status{Kind: "store", Name: "a\"b\\c\nd", State: catalog.Ready, Restarts: 3},
		ResidentBytes: 1 << 30,
	}}
	if err := Write(&page, plugins); err != nil {
		t.Fatal(err)
	}
	for _, text := range strings.Split(strings.TrimSuffix(page.String(), "\n"), "\n") {
		if !line.MatchString(text) {
			t.Errorf("no line of the format: %q", text)
		}
	}
	for _, want := range []string{
		`decision_gate_plugin_restarts_total{kind="store",plugin="a\"b\\c\nd"} 3`,
		`decision_gate_plugin_ready{kind="store",plugin="a\"b\\c\nd"} 1`,
		`decision_gate_plugin_resident_bytes{kind="store",plugin="a\"b\\c\nd"} 1.073741824e+09`,
	} {
		if !strings.Contains(page.String(), want+"\n") {
			t.Errorf("missing %s in\n%s", want, page.String())
		}
	}
}

func TestHandler(t *testing.T) {
	handler := Handler(func() []catalog.Detail { return nil })
	for url, want := range map[string]int{
		"http://127.0.0.1:9464/metrics": http.StatusOK, "http://[::1]:9464/metrics": http.StatusOK, "http://localhost/metrics": http.StatusOK,
		"http://127.0.0.1/": http.StatusNotFound, "http://127.0.0.1/metrics/x": http.StatusNotFound,
		// A page of another site, whose name was rebound.
		"http://evil.example:9464/metrics": http.StatusMisdirectedRequest, "http://127.0.0.1.evil.example/metrics": http.StatusMisdirectedRequest,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, url, nil))
		if w.Code != want {
			t.Errorf("%s: %d", url, w.Code)
		}
	}
}
