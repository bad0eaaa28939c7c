package runs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// TestStoreCalls counts what each call costs: a read and a commit, and one read more where a repeat is answered or a
// scenario is seen for the first time. The cost of the product stands on it.
func TestStoreCalls(t *testing.T) {
	type counts = map[faultystore.Call]int
	r := started(t)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		call func()
		want counts
	}{
		{"start", func() { must(nil, r.start("r2")) }, counts{"commit": 1}},
		{"new trigger", func() { must(r.next("r", "t")) }, counts{"get": 1, "commit": 1}},
		{"repeat", func() { must(r.next("r", "t")) }, counts{"get": 2, "commit": 1}},
		{"submit", func() { must(r.submit("r", "s", "x")) }, counts{"get": 1, "commit": 1}},
		{"submit again", func() { must(r.submit("r", "s", "x")) }, counts{"get": 2, "commit": 1}},
		{"status of a run without packets", func() { must(r.status("r2")) }, counts{"get": 1, "commit": 1}},
		{"status of a run with packets", func() { must(r.status("r")) }, counts{"get": 1, "scan": 1, "commit": 1}},
		{"another host's first start", func() { r = newRig(t, r.store); must(nil, r.start("r3")) }, counts{"get": 1, "commit": 1}},
		{"another host's first trigger", func() { r = newRig(t, r.store); must(r.next("r", "t2")) }, counts{"get": 2, "commit": 1}},
		{"start of a run that exists", func() { _ = r.start("r") }, counts{"commit": 1}},
		{"trigger of a run that does not exist", func() { _, _ = r.next("no", "t") }, counts{"get": 1}},
		{"export", func() { must(r.history("r")) }, counts{"get": 1, "scan": 1}},
	} {
		r.store.Counts()
		step.call()
		if got := r.store.Counts(); !maps.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
}

// TestStartRace starts one run from many clients on two hosts at once ([F-01]): one of them has started it.
func TestStartRace(t *testing.T) {
	one := started(t)
	two := newRig(t, one.store)
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			switch err := []*rig{one, two}[i%2].start("race"); {
			case err == nil:
				won.Add(1)
			case err.Error() != "run already exists: race":
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d starts succeeded", won.Load())
	}
}

// TestForeignRuns calls a run by everything but its own tenant, namespace and scenario: it is not found, in the words for a
// run that is not there.
func TestForeignRuns(t *testing.T) {
	r := started(t)
	r.define(loopSpec("other", 0))
	shared := loopSpec("loop", 0)
	shared.DefaultTenantID = nil
	r.define(shared) // so that tenant 2 knows a scenario of this name
	for _, ref := range []Ref{
		{2, 1, "r", "loop"}, {1, 2, "r", "loop"}, {1, 1, "r", "other"}, {1, 1, "R", "loop"}, {1, 1, "r ", "loop"}, {1, 1, "", "loop"},
		{1, 1, "r\x00", "loop"}, {1<<64 - 1, 1, "r", "loop"}, {1, 1<<64 - 1, "r", "loop"},
	} {
		call := trigger(ref.Run, "t")
		call.Event.TenantID, call.Event.NamespaceID = ref.Tenant, ref.Namespace
		_, next := r.Trigger(t.Context(), ref.Scenario, call)
		_, status := r.Status(t.Context(), ref.Scenario, gate.StatusRequest{RunID: ref.Run, TenantID: ref.Tenant, NamespaceID: ref.Namespace})
		_, submit := r.Submit(t.Context(), ref.Scenario, gate.SubmitRequest{RunID: ref.Run, TenantID: ref.Tenant, NamespaceID: ref.Namespace, SubmissionID: "s"})
		_, history := r.History(t.Context(), ref)
		for name, err := range map[string]error{"next": next, "status": status, "submit": submit, "export": history} {
			var refusal *gate.Error
			if !errors.As(err, &refusal) || refusal.Reason != gate.RunNotFound || err.Error() != "run not found: "+string(ref.Run) {
				t.Errorf("%s of %+v: %v", name, ref, err)
			}
		}
		if _, err := r.Trigger(t.Context(), "unknown", call); !errors.Is(err, registry.ErrNoScenario) {
			t.Errorf("unknown scenario: %v", err)
		}
	}
	if n := r.store.Len(stepCollection); n != 1 {
		t.Errorf("refused calls left %d steps", n-1)
	}
}

// TestOwnScenarioAfterShared defines a tenant's own scenario, on another host, after runs of the shared one of the same id
// have begun: those go on under the scenario that they were started with, new ones begin under the own one.
func TestOwnScenarioAfterShared(t *testing.T) {
	here := newRig(t, faultystore.New())
	shared := loopSpec("loop", 1)
	shared.DefaultTenantID = nil
	here.define(shared)
	if err := here.start("old"); err != nil {
		t.Fatal(err)
	}
	there := newRig(t, here.store)
	there.define(loopSpec("loop", 3))
	if err := here.start("new"); err != nil {
		t.Fatal(err)
	}
	for _, host := range []*rig{here, there, newRig(t, here.store)} {
		for run, packets := range map[gate.RunID]int{"old": 1, "new": 3} {
			d, err := host.next(run, "t")
			if err != nil || len(d.Packets) != packets {
				t.Errorf("%s: %d packets, %v, want %d", run, len(d.Packets), err, packets)
			}
		}
	}
}

// TestManyPackets enters a stage that issues more packets than a commit has ops, again and again.
func TestManyPackets(t *testing.T) {
	const n = 300
	r := newRig(t, faultystore.New())
	r.define(loopSpec("loop", n))
	if err := r.start("r"); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, err := r.next("r", gate.TriggerID(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	s, err := r.status("r")
	if err != nil || len(s.IssuedPacketIDs) != 2*n {
		t.Fatalf("%d packets are listed, %v", len(s.IssuedPacketIDs), err)
	}
	for i, id := range s.IssuedPacketIDs {
		if want := gate.PacketID(fmt.Sprintf("p-%d", i%n)); id != want {
			t.Fatalf("packet %d is %s, want %s", i, id, want)
		}
	}
}

// TestStatusBesideAdvance has another host issue packets between a status' load and its list: only those that the head knows
// of are told.
func TestStatusBesideAdvance(t *testing.T) {
	r := started(t)
	other := newRig(t, r.store)
	if _, err := r.next("r", "t1"); err != nil {
		t.Fatal(err)
	}
	moved := false
	r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
		if call == faultystore.Scan && !moved {
			moved = true
			for i := range 2 {
				if _, err := other.next("r", gate.TriggerID(fmt.Sprint("t2-", i))); err != nil {
					t.Error(err)
				}
			}
			do()
			r.store.Touch(headCollection)
			return nil
		}
		do()
		return nil
	})
	s, err := r.status("r")
	if err != nil || len(s.IssuedPacketIDs) != 4 {
		t.Errorf("%v, %v: want the packets of the head that the answer is about", s.IssuedPacketIDs, err)
	}
}

// TestStepTooLarge refuses what no message can carry before anything is sent.
func TestStepTooLarge(t *testing.T) {
	r := started(t)
	call := trigger("r", "t")
	call.Event.Payload = &gate.PacketPayload{Kind: gate.JSONPayload, Value: canonical.NewString(strings.Repeat("x", maxStep))}
	r.store.Counts()
	if _, err := r.Trigger(t.Context(), "loop", call); !fault.Is(err, fault.TooLarge) {
		t.Errorf("got %v", err)
	}
	if got := r.store.Counts(); got[faultystore.Commit] != 0 {
		t.Error("the step was sent")
	}
	if d, err := r.next("r", "t"); err != nil || d.Decision.Seq != 1 {
		t.Errorf("the run does not go on: %+v, %v", d, err)
	}
}

// TestMissingProvider records the call that fails, and decides nothing.
func TestMissingProvider(t *testing.T) {
	r := started(t)
	r.evidence.missing = &gate.ProviderMissing{MissingProviders: []string{"p"}, RequiredCapabilities: []string{"k"}}
	_, err := r.next("r", "t")
	var refusal *gate.Error
	if !errors.As(err, &refusal) || refusal.Reason != gate.ProvidersMissing {
		t.Errorf("got %v", err)
	}
	if n, err := r.history("r"); err != nil || n != 2 || r.store.Len(triggerCollection) != 0 {
		t.Errorf("%d steps, %d triggers, %v", n, r.store.Len(triggerCollection), err)
	}
}

// TestOneRunManyClients decides on one run from many clients at once: no decision is lost, none is made twice.
func TestOneRunManyClients(t *testing.T) {
	r := started(t)
	const clients, each = 8, 20
	var seqs sync.Map
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for i := range each {
				id := gate.TriggerID(fmt.Sprint(i)) // every client sends every trigger
				d, err := r.next("r", id)
				if err != nil {
					t.Error(err)
					return
				}
				if seq, seen := seqs.LoadOrStore(id, d.Decision.Seq); seen && seq != d.Decision.Seq {
					t.Errorf("trigger %s was decided twice: %v and %v", id, seq, d.Decision.Seq)
				}
			}
		})
	}
	wg.Wait()
	r.idle()
	if n := r.store.Len(triggerCollection); n != each {
		t.Errorf("%d triggers are recorded, want %d", n, each)
	}
	if n, err := r.history("r"); err != nil || n != 1+clients*each {
		t.Errorf("%d steps, %v", n, err)
	}
}
