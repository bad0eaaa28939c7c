package launch_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/handshake"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func TestConfigureOnceAndFirst(t *testing.T) {
	p, err := launch.Start(t.Context(), spec())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill(time.Second) })
	life := pb.NewPluginClient(p.Conn())
	if _, err := ask(t.Context(), p, "config"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("before Configure: %v, want unavailable", err)
	}
	if health, err := life.Health(t.Context(), &pb.HealthRequest{}); err != nil || !health.GetLive() || health.GetReady() {
		t.Errorf("before Configure: health %v, %v", health, err)
	}
	_, err = life.Configure(t.Context(), &pb.ConfigureRequest{ConfigJson: []byte(`{"greting":"x"}`)})
	if err = fault.FromStatus(err); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "greting") {
		t.Errorf("Configure = %v, want invalid and the attribute's name", err)
	}
	if _, err := life.Configure(t.Context(), &pb.ConfigureRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := life.Configure(t.Context(), &pb.ConfigureRequest{}); !fault.Is(fault.FromStatus(err), fault.Invalid) {
		t.Errorf("second Configure = %v, want invalid", err)
	}
	if health, err := life.Health(t.Context(), &pb.HealthRequest{}); err != nil || !health.GetReady() {
		t.Errorf("after Configure: health %v, %v", health, err)
	}
}

func TestDrainWaitsForCallsAndRefusesNewOnes(t *testing.T) {
	p := start(t, spec())
	life := pb.NewPluginClient(p.Conn())
	seen, followed := make(chan struct{}), make(chan error)
	go func() {
		followed <- store.NewClient(p.Conn()).Changes(t.Context(), 0, func(store.ChangeSet) error {
			close(seen)
			return nil
		})
	}()
	<-seen
	slow := make(chan error)
	go func() {
		_, err := ask(t.Context(), p, "slow")
		slow <- err
	}()
	// The slow call is in once the plugin says so.
	waitFor(t, func() bool { return strings.Contains(strings.Join(p.LastLog(), "\n"), "slow begins") })
	if _, err := life.Drain(t.Context(), &pb.DrainRequest{Deadline: durationpb.New(5 * time.Second)}); err != nil {
		t.Errorf("Drain = %v", err)
	}
	if err := <-slow; err != nil {
		t.Errorf("the call under way: %v", err)
	}
	if err := <-followed; !fault.Is(err, fault.Unavailable) {
		t.Errorf("the follower: %v, want unavailable", err)
	}
	if _, err := ask(t.Context(), p, "config"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("after Drain: %v, want unavailable", err)
	}
}

func TestDrainIsBounded(t *testing.T) {
	p := start(t, spec())
	waiting := make(chan error, 1)
	go func() {
		_, err := ask(t.Context(), p, "wait")
		waiting <- err
	}()
	waitFor(t, func() bool { return strings.Contains(strings.Join(p.LastLog(), "\n"), "wait begins") })
	_, err := pb.NewPluginClient(p.Conn()).Drain(t.Context(), &pb.DrainRequest{Deadline: durationpb.New(20 * time.Millisecond)})
	if !fault.Is(fault.FromStatus(err), fault.Deadline) {
		t.Errorf("Drain = %v, want deadline", err)
	}
	p.Kill(time.Second)
	if err := <-waiting; !fault.Is(err, fault.Unavailable) {
		t.Errorf("the call that was cut off: %v, want unavailable", err)
	}
}

func TestShutdownEndsTheProcess(t *testing.T) {
	p := start(t, spec())
	if _, err := pb.NewPluginClient(p.Conn()).Shutdown(t.Context(), &pb.ShutdownRequest{}); err != nil {
		t.Fatal(err)
	}
	wantExit(t, p, "exit code 0")
	if n := strings.Count(strings.Join(p.LastLog(), "\n"), `"closed"`); n != 1 {
		t.Errorf("the backend was closed %d times", n)
	}
}

// By hand, and by a host without mutual TLS, a plugin says what to do in one line and ends.
func TestRefusesToServe(t *testing.T) {
	cookie := handshake.CookieKey + "=" + handshake.CookieValue
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"by hand":             {nil, "store-test 1.2.3 is a store plugin of Decision Gate Host"},
		"no certificate":      {[]string{cookie}, "PLUGIN_CLIENT_CERT is not set"},
		"bad control":         {[]string{cookie, handshake.ClientCertEnv + "=x", handshake.ControlEnv + "=one"}, "DECISION_GATE_CONTROL_FD"},
		"control is not open": {[]string{cookie, handshake.ClientCertEnv + "=x", handshake.ControlEnv + "=99"}, ""},
	} {
		cmd := exec.Command(program)
		cmd.Env = append([]string{"HOME=/"}, test.env...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("%s: ended with %v, want exit code 1", name, err)
		}
		if !strings.Contains(stderr.String(), test.want) || strings.Count(stderr.String(), "\n") > 1 {
			t.Errorf("%s: said %q", name, stderr.String())
		}
	}
}
