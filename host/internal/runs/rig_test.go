package runs

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
)

// answers is an Evidence that says true to everything, after what a test does in between.
type answers struct {
	asked   atomic.Int32
	between func(ctx context.Context)
	missing *gate.ProviderMissing
}

func (a *answers) Gather(ctx context.Context, conditions []gate.ConditionSpec, _ gate.EvidenceContext, _ time.Duration) map[gate.ConditionID]gate.Answer {
	a.asked.Add(1)
	if a.between != nil {
		a.between(ctx)
	}
	out := map[gate.ConditionID]gate.Answer{}
	for i := range conditions {
		out[conditions[i].ConditionID] = gate.Answer{Result: gate.EvidenceResult{
			Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewBool(true)}, Lane: gate.Verified,
		}}
	}
	return out
}

func (a *answers) Missing(*gate.ScenarioSpec) *gate.ProviderMissing { return a.missing }

// rig is one host's Runs on a store that fails when told to.
type rig struct {
	*Runs
	t        testing.TB
	store    *faultystore.Store
	evidence *answers
}

func newRig(t testing.TB, store *faultystore.Store) *rig {
	evidence := &answers{}
	settings := func() *gate.Settings { return &gate.Settings{MinLane: gate.Verified} }
	return &rig{New(store, registry.New(store), evidence, settings, "test"), t, store, evidence}
}

// loopSpec advances for ever between stages a and b; b issues packets on entry.
func loopSpec(id string, packets int) gate.ScenarioSpec {
	spec := decoded[gate.ScenarioSpec](fmt.Sprintf(`{"scenario_id":%q,"namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,"stages":[
		{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"ga","requirement":{"Condition":"c"}}],"advance_to":{"kind":"fixed","stage_id":"b"},"on_timeout":"fail"},
		{"stage_id":"b","entry_packets":[],"gates":[{"gate_id":"gb","requirement":{"Condition":"c"}}],"advance_to":{"kind":"fixed","stage_id":"a"},"on_timeout":"fail"}],
		"conditions":[{"condition_id":"c","query":{"provider_id":"p","check_id":"k"},"comparator":"equals","expected":true,"policy_tags":[]}]}`, id))
	for i := range packets {
		spec.Stages[1].EntryPackets = append(spec.Stages[1].EntryPackets, decoded[gate.PacketSpec](fmt.Sprintf(
			`{"packet_id":"p-%d","schema_id":"s","content_type":"application/json","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":%d}}`, i, i)))
	}
	return spec
}

func decoded[T any](text string) (out T) {
	v, err := canonical.Parse([]byte(text))
	if err == nil {
		err = canonical.Decode(v, &out)
	}
	if err != nil {
		panic(err)
	}
	return out
}

func (r *rig) define(spec gate.ScenarioSpec) {
	r.t.Helper()
	compiled, err := gate.Compile(spec)
	if err == nil {
		err = r.registry.Define(context.Background(), compiled)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start(run gate.RunID) error {
	config := gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: run, ScenarioID: "loop", DispatchTargets: []gate.DispatchTarget{}, PolicyTags: []string{}}
	_, err := r.Start(context.Background(), "loop", config, gate.Timestamp{Kind: gate.Logical, Tick: 1}, false)
	return err
}

func trigger(run gate.RunID, id gate.TriggerID) gate.TriggerCall {
	return gate.NextRequest{RunID: run, TenantID: 1, NamespaceID: 1, TriggerID: id, AgentID: "a", Time: gate.Timestamp{Kind: gate.Logical, Tick: 2}}.Call()
}

func (r *rig) next(run gate.RunID, id gate.TriggerID) (Decision, error) {
	return r.Trigger(context.Background(), "loop", trigger(run, id))
}

func (r *rig) status(run gate.RunID) (gate.ScenarioStatus, error) {
	return r.Status(context.Background(), "loop", gate.StatusRequest{RunID: run, TenantID: 1, NamespaceID: 1, RequestedAt: gate.Timestamp{Kind: gate.Logical}})
}

func (r *rig) submit(run gate.RunID, id gate.SubmissionID, text string) (gate.SubmitResult, error) {
	payload := gate.PacketPayload{Kind: gate.JSONPayload, Value: canonical.NewString(text)}
	return r.Submit(context.Background(), "loop", gate.SubmitRequest{
		RunID: run, TenantID: 1, NamespaceID: 1, SubmissionID: id, Payload: payload, ContentType: "text/plain", SubmittedAt: gate.Timestamp{Kind: gate.Logical},
	})
}

// history walks a run's steps to their end.
func (r *rig) history(run gate.RunID) (n int, err error) {
	history, err := r.History(context.Background(), Ref{1, 1, run, "loop"})
	if err != nil {
		return 0, err
	}
	for _, err := range history.Steps {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// started is a rig with a run "r" of the loop.
func started(t testing.TB) *rig {
	t.Helper()
	r := newRig(t, faultystore.New())
	r.define(loopSpec("loop", 2))
	if err := r.start("r"); err != nil {
		t.Fatal(err)
	}
	r.store.Counts()
	return r
}

// idle fails the test when a call has left its place in a queue.
func (r *rig) idle() {
	r.t.Helper()
	r.waitLines.mu.Lock()
	defer r.waitLines.mu.Unlock()
	if n := len(r.waitLines.runs); n != 0 {
		r.t.Errorf("%d queues are left", n)
	}
}
