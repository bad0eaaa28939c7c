package gate_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// run is a run in memory: what a caller of the engine has to do, done the shortest way. Heads and steps pass through their
// stored form, so that whatever the engine keeps elsewhere is lost.
type run struct {
	scenario *gate.Scenario
	set      *gate.Settings
	head     gate.Head
	state    gate.RunState
	// answers are given to conditions by id; one that is not there is answered by provider, or else by an empty result.
	answers  map[gate.ConditionID]gate.Answer
	provider func(gate.EvidenceQuery, gate.EvidenceContext) gate.Answer
	asked    []string
}

func unix(ms int64) gate.Timestamp { return gate.Timestamp{Kind: gate.UnixMillis, Millis: ms} }

func logical(tick uint64) gate.Timestamp { return gate.Timestamp{Kind: gate.Logical, Tick: tick} }

// start starts a run "r" of a scenario "s" at unix time 0, without entry packets.
func start(t testing.TB, s *gate.Scenario, set *gate.Settings, targets ...gate.DispatchTarget) *run {
	t.Helper()
	config := gate.RunConfig{TenantID: 1, NamespaceID: 1, RunID: "r", ScenarioID: s.Spec().ScenarioID, DispatchTargets: targets}
	r, err := startWith(t, s, set, config, unix(0), false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func startWith(t testing.TB, s *gate.Scenario, set *gate.Settings, config gate.RunConfig, at gate.Timestamp, packets bool) (*run, error) {
	t.Helper()
	if set == nil {
		set = &gate.Settings{}
	}
	r := &run{scenario: s, set: set}
	transition, err := s.Start(config, at, packets, set)
	if err != nil {
		return nil, err
	}
	r.save(t, transition)
	return r, nil
}

func (r *run) save(t testing.TB, transition gate.Transition) {
	t.Helper()
	r.head = into[gate.Head](t, declared(transition.Head))
	r.state.Apply(gate.Transition{Head: r.head, Step: into[gate.Step](t, declared(transition.Step))})
	last := ""
	if n := len(r.state.Decisions); n > 0 {
		last = declared(r.state.Decisions[n-1])
		same(t, "last decision of the head", declared(*r.head.LastDecision), last)
	}
	counts := fmt.Sprint(r.head.Triggers, r.head.Decisions, r.head.Packets, r.head.ToolCalls)
	same(t, "counts of the head", counts, fmt.Sprint(len(r.state.Triggers), len(r.state.Decisions), len(r.state.Packets), len(r.state.ToolCalls)))
}

// recorded is what a trigger decided before.
func (r *run) recorded(id gate.TriggerID) *gate.Recorded {
	for _, d := range r.state.Decisions {
		if d.TriggerID == id {
			packets := []gate.PacketRecord{}
			for _, p := range r.state.Packets {
				if p.DecisionID == d.DecisionID {
					packets = append(packets, p)
				}
			}
			return &gate.Recorded{Decision: d, Packets: packets}
		}
	}
	return nil
}

func (r *run) call(t testing.TB, call gate.TriggerCall) (gate.TriggerResult, error) {
	t.Helper()
	recorded := r.recorded(call.Event.TriggerID)
	answers := map[gate.ConditionID]gate.Answer{}
	r.asked = nil
	for _, c := range r.scenario.Ask(&r.head, &call.Event, recorded != nil, r.set) {
		r.asked = append(r.asked, string(c.ConditionID))
		answer, ok := r.answers[c.ConditionID]
		if !ok && r.provider != nil {
			answer = r.provider(c.Query, r.head.Context(&call.Event))
		}
		answers[c.ConditionID] = answer
	}
	transition, result, err := r.scenario.Trigger(r.head, call, recorded, answers, r.set)
	if err != nil {
		same(t, "transition of a failed call", declared(transition.Head.ToolCalls)+declared(transition.Step), "0{}")
		return result, err
	}
	r.save(t, transition)
	return result, nil
}

func (r *run) event(kind gate.TriggerKind, id gate.TriggerID, at gate.Timestamp) gate.TriggerCall {
	return gate.TriggerEvent{TriggerID: id, TenantID: 1, NamespaceID: 1, RunID: r.head.RunID, Kind: kind, Time: at, SourceID: "src"}.Call()
}

func (r *run) next(t testing.TB, id gate.TriggerID, at int64) gate.TriggerResult {
	t.Helper()
	result, err := r.call(t, gate.NextRequest{RunID: r.head.RunID, TenantID: 1, NamespaceID: 1, TriggerID: id, AgentID: "a", Time: unix(at)}.Call())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (r *run) tick(t testing.TB, id gate.TriggerID, at gate.Timestamp) (gate.TriggerResult, error) {
	t.Helper()
	return r.call(t, r.event(gate.Tick, id, at))
}

func (r *run) status(t testing.TB, request gate.StatusRequest) gate.ScenarioStatus {
	t.Helper()
	var issued []gate.PacketID
	for _, p := range r.state.Packets {
		issued = append(issued, p.Envelope.PacketID)
	}
	transition, status := r.head.StatusOf(request, issued)
	r.save(t, transition)
	return status
}

func (r *run) submit(t testing.TB, request gate.SubmitRequest) (gate.SubmitResult, error) {
	t.Helper()
	var existing *gate.SubmissionRecord
	for i := range r.state.Submissions {
		if r.state.Submissions[i].SubmissionID == request.SubmissionID {
			existing = &r.state.Submissions[i]
		}
	}
	transition, result, err := r.head.Submit(request, existing)
	var refusal *gate.Error
	if err == nil || errors.As(err, &refusal) && refusal.Reason == gate.SubmissionConflict {
		r.save(t, transition)
	}
	return result, err
}

// timeProvider answers the check "after" of the time provider, which is all that the recorded runs ask of it.
func timeProvider(query gate.EvidenceQuery, context gate.EvidenceContext) gate.Answer {
	if query.ProviderID != "time" || query.CheckID != "after" || query.Params == nil {
		return gate.Answer{Err: errors.New("unsupported time check")}
	}
	limit, _ := query.Params.Member("timestamp")
	var after bool
	var anchor gate.EvidenceAnchor
	switch now := context.TriggerTime; now.Kind {
	case gate.Logical:
		n, _ := limit.Uint()
		after = now.Tick > n
		anchor = gate.EvidenceAnchor{AnchorType: "trigger_time_logical", AnchorValue: strconv.FormatUint(now.Tick, 10)}
	default:
		n, ok := limit.Int()
		if s, isText := limit.Text(); !ok && isText {
			moment, _ := gate.ParseDateTime(s)
			n = moment.UnixMilli()
		}
		after = now.Millis > n
		anchor = gate.EvidenceAnchor{AnchorType: "trigger_time_unix_millis", AnchorValue: strconv.FormatInt(now.Millis, 10)}
	}
	return gate.Answer{Result: gate.EvidenceResult{
		Lane:           gate.Verified,
		Value:          &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewBool(after)},
		EvidenceAnchor: &anchor,
		ContentType:    ptr("application/json"),
	}}
}
