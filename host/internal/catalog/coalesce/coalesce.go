// Package coalesce joins concurrent requests into one call: while a call is under way, requests wait, and all that wait
// are sent together when it returns. No timer delays anybody: a lone request is sent at once.
//
// It does not retry and knows nothing of what it carries. A request never joins a call that is under way, so it sees
// everything that was answered before it was made.
package coalesce

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Limits bound one call. A request that passes one of them by itself is sent alone.
type Limits struct {
	// Items and Bytes are the sums over the requests of a call at most.
	Items, Bytes int
}

// Caller makes calls for requests.
type Caller[Req, Resp any] struct {
	// Limits bound a call.
	Limits Limits
	// Cost is how much of the limits a request takes.
	Cost func(Req) (items, bytes int)
	// Call makes the call and answers one response for each request, in order. Its context ends when every caller of the
	// call has left, not before: one who leaves must not fail the others. Call bounds its own time.
	Call func(ctx context.Context, requests []Req) ([]Resp, error)
	// Alone says after an error whether each request should be tried in a call of its own, because only one of them may
	// be at fault: one corrupt record must not fail whoever happened to read at the same time.
	Alone func(error) bool

	mu      sync.Mutex
	waiting []*request[Req, Resp]
	calling bool
}

type request[Req, Resp any] struct {
	req  Req
	resp Resp
	err  error
	done chan struct{} // closed when resp or err is set
	call *call         // nil while the request waits
}

// call is a call under way: how many still wait for it, and what ends its context.
type call struct {
	ctx     context.Context
	cancel  context.CancelFunc
	callers int
}

// Do sends a request and waits for its answer. When ctx ends first, Do returns its error; the request is not sent if it
// was still waiting, and happens nevertheless if it was under way.
func (c *Caller[Req, Resp]) Do(ctx context.Context, req Req) (Resp, error) {
	var none Resp
	if err := ctx.Err(); err != nil {
		return none, err
	}
	r := &request[Req, Resp]{req: req, done: make(chan struct{})}
	c.join(r)
	select {
	case <-r.done:
		return r.resp, r.err
	case <-ctx.Done():
		c.leave(r)
		return none, ctx.Err()
	}
}

// join adds a request, and starts calling when nobody is.
func (c *Caller[Req, Resp]) join(r *request[Req, Resp]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, r)
	if !c.calling {
		c.calling = true
		go c.run()
	}
}

func (c *Caller[Req, Resp]) leave(r *request[Req, Resp]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.call == nil {
		i := slices.Index(c.waiting, r)
		c.waiting = slices.Delete(c.waiting, i, i+1)
		return
	}
	if r.call.callers--; r.call.callers == 0 {
		r.call.cancel()
	}
}

// run calls until nobody waits.
func (c *Caller[Req, Resp]) run() {
	for {
		batch := c.next()
		if len(batch) == 0 {
			return
		}
		c.answer(batch)
	}
}

// next takes as many waiting requests, in order, as the limits allow; none ends the run.
func (c *Caller[Req, Resp]) next() []*request[Req, Resp] {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, items, bytes := 0, 0, 0
	for _, r := range c.waiting {
		i, b := c.Cost(r.req)
		if n > 0 && (items+i > c.Limits.Items || bytes+b > c.Limits.Bytes) {
			break
		}
		n, items, bytes = n+1, items+i, bytes+b
	}
	batch := slices.Clone(c.waiting[:n])
	// Delete clears the tail: the bodies of requests are not kept alive by the queue.
	c.waiting = slices.Delete(c.waiting, 0, n)
	c.calling = n > 0
	joint := &call{callers: n}
	joint.ctx, joint.cancel = context.WithCancel(context.Background())
	for _, r := range batch {
		r.call = joint
	}
	return batch
}

func (c *Caller[Req, Resp]) answer(batch []*request[Req, Resp]) {
	defer batch[0].call.cancel()
	err := c.try(batch)
	if err != nil && len(batch) > 1 && c.Alone(err) {
		for _, r := range batch {
			r.err = c.try([]*request[Req, Resp]{r})
			close(r.done)
		}
		return
	}
	for _, r := range batch {
		r.err = err
		close(r.done)
	}
}

// try makes one call. A panic in it must not end the run: everybody who comes later would wait for ever.
func (c *Caller[Req, Resp]) try(batch []*request[Req, Resp]) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a joint call: %v", p)
		}
	}()
	requests := make([]Req, len(batch))
	for i, r := range batch {
		requests[i] = r.req
	}
	responses, err := c.Call(batch[0].call.ctx, requests)
	if err != nil {
		return err
	}
	if len(responses) != len(batch) {
		return fmt.Errorf("a joint call answered %d responses to %d requests", len(responses), len(batch))
	}
	for i, r := range batch {
		r.resp = responses[i]
	}
	return nil
}
