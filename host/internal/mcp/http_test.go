package mcp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// TestBrowserAttacks sends what a page in a browser of the host's machine could be made to send: by a name that was rebound
// to loopback, from another origin, or as a form that needs no permission across sites.
func TestBrowserAttacks(t *testing.T) {
	r := newRig(t)
	for _, test := range []struct {
		name, host, origin, contentType string
		want                            int
	}{
		{"plain client", "127.0.0.1:8080", "", "application/json", 200},
		{"IPv6", "[::1]:8080", "", "application/json", 200},
		{"IPv6 without a port", "[::1]", "", "application/json", 200},
		{"localhost", "LocalHost:1", "", "application/json", 200},
		{"localhost with its dot", "localhost.", "", "application/json", 200},
		{"another loopback address", "127.5.5.5", "", "application/json", 200},
		{"HTTP/1.0 without a host", "", "", "application/json", 200},
		{"own page", "127.0.0.1:8080", "http://localhost:8080", "application/json", 200},
		{"with a charset", "127.0.0.1", "", "Application/JSON; charset=utf-8", 200},
		{"a suffix of JSON", "127.0.0.1", "", "application/vnd.x+json", 200},
		{"no content type", "127.0.0.1", "", "", 200},

		{"rebound name", "evil.example", "", "application/json", 403},
		{"rebound name with a port", "evil.example:8080", "", "application/json", 403},
		{"name that begins like loopback", "127.0.0.1.evil.example", "", "application/json", 403},
		{"name that ends like localhost", "evil.localhost.example", "", "application/json", 403},
		{"subdomain of localhost", "evil.localhost", "", "application/json", 403},
		{"any address", "0.0.0.0:8080", "", "application/json", 403},
		{"address of the network", "192.168.1.5:8080", "", "application/json", 403},
		{"decimal address", "2130706433", "", "application/json", 403},
		{"short address", "127.1", "", "application/json", 403},
		{"page of another site", "127.0.0.1:8080", "https://evil.example", "application/json", 403},
		{"page of a file or a sandbox", "127.0.0.1:8080", "null", "application/json", 403},
		{"origin with credentials", "127.0.0.1:8080", "http://127.0.0.1@evil.example", "application/json", 403},
		{"origin that begins like loopback", "127.0.0.1:8080", "http://localhost.evil.example", "application/json", 403},
		{"empty origin", "127.0.0.1:8080", " ", "application/json", 403},
		{"origin without a host", "127.0.0.1:8080", "http://:80", "application/json", 403},
		{"plain text form", "127.0.0.1", "", "text/plain", 415},
		{"url-encoded form", "127.0.0.1", "", "application/x-www-form-urlencoded", 415},
		{"multipart form", "127.0.0.1", "", "multipart/form-data; boundary=application/json", 415},
		{"JSON in a parameter", "127.0.0.1", "", "text/plain; a=application/json", 415},
		{"no media type", "127.0.0.1", "", ";", 415},
		{"two in one", "127.0.0.1", "", "text/plain, application/json", 415},
	} {
		req := post(listTools)
		req.Host = test.host
		req.Header.Del("Content-Type")
		if test.contentType != "" {
			req.Header.Set("Content-Type", test.contentType)
		}
		if test.origin != "" {
			req.Header.Set("Origin", test.origin)
		}
		response, body := r.http(req)
		if response.StatusCode != test.want {
			t.Errorf("%s: %d, want %d: %.200s", test.name, response.StatusCode, test.want, body)
		}
		if a := decodeAnswer(t, []byte(body)); (a.Error == nil) != (test.want == 200) {
			t.Errorf("%s: %.200s", test.name, body)
		}
	}
	two := post(listTools)
	two.Header["Origin"] = []string{"http://localhost", "https://evil.example"}
	if response, _ := r.http(two); response.StatusCode != 403 {
		t.Errorf("a second, foreign origin: %d", response.StatusCode)
	}
	health := httptest.NewRequest(http.MethodGet, "http://evil.example/readyz", nil)
	if response, _ := r.http(health); response.StatusCode != 403 {
		t.Errorf("health by a rebound name: %d", response.StatusCode)
	}
}

// serveReal serves on a socket, with the server's own deadlines.
func (r *rig) serveReal(change func(*http.Server)) (address string) {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	server := &http.Server{Handler: r.Handler()}
	if change != nil {
		change(server)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	r.t.Cleanup(func() { server.Close(); <-done })
	return listener.Addr().String()
}

func send(t *testing.T, address, text string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	go func() { _, _ = io.WriteString(conn, text) }()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return response, string(body)
}

// TestBodyLimit sends bodies at the limit and one byte over it, with their length and without.
func TestBodyLimit(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(nil)
	header := "POST /rpc HTTP/1.1\r\nHost: " + address + "\r\nX-Correlation-Id: mine\r\n"
	for extra, want := range map[int]int{0: 200, 1: 413, testMaxBody: 413} {
		body := listTools + strings.Repeat(" ", testMaxBody-len(listTools)+extra)
		for name, text := range map[string]string{
			"with length": fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", header, len(body), body),
			"chunked":     fmt.Sprintf("%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", header, len(body), body),
		} {
			response, answer := send(t, address, text)
			if response.StatusCode != want || response.Header.Get(serverCorrelationHeader) == "" || response.Header.Get(correlationHeader) != "mine" {
				t.Errorf("%d bytes over, %s: %d %v", extra, name, response.StatusCode, response.Header)
			}
			a := decodeAnswer(t, []byte(answer))
			if want == 413 && (a.Error == nil || a.Error.Code != int(TooLarge) || a.Error.Message != "request body too large" || string(a.ID) != "null" || a.Error.Data.RequestID != nil) {
				t.Errorf("%d bytes over, %s: %s", extra, name, answer)
			}
		}
	}
}

// TestHTTP10 answers a client of HTTP/1.0, which may name no host.
func TestHTTP10(t *testing.T) {
	address := newRig(t).serveReal(nil)
	response, body := send(t, address, fmt.Sprintf("POST /rpc HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", len(listTools), listTools))
	if response.StatusCode != 200 || !strings.Contains(body, `"tools"`) {
		t.Errorf("%d %.100s", response.StatusCode, body)
	}
}

// TestInflightLimit fills all slots with calls that hang: one more is refused at once, and told to come again; health is
// answered.
func TestInflightLimit(t *testing.T) {
	r := newRig(t)
	r.startRun("s", "r")
	var hanging sync.WaitGroup
	release := make(chan struct{})
	r.store.Around(func(_ context.Context, _ faultystore.Call, do func()) error { <-release; do(); return nil })
	for range r.MaxInflight {
		hanging.Go(func() { _, _ = r.http(post(callText("scenarios_list", `{"tenant_id":1,"namespace_id":1}`))) })
	}
	waitFor(t, func() bool { return r.slots.taken() == r.MaxInflight && r.slots.waiting() == 0 })

	req := post(listTools)
	req.Header.Set(correlationHeader, "mine")
	response, body := r.http(req)
	a := decodeAnswer(t, []byte(body))
	if response.StatusCode != 503 || a.Error == nil || a.Error.Code != int(Overloaded) || a.Error.Message != "server overloaded" || !a.Error.Data.Retryable || string(a.ID) != "null" {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	if response.Header.Get(correlationHeader) != "mine" || response.Header.Get(serverCorrelationHeader) == "" {
		t.Errorf("headers %v", response.Header)
	}
	if response, _ := r.http(httptest.NewRequest(http.MethodGet, "http://localhost/healthz", nil)); response.StatusCode != 200 {
		t.Errorf("health answers %d", response.StatusCode)
	}
	bad := post(listTools)
	bad.Header.Set(correlationHeader, "not valid")
	if response, _ := r.http(bad); response.StatusCode != 400 {
		t.Errorf("an invalid correlation id is answered with %d", response.StatusCode)
	}
	close(release)
	hanging.Wait()
	waitFor(t, func() bool { return r.slots.taken() == 0 })
	if response, _ := r.http(post(listTools)); response.StatusCode != 200 {
		t.Errorf("afterwards: %d", response.StatusCode)
	}
}

// TestBusyLimit refuses a body for which there is no memory, and only that; a body of the limit alone is always served.
func TestBusyLimit(t *testing.T) {
	r := newRig(t)
	r.busy.Add(maxBusy - int64(len(listTools)))
	if response, body := r.http(post(listTools)); response.StatusCode != 200 {
		t.Errorf("with just enough left: %d %.100s", response.StatusCode, body)
	}
	response, body := r.http(post(listTools + " "))
	if a := decodeAnswer(t, []byte(body)); response.StatusCode != 503 || a.Error.Code != int(Overloaded) || !a.Error.Data.Retryable {
		t.Errorf("with too little left: %d %.100s", response.StatusCode, body)
	}
	if left := r.busy.Load(); left != maxBusy-int64(len(listTools)) {
		t.Errorf("%d bytes are counted afterwards", left)
	}
	r.busy.Store(0)
	r.MaxBody = maxBusy + 1
	if response, _ := r.http(post(listTools + strings.Repeat(" ", maxBusy+1-len(listTools)))); response.StatusCode != 200 {
		t.Errorf("one body of the limit: %d", response.StatusCode)
	}
}

// TestStalledBody has clients send half a body and wait: the server's read deadline frees their slots.
func TestStalledBody(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(func(s *http.Server) { s.ReadTimeout = 100 * time.Millisecond })
	for range r.MaxInflight {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\n{", address)
	}
	waitFor(t, func() bool { return r.slots.taken() > 0 })
	waitFor(t, func() bool { return r.slots.taken() == 0 })
}

// TestSlowCallOutlivesReadDeadline makes a call that takes longer than a client has to send one: it is not cancelled.
func TestSlowCallOutlivesReadDeadline(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(func(s *http.Server) { s.ReadTimeout = 50 * time.Millisecond })
	r.store.Around(func(ctx context.Context, _ faultystore.Call, do func()) error {
		select {
		case <-time.After(200 * time.Millisecond):
			do()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	body := callText("scenarios_list", `{"tenant_id":1,"namespace_id":1}`)
	response, answer := send(t, address, fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", address, len(body), body))
	if a := decodeAnswer(t, []byte(answer)); response.StatusCode != 200 || a.Error != nil {
		t.Errorf("%d %s", response.StatusCode, answer)
	}
}

// TestClientDoesNotRead has a client send requests and read no answer: once it has had its time, its connection is closed.
func TestClientDoesNotRead(t *testing.T) {
	r := newRig(t)
	r.answers.Timeout = 50 * time.Millisecond
	closed := make(chan struct{})
	address := r.serveReal(func(s *http.Server) {
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(closed)
			}
		}
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	go func() {
		ask := fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", address, len(listTools), listTools)
		for {
			if _, err := io.WriteString(conn, strings.Repeat(ask, 50)); err != nil {
				return
			}
		}
	}()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("a client that does not read holds its slot")
	}
	waitFor(t, func() bool { return r.slots.taken() == 0 })
}

// TestClientLeaves closes the connection in the middle of a call: the layers below are told, and the slot is free.
func TestClientLeaves(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(func(s *http.Server) { s.ReadTimeout = 10 * time.Second })
	reached, told := make(chan struct{}), make(chan struct{})
	r.store.Around(func(ctx context.Context, _ faultystore.Call, _ func()) error {
		close(reached)
		<-ctx.Done()
		close(told)
		return ctx.Err()
	})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	body := callText("scenarios_list", `{"tenant_id":1,"namespace_id":1}`)
	fmt.Fprintf(conn, "POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", address, len(body), body)
	<-reached
	conn.Close()
	select {
	case <-told:
	case <-time.After(5 * time.Second):
		t.Fatal("the call goes on for a client that is gone")
	}
	waitFor(t, func() bool { return r.slots.taken() == 0 })
}

// TestHead answers HEAD on the health routes without a body, and refuses it on /rpc.
func TestHead(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(nil)
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/rpc": 405, "/": 404} {
		response, err := http.Head("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != want || len(body) != 0 {
			t.Errorf("%s: %d with %d bytes, want %d", path, response.StatusCode, len(body), want)
		}
	}
}

// TestReadiness says what Ready says, and only on its own route.
func TestReadiness(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Ready = func() bool { return false } })
	for path, want := range map[string]string{"/readyz": `503 {"status":"not_ready"}`, "/healthz": `200 {"status":"ok"}`} {
		response, body := r.http(httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
		if got := fmt.Sprint(response.StatusCode, " ", body); got != want {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestCorrelationLabels is the table of mcp contract §2.2; the labels are for the log.
func TestCorrelationLabels(t *testing.T) {
	for raw, want := range map[string]string{
		"ok": "", "a-b_c.d~e!#$%&'*+^`|": "", "  trimmed\t": "", strings.Repeat("a", 128): "",
		"": "empty_after_trim", " \t ": "empty_after_trim", strings.Repeat("a", 129): "too_long", "a b": "contains_whitespace", "a\tb": "contains_whitespace",
		"é": "non_ascii", "\xff": "non_ascii", "a\x00b": "non_ascii", "a\nb": "non_ascii", "a\x7f": "non_ascii", strings.Repeat("é", 100): "non_ascii",
		strings.Repeat("a", 128) + " b": "too_long", "a/b": "contains_disallowed_char", `a"b`: "contains_disallowed_char", "a,b": "contains_disallowed_char", "a@b": "contains_disallowed_char",
	} {
		id, label := checkCorrelationID(raw)
		if label != want || label == "" && id != strings.TrimSpace(raw) || label != "" && id != "" {
			t.Errorf("%q: %q %q, want label %q", raw, id, label, want)
		}
	}
}

// TestServerCorrelation issues an id to each request that reaches the handler, which differ and name the process.
func TestServerCorrelation(t *testing.T) {
	r := newRig(t)
	seen := map[string]bool{}
	for range 3 {
		response, _ := r.http(post(listTools))
		id := response.Header.Get(serverCorrelationHeader)
		var boot, counter string
		if n, err := fmt.Sscanf(strings.ReplaceAll(id, "-", " "), "dg %16s %16s", &boot, &counter); n != 2 || err != nil || len(boot) != 16 || len(counter) != 16 || seen[id] {
			t.Errorf("%q", id)
		}
		seen[id] = true
	}
}

func waitFor(t *testing.T, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if met() {
			return
		}
	}
	t.Fatal("waited in vain")
}
