package sdk

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
)

// gate lets calls of the plugin's kind through between Configure and Drain and counts those that are inside.
type gate struct {
	mu      sync.Mutex
	state   gateState
	inside  int
	empty   chan struct{}   // closed when the gate is shut and nobody is inside
	closing context.Context // ends when draining begins
	shut    context.CancelFunc
}

type gateState uint8

const (
	notConfigured gateState = iota
	open
	draining
)

// refusals is what a call is told at a gate that is not open.
var refusals = map[gateState]string{
	notConfigured: "the plugin is not configured yet",
	draining:      "the plugin is draining",
}

func newGate() *gate {
	g := &gate{empty: make(chan struct{})}
	g.closing, g.shut = context.WithCancel(context.Background())
	return g
}

// admit lets calls in, unless the gate was shut before.
func (g *gate) admit() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state != notConfigured {
		return false
	}
	g.state = open
	return true
}

// refusal says why a call would be refused now; empty when it would not.
func (g *gate) refusal() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return refusals[g.state]
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if why := refusals[g.state]; why != "" {
		return fault.New(fault.Unavailable, "%s", why)
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	g.signalEmpty()
}

// signalEmpty is called with the lock held, once the gate has changed.
func (g *gate) signalEmpty() {
	if g.state != draining || g.inside > 0 {
		return
	}
	select {
	case <-g.empty:
	default:
		close(g.empty)
	}
}

// drain shuts the gate and waits until everybody has left.
func (g *gate) drain(ctx context.Context) error {
	g.mu.Lock()
	g.state = draining
	g.signalEmpty()
	g.mu.Unlock()
	g.shut()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return fault.New(fault.Deadline, "calls were still running when the time to drain was over")
	}
}

// lifeService prefixes the methods that are answered whatever the state.
const lifeService = "/" + handshake.Protocol + ".Plugin/"

// guardedMethod says whether the gate applies: to our protocol without the service Plugin, not to go-plugin's services.
func guardedMethod(method string) bool {
	return strings.HasPrefix(method, "/"+handshake.Protocol+".") && !strings.HasPrefix(method, lifeService)
}

// changesMethod follows for ever, so draining ends it instead of waiting.
const changesMethod = "/" + handshake.Protocol + ".Store/Changes"

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	err = g.pass(info.FullMethod, func() (err error) {
		resp, err = next(ctx, req)
		return err
	})
	return resp, err
}

func (g *gate) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return g.pass(info.FullMethod, func() error {
		if info.FullMethod != changesMethod {
			return next(srv, stream)
		}
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(g.closing, cancel)()
		return next(srv, streamWithContext{stream, ctx})
	})
}

// pass runs a call inside the gate; a panic in it becomes INTERNAL instead of the end of every other call.
func (g *gate) pass(method string, call func() error) error {
	if guardedMethod(method) {
		if err := g.enter(); err != nil {
			return fault.ToStatus(err)
		}
		defer g.leave()
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
