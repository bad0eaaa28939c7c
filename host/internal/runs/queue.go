package runs

import (
	"context"
	"sync"
)

// queues make calls on one run take turns in their host, so that they do not spend their attempts on one another.
type queues struct {
	mu   *sync.Mutex
	runs map[Ref]*queue
}

// queue is a turnstile: whoever takes the token is inside.
type queue struct {
	token   chan struct{}
	waiting int
}

func newQueues() queues { return queues{mu: &sync.Mutex{}, runs: map[Ref]*queue{}} }

// enter waits for the call's turn, or for the end of the context.
func (q queues) enter(ctx context.Context, ref Ref) (leave func(), err error) {
	q.mu.Lock()
	line, ok := q.runs[ref]
	if !ok {
		line = &queue{token: make(chan struct{}, 1)}
		line.token <- struct{}{}
		q.runs[ref] = line
	}
	line.waiting++
	q.mu.Unlock()

	forget := func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if line.waiting--; line.waiting == 0 {
			delete(q.runs, ref)
		}
	}
	select {
	case <-line.token:
		return func() { line.token <- struct{}{}; forget() }, nil
	case <-ctx.Done():
		forget()
		return nil, ctx.Err()
	}
}
