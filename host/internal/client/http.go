package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// HTTP is how a server is reached over HTTP.
type HTTP struct {
	// Server is the address, http or https. /rpc is added unless the path ends in it.
	Server string
	// Token is sent as bearer token; empty for none.
	Token string
	// ClearToken lets the token go in clear text to a server that is not on this machine.
	ClearToken bool
	// CA are the PEM certificates of the authorities that the server's certificate may come from; nil for the system's.
	CA []byte
	// Certificate is presented to the server; nil for none.
	Certificate *tls.Certificate
	// Agent is the name of this program, for the log of a proxy.
	Agent string
}

// Bounds of a connection.
const (
	// dialTimeout is the time to reach a server: one that is not there should be told soon.
	dialTimeout = 10 * time.Second
	// maxResponseHeader is the size in bytes of the header of an answer.
	maxResponseHeader = 64 << 10
)

// rpcPath is where a host answers JSON-RPC (mcp contract §1.3).
const rpcPath = "/rpc"

// Dial prepares the calls; nothing is sent yet. The error says what is wrong with the settings.
func Dial(settings HTTP) (*Client, error) {
	address, err := parseServer(settings.Server)
	if err != nil {
		return nil, err
	}
	secure := address.Scheme == "https"
	if !secure && (settings.CA != nil || settings.Certificate != nil) {
		return nil, fmt.Errorf("certificates are for https, and the server is %s", address)
	}
	// Attack stopped: whoever listens on the way reads the token and calls tools in its owner's name.
	if settings.Token != "" && !secure && !settings.ClearToken && !isLoopback(address.Hostname()) {
		return nil, fmt.Errorf("a token is not sent to %s in clear text: use https", address.Host)
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	if settings.Token != "" && !secure && !settings.ClearToken {
		dialer.Control = onlyThisMachine
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if settings.CA != nil {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(settings.CA) {
			return nil, errors.New("there is no PEM certificate of an authority")
		}
	}
	if settings.Certificate != nil {
		trust.Certificates = []tls.Certificate{*settings.Certificate}
	}
	transport := &http.Transport{
		// No Proxy: what the environment names would see the token and the evidence.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxResponseHeader,
		// Attack stopped: an answer of a few bytes that unpacks to more than MaxAnswer.
		DisableCompression: true,
	}
	return &Client{peer: &httpPeer{settings: settings, url: address, transport: transport, client: &http.Client{
		Transport: transport,
		// Attack stopped: a redirect that takes the call, and the token with it, to another server.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}}, nil
}

// parseServer reads the address of a server.
func parseServer(server string) (*url.URL, error) {
	u, err := url.Parse(server)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is no address of a server: write it like https://gate.example", withoutSecrets(server))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is no address of a server: it begins with http:// or https://", withoutSecrets(server))
	case u.User != nil:
		// It would be seen by everybody who lists the processes of the machine.
		return nil, errors.New("the address of the server holds a password: use a token")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q is no address of a server: nothing follows its path", withoutSecrets(server))
	}
	if path := strings.TrimSuffix(u.Path, "/"); !strings.HasSuffix(path, rpcPath) {
		u.Path = path + rpcPath
	}
	return u, nil
}

// withoutSecrets is an address that cannot be read, without a password or a query: errors end in the logs of pipelines.
func withoutSecrets(server string) string {
	server, _, _ = strings.Cut(server, "?")
	if at := strings.LastIndex(server, "@"); at >= 0 {
		return "…" + server[at:]
	}
	return server
}

// onlyThisMachine refuses an address of another machine. Attack stopped: the name localhost, which whoever answers for names
// can give any address, and with it the token in clear text.
func onlyThisMachine(_, address string, _ syscall.RawConn) error {
	if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("a token is not sent to %s in clear text: use https", address)
	}
	return nil
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.Unmap().IsLoopback()
}

type httpPeer struct {
	settings  HTTP
	url       *url.URL
	transport *http.Transport
	client    *http.Client
}

func (h *httpPeer) Close() error {
	h.transport.CloseIdleConnections()
	return nil
}

func (h *httpPeer) exchange(ctx context.Context, body []byte) (answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	request.Header.Set("User-Agent", h.settings.Agent)
	if h.settings.Token != "" {
		request.Header.Set("Authorization", "Bearer "+h.settings.Token)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return answer{}, h.failed(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 == 3 {
		return answer{}, fmt.Errorf("%s redirects to %q, which is not followed: name that server if you trust it", h.url, response.Header.Get("Location"))
	}
	read, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return answer{}, h.failed(ctx, err)
	case len(read) > MaxAnswer:
		return answer{}, fmt.Errorf("the answer of %s is larger than %d bytes", h.url, MaxAnswer)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind == "text/event-stream" {
		read = firstEvent(read)
	}
	return answer{read, response.StatusCode, h.url.String(), response.Header.Get("X-Server-Correlation-Id")}, nil
}

// failed words a failure to get an answer.
func (h *httpPeer) failed(ctx context.Context, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	var dial *net.OpError
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s has not answered in time", h.url)
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("there is no host at %s (%w)", h.url, err)
	default:
		return fmt.Errorf("the call to %s failed: %w", h.url, err)
	}
}

// firstEvent is the data of the first event of a stream, in which a host with the SSE transport wraps its one answer (mcp
// contract §1.4).
func firstEvent(stream []byte) []byte {
	var data [][]byte
	for line := range bytes.Lines(stream) {
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 && data != nil {
			break
		}
		if text, found := bytes.CutPrefix(line, []byte("data:")); found {
			data = append(data, bytes.TrimPrefix(text, []byte(" ")))
		}
	}
	return bytes.Join(data, []byte("\n"))
}
