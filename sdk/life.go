package sdk

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// shutdownGrace is how long after the answer to Shutdown the process ends, so that the answer leaves first.
const shutdownGrace = 200 * time.Millisecond

// life is the Plugin service: one backend from Configure to Shutdown.
type life struct {
	pb.UnimplementedPluginServer
	plugin Plugin
	door   *door
	stop   func() // ends the process soon

	// The backend's calls go through these; they are set before the door opens and never again.
	store    opened
	sink     struct{ runpack.Sink }
	provider struct{ evidence.Provider }
	auth     struct{ auth.Authenticator }

	mu      sync.Mutex // held by Configure and close
	backend io.Closer  // nil before Configure and after close
	settled bool       // Configure has succeeded or Shutdown has come: there will be no other Configure

	health healthCheck
}

// opened is the plugin's store.
type opened struct{ store.Store }

// ChangesOf implements store.Selective, as the plugin's store does or not.
func (o *opened) ChangesOf(ctx context.Context, collections []string, after uint64, yield func(store.ChangeSet) error) error {
	return store.ChangesOf(ctx, o.Store, collections, after, yield)
}

func (l *life) register(r grpc.ServiceRegistrar) {
	pb.RegisterPluginServer(r, l)
	switch l.plugin.kind() {
	case pb.Kind_KIND_STORE:
		store.RegisterServer(r, &l.store)
	case pb.Kind_KIND_RUNPACK:
		runpack.RegisterServer(r, &l.sink)
	case pb.Kind_KIND_EVIDENCE:
		evidence.RegisterServer(r, &l.provider)
	case pb.Kind_KIND_AUTH:
		auth.RegisterServer(r, &l.auth)
	}
}

func (l *life) Manifest(context.Context, *pb.ManifestRequest) (*pb.ManifestResponse, error) {
	return l.plugin.manifest(), nil
}

func (l *life) Configure(ctx context.Context, req *pb.ConfigureRequest) (*pb.ConfigureResponse, error) {
	if err := l.open(ctx, req.GetConfigJson()); err != nil {
		// What is not classified stays here: it may hold a DSN. The operator finds it in the log; what crosses the wire, the
		// host tells.
		var known *fault.Error
		if !errors.As(err, &known) {
			Logger().Error("the configuration was refused", "error", err.Error())
		} else if known.Err != nil {
			Logger().Error("the configuration was refused", "cause", known.Err.Error())
		}
		return nil, fault.ToStatus(err)
	}
	return &pb.ConfigureResponse{}, nil
}

func (l *life) open(ctx context.Context, body []byte) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer fault.Recover(&err)
	if l.settled {
		return fault.New(fault.Invalid, "the plugin is configured already")
	}
	config, err := l.plugin.Config.Apply(body)
	if err != nil {
		return err
	}
	switch l.plugin.kind() {
	case pb.Kind_KIND_STORE:
		l.store.Store, err = l.plugin.OpenStore(ctx, config)
		l.backend = l.store.Store
	case pb.Kind_KIND_RUNPACK:
		l.sink.Sink, err = l.plugin.OpenRunpack(ctx, config)
		l.backend = l.sink.Sink
	case pb.Kind_KIND_EVIDENCE:
		l.provider.Provider, err = l.plugin.OpenEvidence(ctx, config)
		l.backend = l.provider.Provider
	case pb.Kind_KIND_AUTH:
		l.auth.Authenticator, err = l.plugin.OpenAuth(ctx, config)
		l.backend = l.auth.Authenticator
	}
	if err != nil {
		l.backend = nil
		return err
	}
	l.settled = true
	l.door.admit()
	return nil
}

func (l *life) Drain(ctx context.Context, req *pb.DrainRequest) (*pb.DrainResponse, error) {
	if deadline := req.GetDeadline(); deadline != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, deadline.AsDuration())
		defer cancel()
	}
	return &pb.DrainResponse{}, fault.ToStatus(l.door.drain(ctx))
}

func (l *life) Shutdown(ctx context.Context, _ *pb.ShutdownRequest) (*pb.ShutdownResponse, error) {
	// A caller who wanted the calls in flight to end has drained before, so here the wait is short.
	wait, cancel := context.WithTimeout(ctx, shutdownGrace)
	defer cancel()
	_ = l.door.drain(wait)
	err := l.close()
	time.AfterFunc(shutdownGrace, l.stop)
	if err != nil {
		Logger().Error("closing the backend failed", "error", err.Error())
	}
	return &pb.ShutdownResponse{}, fault.ToStatus(err)
}

// close closes the backend once; a Configure that comes later is refused.
func (l *life) close() (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer fault.Recover(&err)
	l.settled = true
	if l.backend == nil {
		return nil
	}
	backend := l.backend
	l.backend = nil
	return backend.Close()
}
