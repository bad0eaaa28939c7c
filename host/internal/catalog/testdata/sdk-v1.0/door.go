package sdk

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
)

// door lets calls of the plugin's kind through between Configure and Drain and counts those that are inside.
type door struct {
	mu      sync.Mutex
	state   doorState
	inside  int
	empty   chan struct{}   // closed when the door is shut and nobody is inside
	closing context.Context // ends when draining begins
	shut    context.CancelFunc
}

type doorState uint8

const (
	notConfigured doorState = iota
	open
	draining
)

// refusals is what a call is told at a door that is not open.
var refusals = map[doorState]string{
	notConfigured: "the plugin is not configured yet",
	draining:      "the plugin is draining",
}

func newDoor() *door {
	d := &door{empty: make(chan struct{})}
	d.closing, d.shut = context.WithCancel(context.Background())
	return d
}

// admit lets calls in, unless the door was shut before.
func (d *door) admit() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != notConfigured {
		return false
	}
	d.state = open
	return true
}

// refusal says why a call would be refused now; empty when it would not.
func (d *door) refusal() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return refusals[d.state]
}

func (d *door) enter() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if why := refusals[d.state]; why != "" {
		return fault.New(fault.Unavailable, "%s", why)
	}
	d.inside++
	return nil
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inside--
	d.signalEmpty()
}

// signalEmpty is called with the lock held, once the door has changed.
func (d *door) signalEmpty() {
	if d.state != draining || d.inside > 0 {
		return
	}
	select {
	case <-d.empty:
	default:
		close(d.empty)
	}
}

// drain shuts the door and waits until everybody has left.
func (d *door) drain(ctx context.Context) error {
	d.mu.Lock()
	d.state = draining
	d.signalEmpty()
	d.mu.Unlock()
	d.shut()
	select {
	case <-d.empty:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Deadline, "calls were still running when the time to drain was over")
	}
}

// lifeService prefixes the methods that are answered whatever the state.
const lifeService = "/" + handshake.Protocol + ".Plugin/"

// guardedMethod says whether the door applies: to our protocol without the service Plugin, not to go-plugin's services.
func guardedMethod(method string) bool {
	return strings.HasPrefix(method, "/"+handshake.Protocol+".") && !strings.HasPrefix(method, lifeService)
}

// changesMethod follows for ever, so draining ends it instead of waiting.
const changesMethod = "/" + handshake.Protocol + ".Store/Changes"

func (d *door) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	err = d.pass(info.FullMethod, func() (err error) {
		resp, err = next(ctx, req)
		return err
	})
	return resp, err
}

func (d *door) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return d.pass(info.FullMethod, func() error {
		if info.FullMethod != changesMethod {
			return next(srv, stream)
		}
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(d.closing, cancel)()
		return next(srv, streamWithContext{stream, ctx})
	})
}

// pass runs a call inside the door; a panic in it becomes INTERNAL instead of the end of every other call.
func (d *door) pass(method string, call func() error) error {
	if guardedMethod(method) {
		if err := d.enter(); err != nil {
			return fault.ToStatus(err)
		}
		defer d.leave()
	}
	var panicked error
	err := func() error {
		defer fault.Recover(&panicked)
		return call()
	}()
	if panicked != nil {
		return fault.ToStatus(panicked)
	}
	return err
}

type streamWithContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s streamWithContext) Context() context.Context { return s.ctx }
