package host_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// stubPage is what another server answers, pad is blanks after the body, length what it says its length is.
type stubPage struct {
	Status      int
	Headers     map[string]string
	Body        string
	Delay       float64 // seconds
	Pad, Length int
}

// stubServer answers with the pages of a recording. What it is asked must be a question in the form of mcp contract §5.1.
func stubServer(t *testing.T, pages map[string]stubPage, fill func(string) string) string {
	mux := http.NewServeMux()
	for path, page := range pages {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			// The http provider gets pages, too.
			if problem := notAQuestion(r); r.Method != http.MethodGet && problem != "" {
				t.Errorf("%s was asked wrong: %s", path, problem)
			}
			select {
			case <-time.After(time.Duration(page.Delay * float64(time.Second))):
			case <-r.Context().Done():
				return
			}
			for name, value := range page.Headers {
				w.Header().Set(name, value)
			}
			if page.Length > 0 {
				w.Header().Set("Content-Length", fmt.Sprint(page.Length))
			}
			w.WriteHeader(page.Status)
			_, _ = w.Write([]byte(fill(page.Body) + strings.Repeat(" ", page.Pad)))
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func notAQuestion(r *http.Request) string {
	var q struct {
		JSONRPC string
		ID      json.RawMessage
		Method  string
		Params  struct {
			Name      string
			Arguments struct {
				Query   map[string]any
				Context map[string]any
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return err.Error()
	}
	args := q.Params.Arguments
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || q.JSONRPC != "2.0" || len(q.ID) == 0 ||
		q.Method != "tools/call" || q.Params.Name != "evidence_query" || args.Query["provider_id"] == nil || args.Context["trigger_time"] == nil {
		return fmt.Sprintf("%s %v %+v", r.Method, r.Header, q)
	}
	return ""
}
