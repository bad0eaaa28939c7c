package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
)

// serveHealth prints one certificate and serves a healthy plugin with other credentials.
func serveHealth(printed tls.Certificate, served credentials.TransportCredentials) {
	serveHandshake("1|1|unix|", printed, served)
}

func serveHandshake(begin string, printed tls.Certificate, served credentials.TransportCredentials) {
	path := filepath.Join(os.Getenv(handshake.SocketDirEnv), "socket")
	listener, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.Creds(served))
	checker := health.NewServer()
	checker.SetServingStatus(handshake.HealthService, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checker)
	fmt.Printf("%s%s|grpc|%s\n", begin, path, base64.RawStdEncoding.EncodeToString(printed.Certificate[0]))
	panic(server.Serve(listener))
}

func impostor() {
	other := certificate()
	serveHealth(certificate(), credentials.NewServerTLSFromCert(&other))
}

// deaf accepts connections and never says a word on them.
func deaf() {
	path := filepath.Join(os.Getenv(handshake.SocketDirEnv), "socket")
	if _, err := net.Listen("unix", path); err != nil {
		panic(err)
	}
	fmt.Printf("1|1|unix|%s|grpc|%s\n", path, base64.RawStdEncoding.EncodeToString(certificate().Certificate[0]))
	time.Sleep(time.Hour)
}

func plaintext() { serveHealth(certificate(), insecure.NewCredentials()) }

func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
