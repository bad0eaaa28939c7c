// Command wrong is a plugin process without the SDK, which its argument breaks.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

var broken = os.Args[1]

func main() {
	if os.Getenv(handshake.ClientCertEnv) == "" && broken != "serves anybody" {
		fmt.Fprintln(os.Stderr, "started by hand")
		os.Exit(1)
	}
	if os.Getenv(handshake.ControlEnv) != "" && broken != "stays" {
		go func() {
			_, _ = io.Copy(io.Discard, os.NewFile(3, "control"))
			os.Exit(1)
		}()
	}
	config, certificate := serverTLS()
	options := []grpc.ServerOption{grpc.Creds(credentials.NewTLS(config)), grpc.UnknownServiceHandler(controller)}
	if broken == "plaintext" {
		options = nil
	}
	server := grpc.NewServer(options...)
	checked := health.NewServer()
	checked.SetServingStatus(handshake.HealthService, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, checked)
	pb.RegisterPluginServer(server, plugin{})
	pb.RegisterEvidenceServer(server, questions{})
	dir := os.Getenv(handshake.SocketDirEnv)
	if dir == "" {
		dir = os.TempDir()
	}
	path := filepath.Join(dir, fmt.Sprint("wrong", os.Getpid()))
	listener, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	fmt.Printf("1|1|unix|%s|grpc|%s\n", path, base64.RawStdEncoding.EncodeToString(certificate))
	_ = server.Serve(listener)
}

// controller is go-plugin's way to end a plugin.
func controller(_ any, stream grpc.ServerStream) error {
	if name, _ := grpc.MethodFromServerStream(stream); name == handshake.ShutdownMethod {
		end("keeps on")
	}
	return stream.SendMsg(&emptypb.Empty{})
}

// end ends the process after the answer.
func end(unless string) {
	if broken != unless {
		time.AfterFunc(50*time.Millisecond, func() { os.Exit(0) })
	}
}

func serverTLS() (*tls.Config, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(),
	}
	config.ClientCAs.AppendCertsFromPEM([]byte(os.Getenv(handshake.ClientCertEnv)))
	switch broken {
	case "no certificate":
		config.ClientAuth = tls.VerifyClientCertIfGiven
	case "any certificate":
		config.ClientAuth = tls.RequireAnyClientCert
	}
	return config, der
}

type plugin struct{ pb.UnimplementedPluginServer }

func (plugin) Manifest(context.Context, *pb.ManifestRequest) (*pb.ManifestResponse, error) {
	return &pb.ManifestResponse{Kind: pb.Kind_KIND_EVIDENCE, Name: "wrong", Version: "1.0.0", Protocols: []string{handshake.Protocol}}, nil
}

func (plugin) Configure(context.Context, *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	if broken == "takes any settings" {
		return &pb.ConfigureResponse{}, nil
	}
	return nil, fault.ToStatus(fault.New(fault.Invalid, "the plugin has no settings"))
}

func (plugin) Health(context.Context, *pb.HealthRequest) (*pb.HealthResponse, error) {
	return &pb.HealthResponse{Live: true, Ready: broken == "ready too soon", Reason: "not configured"}, nil
}

func (plugin) Shutdown(context.Context, *pb.ShutdownRequest) (*pb.ShutdownResponse, error) {
	end("does not end")
	return &pb.ShutdownResponse{}, nil
}

// questions are answered before there are settings.
type questions struct{ pb.UnimplementedEvidenceServer }

func (questions) Contract(context.Context, *pb.ContractRequest) (*pb.ContractResponse, error) {
	if broken == "answers too soon" {
		return &pb.ContractResponse{}, nil
	}
	return nil, fault.ToStatus(fault.New(fault.Unavailable, "not configured"))
}
