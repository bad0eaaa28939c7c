package modelcontext

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Call is a request in the hands of a tool, a resource or a prompt.
type Call struct {
	// Name is that of the tool or prompt, or the URI of the resource.
	Name string
	// Arguments are those of a tool or a prompt; an empty object when the client sent none.
	Arguments canonical.Value
	// Params are all of the request's.
	Params canonical.Value

	server   *Server
	session  session
	progress canonical.Value // the token; null when the client wants none
	out      outlet
}

// outlet takes messages that go to the client before the answer. It reports whether the client can be reached so.
type outlet interface {
	send(message []byte) bool
}

// Modern reports whether the client asks by a revision in which a result may ask for input.
func (c *Call) Modern() bool { return c.session.modern() }

// Can reports whether the client declared a capability.
func (c *Call) Can(capability string) bool { return c.session.capabilities.has(capability) }

// Require is the error of a call that needs a capability which the client did not declare, or nil.
func (c *Call) Require(capability string) error {
	if c.Can(capability) {
		return nil
	}
	e := refuse(MissingCapability, "the client must declare the capability %s", capability)
	if !c.Modern() {
		e.Code = InvalidRequest
	}
	e.Data = fmt.Appendf(nil, `{"requiredCapabilities":{%q:{}}}`, capability)
	return e
}

// Progress tells a client that wants to know how far the call is; total 0 is unknown. It is nothing otherwise.
func (c *Call) Progress(done, total uint64, what string) {
	if c.progress.IsNull() {
		return
	}
	params := canonical.AppendValue([]byte(`{"progressToken":`), c.progress, canonical.Declared)
	params = fmt.Appendf(params, `,"progress":%d`, done)
	if total > 0 {
		params = fmt.Appendf(params, `,"total":%d`, total)
	}
	if what != "" {
		params = canonical.AppendString(append(params, `,"message":`...), what)
	}
	c.out.send(appendNotification(nil, "notifications/progress", append(params, '}')))
}

// Log tells a client that wants to know what happened on the way. level is one of the protocol's names.
func (c *Call) Log(level, what string) {
	for severity, name := range levels {
		if name == level && severity >= c.session.level {
			params := canonical.AppendString(fmt.Appendf(nil, `{"level":%q,"data":`, level), what)
			c.out.send(appendNotification(nil, "notifications/message", append(params, '}')))
		}
	}
}

// ErrNotAsked says that a client could not be asked: its revision, its transport or the form of answer that it accepts has no
// way for that.
var ErrNotAsked = errors.New("the client cannot be asked")

// Ask sends a request to a legacy client and waits for its result. Modern clients are asked by an incomplete result.
func (c *Call) Ask(ctx context.Context, method string, params []byte) (canonical.Value, error) {
	if c.Modern() || c.session.name == "" {
		return canonical.Value{}, ErrNotAsked
	}
	id, answered := c.server.questions.open(c.session.name)
	defer c.server.questions.close(c.session.name, id)
	request := canonical.AppendString([]byte(opening+`,"id":`), id)
	request = canonical.AppendString(append(request, `,"method":`...), method)
	request = append(append(append(request, `,"params":`...), params...), '}')
	if !c.out.send(request) {
		return canonical.Value{}, ErrNotAsked
	}
	select {
	case <-ctx.Done():
		return canonical.Value{}, ctx.Err()
	case result := <-answered:
		if result == nil {
			return canonical.Value{}, errors.New("the client answered with an error")
		}
		return *result, nil
	}
}

// scoped is the id of a request in its session.
type scoped struct{ session, id string }

// questions are the requests of the server that wait for a client.
type questions struct {
	mu      sync.Mutex
	next    uint64
	waiting map[scoped]chan<- *canonical.Value
}

func (q *questions) open(session string) (id string, answered <-chan *canonical.Value) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == nil {
		q.waiting = map[scoped]chan<- *canonical.Value{}
	}
	q.next++
	id = fmt.Sprintf("server-%d", q.next)
	c := make(chan *canonical.Value, 1)
	q.waiting[scoped{session, id}] = c
	return id, c
}

func (q *questions) close(session, id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.waiting, scoped{session, id})
}

// answer hands a response to who waits for it; false when nobody does.
func (q *questions) answer(session string, m *message) bool {
	id, _ := m.id.Text()
	q.mu.Lock()
	defer q.mu.Unlock()
	c, ok := q.waiting[scoped{session, id}]
	if ok {
		delete(q.waiting, scoped{session, id})
		c <- m.result
	}
	return ok
}

// errCancelled is the cause of the end of a call that its client cancelled.
var errCancelled = errors.New("the client cancelled the request")

// flights are the requests that can be cancelled.
type flights struct {
	mu     sync.Mutex
	cancel map[scoped]context.CancelCauseFunc
}

// begin makes a request one that can be cancelled; land it when it has ended. ok is false when a request of that id is in
// flight already, of which then nobody could say which is meant.
func (f *flights) begin(ctx context.Context, session string, id canonical.Value) (_ context.Context, land func(), ok bool) {
	key := scoped{session, canonical.Identity(id)}
	ctx, cancel := context.WithCancelCause(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.cancel[key]; taken {
		cancel(nil)
		return ctx, nil, false
	}
	if f.cancel == nil {
		f.cancel = map[scoped]context.CancelCauseFunc{}
	}
	f.cancel[key] = cancel
	return ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.cancel, key)
		cancel(nil)
	}, true
}

// end cancels a request; one that is not in flight, or has been answered, is left alone.
func (f *flights) end(session string, id canonical.Value) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if cancel, ok := f.cancel[scoped{session, canonical.Identity(id)}]; ok {
		cancel(errCancelled)
	}
}
