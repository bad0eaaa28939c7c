package postgres_test

import (
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
	s, err := postgres.Open(t.Context(), verified("stranger.crt"))
	if err == nil {
		s.Close()
	}
	if !fault.Is(err, fault.Unavailable) {
		t.Errorf("a server with another certificate: %v", err)
	}
}
