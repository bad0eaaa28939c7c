// Package listener is the host's edge towards the network: it bounds the connections that clients hold, and speaks TLS with
// certificates that may change while it does. It knows nothing of requests but whether a connection has one.
package listener

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Connections bounds the connections of an HTTP server. When there are too many, that which has waited longest without a
// whole request is closed: clients that connect and then stall, in a header or between requests, would otherwise keep
// everybody else out until their deadlines. A connection with a request is never closed for another.
type Connections struct {
	limit int

	mu     sync.Mutex
	room   sync.Cond // that there may be room
	closed bool
	open   int
	// waiting holds the connections without a request, the one that has waited longest in front.
	waiting list.List
}

// connection is one of them.
type connection struct {
	net.Conn
	of       *Connections
	at       *list.Element // in of.waiting; nil while there is a request
	since    time.Time     // it is there
	requests int
	gone     bool
}

// NewConnections bounds connections to limit.
func NewConnections(limit int) *Connections {
	c := &Connections{limit: limit}
	c.room.L = &c.mu
	return c
}

// Listen bounds the connections of a listener.
func (c *Connections) Listen(l net.Listener) net.Listener { return &bounded{l, c} }

type bounded struct {
	net.Listener
	of *Connections
}

// Accept waits for a connection, and for room for it.
func (l *bounded) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.of.admit(conn)
}

// Close closes the listener and ends the wait for room.
func (l *bounded) Close() error {
	c := l.of
	c.mu.Lock()
	c.closed = true
	c.room.Broadcast()
	c.mu.Unlock()
	return l.Listener.Close()
}

func (c *Connections) admit(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.open >= c.limit && !c.closed {
		if front := c.waiting.Front(); front != nil {
			c.drop(front.Value.(*connection))
		} else {
			c.room.Wait()
		}
	}
	if c.closed {
		conn.Close()
		return nil, net.ErrClosed
	}
	one := &connection{Conn: conn, of: c}
	c.open++
	one.wait()
	return one, nil
}

// drop closes a connection whose server still has it. The lock is held.
func (c *Connections) drop(one *connection) {
	one.forget()
	one.Conn.Close()
}

// wait counts the connection as one without a request from now on. The lock is held.
func (one *connection) wait() {
	one.since = time.Now()
	one.at = one.of.waiting.PushBack(one)
}

// forget counts the connection no more. The lock is held.
func (one *connection) forget() {
	if one.gone {
		return
	}
	one.gone = true
	if one.at != nil {
		one.of.waiting.Remove(one.at)
	}
	one.of.open--
	one.of.room.Signal()
}

// Close closes the connection.
func (one *connection) Close() error {
	one.of.mu.Lock()
	one.forget()
	one.of.mu.Unlock()
	return one.Conn.Close()
}

// CloseWrite lets the server say that it is done and still take what comes, where the connection can: one that is closed with
// bytes unread is reset, and the client may lose the answer that refused its request.
func (one *connection) CloseWrite() error {
	if half, ok := one.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// begin and end are called around each request; HTTP/2 has many at a time.
func (one *connection) begin() {
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	one.requests++
	if one.at != nil {
		one.of.waiting.Remove(one.at)
		one.at = nil
	}
}

func (one *connection) end() {
	one.of.mu.Lock()
	defer one.of.mu.Unlock()
	if one.requests--; one.requests == 0 && !one.gone {
		one.wait()
		one.of.room.Signal()
	}
}

// DropWaiting closes the connections that have waited for at least the time given, and have no request.
func (c *Connections) DropWaiting(least time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := c.waiting.Front(); at != nil; at = c.waiting.Front() {
		one := at.Value.(*connection)
		if time.Since(one.since) < least {
			return
		}
		c.drop(one)
	}
}

type connectionKey struct{}

// Serve has a server tell which connections have a request: it sets ConnContext, and wraps the Handler.
func (c *Connections) Serve(server *http.Server) {
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if inner, ok := conn.(interface{ NetConn() net.Conn }); ok { // of TLS
			conn = inner.NetConn()
		}
		return context.WithValue(ctx, connectionKey{}, conn)
	}
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if one, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			one.begin()
			defer one.end()
		}
		next.ServeHTTP(w, r)
	})
}
