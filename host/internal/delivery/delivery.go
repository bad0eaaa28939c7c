// Package delivery sends answers to clients that need not take them. It gives up an answer that nobody takes in time, and the
// one that is late longest when there are too many. It does not know what it sends.
package delivery

import (
	"container/list"
	"net/http"
	"sync"
	"time"
)

// patience is the time that an answer is left to be taken, however many others there are: a client that reads takes one long
// before.
const patience = 100 * time.Millisecond

// Answers are those that are being sent. It is safe for concurrent use.
type Answers struct {
	// Timeout is the time that a client has to take one answer, or one event of a stream.
	Timeout time.Duration
	// Limit is how many may be late at a time. Attack stopped: a client of HTTP/2 that opens no window, so that not even the
	// smallest answer can leave, has 128 requests a connection each hold its memory for all of Timeout.
	Limit int

	mu sync.Mutex
	// sending holds the answers in the order in which they were begun.
	sending list.List
}

// sending is an answer on its way.
type sending struct {
	since time.Time
	out   *http.ResponseController
}

// Send has write write an answer, or a part of one, and sends it. The error says that the client has not taken it.
func (a *Answers) Send(w http.ResponseWriter, write func()) error {
	out := http.NewResponseController(w)
	at := a.begin(out)
	write()
	err := out.Flush()
	a.mu.Lock()
	a.sending.Remove(at) // from here on nobody cuts it off
	a.mu.Unlock()
	if err == nil {
		// The deadline is this answer's alone: the next one on the connection may be of another handler, in an embedder's server.
		// What could not be sent needs no connection any more.
		_ = out.SetWriteDeadline(time.Time{})
	}
	return err
}

func (a *Answers) begin(out *http.ResponseController) *list.Element {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for front := a.sending.Front(); front != nil && a.sending.Len() >= a.Limit; front = a.sending.Front() {
		late := front.Value.(*sending)
		if now.Sub(late.since) < patience {
			break
		}
		_ = late.out.SetWriteDeadline(now)
		a.sending.Remove(front)
	}
	_ = out.SetWriteDeadline(now.Add(a.Timeout))
	return a.sending.PushBack(&sending{now, out})
}

// Pending is how many there are.
func (a *Answers) Pending() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sending.Len()
}
