package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// stall sends half a request and waits.
func stall(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	fmt.Fprintf(conn, "POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: 10\r\n\r\n{", address)
	return conn
}

func rawPost(address, body string) string {
	return fmt.Sprintf("POST /rpc HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", address, len(body), body)
}

// TestStalledBodiesMakeRoom has clients take every slot with bodies that do not come: a client that sends all of its request
// is served, and the one that is late longest is told that the host is overloaded. No deadline ends them here.
func TestStalledBodiesMakeRoom(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(nil)
	var stalled []net.Conn
	for i := range r.MaxInflight {
		stalled = append(stalled, stall(t, address))
		waitFor(t, func() bool { return r.slots.waiting() == i+1 })
	}
	time.Sleep(patience)
	for range 3 {
		if response, body := send(t, address, rawPost(address, listTools)); response.StatusCode != 200 {
			t.Fatalf("%d %s", response.StatusCode, body)
		}
	}
	_ = stalled[0].SetReadDeadline(time.Now().Add(10 * time.Second))
	answer, _ := io.ReadAll(stalled[0]) // to the end of the connection, of which nobody knows where a request begins
	if !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") || !strings.Contains(string(answer), `"server overloaded"`) {
		t.Errorf("the first that stalled is told %q", answer)
	}
	// There was room after it.
	for i, conn := range stalled[1:] {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("stalled connection %d was cut off: %v", i+1, err)
		}
	}
	waitFor(t, func() bool { return r.slots.taken() == r.MaxInflight-1 && r.slots.waiting() == r.MaxInflight-1 })
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// TestPatience leaves a body its time: what has only begun to be read keeps its slot.
func TestPatience(t *testing.T) {
	s := newSlots(1)
	first, _ := s.take(func() bool { t.Error("cut off at once"); return true })
	first.since = time.Now().Add(time.Hour)
	if _, refused := s.take(func() bool { return true }); refused != errOverloaded {
		t.Errorf("the second gets %v", refused)
	}
	if !first.arrived() {
		t.Error("the first has lost its slot")
	}
	first.leave()
	if s.taken() != 0 || s.waiting() != 0 {
		t.Errorf("%d slots are taken, %d wait", s.taken(), s.waiting())
	}
}

// TestServedKeepSlots lets nothing take the slot of a request whose body has come.
func TestServedKeepSlots(t *testing.T) {
	s := newSlots(1)
	first, _ := s.take(func() bool { t.Error("a request that is served is cut off"); return true })
	first.arrived()
	first.since = time.Time{}
	if _, refused := s.take(func() bool { return true }); refused != errOverloaded {
		t.Errorf("the second gets %v", refused)
	}
}

// TestSlotsUnderLoad takes, loses and leaves slots from many goroutines: none is lost or made.
func TestSlotsUnderLoad(t *testing.T) {
	s := newSlots(3)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for range 500 {
				p, refused := s.take(func() bool { return i%2 == 0 })
				if refused != nil {
					continue
				}
				s.mu.Lock()
				p.since = p.since.Add(-time.Minute)
				s.mu.Unlock()
				if i%3 != 0 {
					p.arrived()
				}
				p.leave()
			}
		})
	}
	all.Wait()
	if s.taken() != 0 || s.waiting() != 0 {
		t.Errorf("%d slots are taken, %d wait", s.taken(), s.waiting())
	}
}

// TestDrain stops a host with a call that hangs and a body that stalls: /readyz is red at once, a new call is told to come
// again, and the call in flight ends with its answer. It does not wait for the body.
func TestDrain(t *testing.T) {
	r := newRig(t)
	address := r.serveReal(nil)
	release, reached := make(chan struct{}), make(chan struct{})
	r.store.Around(func(_ context.Context, _ faultystore.Call, do func()) error {
		close(reached)
		<-release
		do()
		return nil
	})
	answered := make(chan string, 1)
	go func() {
		response, body := send(t, address, rawPost(address, callText("scenarios_list", `{"tenant_id":1,"namespace_id":1}`)))
		answered <- fmt.Sprint(response.StatusCode, " ", body)
	}()
	<-reached
	stall(t, address)
	waitFor(t, func() bool { return r.slots.waiting() == 1 })
	drained := make(chan error, 1)
	go func() { drained <- r.Drain(t.Context()) }()
	waitFor(t, r.slots.stopping)
	if response, err := http.Get("http://" + address + "/readyz"); err != nil || response.StatusCode != 503 {
		t.Errorf("/readyz of a host that stops: %v %v", response, err)
	}
	if response, body := send(t, address, rawPost(address, listTools)); response.StatusCode != 503 || !strings.Contains(body, `"code":-32072,"message":"server is stopping"`) {
		t.Errorf("a new call: %d %s", response.StatusCode, body)
	}
	r.slots.cutAll()
	select {
	case err := <-drained:
		t.Fatalf("drained with a call in flight: %v", err)
	default:
	}
	close(release)
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if answer := <-answered; !strings.HasPrefix(answer, "200 ") {
		t.Errorf("the call in flight is told %s", answer)
	}
}

// TestDrainDeadline gives up on a call that does not end.
func TestDrainDeadline(t *testing.T) {
	s := newSlots(1)
	place, _ := s.take(func() bool { return false })
	place.arrived()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.drain(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	place.leave()
	if err := s.drain(t.Context()); err != nil {
		t.Errorf("with nothing in flight: %v", err)
	}
}

// taken is how many places are.
func (s *slots) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// waiting is how many of them have a body that has not come.
func (s *slots) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reading.Len()
}
