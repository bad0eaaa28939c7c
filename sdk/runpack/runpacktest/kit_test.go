package runpacktest

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack/runpacktest/internal/model"
)

// TestRightPlugin runs the whole kit, as a plugin's author does, against a sink that keeps every promise.
func TestRightPlugin(t *testing.T) {
	Test(t, Plugin{Package: "./testdata/sink", Config: func(dir string) any { return map[string]any{"path": dir} }})
}

// TestRightSink shows that the checks hold without processes too, so that a wrong sink below fails for its fault alone.
func TestRightSink(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.on(t, inProcess{}) })
	}
}

// TestWrongSinks runs the check that is named for a promise against a sink that breaks it.
func TestWrongSinks(t *testing.T) {
	for _, wrong := range wrongSinks {
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == wrong.caughtBy })
			if i < 0 {
				t.Fatalf("no check %s", wrong.caughtBy)
			}
			wantCaught(t, func(r *recorder) { checks[i].on(r, inProcess{wrap: wrong.wrap, wire: wrong.wire}) })
		})
	}
}

// TestEveryCheckCatches keeps a check from being added that nothing can fail.
func TestEveryCheckCatches(t *testing.T) {
	for _, c := range checks {
		if !slices.ContainsFunc(wrongSinks, func(w wrongSink) bool { return w.caughtBy == c.name }) {
			t.Errorf("no wrong sink shows that check %s (%s) catches anything", c.name, c.proves)
		}
	}
}

// TestWrongProcesses does the same for what only a process can break.
func TestWrongProcesses(t *testing.T) {
	binary := launchtest.Build(t, "./testdata/sink")
	for _, wrong := range []struct{ broken, caughtBy, says string }{
		{"no file sync", "Durable", "the bytes of"},
		{"no directory sync", "Durable", "the entry of"},
		{"late sync", "Durable", "the bytes of"},
		{"deaf sync", "SyncError", "was not synced"},
		{"buffers", "Memory", "held in memory"},
	} {
		t.Run(wrong.broken, func(t *testing.T) {
			p := &processes{command: []string{binary}, config: func(dir string) any {
				return map[string]any{"path": dir, "broken": wrong.broken}
			}}
			for _, c := range processChecks {
				if c.name != wrong.caughtBy {
					continue
				}
				failures := wantCaught(t, func(r *recorder) { c.run(r, p) })
				if !strings.Contains(strings.Join(failures, "\n"), wrong.says) {
					t.Errorf("the check says %q, want %q in it", failures, wrong.says)
				}
			}
		})
	}
}

// wantCaught runs a check and asserts that it failed.
func wantCaught(t *testing.T, run func(*recorder)) []string {
	t.Helper()
	r := &recorder{t: t}
	done := make(chan struct{})
	// Fatalf ends the goroutine that it is called in.
	go func() {
		defer close(done)
		run(r)
	}()
	<-done
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.failures) == 0 {
		t.Errorf("the check passed")
	}
	return r.failures
}

// recorder is a T whose failures are expected.
type recorder struct {
	t        *testing.T
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Helper()          {}
func (r *recorder) Cleanup(f func()) { r.t.Cleanup(f) }
func (r *recorder) TempDir() string  { return r.t.TempDir() }
func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit() // As testing does.
}

// inProcess opens the model without a process, wrapped into what breaks it.
type inProcess struct {
	// wrap breaks the sink; dir is its data.
	wrap func(m *model.Sink) runpack.Sink
	// wire breaks the server.
	wire func(pb.RunpackServer) pb.RunpackServer
}

func (p inProcess) open(t T, dir string) opened {
	m := &model.Sink{Dir: dir, NoFileSync: true, NoDirSync: true}
	var sink runpack.Sink = m
	if p.wrap != nil {
		sink = p.wrap(m)
	}
	dead := make(chan struct{})
	mortal := &mortal{Sink: sink, dead: dead}
	return opened{sink: mortal, conn: p.serve(t, sink), kill: sync.OnceFunc(func() { close(dead) })}
}

// serve puts the sink behind gRPC in memory.
func (p inProcess) serve(t T, sink runpack.Sink) grpc.ClientConnInterface {
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	runpack.RegisterServer(registrar{server, p.wire}, sink)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// registrar wraps the server that is registered.
type registrar struct {
	*grpc.Server
	wire func(pb.RunpackServer) pb.RunpackServer
}

func (r registrar) RegisterService(desc *grpc.ServiceDesc, impl any) {
	if r.wire != nil {
		impl = r.wire(impl.(pb.RunpackServer))
	}
	r.Server.RegisterService(desc, impl)
}

// mortal is a sink that a kill ends between two calls.
type mortal struct {
	runpack.Sink
	dead chan struct{}
}

func (m *mortal) Begin(ctx context.Context, key runpack.Key, tags map[string]string) (string, error) {
	select {
	case <-m.dead:
		return "", errDead
	default:
		if err := ctx.Err(); err != nil {
			return "", err
		}
		return m.Sink.Begin(ctx, key, tags)
	}
}
