package listener

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/listener/certtest"
)

// pki is an authority with files of a certificate of it.
type pki struct {
	*certtest.Authority
	Files
	dir string
	log bytes.Buffer
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	p := &pki{Authority: certtest.NewAuthority(t, "server CA"), dir: t.TempDir()}
	p.renew(t, p.Issue(t, "first"))
	return p
}

func (p *pki) renew(t *testing.T, to certtest.Issued) {
	t.Helper()
	p.Cert = certtest.Write(t, p.dir, "cert.pem", to.Cert)
	p.Key = certtest.Write(t, p.dir, "key.pem", to.Key)
}

// serve serves over TLS, and says in a header by which protocol and whose certificate it was asked.
func (p *pki) serve(t *testing.T) (address string) {
	t.Helper()
	certificates, err := NewCertificates(p.Files, slog.New(slog.NewTextHandler(&p.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		TLSConfig: certificates.Config(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := "nobody"
			if len(r.TLS.VerifiedChains) > 0 {
				who = r.TLS.VerifiedChains[0][0].Subject.String()
			}
			_, _ = io.WriteString(w, r.Proto+" "+who)
		}),
	}
	NewConnections(100).Serve(server)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

// ask makes a connection and a request, and returns the name in the server's certificate and the answer.
func (p *pki) ask(address string, config *tls.Config) (name, answer string, err error) {
	config = config.Clone() // the client adds its own
	config.RootCAs = p.Pool()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: len(config.NextProtos) == 0}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + address)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.TLS.PeerCertificates[0].Subject.CommonName, string(body), err
}

// TestHandshakes makes connections of each kind.
func TestHandshakes(t *testing.T) {
	p := newPKI(t)
	address := p.serve(t)
	for name, test := range map[string]struct {
		config *tls.Config
		want   string // the answer, or a part of the error
	}{
		"HTTP/2":                              {&tls.Config{}, "HTTP/2.0 nobody"},
		"HTTP/1.1":                            {&tls.Config{NextProtos: []string{"http/1.1"}}, "HTTP/1.1 nobody"},
		"TLS 1.2":                             {&tls.Config{MaxVersion: tls.VersionTLS12}, "HTTP/2.0 nobody"},
		"TLS 1.3":                             {&tls.Config{MinVersion: tls.VersionTLS13}, "HTTP/2.0 nobody"},
		"TLS 1.1":                             {&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, "protocol version not supported"},
		"another protocol":                    {&tls.Config{NextProtos: []string{"spdy/3"}}, "no application protocol"},
		"a weak cipher":                       {&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}}, "handshake failure"},
		"a certificate that is not asked for": {&tls.Config{Certificates: []tls.Certificate{p.Issue(t, "alice").Pair(t)}}, "HTTP/2.0 nobody"},
	} {
		_, answer, err := p.ask(address, test.config)
		if answer != test.want && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
	}
}

// TestClientCertificates shows certificates of all kinds to listeners that ask for them.
func TestClientCertificates(t *testing.T) {
	clients, strangers := certtest.NewAuthority(t, "client CA"), certtest.NewAuthority(t, "another CA")
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	serverOnly := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	for name, test := range map[string]struct {
		shown              *certtest.Issued
		required, optional string // the answer; empty when refused
	}{
		"none":                      {nil, "", "HTTP/2.0 nobody"},
		"of the authority":          {issued(clients.Issue(t, "alice")), "HTTP/2.0 CN=alice", "HTTP/2.0 CN=alice"},
		"of another authority":      {issued(strangers.Issue(t, "alice")), "", ""},
		"expired":                   {issued(clients.Issue(t, "alice", expired)), "", ""},
		"of a server, not a client": {issued(clients.Issue(t, "alice", serverOnly)), "", ""},
	} {
		for required, want := range map[bool]string{true: test.required, false: test.optional} {
			p := newPKI(t)
			p.ClientCA, p.RequireClientCert = certtest.Write(t, p.dir, "ca.pem", clients.PEM), required
			config := &tls.Config{}
			if test.shown != nil {
				// Whatever the server asks for: what it should not take is shown, too.
				pair := test.shown.Pair(t)
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			_, answer, err := p.ask(p.serve(t), config)
			if answer != want || (err == nil) != (want != "") {
				t.Errorf("%s, required %v: %q, %v", name, required, answer, err)
			}
		}
	}
}

func issued(i certtest.Issued) *certtest.Issued { return &i }

// TestKeyForms loads keys of the three forms.
func TestKeyForms(t *testing.T) {
	p := newPKI(t)
	ec, rs := p.Issue(t, "ec"), p.IssueRSA(t, "rsa")
	sec1, err := x509.MarshalECPrivateKey(ec.Private.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(rs.Private.(*rsa.PrivateKey))
	for name, pair := range map[string]certtest.Issued{
		"PKCS #8, EC":  ec,
		"PKCS #8, RSA": rs,
		"PKCS #1":      {Cert: rs.Cert, Key: certtest.Encode("RSA PRIVATE KEY", pkcs1)},
		"SEC 1":        {Cert: ec.Cert, Key: certtest.Encode("EC PRIVATE KEY", sec1)},
		// As "openssl ecparam -genkey" writes it.
		"SEC 1 after parameters": {Cert: ec.Cert, Key: append(certtest.Encode("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}), certtest.Encode("EC PRIVATE KEY", sec1)...)},
	} {
		p.renew(t, pair)
		if _, err := p.Load(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestWrongFiles loads files that cannot be used: the error names the file, and says what is wrong.
func TestWrongFiles(t *testing.T) {
	p := newPKI(t)
	good, other := p.Issue(t, "x"), p.Issue(t, "y")
	p.renew(t, good)
	file := func(name string, text []byte) string { return certtest.Write(t, p.dir, name, text) }
	broken := certtest.Encode("CERTIFICATE", []byte("no DER"))
	for name, test := range map[string]struct {
		change func(*Files)
		at     string // the file, by its name
		want   string
	}{
		"no certificate file":     {func(f *Files) { f.Cert = filepath.Join(p.dir, "none.pem") }, "none.pem", "is not there"},
		"no key file":             {func(f *Files) { f.Key = filepath.Join(p.dir, "none.key") }, "none.key", "is not there"},
		"no authority file":       {func(f *Files) { f.ClientCA = filepath.Join(p.dir, "none.ca") }, "none.ca", "is not there"},
		"a folder":                {func(f *Files) { f.Cert = p.dir }, filepath.Base(p.dir), "is not a file"},
		"text":                    {func(f *Files) { f.Cert = file("t.pem", []byte("nope")) }, "t.pem", "holds no certificate"},
		"an empty file":           {func(f *Files) { f.Cert = file("e.pem", nil) }, "e.pem", "holds no certificate"},
		"a key for a certificate": {func(f *Files) { f.Cert = f.Key }, "key.pem", "holds no certificate"},
		"a certificate for a key": {func(f *Files) { f.Key = f.Cert }, "cert.pem", "holds no private key"},
		"a broken certificate":    {func(f *Files) { f.Cert = file("b.pem", broken) }, "b.pem", "cannot be used"},
		"a broken key":            {func(f *Files) { f.Key = file("b.key", certtest.Encode("PRIVATE KEY", []byte("no DER"))) }, "b.key", "cannot be used"},
		"the key of another":      {func(f *Files) { f.Key = file("o.key", other.Key) }, "o.key", "is not the key"},
		"an encrypted key":        {func(f *Files) { f.Key = file("x.key", certtest.Encode("ENCRYPTED PRIVATE KEY", []byte("x"))) }, "x.key", "is encrypted"},
		"an old encrypted key": {func(f *Files) {
			f.Key = file("old.key", []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
		}, "old.key", "is encrypted"},
		"no authority":                         {func(f *Files) { f.ClientCA = f.Key }, "key.pem", "holds no certificate"},
		"a broken authority beside a good one": {func(f *Files) { f.ClientCA = file("ca.pem", append(append([]byte{}, p.PEM...), broken...)) }, "ca.pem", "cannot be read"},
		"a file too large":                     {func(f *Files) { f.Cert = file("l.pem", append(bytes.Repeat([]byte("\n"), maxPEM), good.Cert...)) }, "l.pem", "is larger than"},
	} {
		files := p.Files
		test.change(&files)
		_, err := files.Load()
		var wrong *FileError
		if !errors.As(err, &wrong) || filepath.Base(wrong.Path) != test.at || !strings.Contains(wrong.Problem, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewCertificates(files, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%s: served", name)
		}
	}
}

// TestRenewal replaces the files of a listener: the next connection sees them. Those that cannot be used leave the ones before
// in use, and the log says so, once.
func TestRenewal(t *testing.T) {
	p := newPKI(t)
	clients, others := certtest.NewAuthority(t, "client CA"), certtest.NewAuthority(t, "its successor")
	p.ClientCA, p.RequireClientCert = certtest.Write(t, p.dir, "ca.pem", clients.PEM), true
	address := p.serve(t)
	ask := func(who *certtest.Authority, want string) {
		t.Helper()
		name, _, err := p.ask(address, &tls.Config{Certificates: []tls.Certificate{who.Issue(t, "alice").Pair(t)}, ClientSessionCache: tls.NewLRUClientSessionCache(8)})
		if name != want {
			t.Errorf("served by %q, want %q: %v", name, want, err)
		}
	}
	ask(clients, "first")
	p.renew(t, p.Issue(t, "second"))
	ask(clients, "second")

	third := p.Issue(t, "third")
	certtest.Write(t, p.dir, "cert.pem", third.Cert)
	ask(clients, "second") // the key is still that of the second
	ask(clients, "second")
	if n := strings.Count(p.log.String(), "cannot be used"); n != 1 {
		t.Errorf("told %d times:\n%s", n, p.log.String())
	}
	certtest.Write(t, p.dir, "key.pem", third.Key)
	ask(clients, "third")
	if err := os.Remove(p.Key); err != nil {
		t.Fatal(err)
	}
	ask(clients, "third")
	certtest.Write(t, p.dir, "key.pem", third.Key)

	certtest.Write(t, p.dir, "ca.pem", others.PEM)
	ask(clients, "") // of an authority that is no longer one
	ask(others, "third")
}

// TestNoResumption takes an authority away between two connections of one client: a session that was resumed would not be
// verified against those that are left.
func TestNoResumption(t *testing.T) {
	p := newPKI(t)
	clients := certtest.NewAuthority(t, "client CA")
	p.ClientCA, p.RequireClientCert = certtest.Write(t, p.dir, "ca.pem", clients.PEM), true
	address := p.serve(t)
	config := &tls.Config{Certificates: []tls.Certificate{clients.Issue(t, "alice").Pair(t)}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	for range 2 {
		if _, answer, err := p.ask(address, config); err != nil || answer != "HTTP/2.0 CN=alice" {
			t.Fatalf("%q %v", answer, err)
		}
	}
	certtest.Write(t, p.dir, "ca.pem", certtest.NewAuthority(t, "its successor").PEM)
	if _, answer, err := p.ask(address, config); err == nil {
		t.Errorf("answered %q", answer)
	}
}

// TestExpired warns of a certificate that clients refuse.
func TestExpired(t *testing.T) {
	p := newPKI(t)
	p.renew(t, p.Issue(t, "old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }))
	if _, err := NewCertificates(p.Files, slog.New(slog.NewTextHandler(&p.log, nil))); err != nil || !strings.Contains(p.log.String(), "not valid now") {
		t.Errorf("%v, log %q", err, p.log.String())
	}
}
