package launch

import (
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
	"math/big"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
)

// certificateLifetime outlives any process. It is checked when a connection is made, and the key is never stored.
const certificateLifetime = 10 * 365 * 24 * time.Hour

// clientKeys are made anew for every start, so that one plugin cannot connect to another as if it were the host.
type clientKeys struct {
	certificate tls.Certificate
	clientPEM   []byte
}

// newKeys makes a P-256 key: BoringSSL, which Python's gRPC uses, offers no P-521.
func newKeys() (*clientKeys, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Hour), // the clock may be set back while we run
		NotAfter:     time.Now().Add(certificateLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return &clientKeys{
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		clientPEM:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

// offer is what a plugin's handshake line says.
type offer struct {
	network, address string
	certificate      *x509.Certificate
}

// parseHandshake is strict: the line decides whom the host trusts.
func parseHandshake(line, socketDir string) (offer, error) {
	fields := strings.Split(strings.TrimSuffix(line, "\r"), "|")
	// A seventh field says whether go-plugin's broker is multiplexed. We never ask for it.
	if len(fields) != 6 && (len(fields) != 7 || fields[6] != "false") {
		return offer{}, badLine(line, "want the line CORE|VERSION|NETWORK|ADDRESS|grpc|CERTIFICATE; if the program prints to stdout before it serves, print to stderr instead")
	}
	switch {
	case fields[0] != strconv.Itoa(handshake.CoreVersion):
		return offer{}, badLine(line, "the core version is not %d", handshake.CoreVersion)
	case fields[1] != strconv.Itoa(handshake.Version):
		return offer{}, badLine(line, "the plugin speaks version %s of the plugin protocol, the host version %d", quote(fields[1]), handshake.Version)
	case fields[4] != "grpc":
		return offer{}, badLine(line, "the protocol is not grpc")
	case fields[5] == "":
		// Without it the system's roots or nothing would be trusted: there is no plaintext mode.
		return offer{}, badLine(line, "the plugin has printed no certificate: it would serve without mutual TLS")
	}
	if err := checkAddress(fields[2], fields[3], socketDir); err != nil {
		return offer{}, badLine(line, "%v", err)
	}
	der, err := base64.RawStdEncoding.Strict().DecodeString(fields[5])
	if err != nil {
		return offer{}, badLine(line, "the certificate is not in base64 without padding")
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return offer{}, badLine(line, "the certificate cannot be parsed")
	}
	return offer{network: fields[2], address: fields[3], certificate: certificate}, nil
}

// checkAddress keeps the connection on this machine and out of other directories: a plugin must not make the host connect
// to wherever it likes.
func checkAddress(network, address, socketDir string) error {
	switch network {
	case "unix":
		if filepath.Clean(address) != address || filepath.Dir(address) != socketDir {
			return fmt.Errorf("the socket is not in the directory that %s names", handshake.SocketDirEnv)
		}
		return nil
	case "tcp":
		host, port, err := net.SplitHostPort(address)
		if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number == 0 || !net.ParseIP(host).IsLoopback() {
			return fmt.Errorf("the address is not a loopback address with a port")
		}
		return nil
	default:
		return fmt.Errorf("the network is neither unix nor tcp")
	}
}

// quotedLine is the number of bytes of a line that an error shows.
const quotedLine = 200

func badLine(line, format string, args ...any) error {
	return fmt.Errorf("%w: %s; the first line on stdout was %s", ErrHandshake, fmt.Sprintf(format, args...), quote(line))
}

// quote makes text of a plugin fit for a terminal.
func quote(text string) string {
	if len(text) > quotedLine {
		return strconv.QuoteToASCII(text[:quotedLine]) + "…"
	}
	return strconv.QuoteToASCII(text)
}

// connect makes the connection; nothing is sent before the first call.
func (p *Process) connect(offer offer, keys *clientKeys, observe observer) error {
	// The pool holds the plugin's own certificate and no root of the system.
	roots := x509.NewCertPool()
	roots.AddCert(offer.certificate)
	config := &tls.Config{
		Certificates: []tls.Certificate{keys.certificate},
		RootCAs:      roots,
		ServerName:   "localhost",
		MinVersion:   tls.VersionTLS13,
		ClientAuth:   tls.RequireAndVerifyClientCert,
	}
	conn, err := grpc.NewClient("passthrough:///"+handshake.HealthService,
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, offer.network, offer.address)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(handshake.MaxMessage), grpc.MaxCallSendMsgSize(handshake.MaxMessage)),
		grpc.WithStaticStreamWindowSize(handshake.StreamWindow),
		grpc.WithStaticConnWindowSize(handshake.ConnWindow),
		// The socket may be swept from /tmp after days: never let go of a connection that works.
		grpc.WithIdleTimeout(0),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 2, MaxDelay: time.Second},
			// Without it an attempt ends after its backoff, which a TLS handshake on a busy machine takes longer than.
			MinConnectTimeout: DefaultStartTimeout,
		}),
		grpc.WithDisableServiceConfig(),
		grpc.WithChainUnaryInterceptor(observe.unary),
		grpc.WithChainStreamInterceptor(observe.stream),
	)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	p.conn = conn
	return nil
}

// The members of go-plugin's StdioData; its generated code is internal to it.
const stdioData = 2

// followStdio logs what a go-plugin plugin prints after the handshake, and so keeps it from blocking on a full pipe.
// Other plugins do not have the service.
func (p *Process) followStdio() {
	stream, err := p.conn.NewStream(context.Background(), &grpc.StreamDesc{ServerStreams: true}, handshake.StdioMethod)
	if err != nil || stream.SendMsg(&emptypb.Empty{}) != nil || stream.CloseSend() != nil {
		return
	}
	writer := &lineWriter{line: p.logs.add}
	defer writer.Flush()
	for {
		message := &emptypb.Empty{}
		if stream.RecvMsg(message) != nil {
			return
		}
		_, _ = writer.Write(stdioBytes(message.ProtoReflect().GetUnknown()))
	}
}

func stdioBytes(message []byte) []byte {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil
		}
		message = message[n:]
		if number == stdioData && kind == protowire.BytesType {
			data, _ := protowire.ConsumeBytes(message)
			return data
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return nil
		}
		message = message[n:]
	}
	return nil
}
