package evidencetest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence/evidencetest/internal/model"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panics of wrong providers are wanted
	os.Exit(m.Run())
}

// TestRightPlugin runs the whole kit, as a plugin's author does, against a provider that keeps every promise.
func TestRightPlugin(t *testing.T) {
	Test(t, Plugin{Package: "./testdata/provider", Config: func(string) any { return map[string]any{} }})
}

// TestRightProvider shows that the checks hold without processes too, so that a wrong provider below fails for its fault
// alone.
func TestRightProvider(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.on(t, inProcess{}) })
	}
}

// TestWrongProviders runs the check that is named for a promise against a provider that breaks it.
func TestWrongProviders(t *testing.T) {
	for _, wrong := range wrongProviders {
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == wrong.caughtBy })
			if i < 0 {
				t.Fatalf("no check %s", wrong.caughtBy)
			}
			r := &recorder{T: t}
			r.run(func() { checks[i].on(r, inProcess{wrong.wrap, wrong.wire}) })
			if len(r.failures) == 0 {
				t.Error("the kit finds nothing wrong")
			}
			t.Log(strings.Join(r.failures[:min(3, len(r.failures))], "\n"))
		})
	}
}

// TestEveryCheckCatches keeps a check from being added that nothing can fail.
func TestEveryCheckCatches(t *testing.T) {
	for _, c := range checks {
		if !slices.ContainsFunc(wrongProviders, func(w wrongProvider) bool { return w.caughtBy == c.name }) {
			t.Errorf("no wrong provider shows that check %s (%s) catches anything", c.name, c.proves)
		}
	}
}

// recorder keeps failures instead of failing.
type recorder struct {
	T
	mu       sync.Mutex
	failures []string
}

// run calls check in a goroutine, which Fatalf ends.
func (r *recorder) run(check func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		check()
	}()
	<-done
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// inProcess opens the model without a process, wrapped into what breaks it.
type inProcess struct {
	wrap func(evidence.Provider) evidence.Provider
	// wire breaks the server.
	wire func(pb.EvidenceServer) pb.EvidenceServer
}

func (p inProcess) time() evidence.Time { return evidence.Time{} }

func (p inProcess) open(t T) opened {
	var provider evidence.Provider = &model.Provider{}
	if p.wrap != nil {
		provider = p.wrap(provider)
	}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	evidence.RegisterServer(registrar{server, p.wire}, provider)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return opened{evidence.NewClient(conn), conn}
}

// registrar wraps the server that is registered.
type registrar struct {
	*grpc.Server
	wire func(pb.EvidenceServer) pb.EvidenceServer
}

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if r.wire != nil {
		impl = r.wire(impl.(pb.EvidenceServer))
	}
	r.Server.RegisterService(desc, impl)
}
