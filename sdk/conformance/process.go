package conformance

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

const (
	// processTimeout bounds the start of a process and each call: far over what an interpreter on a busy machine needs.
	processTimeout = 30 * time.Second
	// refusalTimeout bounds the wait for a connection that must not come about.
	refusalTimeout = 5 * time.Second
)

// endTimeout bounds the time in which a process that has to end does. The kit's own tests wait less for those that do not.
var endTimeout = 10 * time.Second

// ProcessChecks are promises of every plugin process, whatever its kind and language. The command is a path and arguments.
func ProcessChecks(command []string) []Check {
	on := func(f func(TB, []string)) func(TB) { return func(t TB) { f(t, command) } }
	return []Check{
		{"MutualTLS", "nobody but the host gets in: no certificate, another certificate and plaintext are refused", on(checkTLS)},
		{"StartedByHand", "without a host, or with one that wants no mutual TLS, the program says so and ends", on(checkByHand)},
		{"Unconfigured", "before Configure, calls of the kind are UNAVAILABLE, and the plugin is live and not ready", on(checkUnconfigured)},
		{"WrongConfig", "settings that the schema does not have are INVALID", on(checkWrongConfig)},
		{"Shutdown", "the process ends when it is told", on(checkShutdown)},
		{"HostGone", "the process ends when its host is gone, however it went", on(checkHostGone)},
	}
}

// started is a plugin process that the kit has started by itself, to be a host that does things wrong.
type started struct {
	network, address string
	pool             *x509.CertPool
	own              tls.Certificate
	control          io.Closer
	exited           chan struct{}
}

// newCertificate is what a host makes for each start.
func newCertificate(t TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// start runs the program as a host does, and reads its line.
func start(t TB, command []string) *started {
	t.Helper()
	s := &started{exited: make(chan struct{})}
	var certificate string
	s.own, certificate = newCertificate(t)
	control, ours, err := os.Pipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	defer control.Close()
	s.control = ours
	// A socket's path is short, whatever folder the tests use.
	sockets, err := os.MkdirTemp("/tmp", "dg-kit-*")
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(sockets) })
	cmd := exec.Command(command[0], command[1:]...)
	cmd.ExtraFiles = []*os.File{control}
	cmd.Env = []string{
		handshake.CookieKey + "=" + handshake.CookieValue, fmt.Sprintf("%s=%d", handshake.VersionsEnv, handshake.Version),
		handshake.SocketDirEnv + "=" + sockets, handshake.ClientCertEnv + "=" + certificate, handshake.ControlEnv + "=3",
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	line := make(chan string, 1)
	go func() {
		defer close(s.exited)
		text, _ := bufio.NewReader(io.LimitReader(stdout, 1<<16)).ReadString('\n')
		line <- strings.TrimSpace(text)
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-s.exited
		_ = ours.Close()
	})
	select {
	case text := <-line:
		s.read(t, text)
	case <-time.After(processTimeout):
		t.Fatalf("the plugin has printed no handshake line in %v", processTimeout)
	}
	return s
}

func (s *started) read(t TB, line string) {
	t.Helper()
	fields := strings.Split(line, "|")
	if len(fields) < 6 {
		t.Fatalf("the handshake line is %.200q: see package sdk/handshake", line)
	}
	der, err := base64.RawStdEncoding.DecodeString(fields[5])
	if err != nil {
		t.Fatalf("the certificate of the handshake line is not in base64 without padding: %v", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("the certificate of the handshake line: %v", err)
	}
	s.network, s.address = fields[2], fields[3]
	s.pool = x509.NewCertPool()
	s.pool.AddCert(certificate)
}

// dial connects as the host, or as somebody else.
func (s *started) dial(t TB, with credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///plugin", grpc.WithTransportCredentials(with),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, s.network, s.address)
		}))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *started) tls(certificates ...tls.Certificate) credentials.TransportCredentials {
	return credentials.NewTLS(&tls.Config{RootCAs: s.pool, ServerName: "localhost", Certificates: certificates, MinVersion: tls.VersionTLS12})
}

// healthy asks for the health of the process within a time.
func healthy(conn *grpc.ClientConn, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: handshake.HealthService})
	if err == nil && answer.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		err = fmt.Errorf("its health is %s", answer.GetStatus())
	}
	return err
}

func (s *started) wantEnd(t TB, after string) {
	t.Helper()
	select {
	case <-s.exited:
	case <-time.After(endTimeout):
		t.Errorf("the process lives %v after %s", endTimeout, after)
	}
}

// checkTLS. Attack: another process of the machine speaks to the plugin as if it were the host.
func checkTLS(t TB, command []string) {
	s := start(t, command)
	host := s.dial(t, s.tls(s.own))
	if err := healthy(host, processTimeout); err != nil {
		t.Fatalf("the host itself is refused: %v", err)
	}
	stranger, _ := newCertificate(t)
	for _, attack := range []struct {
		name string
		with credentials.TransportCredentials
	}{
		{"without a client certificate", s.tls()},
		{"with another client certificate of the same name", s.tls(stranger)},
		{"in plaintext", insecure.NewCredentials()},
	} {
		if err := healthy(s.dial(t, attack.with), refusalTimeout); err == nil {
			t.Errorf("the plugin serves a caller %s", attack.name)
		}
	}
	if err := healthy(s.dial(t, s.tls(s.own)), processTimeout); err != nil {
		t.Errorf("after callers that were refused, the host is refused: %v", err)
	}
}

func checkByHand(t TB, command []string) {
	for _, by := range []struct {
		name string
		env  []string
	}{
		{"started by hand", []string{}},
		{"started without a client certificate", []string{
			handshake.CookieKey + "=" + handshake.CookieValue, fmt.Sprintf("%s=%d", handshake.VersionsEnv, handshake.Version),
		}},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Env, cmd.WaitDelay = by.env, time.Second
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		switch {
		case ctx.Err() != nil:
			t.Errorf("%s, the program has not ended in %v: it would serve whoever connects", by.name, endTimeout)
		case err == nil:
			t.Errorf("%s, the program ends with code 0", by.name)
		case len(out) > 0:
			t.Errorf("%s, the program prints %.100q to standard output", by.name, out)
		case strings.TrimSpace(stderr.String()) == "":
			t.Errorf("%s, the program does not say why it ends", by.name)
		}
		cancel()
	}
}

// kindCalls are a call of each kind.
var kindCalls = map[pb.Kind]func(context.Context, grpc.ClientConnInterface) error{
	pb.Kind_KIND_STORE: func(ctx context.Context, c grpc.ClientConnInterface) error {
		_, err := pb.NewStoreClient(c).Describe(ctx, &pb.DescribeRequest{})
		return err
	},
	pb.Kind_KIND_RUNPACK: func(ctx context.Context, c grpc.ClientConnInterface) error {
		_, err := pb.NewRunpackClient(c).Abort(ctx, &pb.AbortRequest{Id: "x"})
		return err
	},
	pb.Kind_KIND_EVIDENCE: func(ctx context.Context, c grpc.ClientConnInterface) error {
		_, err := pb.NewEvidenceClient(c).Contract(ctx, &pb.ContractRequest{})
		return err
	},
	pb.Kind_KIND_AUTH: func(ctx context.Context, c grpc.ClientConnInterface) error {
		_, err := pb.NewAuthClient(c).Authenticate(ctx, &pb.AuthenticateRequest{})
		return err
	},
}

func checkUnconfigured(t TB, command []string) {
	s := start(t, command)
	conn := s.dial(t, s.tls(s.own))
	ctx, cancel := context.WithTimeout(context.Background(), processTimeout)
	defer cancel()
	plugin := pb.NewPluginClient(conn)
	manifest, err := plugin.Manifest(ctx, &pb.ManifestRequest{})
	if err != nil {
		t.Fatalf("Manifest: %v", err)
	}
	if manifest.GetName() == "" || manifest.GetVersion() == "" || len(manifest.GetProtocols()) == 0 || manifest.GetProtocols()[0] != handshake.Protocol {
		t.Errorf("the manifest lacks a name, a version or the protocol %s: %v", handshake.Protocol, manifest)
	}
	if health, err := plugin.Health(ctx, &pb.HealthRequest{}); err != nil || !health.GetLive() || health.GetReady() || health.GetReason() == "" {
		t.Errorf("Health before Configure: %v, %v; want live, not ready, and a reason", health, err)
	}
	if call := kindCalls[manifest.GetKind()]; call != nil {
		if err := fault.FromStatus(call(ctx, conn)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("a call before Configure: %v; want UNAVAILABLE", err)
		}
	}
}

func checkWrongConfig(t TB, command []string) {
	s := start(t, command)
	conn := s.dial(t, s.tls(s.own))
	ctx, cancel := context.WithTimeout(context.Background(), processTimeout)
	defer cancel()
	for _, config := range []string{`{"no_such_attribute":1}`, `[]`, `{`} {
		_, err := pb.NewPluginClient(conn).Configure(ctx, &pb.ConfigureRequest{ConfigJson: []byte(config)})
		if err = fault.FromStatus(err); !fault.Is(err, fault.Invalid) {
			t.Errorf("Configure with %s: %v; want INVALID", config, err)
		}
	}
}

func checkShutdown(t TB, command []string) {
	s := start(t, command)
	conn := s.dial(t, s.tls(s.own))
	ctx, cancel := context.WithTimeout(context.Background(), processTimeout)
	defer cancel()
	if _, err := pb.NewPluginClient(conn).Shutdown(ctx, &pb.ShutdownRequest{}); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	s.wantEnd(t, "Shutdown")
	s = start(t, command)
	conn = s.dial(t, s.tls(s.own))
	if err := healthy(conn, processTimeout); err != nil {
		t.Fatalf("%v", err)
	}
	// Some plugins end before they answer.
	_ = conn.Invoke(ctx, handshake.ShutdownMethod, &emptypb.Empty{}, &emptypb.Empty{})
	s.wantEnd(t, "the Shutdown of go-plugin's controller")
}

// checkHostGone closes the control descriptor, as the kernel does for a host that was killed.
func checkHostGone(t TB, command []string) {
	s := start(t, command)
	if err := s.control.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	s.wantEnd(t, "the end of the control descriptor")
}
