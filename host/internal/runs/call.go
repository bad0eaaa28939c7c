package runs

import (
	"context"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/registry"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Start begins a run. Two that start the same run, on whatever hosts, cannot both succeed: the head is put where none is ([F-01]).
func (r *Runs) Start(ctx context.Context, scenario gate.ScenarioID, config gate.RunConfig, startedAt gate.Timestamp, issuePackets bool) (gate.RunState, error) {
	compiled, err := r.registry.Scenario(ctx, config.TenantID, scenario)
	if err != nil {
		return gate.RunState{}, err
	}
	if err := r.checkClock("started_at", startedAt); err != nil {
		return gate.RunState{}, err
	}
	t, err := compiled.Start(config, startedAt, issuePackets, r.settings())
	if err != nil {
		// The contract checks the id of the run before it issues packets.
		if e, ok := err.(*gate.Error); ok && e.Reason != gate.ScenarioMismatch && e.Reason != gate.NamespaceMismatch {
			return gate.RunState{}, r.preferExisting(ctx, config, err)
		}
		return gate.RunState{}, err
	}
	ref := Ref{config.TenantID, config.NamespaceID, config.RunID, config.ScenarioID}
	switch err := r.commit(ctx, ref, loaded{}, t); {
	case err == errConflict:
		return gate.RunState{}, gate.Refuse(gate.RunExists, config.RunID)
	case err != nil:
		return gate.RunState{}, err
	}
	state := gate.NewRunState()
	state.Apply(t)
	return state, nil
}

// preferExisting answers that the run exists, when it does, instead of a failure that came after.
func (r *Runs) preferExisting(ctx context.Context, config gate.RunConfig, failure error) error {
	records, err := r.store.Get(ctx, []store.Key{Ref{config.TenantID, config.NamespaceID, config.RunID, ""}.head()})
	switch {
	case err != nil:
		return err
	case records[0].Version > 0:
		return gate.Refuse(gate.RunExists, config.RunID)
	default:
		return failure
	}
}

// Decision is the answer to a trigger, with the evaluations that its trigger id got, now or when it came first.
type Decision struct {
	gate.TriggerResult
	Evaluations []gate.GateEvalRecord
}

// Trigger decides on a trigger. A trigger id decides once per run: a repeat answers with what was decided, before any
// evidence is asked.
func (r *Runs) Trigger(ctx context.Context, scenario gate.ScenarioID, call gate.TriggerCall) (Decision, error) {
	ref := Ref{call.Event.TenantID, call.Event.NamespaceID, call.Event.RunID, scenario}
	if err := r.registry.Known(ctx, ref.Tenant, scenario); err != nil {
		return Decision{}, err
	}
	var decision Decision
	var gathered evidenceFor
	settings := r.settings()
	err := r.retry(ctx, ref, func() (err error) {
		decision, err = r.trigger(ctx, ref, call, settings, &gathered)
		return err
	})
	return decision, err
}

// evidenceFor is evidence and the stage entry that it was gathered for: it is used again when only the head's version has
// changed since.
type evidenceFor struct {
	stage   gate.StageID
	entered gate.Timestamp
	answers map[gate.ConditionID]gate.Answer
}

func (r *Runs) trigger(ctx context.Context, ref Ref, call gate.TriggerCall, settings *gate.Settings, gathered *evidenceFor) (Decision, error) {
	run, beside, err := r.load(ctx, ref, ref.trigger(call.Event.TriggerID))
	if err != nil {
		return Decision{}, err
	}
	scenario, err := r.scenarioOf(ctx, ref, run)
	if err != nil {
		return Decision{}, err
	}
	if missing := r.evidence.Missing(scenario.Spec()); missing != nil {
		t, refusal := run.Head.RefuseMissing(call, *missing)
		if err := r.commit(ctx, ref, run, t); err != nil {
			return Decision{}, err
		}
		return Decision{}, refusal
	}
	var earlier *gate.Step
	if beside[0].Version > 0 {
		if earlier, err = r.loadStep(ctx, ref, beside[0]); err != nil {
			return Decision{}, err
		}
	}
	// A repeat, and a call of a run that is over, get what was decided, whenever they come.
	if earlier == nil && run.Head.Status == gate.Active {
		if err := r.checkClock("time", call.Event.Time); err != nil {
			return Decision{}, err
		}
	}
	if asked := scenario.Ask(&run.Head, &call.Event, earlier != nil, settings); len(asked) > 0 &&
		(gathered.answers == nil || gathered.stage != run.Head.CurrentStageID || gathered.entered != run.Head.StageEnteredAt) {
		*gathered = evidenceFor{run.Head.CurrentStageID, run.Head.StageEnteredAt, r.evidence.Gather(ctx, asked, run.Head.Context(&call.Event), evidenceTimeout)}
		if err := ctx.Err(); err != nil {
			// The client has gone: what was not answered in time must not be decided as missing.
			return Decision{}, err
		}
	}
	recorded, err := recordedBy(earlier, call.Event.TriggerID)
	if err != nil {
		return Decision{}, err
	}
	t, result, err := scenario.Trigger(run.Head, call, recorded, gathered.answers, settings)
	if err != nil {
		return Decision{}, err
	}
	if err := r.commit(ctx, ref, run, t); err != nil {
		return Decision{}, err
	}
	evaluations := t.Step.GateEvals
	if earlier != nil {
		evaluations = earlier.GateEvals
	}
	return Decision{result, evaluations}, nil
}

// recordedBy is what the step of a trigger decided. A mark that leads to another trigger's step must not answer with its
// decision.
func recordedBy(step *gate.Step, trigger gate.TriggerID) (*gate.Recorded, error) {
	if step == nil {
		return nil, nil
	}
	if step.Decision == nil || step.Decision.TriggerID != trigger {
		return nil, fault.New(fault.Corrupt, "the step that a trigger's mark leads to holds no decision on it")
	}
	packets := step.Packets
	if packets == nil {
		packets = []gate.PacketRecord{}
	}
	return &gate.Recorded{Decision: *step.Decision, Packets: packets}, nil
}

// scenarioOf finds the scenario that the run was started with; a run that was started with another of the same id, in
// another id space, is not found.
func (r *Runs) scenarioOf(ctx context.Context, ref Ref, run loaded) (*gate.Scenario, error) {
	scenario, err := r.registry.ForRun(ctx, ref.Tenant, ref.Scenario, run.Head.SpecHash)
	if errors.Is(err, registry.ErrNoScenario) {
		err = gate.Refuse(gate.RunNotFound, ref.Run)
	}
	return scenario, err
}

// Status says where a run stands, and records that it was asked ([P-06]).
func (r *Runs) Status(ctx context.Context, scenario gate.ScenarioID, request gate.StatusRequest) (gate.ScenarioStatus, error) {
	ref := Ref{request.TenantID, request.NamespaceID, request.RunID, scenario}
	if err := r.registry.Known(ctx, ref.Tenant, scenario); err != nil {
		return gate.ScenarioStatus{}, err
	}
	if err := r.checkClock("requested_at", request.RequestedAt); err != nil {
		return gate.ScenarioStatus{}, err
	}
	var status gate.ScenarioStatus
	err := r.retry(ctx, ref, func() error {
		run, _, err := r.load(ctx, ref)
		if err != nil {
			return err
		}
		issued, err := r.issuedPackets(ctx, ref, run.Head.Packets)
		if err != nil {
			return err
		}
		t, answer := run.Head.StatusOf(request, issued)
		status = answer
		return r.commit(ctx, ref, run, t)
	})
	return status, err
}

// issuedPackets lists the ids of the packets of a run; one without any costs no read.
func (r *Runs) issuedPackets(ctx context.Context, ref Ref, n uint64) ([]gate.PacketID, error) {
	issued := []gate.PacketID{}
	if n == 0 {
		return issued, nil
	}
	scan := store.Scan{Collection: packetCollection, Tenant: uint64(ref.Tenant), Namespace: uint64(ref.Namespace), Prefix: ref.head().Path}
	err := r.store.Scan(ctx, scan, func(record store.Record) error {
		var packets storedPackets
		if err := persist.Decode(record, &packets); err != nil {
			return err
		}
		if issued = append(issued, packets.PacketIDs...); uint64(len(issued)) >= n {
			return errStop // what follows was issued after the head was loaded
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	if err == nil && uint64(len(issued)) != n {
		err = fault.New(fault.Corrupt, "%d of %d packets of a run are listed", len(issued), n)
	}
	return issued, err
}

// Submit hands something in to a run.
func (r *Runs) Submit(ctx context.Context, scenario gate.ScenarioID, request gate.SubmitRequest) (gate.SubmitResult, error) {
	ref := Ref{request.TenantID, request.NamespaceID, request.RunID, scenario}
	if err := r.registry.Known(ctx, ref.Tenant, scenario); err != nil {
		return gate.SubmitResult{}, err
	}
	var result gate.SubmitResult
	err := r.retry(ctx, ref, func() error {
		run, beside, err := r.load(ctx, ref, ref.submission(request.SubmissionID))
		if err != nil {
			return err
		}
		var existing *gate.SubmissionRecord
		if beside[0].Version > 0 {
			step, err := r.loadStep(ctx, ref, beside[0])
			if err != nil {
				return err
			}
			if existing = step.Submission; existing == nil || existing.SubmissionID != request.SubmissionID {
				return fault.New(fault.Corrupt, "the step that a submission's mark leads to does not hold it")
			}
		}
		if existing == nil {
			if err := r.checkClock("submitted_at", request.SubmittedAt); err != nil {
				return err
			}
		}
		t, answer, refusal := run.Head.Submit(request, existing)
		if t.Step.ToolCall != nil {
			if err := r.commit(ctx, ref, run, t); err != nil {
				return err
			}
		}
		result = answer
		return refusal
	})
	return result, err
}
