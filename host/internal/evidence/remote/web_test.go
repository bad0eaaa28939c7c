package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// answering serves an HTTP provider that answers with what a function makes of the request.
func answering(t *testing.T, handle http.HandlerFunc) string {
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL
}

// answerTo is a good answer to a request.
func answerTo(r *http.Request) string {
	var q asker
	_ = json.NewDecoder(r.Body).Decode(&q)
	return result(q.ID, 7)
}

func newServer(t *testing.T, url string, change func(*ServerOptions)) *Server {
	t.Helper()
	options := ServerOptions{URL: url, UserAgent: "test", ConnectTimeout: 10 * time.Second, RequestTimeout: 20 * time.Second, Concurrent: 4}
	if change != nil {
		change(&options)
	}
	s, err := NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// TestServer asks a server and looks at what it is sent.
func TestServer(t *testing.T) {
	var seen http.Header
	url := answering(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		_, _ = io.WriteString(w, answerTo(r))
	})
	s := newServer(t, url, func(o *ServerOptions) { o.Token = "tok" })
	id := gate.CorrelationID("corr-1")
	ec := somewhere
	ec.CorrelationID = &id
	result, err := s.Query(t.Context(), anything, ec)
	number(t, result, err)
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer tok", "X-Correlation-Id": "corr-1", "User-Agent": "test", "Accept-Encoding": "",
	} {
		if got := seen.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, err := s.Query(t.Context(), anything, somewhere); err != nil || seen.Get("X-Correlation-Id") != "" {
		t.Errorf("%v, %v", err, seen)
	}
}

// TestServerTrouble is the part of mcp contract §5.1 about HTTP.
func TestServerTrouble(t *testing.T) {
	for name, test := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"teapot":         {status(418), "http request failed with status 418 I'm a teapot"},
		"too large":      {status(413), "http request failed with status 413 Payload Too Large"},
		"unheard of":     {status(599), "http request failed with status 599 <unknown status code>"},
		"unauthorized":   {status(401), "http request failed with status 401 Unauthorized"},
		"not modified":   {status(304), "http request failed with status 304 Not Modified"},
		"empty":          {status(204), "invalid json-rpc response"},
		"declared large": {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1048577") }, "http response too large"},
		"streamed large": {func(w http.ResponseWriter, _ *http.Request) {
			for sent := 0; ; sent += 4096 {
				if sent > 64*MaxAnswer {
					t.Error("a response without end is read on")
					return
				}
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}, "http response too large"},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		}, "http response read failed"},
		"header without end": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 2*maxHeaderBytes))
		}, "http request failed"},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "nonsense\r\n\r\n")
				conn.Close()
			}
		}, "http request failed"},
		"another id": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, result([]byte(`"other"`), 1)) }, "json-rpc response id mismatch"},
		"packed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0})
		}, "invalid json-rpc response"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newServer(t, answering(t, test.handle), nil).Query(t.Context(), anything, somewhere)
			wantError(t, err, test.want)
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// TestLargestResponse: a mebibyte passes, whatever the length is said to be.
func TestLargestResponse(t *testing.T) {
	url := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body := answerTo(r)
		_, _ = io.WriteString(w, body+strings.Repeat(" ", MaxAnswer-len(body)))
	})
	result, err := newServer(t, url, nil).Query(t.Context(), anything, somewhere)
	number(t, result, err)
}

// TestRedirect: a server must not choose who is asked in its place, and with which token.
func TestRedirect(t *testing.T) {
	var followed atomic.Bool
	other := answering(t, func(w http.ResponseWriter, r *http.Request) {
		followed.Store(true)
		_, _ = io.WriteString(w, answerTo(r))
	})
	for _, code := range []int{301, 302, 303, 307, 308} {
		url := answering(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, code) })
		_, err := newServer(t, url, nil).Query(t.Context(), anything, somewhere)
		wantError(t, err, fmt.Sprintf("http request failed with status %d %s", code, http.StatusText(code)))
	}
	if followed.Load() {
		t.Error("a redirect was followed")
	}
}

// TestProxy: a proxy that the environment names would see questions and tokens.
func TestProxy(t *testing.T) {
	s := newServer(t, "http://provider.example/", nil)
	if proxy := s.client.Transport.(*http.Transport).Proxy; proxy != nil {
		t.Error("there may be a proxy")
	}
}

// silent takes connections and says nothing.
func silent(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// TestTimeouts: each phase has an end.
func TestTimeouts(t *testing.T) {
	halfway := answering(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	for url, test := range map[string]struct {
		connect, request time.Duration
		want             string
	}{
		"https://" + silent(t): {50 * time.Millisecond, time.Minute, "http request timed out"}, // in the handshake of TLS
		"http://" + silent(t):  {50 * time.Millisecond, 50 * time.Millisecond, "http request timed out"},
		halfway:                {time.Second, time.Second, "http response timed out"}, // long enough for the header on a busy machine
		"http://127.0.0.1:1":   {time.Minute, time.Minute, "http request failed"},
	} {
		s := newServer(t, url, func(o *ServerOptions) { o.ConnectTimeout, o.RequestTimeout = test.connect, test.request })
		_, err := s.Query(t.Context(), anything, somewhere)
		wantError(t, err, test.want)
	}
}

// TestConcurrent: no more questions are under way than the operator allows, and a place is free again after each of them,
// also after one that timed out.
func TestConcurrent(t *testing.T) {
	var now, most atomic.Int64
	var hang atomic.Bool
	release := make(chan struct{})
	url := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		body := answerTo(r)
		if hang.Load() {
			<-release
		}
		_, _ = io.WriteString(w, body)
	})
	defer close(release)
	s := newServer(t, url, nil)
	var asked sync.WaitGroup
	for range 32 {
		asked.Go(func() {
			if _, err := s.Query(t.Context(), anything, somewhere); err != nil {
				t.Error(err)
			}
		})
	}
	asked.Wait()
	if most.Load() > 4 {
		t.Errorf("%d questions at a time", most.Load())
	}
	hang.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for range 16 {
		asked.Go(func() {
			_, err := s.Query(ctx, anything, somewhere)
			wantError(t, err, "http request timed out")
		})
	}
	asked.Wait()
	hang.Store(false)
	if _, err := s.Query(t.Context(), anything, somewhere); err != nil || len(s.places) != 0 {
		t.Errorf("after questions that hung: %v, %d places taken", err, len(s.places))
	}
}

func TestServerOptions(t *testing.T) {
	for _, options := range []ServerOptions{{Concurrent: 0}, {Concurrent: 1, ConnectTimeout: 2, RequestTimeout: 1}} {
		if _, err := NewServer(options); err == nil {
			t.Errorf("accepted: %+v", options)
		}
	}
}
