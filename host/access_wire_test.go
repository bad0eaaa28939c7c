package host_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// openAccess opens a host on a store in memory, with a configuration of callers.
func openAccess(t *testing.T, dir, hcl string, change func(*host.Config)) *host.Host {
	t.Helper()
	path := filepath.Join(dir, "host.hcl")
	text := "plugin \"store\" \"unused\" { command = \"unused\" }\nevidence \"time\" {}\n" + hcl
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	c := host.Config{Settings: settings, Store: faultystore.New(), Logger: testLog(t)}
	if change != nil {
		change(&c)
	}
	h, err := host.Open(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// authority issues certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  ed25519.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

func (a *authority) issue(subject pkix.Name) tls.Certificate {
	a.t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: subject, NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

const askProviders = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"providers_list","arguments":{}}}`

// TestClientCertificates shakes hands with certificates of the right and of a wrong authority, and lies in the header.
func TestClientCertificates(t *testing.T) {
	h := openAccess(t, t.TempDir(), `
auth {
  local {}
  mtls {
    subjects = ["CN=alice,O=Example", "CN=behind"]
    client_subject_header { from = "CN=proxy" }
  }
}`, nil)
	ca, stranger := newAuthority(t), newAuthority(t)
	server := httptest.NewUnstartedServer(h.Handler())
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that fail
	server.StartTLS()
	defer server.Close()
	alice := pkix.Name{CommonName: "alice", Organization: []string{"Example"}}
	for name, test := range map[string]struct {
		certificates []tls.Certificate
		header       string
		status       int // 0: no handshake
	}{
		"alice":                        {[]tls.Certificate{ca.issue(alice)}, "", 200},
		"alice who claims to be other": {[]tls.Certificate{ca.issue(alice)}, "CN=nobody", 200},
		"alice of another authority":   {[]tls.Certificate{stranger.issue(alice)}, "", 0},
		"alice of another company":     {[]tls.Certificate{ca.issue(pkix.Name{CommonName: "alice", Organization: []string{"Other"}})}, "", 403},
		"loopback":                     {[]tls.Certificate{ca.issue(pkix.Name{CommonName: "loopback"})}, "", 403},
		"the proxy's client":           {[]tls.Certificate{ca.issue(pkix.Name{CommonName: "proxy"})}, "CN=behind", 200},
		"the proxy's unknown client":   {[]tls.Certificate{ca.issue(pkix.Name{CommonName: "proxy"})}, "CN=eve", 403},
		"the proxy itself":             {[]tls.Certificate{ca.issue(pkix.Name{CommonName: "proxy"})}, "", 401},
		"the header of another":        {[]tls.Certificate{ca.issue(pkix.Name{CommonName: "eve"})}, "CN=behind", 403},
		"no certificate, from here":    {nil, "CN=alice,O=Example", 200}, // as auth.local has it, not as alice
	} {
		t.Run(name, func(t *testing.T) {
			transport := server.Client().Transport.(*http.Transport).Clone()
			transport.TLSClientConfig.Certificates = test.certificates
			defer transport.CloseIdleConnections()
			request, err := http.NewRequest(http.MethodPost, server.URL+"/rpc", strings.NewReader(askProviders))
			if err != nil {
				t.Fatal(err)
			}
			if test.header != "" {
				request.Header.Set("X-Decision-Gate-Client-Subject", test.header)
			}
			response, err := (&http.Client{Transport: transport}).Do(request)
			if err != nil {
				if test.status != 0 {
					t.Error(err)
				}
				return
			}
			defer response.Body.Close()
			if body, _ := io.ReadAll(response.Body); response.StatusCode != test.status {
				t.Errorf("%d %s", response.StatusCode, body)
			}
		})
	}
}

// TestEmbedderSaysWhoCalls serves somebody on another machine, whom only the embedder knows.
func TestEmbedderSaysWhoCalls(t *testing.T) {
	authenticate := func(r *http.Request) (string, error) {
		user, password, _ := r.BasicAuth()
		if password != "right" {
			return "", errors.New("wrong password")
		}
		return user, nil
	}
	const roles = `
auth {
  principal "embedder:alice" {
    role "NamespaceReader" { tenant = 1 }
  }
}`
	ask := func(h *host.Host, user, password string) int {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"schemas_list","arguments":{"tenant_id":1,"namespace_id":2}}}`
		request := httptest.NewRequest(http.MethodPost, "http://localhost/rpc", strings.NewReader(body))
		request.RemoteAddr = "192.0.2.1:1"
		if user != "" {
			request.SetBasicAuth(user, password)
		}
		w := httptest.NewRecorder()
		h.Handler().ServeHTTP(w, request)
		return w.Code
	}
	h := openAccess(t, t.TempDir(), roles, func(c *host.Config) { c.Authenticate = authenticate })
	for _, test := range []struct {
		user, password string
		status         int
	}{{"alice", "right", 200}, {"bob", "right", 403}, {"alice", "wrong", 401}, {"", "", 401}} {
		if got := ask(h, test.user, test.password); got != test.status {
			t.Errorf("%s, %s: %d, want %d", test.user, test.password, got, test.status)
		}
	}
	if got := ask(openAccess(t, t.TempDir(), roles, nil), "alice", "right"); got != 401 {
		t.Errorf("without an embedder's word another machine is answered %d", got)
	}
}

// TestSignedShapes registers data shapes with signatures made as docs/access.md says.
func TestSignedShapes(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "release.pub"), []byte(base64.StdEncoding.EncodeToString(public)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := openAccess(t, dir, `
schemas {
  acl {
    allow_local  = true
    signing      = "ed25519"
    signing_keys = { release = "release.pub" }
  }
}`, nil)
	server := httptest.NewServer(h.Handler())
	defer server.Close()
	// Members in any order, blanks and ways to write a number are not what is signed.
	record := `{"version":"%s", "tenant_id":1,"namespace_id":2,"schema_id":"s", "schema":{"type":"object","minProperties":1.0},"created_at":{"value":7,"kind":"logical"}%s}`
	canonical := `{"created_at":{"kind":"logical","value":7},"description":null,"namespace_id":2,"schema":{"minProperties":1,"type":"object"},"schema_id":"s","tenant_id":1,"version":"%s"}`
	sign := func(version string) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(private, fmt.Appendf(nil, canonical, version)))
	}
	for name, test := range map[string]struct {
		version, signing string
		status           int
	}{
		"signed":                        {"1", `,"signing":{"key_id":"release","signature":"` + sign("1") + `"}`, 200},
		"signed, with the algorithm":    {"2", `,"signing":{"key_id":"release","signature":"` + sign("2") + `","algorithm":"ed25519"},"description":null`, 200},
		"not signed":                    {"3", ``, 403},
		"the signature of another":      {"4", `,"signing":{"key_id":"release","signature":"` + sign("1") + `"}`, 403},
		"with a description not signed": {"5", `,"description":"d","signing":{"key_id":"release","signature":"` + sign("5") + `"}`, 403},
		"another key":                   {"6", `,"signing":{"key_id":"other","signature":"` + sign("6") + `"}`, 403},
		"presence alone":                {"7", `,"signing":{"key_id":"release","signature":"s"}`, 403},
	} {
		body := `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"schemas_register","arguments":{"record":` + fmt.Sprintf(record, test.version, test.signing) + `}}}`
		response, err := http.Post(server.URL+"/rpc", "application/json", bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != test.status || !json.Valid(text) {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
	}
}

// TestWrongAccess names what Check finds in who may call: names that are none, twice the same, tools and keys.
func TestWrongAccess(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "host.hcl")
	text := `
plugin "store" "unused" { command = "unused" }
auth {
  allowed_tools = ["precheque"]
  principal "loopback" {}
  principal "local:loopback" {}
  principal "token:secret" {}
  principal "key:x" {}
}
feedback {
  trace_subjects = ["local:everybody"]
}
schemas {
  acl {
    mode         = "custom"
    signing      = "ed25519"
    signing_keys = { release = "absent.pub" }
    rule "allow" { subjects = [""] }
  }
}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	_, openErr := host.Open(t.Context(), host.Config{Settings: settings, Store: faultystore.New(), Logger: testLog(t)})
	for name, err := range map[string]error{"Check": host.Check(host.Config{Settings: settings, Store: faultystore.New()}), "Open": openErr} {
		var found *config.Error
		if !errors.As(err, &found) {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[int]string{}
		for _, d := range found.Diagnostics {
			got[d.Line] = d.Summary
		}
		for line, summary := range map[int]string{4: "Unknown tool", 6: "Duplicate principal", 7: "Wrong principal", 8: "Wrong principal", 11: "Wrong caller", 17: "Public key cannot be used", 18: "Wrong caller"} {
			if got[line] != summary {
				t.Errorf("%s, line %d: %q, want %q", name, line, got[line], summary)
			}
		}
	}
}
