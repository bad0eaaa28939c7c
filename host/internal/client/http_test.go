package client_test

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/client"
)

const good = `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"json","json":{"n":1.50,"text":"é"}},{"type":"text","text":"more"}]}}`

// server answers each request with the same.
func server(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

func says(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func dial(t *testing.T, settings client.HTTP) *client.Client {
	t.Helper()
	c, err := client.Dial(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

type noArguments struct{}

func call(t *testing.T, c *client.Client, effect client.Effect) (string, error) {
	t.Helper()
	v, err := c.Call(t.Context(), "providers_list", noArguments{}, effect)
	return string(canonical.AppendValue(nil, v, canonical.Declared)), err
}

func TestCall(t *testing.T) {
	var got *http.Request
	var body []byte
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, good)
	})
	for path, want := range map[string]string{"": "/rpc", "/": "/rpc", "/rpc": "/rpc", "/gate": "/gate/rpc", "/gate/rpc/": "/gate/rpc/"} {
		c := dial(t, client.HTTP{Server: url + path, Token: "t0k", Agent: "me/1"})
		result, err := call(t, c, client.Once)
		if err != nil || result != `{"n":1.5,"text":"é"}` {
			t.Errorf("%q: %s, %v", path, result, err)
		}
		if got.URL.Path != want || got.Header.Get("Authorization") != "Bearer t0k" || got.UserAgent() != "me/1" || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%q: asked %s with %v", path, got.URL, got.Header)
		}
		if want := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"providers_list","arguments":{}}}`; string(body) != want {
			t.Errorf("sent %s", body)
		}
	}
}

// Whatever a server answers, it is an error or the result: never a panic, never the result of something else.
func TestHostileAnswers(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for name, c := range map[string]struct {
		status     int
		kind, body string
		want       string // of the error
	}{
		"as an event":         {200, "text/event-stream", "data: " + good + "\n\n", ""},
		"as an event of many": {200, "text/event-stream; charset=utf-8", ": hello\r\nevent: x\r\ndata:" + good + "\r\n\r\ndata: other\r\n\r\n", ""},
		"refused":             {200, "application/json", `{"jsonrpc":"2.0","id":1,"error":{"code":-32004,"message":"no","data":{"kind":"not_found","retryable":false,"request_id":"1"}}}`, "the host refuses: no (not_found)"},
		"refused unread":      {401, "application/json", `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"unauthenticated","data":null}}`, "the host refuses: unauthenticated"},
		"no event":            {200, "text/event-stream", "event: x\n\n", "no JSON"},
		"a web page":          {502, "text/html", "<h1>Bad gateway</h1>", `answers HTTP 502 and no JSON: "<h1>Bad gateway</h1>"; is it a Decision Gate host?`},
		"not found":           {404, "", "", `answers HTTP 404 and no JSON: ""`},
		"empty":               {200, "application/json", "", "no JSON"},
		"not an object":       {200, "application/json", "[]", "no JSON-RPC"},
		"deep":                {200, "application/json", `{"jsonrpc":"2.0","id":1,"result":` + deep, "no JSON"},
		"not UTF-8":           {200, "application/json", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":\"\xff\"}", "no JSON"},
		"another version":     {200, "application/json", `{"jsonrpc":"1.0","id":1,"result":{}}`, "no JSON-RPC 2.0"},
		"another id":          {200, "application/json", strings.Replace(good, `"id":1`, `"id":2`, 1), "the answer to another request"},
		"the id as text":      {200, "application/json", strings.Replace(good, `"id":1`, `"id":"1"`, 1), "the answer to another request"},
		"an error to another": {200, "application/json", `{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}`, "the answer to another request"},
		"both":                {200, "application/json", strings.Replace(good, `"result"`, `"error":{"code":1,"message":"x"},"result"`, 1), "the host refuses: x"},
		"neither":             {200, "application/json", `{"jsonrpc":"2.0","id":1}`, "neither a result nor an error"},
		"a result that fails": {500, "application/json", good, "answers HTTP 500 and neither a result nor an error"},
		"no content":          {200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{"content":[]}}`, "content is empty"},
		"no list":             {200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{"content":{}}}`, "no result of a tool"},
		"text":                {200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","json":1}]}}`, `content[0] is not of type "json"`},
		"no json":             {200, "application/json", `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"json"}]}}`, `content[0] is not of type "json"`},
		"an error of no form": {200, "application/json", `{"jsonrpc":"2.0","id":1,"error":"no"}`, "an error that is none of JSON-RPC"},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := call(t, dial(t, client.HTTP{Server: server(t, says(c.status, c.kind, c.body))}), client.Once)
			switch {
			case c.want == "" && (err != nil || result != `{"n":1.5,"text":"é"}`):
				t.Errorf("got %s, %v", result, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %s, %v, want %s", result, err, c.want)
			case err != nil && len(err.Error()) > 1000:
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
		})
	}
}

// Attack: an answer without end, or one that unpacks to more than is read.
func TestLargeAnswer(t *testing.T) {
	var written atomic.Int64
	endless := server(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<16))
		for written.Load() < 20*client.MaxAnswer {
			n, err := w.Write(chunk)
			if written.Add(int64(n)); err != nil {
				return
			}
		}
	})
	if _, err := call(t, dial(t, client.HTTP{Server: endless}), client.Once); err == nil || !strings.Contains(err.Error(), "larger than 16777216 bytes") {
		t.Errorf("got %v", err)
	}
	// What the kernel holds on the way is written as well.
	if n := written.Load(); n > 4*client.MaxAnswer {
		t.Errorf("%d bytes were taken", n)
	}
	packed := server(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("the client asks for packed answers")
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, good)
		_ = z.Close()
	})
	if _, err := call(t, dial(t, client.HTTP{Server: packed}), client.Once); err == nil || !strings.Contains(err.Error(), "no JSON") {
		t.Errorf("got %v", err)
	}
}

// Attack: a redirect that takes the token to another server.
func TestNoRedirect(t *testing.T) {
	other := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") })
	for _, status := range []int{301, 302, 303, 307, 308} {
		url := server(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other+"/rpc", status) })
		_, err := call(t, dial(t, client.HTTP{Server: url, Token: "t0k"}), client.Idempotent)
		if err == nil || !strings.Contains(err.Error(), "redirects to") || strings.Contains(err.Error(), "t0k") {
			t.Errorf("%d: got %v", status, err)
		}
	}
}

// Attack: a proxy that the environment names sees the calls.
func TestNoProxy(t *testing.T) {
	proxy := server(t, func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy)
	}
	// No name that could be reached: the proxy would be asked for it.
	c := dial(t, client.HTTP{Server: "http://gate.invalid"})
	if _, err := call(t, c, client.Once); err == nil {
		t.Error("a host that is not there answers")
	}
}

func TestSettings(t *testing.T) {
	for server, want := range map[string]string{
		"gate.example":                "begins with http:// or https://",
		"ftp://gate.example":          "begins with http:// or https://",
		"http://":                     "begins with http:// or https://",
		"http://gate.example/%zz":     "no address of a server",
		"https://ana:secret@gate":     "holds a password",
		"https://ana:secret%zz@gate":  "write it like",
		"https//ana:secret@gate":      "begins with http:// or https://",
		"http://gate.example?secret":  "nothing follows its path",
		"http://gate.example?x=1":     "nothing follows its path",
		"http://gate.example/rpc#top": "nothing follows its path",
	} {
		_, err := client.Dial(client.HTTP{Server: server})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %s", server, err, want)
		}
	}
	// Attack: whoever listens on the way reads the token.
	for server, clear := range map[string]bool{
		"http://127.0.0.1:1": true, "http://localhost:1": true, "http://[::1]:1": true, "http://[::ffff:127.0.0.1]:1": true, "https://gate.example": true,
		"http://gate.example": false, "http://10.0.0.1": false, "http://localhost.gate.example": false, "http://127.0.0.1.gate.example": false,
	} {
		if _, err := client.Dial(client.HTTP{Server: server, Token: "t0k"}); (err == nil) != clear {
			t.Errorf("%s: %v", server, err)
		}
		if _, err := client.Dial(client.HTTP{Server: server, Token: "t0k", ClearToken: true}); err != nil {
			t.Errorf("%s: %v", server, err)
		}
	}
	if _, err := client.Dial(client.HTTP{Server: "https://gate.example", CA: []byte("nothing")}); err == nil {
		t.Error("a file without certificates is taken")
	}
	if _, err := client.Dial(client.HTTP{Server: "http://gate.example", CA: []byte("nothing")}); err == nil || !strings.Contains(err.Error(), "are for https") {
		t.Errorf("certificates over http: %v", err)
	}
}

// The server's certificate must come from the authority that is named, and the client presents its own.
func TestTLS(t *testing.T) {
	var presented int
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		presented = len(r.TLS.PeerCertificates)
		_, _ = io.WriteString(w, good)
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	own := &s.TLS.Certificates[0]
	if _, err := call(t, dial(t, client.HTTP{Server: s.URL, CA: authority, Certificate: own}), client.Once); err != nil || presented != 1 {
		t.Errorf("%v, %d certificates", err, presented)
	}
	if _, err := call(t, dial(t, client.HTTP{Server: s.URL, Certificate: own}), client.Once); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server of an unknown authority: %v", err)
	}
	if _, err := call(t, dial(t, client.HTTP{Server: s.URL, CA: authority}), client.Once); err == nil {
		t.Error("no certificate was presented, and none missed")
	}
}

const busy = `{"jsonrpc":"2.0","id":%d,"error":{"code":-32071,"message":"rate limit exceeded","data":{"kind":"rate_limited","retryable":true,"request_id":null,"retry_after_ms":1}}}`

func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name   string
		effect client.Effect
		busy   int64
		body   string
		calls  int64
		ok     bool
	}{
		{"until it answers", client.Idempotent, 1, busy, 2, true},
		{"not what would happen twice", client.Once, 1, busy, 1, false},
		{"not what will not change", client.Idempotent, 1, strings.Replace(busy, "true", "false", 1), 1, false},
		{"not after too long", client.Idempotent, 1, strings.Replace(busy, `"retry_after_ms":1`, `"retry_after_ms":18446744073709551615`, 1), 1, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			url := server(t, func(w http.ResponseWriter, _ *http.Request) {
				n := calls.Add(1)
				if n <= c.busy {
					w.WriteHeader(http.StatusTooManyRequests)
					fmt.Fprintf(w, c.body, n)
					return
				}
				_, _ = io.WriteString(w, strings.Replace(good, `"id":1`, fmt.Sprintf(`"id":%d`, n), 1))
			})
			_, err := call(t, dial(t, client.HTTP{Server: url}), c.effect)
			if (err == nil) != c.ok || calls.Load() != c.calls {
				t.Errorf("%d calls, %v", calls.Load(), err)
			}
		})
	}
}

// The tries are few, and none begins that the time left does not hold.
func TestRetriesEnd(t *testing.T) {
	var calls atomic.Int64
	url := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, busy, calls.Add(1))
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := dial(t, client.HTTP{Server: url}).Call(ctx, "providers_list", noArguments{}, client.Idempotent)
	var refusal *client.Refusal
	if !errors.As(err, &refusal) || calls.Load() != 1 || !strings.Contains(err.Error(), "try again in 1ms") {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
	_, err = call(t, dial(t, client.HTTP{Server: server(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, busy, calls.Add(1)-1)
	})}), client.Idempotent)
	if !errors.As(err, &refusal) || calls.Load() != 5 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
}

func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	url := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	for name, c := range map[string]struct {
		context func() (context.Context, context.CancelFunc)
		want    string
	}{
		"late": {func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 50*time.Millisecond)
		}, "has not answered in time"},
		"interrupted": {func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		}, "context canceled"},
	} {
		ctx, cancel := c.context()
		defer cancel()
		_, err := dial(t, client.HTTP{Server: url}).Call(ctx, "providers_list", noArguments{}, client.Idempotent)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	if _, err := call(t, dial(t, client.HTTP{Server: gone.URL}), client.Idempotent); err == nil || !strings.Contains(err.Error(), "there is no host at") {
		t.Errorf("got %v", err)
	}
}

func TestRefusal(t *testing.T) {
	url := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Server-Correlation-Id", "dg-1-2")
		_, _ = io.WriteString(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32050,"message":"broken","data":{"kind":"internal","retryable":false,"request_id":"1"}}}`)
	})
	_, err := call(t, dial(t, client.HTTP{Server: url}), client.Once)
	var refusal *client.Refusal
	if !errors.As(err, &refusal) || refusal.Code != -32050 || refusal.Kind != "internal" {
		t.Fatalf("got %#v", err)
	}
	if want := "the host refuses: broken (internal; in the host's log under dg-1-2)"; err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}
