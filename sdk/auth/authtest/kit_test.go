package authtest

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

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth/authtest/internal/model"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panics of wrong authenticators are wanted
	os.Exit(m.Run())
}

// TestRightPlugin runs the whole kit, as a plugin's author does, against an authenticator that keeps every promise.
func TestRightPlugin(t *testing.T) {
	Test(t, Plugin{Package: "./testdata/plugin", Fixture: func(t T, _ string) Fixture { return newForge(t).fixture(t) }})
}

// TestRightAuthenticator shows that the checks hold without processes too, so that a wrong authenticator below fails for its
// fault alone.
func TestRightAuthenticator(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.on(t, inProcess{}) })
	}
}

// TestWrongAuthenticators runs the check that is named for a promise against an authenticator that breaks it.
func TestWrongAuthenticators(t *testing.T) {
	for _, wrong := range wrongAuthenticators {
		t.Run(wrong.name, func(t *testing.T) {
			t.Parallel()
			i := slices.IndexFunc(checks, func(c check) bool { return c.name == wrong.caughtBy })
			if i < 0 {
				t.Fatalf("no check %s", wrong.caughtBy)
			}
			r := &recorder{T: t}
			r.run(func() { checks[i].on(r, inProcess{wrong}) })
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
		if !slices.ContainsFunc(wrongAuthenticators, func(w wrongAuthenticator) bool { return w.caughtBy == c.name }) {
			t.Errorf("no wrong authenticator shows that check %s (%s) catches anything", c.name, c.proves)
		}
	}
}

// TestFixture refuses tokens that would prove nothing.
func TestFixture(t *testing.T) {
	for name, alter := range map[string]func(*Fixture){
		"one subject":        func(f *Fixture) { f.Good = f.Good[:1] },
		"no roles":           func(f *Fixture) { f.Good[0].Want.Roles = nil },
		"an attack is left ": func(f *Fixture) { delete(f.Bad, Expired) },
	} {
		r := &recorder{T: t}
		r.run(func() { checks[0].on(r, inProcess{wrongAuthenticator{fixture: alter}}) })
		if len(r.failures) != 1 || !strings.Contains(r.failures[0], "authtest.Fixture needs ") {
			t.Errorf("%s: %q", name, r.failures)
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

// inProcess opens the model without a process, altered into what breaks it.
type inProcess struct{ wrongAuthenticator }

func (inProcess) lacks() map[Attack]string { return nil }

func (p inProcess) open(t T) opened {
	f, log := newForge(t), &lines{}
	m := &model.Authenticator{Key: f.public, Forgets: p.forgets, Log: log.logger()}
	var a auth.Authenticator = m
	if p.wrap != nil {
		a = p.wrap(m)
	}
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	if p.wire != nil {
		pb.RegisterAuthServer(server, p.wire(a))
	} else {
		auth.RegisterServer(server, a)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient("passthrough:memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return listener.Dial() }))
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fixture := f.fixture(t)
	if p.fixture != nil {
		p.fixture(&fixture)
	}
	return opened{auth.NewClient(conn), conn, fixture, log.text}
}
