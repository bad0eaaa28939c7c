package authority

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func options(url string) Options {
	return Options{URL: url, Token: "t0ken", ConnectTimeout: time.Second, RequestTimeout: 2 * time.Second}
}

// TestQuestion compares what is sent byte for byte.
func TestQuestion(t *testing.T) {
	asked := make(chan string, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 4096)
			n, _ := connection.Read(buf)
			_, _ = connection.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
			connection.Close()
			asked <- string(buf[:n])
		}
	}()
	for _, test := range []struct{ token, want string }{
		{"t0ken", "Authorization: Bearer t0ken\r\n"},
		{"", ""},
	} {
		o := options("http://" + listener.Addr().String() + "/assets//")
		o.Token = test.token
		c := New(o)
		if err := c.Ensure(t.Context(), 18446744073709551615, "build-77"); err != nil {
			t.Fatal(err)
		}
		c.Close()
		want := "GET /assets/v1/write/namespaces/18446744073709551615 HTTP/1.1\r\nHost: " + listener.Addr().String() + "\r\nAccept: */*\r\n" + test.want + "X-Correlation-Id: build-77\r\n\r\n"
		if got := <-asked; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAnswers has only 200 admit.
func TestAnswers(t *testing.T) {
	status := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(int(status.Load()))
		if r.Method == http.MethodGet && status.Load() != http.StatusNoContent && status.Load() != http.StatusNotModified {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 3*maxBody)) // ignored
		}
	}))
	defer server.Close()
	c := New(options(server.URL))
	defer c.Close()
	for code := 200; code < 600; code++ {
		var want error
		switch code {
		case 200:
		case 401, 403:
			want = ErrDenied
		case 404:
			want = ErrNotFound
		default:
			want = ErrUnavailable
		}
		status.Store(int64(code))
		if err := c.Ensure(t.Context(), 5, "id"); !errors.Is(err, want) {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// TestRedirects: whatever a redirect ends at would admit the namespace, and could be sent the token.
func TestRedirects(t *testing.T) {
	admitting := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer admitting.Close()
	for _, code := range []int{301, 302, 303, 307, 308} {
		server := httptest.NewServer(http.RedirectHandler(admitting.URL, code))
		if err := New(options(server.URL)).Ensure(t.Context(), 5, "id"); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d: %v", code, err)
		}
		server.Close()
	}
}

// TestEnvironmentProxy: whoever sets the environment of the host would admit namespaces.
func TestEnvironmentProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the proxy was asked") }))
	defer proxy.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	if New(options("http://assets.invalid")).http.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy may be used") // net/http reads the environment once a process, so asking shows it only in the first test
	}
	if err := New(options("http://assets.invalid")).Ensure(t.Context(), 5, "id"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestUnavailable has servers that do not answer, or answer no HTTP.
func TestUnavailable(t *testing.T) {
	serve := func(handle func(net.Conn)) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				go handle(connection)
			}
		}()
		return "http://" + listener.Addr().String()
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	drain := func(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }
	for name, url := range map[string]string{
		"refused": closed.URL,
		"cut":     serve(func(c net.Conn) { c.Close() }),
		"silent":  serve(func(c net.Conn) { drain(c); time.Sleep(time.Second); c.Close() }),
		"garbage": serve(func(c net.Conn) { drain(c); _, _ = c.Write([]byte("200 OK\r\n\r\n")); c.Close() }),
		"huge header": serve(func(c net.Conn) {
			drain(c)
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX: %s\r\n\r\n", strings.Repeat("x", 2*maxHeader))
			c.Close()
		}),
		"no url": "://",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(url)
			o.RequestTimeout = 200 * time.Millisecond
			if err := New(o).Ensure(context.Background(), 5, "id"); !errors.Is(err, ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestUnsendable: a line break in a header would be one more header.
func TestUnsendable(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the server was asked") }))
	defer server.Close()
	o := options(server.URL)
	o.Token = "a\r\nX-Admin: 1"
	if err := New(o).Ensure(t.Context(), 5, "id"); !errors.Is(err, ErrToken) {
		t.Errorf("token: %v", err)
	}
	if err := New(options(server.URL)).Ensure(t.Context(), 5, "a\nb"); !errors.Is(err, ErrRequestID) {
		t.Errorf("request id: %v", err)
	}
}
