package host_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/decision-gate-host/decision-gate-host/host/internal/listener/certtest"
)

const (
	listCall = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	// storeCall goes as far as the store.
	storeCall = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scenarios_list","arguments":{"tenant_id":1,"namespace_id":1}}}`
)

func rawCall(address, body string) string {
	return fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", address, len(body), body)
}

// TestThousandStalled has 1,900 connections stall, which is more than the host takes, in every part of a request, and with
// more late bodies than it has places; another client sends requests on new connections all the while, and each is served. The
// limits are the defaults; the deadlines are not, so that none of them helps.
func TestThousandStalled(t *testing.T) {
	p := startProgram(t, writeConfig(t, t.TempDir(), recordedPlugin+recordedNamespace+`server {
  http { listen = "127.0.0.1:0" }
  read_header_timeout = "5m"
  read_timeout        = "10m"
}
`), t.TempDir())
	address := strings.TrimPrefix(p.url, "http://")
	head := "POST /rpc HTTP/1.1\r\nHost: " + address + "\r\n"

	var served atomic.Int64
	stop := make(chan struct{})
	var healthy sync.WaitGroup
	healthy.Go(func() {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
		for {
			response, err := client.Post(p.url+"/rpc", "application/json", strings.NewReader(storeCall))
			if err != nil {
				t.Errorf("after %d calls: %v", served.Load(), err)
				return
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != 200 {
				t.Errorf("after %d calls: %d %s", served.Load(), response.StatusCode, body)
				return
			}
			served.Add(1)
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	defer healthy.Wait()
	defer close(stop)
	for _, kind := range []struct {
		text  string
		count int
	}{
		{"", 900},
		{head + "X: ", 300},
		{head + "Content-Length: 1000\r\n\r\n{", 400},
		{rawCall(address, listCall), 200},
		{http2.ClientPreface, 100},
	} {
		for range kind.count {
			conn := dial(t, address)
			_, _ = io.WriteString(conn, kind.text)
		}
	}
	for range 3 {
		stallStreams(t, address, 100)
	}
	before := served.Load()
	waitFor(t, "calls beside connections that stall", func() bool { return t.Failed() || served.Load() >= before+50 })
}

// stallStreams begins requests on one connection of HTTP/2, and sends none of their bodies.
func stallStreams(t *testing.T, address string, count int) {
	t.Helper()
	conn := dial(t, address)
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", address}, {":path", "/rpc"}, {"content-type", "application/json"}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: block.Bytes(), EndHeaders: true})
		if err != nil {
			t.Fatal(err)
		}
	}
	// Nobody reads what the host says: it must not mind that either.
}

// TestPriorKnowledge calls over HTTP/2 in clear text, without an upgrade (mcp contract §1.3).
func TestPriorKnowledge(t *testing.T) {
	p := startProgram(t, writeConfig(t, t.TempDir(), recordedPlugin+"server {\n  http { listen = \"127.0.0.1:0\" }\n}\n"), t.TempDir())
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Post(p.url+"/rpc", "application/json", strings.NewReader(listCall))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, _ := io.ReadAll(response.Body); response.ProtoMajor != 2 || response.StatusCode != 200 || !bytes.Contains(body, []byte(`"tools"`)) {
		t.Errorf("%s %d %.100s", response.Proto, response.StatusCode, body)
	}
}

// TestProgramOverTLS serves with a certificate that is renewed while it does, and with bad files that come in between.
func TestProgramOverTLS(t *testing.T) {
	dir := t.TempDir()
	ca := certtest.NewAuthority(t, "CA")
	renew := func(name string) {
		issued := ca.Issue(t, name)
		certtest.Write(t, dir, "cert.pem", issued.Cert)
		certtest.Write(t, dir, "key.pem", issued.Key)
	}
	renew("first")
	p := startProgram(t, writeConfig(t, dir, recordedPlugin+recordedNamespace+`server {
  http {
    listen = "127.0.0.1:0"
    tls {
      cert = "cert.pem"
      key  = "key.pem"
    }
  }
}
`), t.TempDir())
	if !strings.HasPrefix(p.url, "https://") {
		t.Fatalf("announced %s", p.url)
	}
	ask := func(want string) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, ForceAttemptHTTP2: true}, Timeout: 20 * time.Second}
		defer client.CloseIdleConnections()
		response, err := client.Post(p.url+"/rpc", "application/json", strings.NewReader(storeCall))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if name := response.TLS.PeerCertificates[0].Subject.CommonName; name != want || response.StatusCode != 200 || response.ProtoMajor != 2 {
			t.Errorf("%s %d by %s, want %s", response.Proto, response.StatusCode, name, want)
		}
	}
	ask("first")
	renew("second")
	ask("second")
	certtest.Write(t, dir, "cert.pem", []byte("half a cert"))
	ask("second")
	if log := p.log.String(); !strings.Contains(log, "cannot be used; those read before stay in use") || !strings.Contains(log, filepath.Join(dir, "cert.pem")) {
		t.Errorf("the log does not say which file is wrong:\n%s", log)
	}
	// In clear text nothing is answered but that.
	conn := dial(t, strings.TrimPrefix(p.url, "https://"))
	_, _ = io.WriteString(conn, rawCall("localhost", listCall))
	if answer, _ := io.ReadAll(conn); bytes.Contains(answer, []byte("jsonrpc")) || !bytes.HasPrefix(answer, []byte("HTTP/1.0 400 ")) {
		t.Errorf("in clear text: %q", answer)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestStopDoesNotWaitForStalled stops a host with clients that stall, which may have ten minutes to end their calls: they have
// none, so it does not wait for them.
func TestStopDoesNotWaitForStalled(t *testing.T) {
	p := startProgram(t, writeConfig(t, t.TempDir(), recordedPlugin+"server {\n  http { listen = \"127.0.0.1:0\" }\n  drain_timeout = \"10m\"\n}\n"), t.TempDir())
	address := strings.TrimPrefix(p.url, "http://")
	for _, text := range []string{"", "POST /rpc HTTP/1.1\r\nX: ", "POST /rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{", rawCall(address, listCall), http2.ClientPreface} {
		conn := dial(t, address)
		_, _ = io.WriteString(conn, text)
	}
	response, err := http.Get(p.url + "/readyz") // they are accepted in order
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// TestStopWithCallInFlight stops a host that waits for evidence: it still listens, says that it is not ready and that new calls
// should come again, and the call gets its answer.
func TestStopWithCallInFlight(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(asked); <-release }))
	defer web.Close()
	p := startProgram(t, writeConfig(t, t.TempDir(), recordedPlugin+recordedNamespace+`
server {
  http { listen = "127.0.0.1:0" }
  drain_timeout = "10m"
}
evidence "http" {
  allow_http    = true
  allow_private = ["127.0.0.0/8"]
  timeout       = "1m"
}
`), t.TempDir())
	query := map[string]any{
		"query":   map[string]any{"provider_id": "http", "check_id": "status", "params": map[string]any{"url": web.URL}},
		"context": map[string]any{"tenant_id": 1, "namespace_id": 1, "run_id": "r", "scenario_id": "s", "stage_id": "a", "trigger_id": "t", "trigger_time": map[string]any{"kind": "logical", "value": 1}, "correlation_id": nil},
	}
	answered := make(chan error, 1)
	go func() {
		r, err := post(p.url, "evidence_query", query)
		if err == nil && r.Error != nil {
			err = errors.New(r.Error.Message)
		}
		answered <- err
	}()
	<-asked
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	status := func(path string) int {
		response, err := http.Get(p.url + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	waitFor(t, "/readyz to say no", func() bool { return status("/readyz") == 503 })
	if got := status("/healthz"); got != 200 {
		t.Errorf("/healthz: %d", got)
	}
	if r, err := post(p.url, "providers_list", map[string]any{}); err != nil || r.Status != 503 || r.Error.Code != -32072 || !r.Error.Data.Retryable {
		t.Errorf("a new call: %+v %v", r, err)
	}
	close(release)
	if err := <-answered; err != nil {
		t.Errorf("the call in flight: %v", err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Error(err)
	}
}
