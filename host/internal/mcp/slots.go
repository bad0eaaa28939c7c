package mcp

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// patience is the time that a body may be late when another request needs its slot. What a client sends at once has come long
// before.
const patience = 10 * time.Millisecond

// drainPatience is the time that bodies have to come when the host stops.
const drainPatience = time.Second

// slots are the places of requests that are read and served. Bodies that stall take places, too, and could take all of
// them: a request that finds none has that of the body which is late longest, so that stalled clients keep nobody out.
type slots struct {
	mu       sync.Mutex
	limit    int
	used     int
	draining bool
	// reading holds the slots whose body has not come, the one taken first in front.
	reading list.List
	empty   chan struct{} // closed when draining and none is used
}

// slot is one place.
type slot struct {
	of    *slots
	at    *list.Element // in of.reading, until the body has come
	since time.Time
	// cut ends the reading of the body; it is false where that cannot be done. It is called at most once, before arrived.
	cut func() bool
	// lost says that another request has the place.
	lost bool
}

func newSlots(limit int) *slots {
	return &slots{limit: limit, empty: make(chan struct{})}
}

// take gives a request a place while its body is read; nil when there is none.
func (s *slots) take(cut func() bool) (*slot, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := &slot{of: s, since: time.Now(), cut: cut}
	switch {
	case s.draining:
		return nil, errDraining
	case s.used < s.limit:
		s.used++
	case !s.makeRoom(p.since):
		return nil, errOverloaded
	}
	p.at = s.reading.PushBack(p)
	return p, nil
}

// makeRoom cuts off the body that is late longest; its place is free at once, though its request ends later.
func (s *slots) makeRoom(now time.Time) bool {
	front := s.reading.Front()
	if front == nil {
		return false
	}
	late := front.Value.(*slot)
	if now.Sub(late.since) < patience || !late.cut() {
		return false
	}
	s.reading.Remove(front)
	late.lost = true
	return true
}

// arrived says that the body has come. It is false when it came too late.
func (p *slot) arrived() bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if !p.lost {
		p.of.reading.Remove(p.at)
	}
	return !p.lost
}

// leave gives the place up. A body that has not come by then does not come any more.
func (p *slot) leave() {
	s := p.of
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.lost {
		return
	}
	s.reading.Remove(p.at) // of no effect when it has arrived
	s.used--
	s.ended()
}

// ended tells drain that the last one has left.
func (s *slots) ended() {
	if s.draining && s.used == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// drain lets no request in any more, and waits for those that are, until the context ends: first a while for all of them,
// then only for those that have come as a whole.
func (s *slots) drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	s.ended()
	s.mu.Unlock()
	late := time.AfterFunc(drainPatience, s.cutAll)
	defer late.Stop()
	select {
	case <-s.empty:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-s.empty: // also where there was no time to wait
		return nil
	default:
		return ctx.Err()
	}
}

func (s *slots) cutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := s.reading.Front(); at != nil; {
		next, p := at.Next(), at.Value.(*slot)
		if p.cut() {
			s.reading.Remove(at)
			p.lost = true
			s.used--
		}
		at = next
	}
	s.ended()
}

func (s *slots) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}
