package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// A backend that hangs is told about in time, and holds one goroutine however often it is asked.
func TestHealthOfHungBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var check healthCheck
		var running atomic.Int32
		release := make(chan struct{})
		hung := func(context.Context) error {
			running.Add(1)
			<-release
			return nil
		}
		begin := time.Now()
		var callers sync.WaitGroup
		for range 10 {
			callers.Go(func() {
				if err := check.run(t.Context(), hung); !fault.Is(err, fault.Unavailable) {
					t.Errorf("run = %v, want unavailable", err)
				}
			})
		}
		callers.Wait()
		if took := time.Since(begin); took >= time.Second || running.Load() != 1 {
			t.Errorf("answered after %s, %d checks running", took, running.Load())
		}
		close(release)
		synctest.Wait()
		if err := check.run(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("after the backend came back: %v", err)
		}
	})
}

// Everybody who asked gets the answer, not only the first.
func TestHealthAnswersEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var check healthCheck
		want := errors.New("down")
		slow := func(context.Context) error { time.Sleep(time.Millisecond); return want }
		var callers sync.WaitGroup
		for range 5 {
			callers.Go(func() {
				if err := check.run(t.Context(), slow); !errors.Is(err, want) {
					t.Errorf("run = %v, want %v", err, want)
				}
			})
		}
		callers.Wait()
	})
}

type describer struct {
	store.Store
	err error
}

func (d describer) Describe(context.Context) (store.Description, error) {
	return store.Description{}, d.err
}

type checker struct {
	runpack.Sink
	err error
}

func (c checker) Health(context.Context) error { return c.err }

func TestHealth(t *testing.T) {
	openStore := func(s store.Store) *life {
		l := &life{plugin: testPlugin, door: newDoor()}
		l.store.Store = s
		l.door.admit()
		return l
	}
	openSink := func(s runpack.Sink) *life {
		l := &life{door: newDoor()}
		l.sink.Sink = s
		l.door.admit()
		return l
	}
	for name, test := range map[string]struct {
		life *life
		want string // "" is ready
	}{
		"not configured":         {&life{door: newDoor()}, "not configured"},
		"store":                  {openStore(describer{}), ""},
		"store is down":          {openStore(describer{err: fault.New(fault.Unavailable, "database is down")}), "database is down"},
		"store leaks no secret":  {openStore(describer{err: errors.New("dsn=secret")}), "see the plugin's log"},
		"store panics":           {openStore(struct{ store.Store }{}), "stack is in the log"},
		"sink":                   {openSink(struct{ runpack.Sink }{}), ""},
		"sink that knows":        {openSink(checker{}), ""},
		"sink that knows better": {openSink(checker{err: fault.New(fault.Full, "disk is full")}), "disk is full"},
	} {
		resp, err := test.life.Health(t.Context(), &pb.HealthRequest{})
		if err != nil || !resp.GetLive() || resp.GetReady() != (test.want == "") || !strings.Contains(resp.GetReason(), test.want) || strings.Contains(resp.GetReason(), "secret") {
			t.Errorf("%s: %v, %v; want %q", name, resp, err, test.want)
		}
	}
}

var testPlugin = Plugin{Name: "store-test", Version: "1", OpenStore: func(context.Context, json.RawMessage) (store.Store, error) { return nil, nil }}
