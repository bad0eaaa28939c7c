package sdk

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// healthTimeout is below the second in which Health must answer.
const healthTimeout = 800 * time.Millisecond

// HealthChecker is a backend that knows whether its calls would succeed now. The context ends within a second. A store
// without it is asked to Describe itself; a plugin of another kind without it is ready while its process lives.
type HealthChecker interface {
	Health(ctx context.Context) error
}

func (l *life) Health(ctx context.Context, _ *pb.HealthRequest) (*pb.HealthResponse, error) {
	if why := l.door.refusal(); why != "" {
		return &pb.HealthResponse{Live: true, Reason: why}, nil
	}
	check := l.backendHealth()
	if check == nil {
		return &pb.HealthResponse{Live: true, Ready: true}, nil
	}
	err := l.health.run(ctx, check)
	var classified *fault.Error
	switch {
	case err == nil:
		return &pb.HealthResponse{Live: true, Ready: true}, nil
	case errors.As(err, &classified):
		return &pb.HealthResponse{Live: true, Reason: classified.Message}, nil
	default:
		// An unclassified error may hold a DSN: it stays in the log.
		Logger().Warn("health check failed", "error", err.Error())
		return &pb.HealthResponse{Live: true, Reason: "the backend has an error, see the plugin's log"}, nil
	}
}

// backendHealth is called only while the door is open, so the backend is there.
func (l *life) backendHealth() func(context.Context) error {
	var backend any = l.store.Store
	switch {
	case l.sink.Sink != nil:
		backend = l.sink.Sink
	case l.provider.Provider != nil:
		backend = l.provider.Provider
	case l.auth.Authenticator != nil:
		backend = l.auth.Authenticator
	}
	switch backend := backend.(type) {
	case HealthChecker:
		return backend.Health
	case store.Store:
		return func(ctx context.Context) error {
			_, err := backend.Describe(ctx)
			return err
		}
	default:
		return nil
	}
}

// healthCheck runs one check at a time: a backend that hangs must not collect a goroutine for every question.
type healthCheck struct {
	mu      sync.Mutex
	current *healthAnswer
}

type healthAnswer struct {
	done chan struct{}
	err  error // readable when done is closed
}

// run answers in time, also when the check does not.
func (h *healthCheck) run(ctx context.Context, check func(context.Context) error) error {
	answer := h.join(check)
	timeout := time.NewTimer(healthTimeout)
	defer timeout.Stop()
	select {
	case <-answer.done:
		return answer.err
	case <-timeout.C:
		return fault.New(fault.Unavailable, "the backend did not answer its health check within %s", healthTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join is the check under way, or a new one.
func (h *healthCheck) join(check func(context.Context) error) *healthAnswer {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.current != nil {
		return h.current
	}
	answer := &healthAnswer{done: make(chan struct{})}
	h.current = answer
	go func() {
		defer close(answer.done)
		defer func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.current = nil
		}()
		defer fault.Recover(&answer.err)
		ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
		defer cancel()
		answer.err = check(ctx)
	}()
	return answer
}
