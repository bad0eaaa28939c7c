package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// assetServer is an authority that knows some namespaces.
type assetServer struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string // path, token and correlation id
}

func newAssetServer(t *testing.T) *assetServer {
	s := &assetServer{}
	statuses := map[string]int{"1": 200, "5": 200, "6": 404, "7": 403, "8": 302, "9": 500}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("X-Correlation-Id"))
		s.mu.Unlock()
		id := strings.TrimPrefix(r.URL.Path, "/assets/v1/write/namespaces/")
		if statuses[id] == http.StatusFound {
			http.Redirect(w, r, "/assets/v1/write/namespaces/5", http.StatusFound)
			return
		}
		w.WriteHeader(statuses[id])
	}))
	t.Cleanup(s.Close)
	return s
}

// questions are what was asked since it was called last.
func (s *assetServer) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// TestNamespaceAuthority decides in namespaces that a server must know; whatever it answers but yes is a no.
func TestNamespaceAuthority(t *testing.T) {
	assets := newAssetServer(t)
	const place = "namespace {\n  allow_default   = true\n"
	f := openWith(t, t.TempDir(), strings.Replace(hcl, place, place+`  authority {
    url        = "`+assets.URL+`/assets/"
    allow_http = true
    token      = "t0ken"
  }
`, 1))
	// call lists the scenarios of a namespace under a correlation id.
	call := func(tenant, namespace int, correlation string) (int, string) {
		t.Helper()
		body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scenarios_list","arguments":{"tenant_id":%d,"namespace_id":%d}}}`, tenant, namespace)
		request, _ := http.NewRequest(http.MethodPost, f.URL+"/rpc", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		if correlation != "" {
			request.Header.Set("X-Correlation-Id", correlation)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode, response.Header.Get("X-Server-Correlation-Id")
	}
	for _, test := range []struct {
		name              string
		tenant, namespace int
		status            int
		asked             bool
	}{
		{"known", 1, 5, 200, true},
		{"known to the authority, and the default one", 1, 1, 200, true},
		{"the default one, of a tenant that may not", 2, 1, 403, false},
		{"not found", 1, 6, 403, true},
		{"forbidden", 1, 7, 403, true},
		{"a redirect to one that is known", 1, 8, 403, true},
		{"a failure", 1, 9, 403, true},
	} {
		status, id := call(test.tenant, test.namespace, "")
		if status != test.status {
			t.Errorf("%s: status %d, want %d", test.name, status, test.status)
		}
		want := []string{}
		if test.asked {
			want = append(want, fmt.Sprintf("/assets/v1/write/namespaces/%d Bearer t0ken %s", test.namespace, id))
		}
		if got := assets.questions(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: asked were %q, want %q", test.name, got, want)
		}
	}
	_, _ = call(1, 5, "build-77")
	if got := assets.questions(); len(got) != 1 || !strings.HasSuffix(got[0], " build-77") {
		t.Errorf("with a correlation id of the client, asked were %q", got)
	}
	// Nothing is kept: each call asks.
	_, _ = call(1, 5, "")
	_, _ = call(1, 5, "")
	if got := assets.questions(); len(got) != 2 {
		t.Errorf("two calls ask %q", got)
	}

	defineLoop(f, "r")
	var exported struct {
		Manifest struct{ Security json.RawMessage }
	}
	f.must("runpack_export", json.RawMessage(`{"scenario_id":"loop","tenant_id":1,"namespace_id":1,"run_id":"r","generated_at":{"kind":"logical","value":1},"include_verification":false}`), &exported)
	if got := string(exported.Manifest.Security); got != `{"dev_permissive":false,"namespace_authority":"assetcore_catalog"}` {
		t.Errorf("runpacks say %s", got)
	}

	assets.Close()
	if status, _ := call(1, 5, ""); status != http.StatusForbidden {
		t.Errorf("without its authority the host answers %d", status)
	}
}
