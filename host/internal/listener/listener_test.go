package listener

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// server is an HTTP server whose connections are bounded. Requests for /hang wait until released.
type server struct {
	t           *testing.T
	connections *Connections
	address     string
	listener    net.Listener
	hanging     chan struct{} // one for each request that hangs
	release     chan struct{}
}

func serve(t *testing.T, limit int) *server {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, connections: NewConnections(limit), address: inner.Addr().String(), hanging: make(chan struct{}, 100), release: make(chan struct{})}
	s.listener = s.connections.Listen(inner)
	h := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			s.hanging <- struct{}{}
			<-s.release
		}
		_, _ = io.WriteString(w, "served")
	})}
	h.Protocols = new(http.Protocols)
	h.Protocols.SetHTTP1(true)
	h.Protocols.SetUnencryptedHTTP2(true)
	s.connections.Serve(h)
	done := make(chan struct{})
	go func() { defer close(done); _ = h.Serve(s.listener) }()
	t.Cleanup(func() { h.Close(); <-done })
	return s
}

// dial connects, and sends a text.
func (s *server) dial(text string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, text)
	return conn
}

func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }

func (s *server) served(conn net.Conn) {
	s.t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if body, _ := io.ReadAll(response.Body); string(body) != "served" {
		s.t.Fatalf("%q", body)
	}
}

// count is how many connections there are, and how many of them wait.
func (s *server) count() (open, waiting int) {
	s.connections.mu.Lock()
	defer s.connections.mu.Unlock()
	return s.connections.open, s.connections.waiting.Len()
}

func (s *server) until(open, waiting int) {
	s.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if o, w := s.count(); o == open && w == waiting {
			return
		}
	}
	o, w := s.count()
	s.t.Fatalf("%d connections are open and %d wait, not %d and %d", o, w, open, waiting)
}

func closed(conn net.Conn) bool {
	_, err := conn.Read(make([]byte, 1))
	return err != nil
}

// TestStalledGiveWay fills a server with connections that stall: each new one is served, and the oldest is closed for it.
func TestStalledGiveWay(t *testing.T) {
	for name, text := range map[string]string{
		"silent": "", "in the first line": "GET /", "in a header": "GET / HTTP/1.1\r\nHost: x\r\nX: ", "in HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, 4)
			var stalled []net.Conn
			for i := range 4 {
				stalled = append(stalled, s.dial(text))
				s.until(i+1, i+1)
			}
			// HTTP/2 greets; what else comes is the end.
			for i, conn := range stalled[:3] {
				s.served(s.dial(get("/")))
				_, _ = io.Copy(io.Discard, conn)
				if open, _ := s.count(); open > 4 {
					t.Errorf("%d connections after %d", open, i)
				}
			}
		})
	}
}

// TestIdleGivesWay closes the connection that has been idle longest, not the one that was made first.
func TestIdleGivesWay(t *testing.T) {
	s := serve(t, 2)
	first := s.dial(get("/"))
	s.served(first)
	s.until(1, 1)
	second := s.dial(get("/"))
	s.served(second)
	s.until(2, 2)
	_, _ = io.WriteString(first, get("/"))
	s.served(first)
	s.until(2, 2)
	s.served(s.dial(get("/")))
	if !closed(second) {
		t.Error("the one idle longest is still open")
	}
	_, _ = io.WriteString(first, get("/"))
	s.served(first)
}

// TestRequestsKeepConnections closes no connection with a request: a new one waits until one has ended.
func TestRequestsKeepConnections(t *testing.T) {
	s := serve(t, 2)
	busy := []net.Conn{s.dial(get("/hang")), s.dial(get("/hang"))}
	<-s.hanging
	<-s.hanging
	s.until(2, 0)
	late := s.dial(get("/"))
	_ = late.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := late.Read(make([]byte, 1)); err == nil {
		t.Fatal("there was room for it")
	}
	s.release <- struct{}{}
	s.release <- struct{}{}
	_ = late.SetReadDeadline(time.Now().Add(10 * time.Second))
	s.served(late)
	served := 0
	for _, conn := range busy {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && response.StatusCode == 200 {
			served++
		}
	}
	if served != 2 {
		t.Errorf("%d of 2 were answered", served)
	}
}

// TestStreams has two requests of one connection of HTTP/2 end one after another: in between the connection is not waiting.
func TestStreams(t *testing.T) {
	s := serve(t, 2)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	answers := make(chan error, 2)
	for range 2 {
		go func() {
			response, err := client.Get("http://" + s.address + "/hang")
			if err == nil && response.ProtoMajor != 2 {
				err = fmt.Errorf("answered by %s", response.Proto)
			}
			answers <- err
		}()
		<-s.hanging
	}
	s.until(1, 0)
	s.release <- struct{}{}
	if err := <-answers; err != nil {
		t.Fatal(err)
	}
	s.until(1, 0)
	s.release <- struct{}{}
	if err := <-answers; err != nil {
		t.Fatal(err)
	}
	s.until(1, 1)
}

// TestDropWaiting closes what waits and leaves what does not.
func TestDropWaiting(t *testing.T) {
	s := serve(t, 8)
	busy := s.dial(get("/hang"))
	<-s.hanging
	stalled := s.dial("GET /")
	s.until(2, 1)
	s.connections.DropWaiting(time.Hour)
	s.until(2, 1)
	s.connections.DropWaiting(0)
	if !closed(stalled) {
		t.Error("a stalled connection is still open")
	}
	s.until(1, 0)
	s.release <- struct{}{}
	s.served(busy)
}

// TestCloseWhileFull closes the listener while a connection waits for room: Accept must not wait for ever.
func TestCloseWhileFull(t *testing.T) {
	s := serve(t, 1)
	s.dial(get("/hang"))
	<-s.hanging
	late := s.dial(get("/"))
	time.Sleep(10 * time.Millisecond) // it may also come too late to be accepted at all
	s.listener.Close()
	if !closed(late) {
		t.Error("a connection that was never served is open")
	}
	close(s.release)
	s.until(1, 1)
}

// TestRefusalIsRead sends more than a request's server reads: the client can still read the answer.
func TestRefusalIsRead(t *testing.T) {
	s := serve(t, 2)
	conn := s.dial("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
	go func() { _, _ = io.WriteString(conn, strings.Repeat("x", 9_000_000)) }()
	s.served(conn)
}
