package postgres_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// certificate makes a certificate for 127.0.0.1 that signs itself, and its key, as PEM.
func certificate(t *testing.T) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare})
}

// A connection is encrypted, and one to a server with a certificate of somebody else is not made.
func TestTLS(t *testing.T) {
	name := database(t)
	cert, private := certificate(t)
	stranger, _ := certificate(t)
	for file, content := range map[string][]byte{"server.crt": cert, "server.key": private, "stranger.crt": stranger} {
		if err := server.WriteFile(file, content); err != nil {
			t.Fatal(err)
		}
	}
	for _, setting := range []string{"ssl_cert_file", "ssl_key_file"} {
		file := map[string]string{"ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}[setting]
		if err := server.Exec("postgres", "ALTER SYSTEM SET "+setting+" = '"+filepath.Join(server.Dir, file)+"'"); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Set("ssl", "on"); err != nil {
		t.Fatal(err)
	}
	verified := func(ca string) postgres.Options {
		return options(strings.Replace(server.DSN(pgtest.App, name), "sslmode=disable", "sslmode=verify-full&sslrootcert="+filepath.Join(server.Dir, ca), 1))
	}
	commit(t, open(t, verified("server.crt")), put(key("runs", 1, "a"), "1"))
	c := connect(t, server.Socket(name))
	if n := number(t, c, `SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = $1 AND usename = $2 AND NOT ssl`, name, pgtest.App); n > 0 {
		t.Errorf("%d connections are in plain text", n)
	}
	// The certificate is for the address, not for the name.
	const address, host = "127.0.0.1", "localhost"
	for _, test := range []struct {
		mode, ca, host string
		made           bool
	}{
		{"disable", "", address, true},
		{"allow", "", address, true},
		{"prefer", "", address, true},
		{"require", "", address, true},
		{"require", "stranger.crt", address, false}, // with a certificate at hand it is verified
		{"verify-ca", "server.crt", address, true},
		{"verify-ca", "server.crt", host, true},
		{"verify-ca", "stranger.crt", address, false},
		{"verify-full", "server.crt", address, true},
		{"verify-full", "server.crt", host, false},
		{"verify-full", "stranger.crt", address, false},
	} {
		mode := "sslmode=" + test.mode
		if test.ca != "" {
			mode += "&sslrootcert=" + filepath.Join(server.Dir, test.ca)
		}
		dsn := strings.Replace(server.DSN(pgtest.App, name), "sslmode=disable", mode, 1)
		s, err := postgres.Open(t.Context(), options(strings.Replace(dsn, address, test.host, 1)))
		if err == nil {
			s.Close()
		}
		if test.made != (err == nil) || err != nil && !fault.Is(err, fault.Unavailable) {
			t.Errorf("%s to %s with %q: %v", test.mode, test.host, test.ca, err)
		}
	}
}

// What a dsn lets a connection that leaves the machine be is held against minimum_tls, before anything is connected.
func TestMinimumTLS(t *testing.T) {
	for _, test := range []struct {
		mode, minimum string
		refused       bool
	}{
		{"disable", "off", false}, {"disable", "encrypt", true}, {"disable", "verify", true},
		{"allow", "off", false}, {"allow", "encrypt", true},
		{"prefer", "off", false}, {"prefer", "encrypt", true},
		{"require", "encrypt", false}, {"require", "verify", true},
		{"verify-ca", "verify", false}, {"verify-full", "verify", false}, {"verify-full", "off", false},
	} {
		// Nobody is there: 192.0.2.0/24 is for documentation.
		o := options("postgres://u@192.0.2.1/d?connect_timeout=1&sslmode=" + test.mode)
		o.MinimumTLS = test.minimum
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := postgres.Open(ctx, o)
		cancel()
		if err == nil || test.refused != strings.Contains(err.Error(), "minimum_tls") {
			t.Errorf("sslmode=%s with minimum_tls %s: %v", test.mode, test.minimum, err)
		}
	}
}
