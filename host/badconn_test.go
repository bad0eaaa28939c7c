package host_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// dial connects to a host; the connection ends with the test.
func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn.(*net.TCPConn)
}

// stallingHCL has the shortest deadlines, and few connections.
const stallingHCL = recordedPlugin + recordedNamespace + `
server {
  http { listen = "127.0.0.1:0" }
  read_header_timeout = "200ms"
  read_timeout        = "400ms"
  idle_timeout        = "1s"
  max_connections     = 16
  max_inflight        = 8
}
`

// TestStalledConnections has clients stop in every part of a request, or send it byte by byte, more than twice as many as there are
// connections: each is cut off, while one that behaves is served on a connection that it keeps, but for a few that it may
// lose on a busy machine, and another that makes a new one each time gets its turns.
func TestStalledConnections(t *testing.T) {
	p := startProgram(t, writeConfig(t, t.TempDir(), stallingHCL), t.TempDir())
	address := strings.TrimPrefix(p.url, "http://")
	const list = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`
	head := "POST /rpc HTTP/1.1\r\nHost: " + address + "\r\n"

	var served, lost [2]atomic.Int64
	stop := make(chan struct{})
	var clients sync.WaitGroup
	defer clients.Wait()
	defer close(stop)
	for i := range served {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: i == 1}, Timeout: 20 * time.Second}
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
				response, err := client.Post(p.url+"/rpc", "application/json", strings.NewReader(list))
				// Where more connections come than there may be, the one that has waited longest is closed, and on a busy machine
				// that may be this one, which makes another; how often is checked at the end.
				if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) {
					lost[i].Add(1)
					continue
				}
				if err != nil {
					t.Errorf("a healthy client is told %v", err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				// All places may be taken by bodies that stall, which a client is told.
				if response.StatusCode == 200 {
					served[i].Add(1)
				} else if response.StatusCode != 503 {
					t.Errorf("a healthy client is answered with %d", response.StatusCode)
				}
			}
		})
	}
	waitFor(t, "healthy clients", func() bool { return served[0].Load() > 0 && served[1].Load() > 0 })
	before := [2]int64{served[0].Load(), served[1].Load()}

	var stalled sync.WaitGroup
	for name, test := range map[string]struct {
		at, then string // what is sent at once, and then byte by byte, again and again
	}{
		"silent":              {},
		"in the first line":   {at: "POST /rp"},
		"in the header":       {at: head + "X: "},
		"header by the byte":  {at: head + "X: ", then: "y"},
		"headers by the byte": {at: head, then: "X: y\r\n"},
		"before the body":     {at: head + "Content-Length: 100\r\n\r\n"},
		"in the body":         {at: head + "Content-Length: 100\r\n\r\n{"},
		"body by the byte":    {at: head + "Content-Length: 100000\r\n\r\n{", then: " "},
		"chunks by the byte":  {at: head + "Transfer-Encoding: chunked\r\n\r\n", then: "1\r\n \r\n"},
		"after a request":     {at: head + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(list), list)},
		"in TLS":              {at: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"},
		"in HTTP/2":           {at: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
	} {
		for range 3 {
			conn := dial(t, address)
			stalled.Go(func() {
				_, _ = io.WriteString(conn, test.at)
				if test.then != "" {
					go func() {
						for i := 0; ; i = (i + 1) % len(test.then) {
							if _, err := io.WriteString(conn, test.then[i:i+1]); err != nil {
								return
							}
							time.Sleep(10 * time.Millisecond)
						}
					}()
				}
				if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("stalled %s: the connection is not cut off", name)
				}
			})
		}
	}
	stalled.Wait()
	waitFor(t, "healthy clients", func() bool { return served[0].Load() > before[0] && served[1].Load() > before[1] })
	for i := range served {
		if n, of := lost[i].Load(), served[i].Load(); n*10 > of {
			t.Errorf("healthy client %d lost %d connections over %d calls", i, n, of)
		}
	}
}
