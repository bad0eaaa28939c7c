// Package budget bounds the memory that the evidence of all calls takes at a time. A document of a megabyte may be half a
// million values, forty times its size, and each call may hold as many documents as its scenario has conditions until it has
// decided: without a bound over all of them, a few files of brackets take the memory of the machine.
//
// What is counted is an estimate from above, made before a document is parsed.
package budget

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Default is the budget in bytes where none is set.
const Default = 256 << 20

// share is the part of the budget that one call may hold while it goes on, and that one document may take: with all of it, one
// could keep the others waiting, and a call could wait for itself.
const share = 2

// settle is the time within which a question that has waited in vain is answered.
const settle = 100 * time.Millisecond

var (
	// ErrBusy says that the evidence of other calls took the budget until the question's time was over.
	ErrBusy = errors.New("no memory for evidence was free in time")
	// ErrShare says that a call has all the evidence that it may hold.
	ErrShare = errors.New("the evidence of the call takes too much memory")
)

// Budget is the memory of all calls. It is safe for concurrent use; calls that wait are served in their order.
type Budget struct {
	size int64
	free *semaphore.Weighted
}

// New makes a budget of a number of bytes; Default when that is 0.
func New(size int64) *Budget {
	if size <= 0 {
		size = Default
	}
	return &Budget{size, semaphore.NewWeighted(size)}
}

// call is what the answers of one call hold.
type call struct {
	budget *Budget
	mu     sync.Mutex
	held   int64
	ended  bool
	// refused is the least that a document was to take which the call could not hold any more, 0 when there was none. What
	// takes as much is not tried: a call for a hundred such documents would parse them all for nothing.
	refused int64
}

type callKey struct{}

// Call begins a call: what its questions keep is held until end is called. A call within a call is a part of it.
func (b *Budget) Call(ctx context.Context) (_ context.Context, end func()) {
	if c, ok := ctx.Value(callKey{}).(*call); ok && c.budget == b {
		return ctx, func() {}
	}
	c := &call{budget: b}
	return context.WithValue(ctx, callKey{}, c), c.end
}

func (c *call) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.budget.free.Release(c.held)
	c.held = 0
}

// full reports that a call holds all that it may, or too much to hold a document that takes n bytes.
func (c *call) full(n int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && (c.held >= c.budget.size/share || c.refused > 0 && n >= c.refused)
}

// keep turns n reserved bytes into bytes that the call holds. It is false when they are more than it may hold, or when it
// has ended; they are the caller's to give back then. need is what was to be taken for them.
func (c *call) keep(n, need int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	if c.held+n > c.budget.size/share {
		if c.refused == 0 || need < c.refused {
			c.refused = need
		}
		return false
	}
	c.held += n
	return true
}

// Question is what one question to a provider takes.
type Question struct {
	call     *call
	mu       sync.Mutex
	reserved int64
	need     int64 // as it was asked for
}

type questionKey struct{}

// Question begins a question of the call that the context belongs to. Settle ends it.
func (b *Budget) Question(ctx context.Context) (context.Context, *Question) {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil || c.budget != b {
		c = &call{budget: b, ended: true} // holds nothing
	}
	q := &Question{call: c}
	return context.WithValue(ctx, questionKey{}, q), q
}

// Reserve waits until n bytes are free for the question that the context belongs to. A document that takes more than its share
// is counted as the share, so that it can be read at all. Without a question it reserves nothing.
func Reserve(ctx context.Context, n int64) error {
	q, ok := ctx.Value(questionKey{}).(*Question)
	if !ok {
		return nil
	}
	if q.call.full(n) {
		return ErrShare
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.need += n
	n = max(0, min(n, q.call.budget.size/share-q.reserved))
	if err := q.call.budget.acquire(ctx, n); err != nil {
		return err
	}
	if q.call.full(q.need) { // by those that it has waited for
		q.call.budget.free.Release(n)
		return ErrShare
	}
	q.reserved += n
	return nil
}

// acquire waits for n bytes. What is free is had at once, however little time is left: an answer that has come in time counts.
func (b *Budget) acquire(ctx context.Context, n int64) error {
	if b.free.TryAcquire(n) {
		return nil
	}
	// A question that runs out of time says what it has waited for.
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-settle))
		defer cancel()
	}
	if err := b.free.Acquire(ctx, n); err != nil {
		return ErrBusy
	}
	return nil
}

// Reserved reports whether the question has reserved anything.
func (q *Question) Reserved() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.reserved > 0
}

// Settle ends the question: of what it reserved, the call holds n bytes, and the rest is free. The error is ErrShare when the
// call may not hold them.
func (q *Question) Settle(n int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, q.reserved)
	kept := n == 0 || q.call.keep(n, q.need)
	if !kept {
		n = 0
	}
	q.call.budget.free.Release(q.reserved - n)
	q.reserved = 0
	if !kept && !q.call.over() {
		return ErrShare
	}
	return nil
}

// over reports that the call has ended, so that nobody waits for its answers.
func (c *call) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}
