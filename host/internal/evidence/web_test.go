package evidence

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func httpOptions() HTTPOptions {
	return HTTPOptions{AllowHTTP: true, Timeout: 5 * time.Second, MaxResponseBytes: 1000, UserAgent: DefaultUserAgent, AllowPrivate: loopback}
}

// askHTTP is the value of a check as JSON and the anchor, or the error.
func askHTTP(t *testing.T, p *httpProvider, check, url string) (value, anchor string) {
	t.Helper()
	params := canonical.NewObject([]canonical.Member{{Name: "url", Value: canonical.NewString(url)}})
	result, err := p.Query(t.Context(), gate.EvidenceQuery{ProviderID: "http", CheckID: check, Params: &params}, gate.EvidenceContext{})
	if err != nil {
		return err.Error(), ""
	}
	if result.EvidenceRef.URI != result.EvidenceAnchor.AnchorValue || result.EvidenceAnchor.AnchorType != "url" || *result.ContentType != "application/json" {
		t.Errorf("%+v", result)
	}
	return string(canonical.AppendValue(nil, result.Value.JSON, canonical.Declared)), result.EvidenceAnchor.AnchorValue
}

func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func TestHTTPStatusAndBody(t *testing.T) {
	body := strings.Repeat("x", 1000)
	followed := atomic.Int32{}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			if r.Method != http.MethodGet || r.Header.Get("User-Agent") != DefaultUserAgent || r.Header.Get("Accept-Encoding") != "" {
				t.Errorf("%s %v", r.Method, r.Header)
			}
			w.Write([]byte(body))
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
			w.Write([]byte("no"))
		case "/away":
			http.Redirect(w, r, "/followed", http.StatusFound)
		case "/followed":
			followed.Add(1)
		case "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write([]byte(body))
			z.Close()
		case "/long":
			w.Write([]byte(body + "x"))
		case "/stream":
			for range 1001 {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
			}
		case "/short":
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("x"))
		case "/header":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeaderBytes))
		}
	})
	p := newHTTPProvider(httpOptions())
	hash := func(s string) string {
		return `{"algorithm":"sha256","value":"` + canonical.HashBytes([]byte(s)).Value + `"}`
	}
	for _, c := range []struct{ check, path, want string }{
		{"status", "/ok", "200"},
		{"status", "/missing", "404"},
		{"status", "/away", "302"},
		{"status", "/long", "200"},
		{"body_hash", "/ok", hash(body)},
		{"body_hash", "/missing", hash("no")},
		{"body_hash", "/long", "http response exceeds size limit"},
		{"body_hash", "/stream", "http response exceeds size limit"},
		{"body_hash", "/short", "http response truncated"},
		{"status", "/header", "http request failed"},
		{"nope", "/ok", "unsupported http check"},
	} {
		if got, _ := askHTTP(t, p, c.check, server.URL+c.path); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.check, c.path, got, c.want)
		}
	}
	if followed.Load() != 0 {
		t.Errorf("followed %d redirects", followed.Load())
	}
	// A proxy cannot be seen at work here: Go never uses one for loopback.
	if p.client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy would connect in the place of the guard")
	}
	// The hash is of the bytes that were sent, not of what they unpack to.
	if got, _ := askHTTP(t, p, "body_hash", server.URL+"/gzip"); got == hash(body) || !strings.HasPrefix(got, `{"algorithm"`) {
		t.Errorf("gzip: %s", got)
	}
}

func TestHTTPAnchorsAreNormalised(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); r.URL.Path == "/auth" && (!ok || user != "us er" || password != "pw") {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	port := strings.TrimPrefix(server.URL, "http://127.0.0.1")
	p := newHTTPProvider(httpOptions())
	for _, c := range []struct{ url, anchor string }{
		{"HTTP://127.0.0.1" + port, server.URL + "/"},
		{" http://2130706433" + port + "/a/./b/../c\n", server.URL + "/a/c"},
		{"http:\\\\0x7f.1" + port + "\\x", server.URL + "/x"},
		{server.URL + "/é ?q=ü x#frag ment", server.URL + "/%C3%A9%20?q=%C3%BC%20x#frag%20ment"},
		// Credentials are used, and neither shown nor kept ([F-06]).
		{"http://us%20er:pw@127.0.0.1" + port + "/auth", server.URL + "/auth"},
	} {
		if got, anchor := askHTTP(t, p, "status", c.url); got != "200" || anchor != c.anchor {
			t.Errorf("%q: status %s, anchor %s, want %s", c.url, got, anchor, c.anchor)
		}
	}
}

func TestHTTPRefusals(t *testing.T) {
	asked := atomic.Int32{}
	server := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	port := strings.TrimPrefix(server.URL, "http://127.0.0.1")
	secure, listed, closed, private := httpOptions(), httpOptions(), httpOptions(), httpOptions()
	secure.AllowHTTP = false
	listed.AllowedHosts = []string{"example.com", "[::1]"}
	closed.AllowedHosts = []string{}
	private.AllowPrivate = nil
	for _, c := range []struct {
		options   HTTPOptions
		url, want string
	}{
		{secure, server.URL, "unsupported url scheme"},
		{secure, "HTTP://127.0.0.1" + port, "unsupported url scheme"},
		{secure, "file:///etc/passwd", "unsupported url scheme"},
		{secure, "https://", "invalid url"},
		{secure, "https://exa mple/", "invalid url"},
		{secure, "https://h:99999/", "invalid url"},
		{secure, "no url", "invalid url"},
		{listed, server.URL, "url host not allowed"},
		{listed, "http://example.com.evil.test/", "url host not allowed"},
		{listed, "http://example.com@127.0.0.1" + port + "/", "url host not allowed"},
		{closed, server.URL, "url host not allowed"},
		// Every spelling of an address inside is refused ([F-06]).
		{private, server.URL, "url host not allowed"},
		{private, "http://2130706433" + port, "url host not allowed"},
		{private, "http://0177.0.0.1" + port, "url host not allowed"},
		{private, "http://[::ffff:127.0.0.1]" + port, "url host not allowed"},
		{private, "http://[::1]" + port, "url host not allowed"},
		{private, "http://0.0.0.0" + port, "url host not allowed"},
		{private, "http://localhost" + port, "url host not allowed"},
		{private, "http://169.254.169.254/latest/meta-data/", "url host not allowed"},
		{private, "http://[64:ff9b::7f00:1]" + port, "url host not allowed"},
	} {
		if got, _ := askHTTP(t, newHTTPProvider(c.options), "status", c.url); got != c.want {
			t.Errorf("%s: got %s, want %s", c.url, got, c.want)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
}

// TestHTTPRebinding has a name server of an attacker answer with an address inside.
func TestHTTPRebinding(t *testing.T) {
	asked := atomic.Int32{}
	server := serve(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server.URL, "http://"))
	options := httpOptions()
	options.AllowedHosts = []string{"rebind.test"}
	resolver := &net.Resolver{PreferGo: true, Dial: nameServer(t, netip.MustParseAddr("127.0.0.1"))}
	for _, c := range []struct {
		allow []netip.Prefix
		want  string
		asked int32
	}{{nil, "url host not allowed", 0}, {loopback, "200", 1}} {
		options.AllowPrivate = c.allow
		p := newHTTPProvider(options)
		p.dialer.Resolver = resolver
		if got, _ := askHTTP(t, p, "status", "http://rebind.test:"+port); got != c.want || asked.Load() != c.asked {
			t.Errorf("allowed %v: got %s, asked %d times", c.allow, got, asked.Load())
		}
	}
}

// nameServer answers every question for an IPv4 address with one.
func nameServer(t *testing.T, answer netip.Addr) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.Additionals = true, nil
			if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
				m.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 0},
					Body:   &dnsmessage.AResource{A: answer.As4()},
				}}
			}
			if packed, err := m.Pack(); err == nil {
				conn.WriteTo(packed, from)
			}
		}
	}()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}
}

func TestHTTPTimeout(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	options := httpOptions()
	options.Timeout = 50 * time.Millisecond
	p := newHTTPProvider(options)
	if got, _ := askHTTP(t, p, "status", server.URL); got != "http request failed" {
		t.Errorf("status: %s", got)
	}
	if got, _ := askHTTP(t, p, "body_hash", server.URL+"/body"); got != "failed to read response" {
		t.Errorf("body: %s", got)
	}
}

func TestHTTPSChecksCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	options := httpOptions()
	p := newHTTPProvider(options)
	if got, _ := askHTTP(t, p, "status", server.URL); got != "http request failed" {
		t.Errorf("unknown authority: %s", got)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	p.client.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	if got, _ := askHTTP(t, p, "status", server.URL); got != "200" {
		t.Errorf("known authority: %s", got)
	}
}

// TestHTTPGarbage is a server that speaks something else.
func TestHTTPGarbage(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(conn).ReadString('\n')
			conn.Write([]byte("220 smtp.example.com ESMTP\r\n"))
			conn.Close()
		}
	}()
	if got, _ := askHTTP(t, newHTTPProvider(httpOptions()), "status", "http://"+listener.Addr().String()); got != "http request failed" {
		t.Error(got)
	}
}

func TestGuard(t *testing.T) {
	open := guard{[]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}}
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "2606:4700::1111": true, "64:ff9b::808:808": true, "::ffff:8.8.8.8": true,
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true, "fd00::1": true, "fd00::1%eth0": true,
		"10.2.0.1": false, "127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "100.64.0.1": false, "100.127.255.255": false,
		"169.254.169.254": false, "172.16.0.1": false, "172.31.255.255": false, "192.0.0.8": false, "192.168.1.1": false, "198.19.0.1": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "192.0.2.1": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:0:127.0.0.1": false, "64:ff9b::7f00:1": false, "64:ff9b:1::1": false,
		"fc00::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false, "ff02::1": false, "2002:7f00:1::": false, "2001:0:1::": false, "2001:db8::1": false, "100::1": false,
	} {
		err := open.control("tcp", net.JoinHostPort(address, strconv.Itoa(443)), nil)
		if (err == nil) != want || err != nil && !errors.Is(err, errAddress) {
			t.Errorf("%s: %v, want permitted %t", address, err, want)
		}
	}
	if err := open.control("unix", "/run/docker.sock", nil); !errors.Is(err, errAddress) {
		t.Errorf("socket: %v", err)
	}
}
