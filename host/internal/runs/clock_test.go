package runs

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestClockSkew dates calls back and forth: what is too far from the host's clock is refused and leaves nothing, but a repeat
// gets what was decided, however late it comes.
func TestClockSkew(t *testing.T) {
	r := started(t)
	now := time.UnixMilli(1_700_000_000_000)
	r.now = func() time.Time { return now }
	r.MaxClockSkew = time.Minute
	at := func(offset int64) gate.Timestamp {
		return gate.Timestamp{Kind: gate.UnixMillis, Millis: now.UnixMilli() + offset}
	}
	next := func(id gate.TriggerID, at gate.Timestamp) error {
		call := gate.NextRequest{RunID: "r", TenantID: 1, NamespaceID: 1, TriggerID: id, AgentID: "a", Time: at}.Call()
		_, err := r.Trigger(context.Background(), "loop", call)
		return err
	}
	submit := func(id gate.SubmissionID, at gate.Timestamp) error {
		_, err := r.Submit(context.Background(), "loop", gate.SubmitRequest{RunID: "r", TenantID: 1, NamespaceID: 1, SubmissionID: id,
			Payload: gate.PacketPayload{Kind: gate.JSONPayload, Value: canonical.NewString("x")}, ContentType: "x", SubmittedAt: at})
		return err
	}
	start := func(id gate.RunID, at gate.Timestamp) error {
		config := gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: id, ScenarioID: "loop", DispatchTargets: []gate.DispatchTarget{}, PolicyTags: []string{}}
		_, err := r.Start(context.Background(), "loop", config, at, false)
		return err
	}
	status := func(at gate.Timestamp) error {
		_, err := r.Status(context.Background(), "loop", gate.StatusRequest{RunID: "r", TenantID: 1, NamespaceID: 1, RequestedAt: at})
		return err
	}
	for _, far := range []gate.Timestamp{at(-60_001), at(60_001), {Kind: gate.UnixMillis, Millis: math.MinInt64}, {Kind: gate.UnixMillis, Millis: math.MaxInt64}} {
		for member, err := range map[string]error{"time": next("far", far), "submitted_at": submit("far", far), "started_at": start("far", far), "requested_at": status(far)} {
			var skew *ClockSkewError
			if !errors.As(err, &skew) || skew.Member != member {
				t.Errorf("%d: %s: %v", far.Millis, member, err)
			}
		}
	}
	if n, err := r.history("r"); n != 1 || err != nil { // the start
		t.Errorf("what was refused has left %d steps, %v", n, err)
	}
	for i, near := range []gate.Timestamp{at(-60_000), at(60_000), {Kind: gate.Logical, Tick: 1}} {
		id := string(rune('a' + i))
		if err := errors.Join(next(gate.TriggerID(id), near), submit(gate.SubmissionID(id), near), start(gate.RunID(id), near), status(near)); err != nil {
			t.Errorf("%+v: %v", near, err)
		}
	}
	now = now.Add(time.Hour)
	late := gate.Timestamp{Kind: gate.UnixMillis, Millis: now.Add(-time.Hour).UnixMilli()}
	if err := errors.Join(next("a", late), submit("a", late)); err != nil {
		t.Errorf("a repeat, an hour later: %v", err)
	}
	r.MaxClockSkew = 0
	if err := next("any", at(-1<<40)); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}
