package delivery

import (
	"net/http"
	"testing"
	"time"
)

// client is one that takes its answer when it is told to, or is cut off.
type client struct {
	http.ResponseWriter
	takes    chan struct{}
	cut      chan struct{}
	deadline time.Time
}

func newClient() *client { return &client{takes: make(chan struct{}), cut: make(chan struct{}, 1)} }

func (c *client) SetWriteDeadline(deadline time.Time) error {
	c.deadline = deadline
	if !deadline.IsZero() && !deadline.After(time.Now()) {
		c.cut <- struct{}{}
	}
	return nil
}

func (c *client) FlushError() error {
	select {
	case <-c.takes:
		return nil
	case <-c.cut:
		return http.ErrHandlerTimeout
	}
}

// TestSend has three clients that take nothing beside a limit of two: the one that is late longest is given up, when it is
// late, and the others have their time.
func TestSend(t *testing.T) {
	a := &Answers{Timeout: time.Hour, Limit: 2}
	var clients []*client
	var ended []chan error
	begin := func() {
		c, end, begun := newClient(), make(chan error, 1), make(chan struct{})
		clients, ended = append(clients, c), append(ended, end)
		go func() { end <- a.Send(c, func() { close(begun) }) }()
		<-begun
	}
	begin()
	begin()
	begin() // none is late yet: nobody is given up, however many there are
	if a.Pending() != 3 {
		t.Fatalf("%d are being sent", a.Pending())
	}
	time.Sleep(patience)
	begin()
	for i := range 2 {
		if err := <-ended[i]; err == nil {
			t.Errorf("answer %d was taken", i)
		}
	}
	close(clients[2].takes)
	close(clients[3].takes)
	for i := 2; i < 4; i++ {
		if err := <-ended[i]; err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
		if !clients[i].deadline.IsZero() {
			t.Errorf("answer %d leaves the deadline %s behind", i, clients[i].deadline)
		}
	}
	if a.Pending() != 0 {
		t.Errorf("%d are being sent", a.Pending())
	}
}
