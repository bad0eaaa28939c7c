package host_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// brokenWire is a network between hosts and their database that can be broken. It takes connections on loopback.
type brokenWire struct {
	address string

	mu    sync.Mutex
	pairs map[*pair]bool
	// mute: what the database answers does not arrive. What it is asked does.
	mute bool
}

// pair is a connection and the one to the database that it became.
type pair struct{ from, to net.Conn }

// breakableWire begins a wire to an address.
func breakableWire(t *testing.T, to string) *brokenWire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &brokenWire{address: l.Addr().String(), pairs: map[*pair]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.carry(from, to) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		w.cut()
		running.Wait()
	})
	return w
}

// carry copies both ways until either ends.
func (w *brokenWire) carry(from net.Conn, address string) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return
	}
	defer to.Close()
	p := &pair{from, to}
	w.mu.Lock()
	w.pairs[p] = true
	w.mu.Unlock()
	go func() { // ends with the connections
		_, _ = io.Copy(to, from)
		p.end()
	}()
	_, _ = io.Copy(answers{w, from}, to)
	p.end()
	w.mu.Lock()
	delete(w.pairs, p)
	w.mu.Unlock()
}

// answers writes to a client, unless the wire is mute.
type answers struct {
	wire *brokenWire
	to   net.Conn
}

func (a answers) Write(b []byte) (int, error) {
	a.wire.mu.Lock()
	mute := a.wire.mute
	a.wire.mu.Unlock()
	if mute {
		return len(b), nil
	}
	return a.to.Write(b)
}

// end resets both connections.
func (p *pair) end() {
	for _, c := range []net.Conn{p.from, p.to} {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// cut resets every connection.
func (w *brokenWire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.pairs {
		p.end()
	}
}

// loseAnswers lets what is asked through and nothing of what is answered, for a time, and then resets every connection: what
// was committed in between happened and nobody was told.
func (w *brokenWire) loseAnswers(d time.Duration) {
	w.hush(true)
	time.Sleep(d)
	w.cut()
	w.hush(false)
}

func (w *brokenWire) hush(mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = mute
}
