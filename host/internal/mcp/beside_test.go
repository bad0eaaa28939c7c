package mcp

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestBesideOthers has a host answer on a connection of another's server: its own deadline does not cut off the answer of the
// handler that is asked next.
func TestBesideOthers(t *testing.T) {
	r := newRig(t)
	r.answers.Timeout = 50 * time.Millisecond
	mux := http.NewServeMux()
	mux.Handle("/gate/", http.StripPrefix("/gate", r.Handler()))
	mux.HandleFunc("GET /own", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(2 * r.answers.Timeout)
		_, _ = io.WriteString(w, "own")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	address := server.Listener.Addr().String()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for _, ask := range []string{
		fmt.Sprintf("POST /gate/rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", address, len(listTools), listTools),
		"GET /own HTTP/1.1\r\nHost: " + address + "\r\n\r\n",
	} {
		if _, err := io.WriteString(conn, ask); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatalf("%.20q: %v", ask, err)
		}
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%.20q: %d %s %v", ask, response.StatusCode, body, err)
		}
		response.Body.Close()
	}
}

// TestOwnNames serves an embedder's names, and refuses what a browser could be made to send for another.
func TestOwnNames(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Hosts = []string{"gate.example"} })
	for _, test := range []struct {
		host, origin string
		want         int
	}{
		{"gate.example", "", 200},
		{"Gate.Example.:8443", "https://gate.example:8443", 200},
		{"localhost", "", 200},
		{"gate.example", "https://evil.example", 403},
		{"evil.example", "", 403},
		{"gate.example.evil.example", "", 403},
		{"sub.gate.example", "", 403},
	} {
		request := httptest.NewRequest("GET", "/healthz", nil)
		request.Host = test.host
		if test.origin != "" {
			request.Header.Set("Origin", test.origin)
		}
		answer := httptest.NewRecorder()
		r.Handler().ServeHTTP(answer, request)
		if answer.Code != test.want {
			t.Errorf("Host %q, Origin %q: %d, want %d", test.host, test.origin, answer.Code, test.want)
		}
	}
}
