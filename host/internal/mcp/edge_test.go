package mcp

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/ratelimit"
)

// limitedTo refuses a caller's requests after the first few of an hour.
func limitedTo(requests int64) func(*Config) {
	return func(c *Config) {
		c.Limiter = ratelimit.New(ratelimit.Options{MaxRequests: requests, Window: time.Hour, MaxEntries: 4})
	}
}

// anyDelay stands for the time after which to try again, which is less than the hour.
var anyDelay = regexp.MustCompile(`"retry_after_ms":3[56]\d{5}\b`)

func delayed(text string) string { return anyDelay.ReplaceAllString(text, `"retry_after_ms":N`) }

const (
	rpcLimited  = `{"jsonrpc":"2.0","id":null,"error":{"code":-32071,"message":"rate limit exceeded","data":{"kind":"rate_limited","retryable":true,"request_id":null,"retry_after_ms":N}}}`
	limitedData = `"error":{"code":-32603,"message":"rate limit exceeded","data":{"kind":"rate_limited","retryable":true,"retry_after_ms":N}}}`
)

// TestRateLimit asks too often on each surface: one count for all of them, each told in its own terms, and health never.
func TestRateLimit(t *testing.T) {
	r := newRig(t, limitedTo(2))
	const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	if response, _ := r.http(post(listTools)); response.StatusCode != 200 {
		t.Fatalf("the first: %d", response.StatusCode)
	}
	if response, body := r.standardPost(ping); response.StatusCode != 200 {
		t.Fatalf("the second: %d %s", response.StatusCode, body)
	}
	for _, body := range []string{listTools, "{", `{"jsonrpc":"2.0","id":1,"method":"nope"}`} {
		req := post(body)
		req.Header.Set(correlationHeader, "mine")
		response, answer := r.http(req)
		if response.StatusCode != 429 || delayed(answer) != rpcLimited || response.Header.Get(correlationHeader) != "mine" || response.Header.Get(serverCorrelationHeader) == "" {
			t.Errorf("%s: %d %s %v", body, response.StatusCode, answer, response.Header)
		}
	}
	if response, answer := r.standardPost(ping); response.StatusCode != 429 || delayed(answer) != `{"jsonrpc":"2.0",`+limitedData {
		t.Errorf("/mcp: %d %s", response.StatusCode, answer)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if response, _ := r.http(httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)); response.StatusCode != 200 {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	// What is told before: neither counts, and neither waits.
	bad := post(listTools)
	bad.Header.Set(correlationHeader, "not valid")
	if response, _ := r.http(bad); response.StatusCode != 400 {
		t.Errorf("a bad correlation id: %d", response.StatusCode)
	}
	if response, _ := r.http(post(strings.Repeat(" ", testMaxBody+1))); response.StatusCode != 413 {
		t.Errorf("a large body: %d", response.StatusCode)
	}
	if r.slots.taken() != 0 || r.busy.Load() != 0 {
		t.Errorf("%d slots and %d bytes are taken", r.slots.taken(), r.busy.Load())
	}
	if log := r.log.String(); !strings.Contains(log, `correlation_id=mine code=-32071 error="rate limit exceeded"`) {
		t.Errorf("the log does not name the request that was refused:\n%s", log)
	}
}

// TestRateLimitOfStdio asks too often over standard input, in frames and by the line.
func TestRateLimitOfStdio(t *testing.T) {
	answers, err := newRig(t, limitedTo(1)).frames(frameOf(listTools) + frameOf(listTools) + frameOf("{"))
	if err != nil || len(answers) != 3 || strings.Contains(answers[0], `"error":{`) || delayed(answers[1]) != rpcLimited || delayed(answers[2]) != rpcLimited {
		t.Errorf("frames: %.300q %v", answers, err)
	}
	var out safeLog
	lines := `{"jsonrpc":"2.0","id":1,"method":"ping"}` + "\n" + `{"jsonrpc":"2.0","id":2,"method":"ping"}` + "\n"
	if err := newRig(t, limitedTo(1)).ServeStdio(t.Context(), strings.NewReader(lines), &out); err != nil {
		t.Fatal(err)
	}
	// Served side by side, either may be the first.
	served, refused := 0, 0
	for line := range strings.Lines(out.String()) {
		switch {
		case strings.HasSuffix(line, `"result":{}}`+"\n"):
			served++
		case strings.HasSuffix(delayed(line), limitedData+"\n") && strings.Contains(line, `"id":`):
			refused++
		}
	}
	if served != 1 || refused != 1 {
		t.Errorf("by the line: %q", out.String())
	}
}

// TestMadeUpTokens has a flood of made-up tokens: they share the count of their address, and whoever has a real one keeps its
// own. In the contract's limiter each would have had a count, until the table was full and everybody was kept out.
func TestMadeUpTokens(t *testing.T) {
	r := newRig(t, limitedTo(3), func(c *Config) { c.Access = access.New(access.Options{Tokens: []string{"real"}}) })
	ask := func(token, peer string) int {
		req := post(listTools)
		req.RemoteAddr = peer
		req.Header.Set("Authorization", "Bearer "+token)
		response, _ := r.http(req)
		return response.StatusCode
	}
	statuses := map[int]int{}
	for i := range 100 {
		statuses[ask(strings.Repeat("x", i+1), "192.0.2.1:5000")]++
	}
	if statuses[401] != 3 || statuses[429] != 97 {
		t.Errorf("made-up tokens of one address are answered with %v", statuses)
	}
	for i := range 4 {
		want := 200
		if i == 3 {
			want = 429
		}
		if status := ask("real", "192.0.2.1:5000"); status != want {
			t.Errorf("call %d with a real token from that address: %d, want %d", i, status, want)
		}
	}
	for i := range 100 {
		ask("x", "[2001:db8:0:"+string(rune('a'+i%6))+"::1]:1")
	}
	if status := ask("real", "192.0.2.9:1"); status != 429 {
		t.Errorf("a flood has made the host forget a count: %d", status)
	}
}

// TestEventStream answers /rpc with events, but not what is refused as HTTP.
func TestEventStream(t *testing.T) {
	r := newRig(t, limitedTo(2), func(c *Config) { c.EventStream = true })
	plain := newRig(t)
	for _, test := range []struct {
		name   string
		change func(*http.Request)
		body   string
		status int
		event  bool
	}{
		{"a result", func(*http.Request) {}, listTools, 200, true},
		{"an error", func(*http.Request) {}, `{"jsonrpc":"2.0","id":"a\r\nb","method":"nope"}`, 400, true},
		{"asked too often", func(*http.Request) {}, listTools, 429, true},
		{"a bad correlation id", func(req *http.Request) { req.Header.Set(correlationHeader, "a b") }, listTools, 400, true},
		{"a large body", func(*http.Request) {}, strings.Repeat(" ", testMaxBody+1), 413, false},
		{"another content type", func(req *http.Request) { req.Header.Set("Content-Type", "text/plain") }, listTools, 415, false},
		{"another host", func(req *http.Request) { req.Host = "evil.example" }, listTools, 403, false},
	} {
		req, same := post(test.body), post(test.body)
		test.change(req)
		test.change(same)
		response, body := r.http(req)
		kind, cache := response.Header.Get("Content-Type"), response.Header.Get("Cache-Control")
		if response.StatusCode != test.status || test.event != (kind == "text/event-stream") || test.event != (cache == "no-cache") {
			t.Errorf("%s: %d %q %q", test.name, response.StatusCode, kind, cache)
		}
		if test.event && response.Header.Get("Content-Length") != "" {
			t.Errorf("%s: has a Content-Length", test.name)
		}
		if _, want := plain.http(same); test.status != 429 && body != want && body != "data: "+want+"\n\n" {
			t.Errorf("%s: %.300q", test.name, body)
		}
	}
	if response, _ := r.http(httptest.NewRequest(http.MethodGet, "http://localhost/rpc", nil)); response.StatusCode != 405 || response.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", response.StatusCode, response.Header)
	}
}

// TestAnyHost takes every name, and pages of the name that is asked: of no other, whatever they call themselves.
func TestAnyHost(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Hosts = []string{AnyHost} })
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"gate.example", "", 200},
		{"192.0.2.1:8080", "", 200},
		{"gate.example:8443", "https://gate.example:8443", 200},
		{"Gate.example", "https://gate.EXAMPLE", 200},
		{"gate.example", "http://localhost:3000", 200},
		{"gate.example", "https://evil.example", 403},
		{"gate.example:8443", "https://gate.example", 403},
		{"gate.example", "https://gate.example.evil.example", 403},
		{"gate.example", "https://gate.example@evil.example", 403},
		{"gate.example", "null", 403},
		{"gate.example", "*", 403},
		{"", "null", 403},
		{"*", "", 200},
	} {
		req := post(listTools)
		req.Host = test.host
		if test.origin != "" {
			req.Header.Set("Origin", test.origin)
		}
		if response, _ := r.http(req); response.StatusCode != test.want {
			t.Errorf("Host %q, Origin %q: %d, want %d", test.host, test.origin, response.StatusCode, test.want)
		}
	}
	// Among names it is one that no client sends.
	named := newRig(t, func(c *Config) { c.Hosts = []string{AnyHost, "gate.example"} })
	req := post(listTools)
	req.Host = "evil.example"
	if response, _ := named.http(req); response.StatusCode != 403 {
		t.Errorf("%d", response.StatusCode)
	}
}

// TestForwardedIsNotRead has a client say that it came through a proxy, and over TLS: it stays where it is.
func TestForwardedIsNotRead(t *testing.T) {
	r := newRig(t, limitedTo(1))
	for i, want := range []int{200, 429} {
		req := post(listTools)
		for name, value := range map[string]string{"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Real-Ip": "192.0.2.1", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"} {
			req.Header.Set(name, value+strings.Repeat("0", i))
		}
		if response, body := r.http(req); response.StatusCode != want {
			t.Errorf("%d: %d %s", i, response.StatusCode, body)
		}
	}
	away := post(listTools)
	away.RemoteAddr = "192.0.2.1:1"
	away.Header.Set("X-Forwarded-For", "127.0.0.1")
	away.Header.Set("Forwarded", "for=127.0.0.1")
	if response, _ := r.http(away); response.StatusCode != 401 {
		t.Errorf("a caller that claims to be local: %d", response.StatusCode)
	}
}

// TestFields sends as many header fields as may be, and one more.
func TestFields(t *testing.T) {
	r := newRig(t)
	for count, want := range map[int]int{maxFields: 200, maxFields + 1: 431} {
		req := post(listTools) // has a host and a content type
		for range count - 2 {
			req.Header.Add("X-More", "x")
		}
		response, body := r.http(req)
		if response.StatusCode != want || want == 431 && body != "" {
			t.Errorf("%d fields: %d %.100s", count, response.StatusCode, body)
		}
	}
}
