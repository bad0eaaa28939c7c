package launch_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// The attack: another process of the same user finds the socket. It gets no answer without the key that only the host
// holds, whatever it tries, and the host's own connection goes on.
func TestOnlyTheHostMayConnect(t *testing.T) {
	p := start(t, spec())
	sockets, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "dg-plugin-*", "*"))
	if err != nil || len(sockets) != 1 {
		t.Fatalf("sockets: %v, %v", sockets, err)
	}
	for name, creds := range map[string]credentials.TransportCredentials{
		"no certificate":            credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
		"no certificate, TLS 1.2":   credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}),
		"other certificate":         credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: forged(t)}),
		"other certificate TLS 1.2": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: forged(t)}),
		"plaintext":                 insecure.NewCredentials(),
	} {
		if err := health(t, sockets[0], creds); err == nil {
			t.Errorf("%s: the plugin answered", name)
		}
		if _, err := ask(t.Context(), p, "config"); err != nil {
			t.Errorf("%s: the host's connection broke: %v", name, err)
		}
	}
}

func health(t *testing.T, socket string, creds credentials.TransportCredentials) error {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "plugin"})
	return err
}

// forged is a certificate with the same names as the host's and another key.
func forged(t *testing.T) []tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}
