package runpack

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// replay gives the recorded evidence to the engine again and compares what it makes of it with what was recorded.
type replay struct {
	scenario *gate.Scenario
	findings *Findings
	report   *ReplayReport
	// targets are the receivers of the run's packets, known from the first packet on.
	targets      []gate.DispatchTarget
	targetsKnown bool
	// entered tells that the time of entry of the current stage is known: in a run that was started without packets it is
	// not before the first advance.
	entered bool
	// live is the latest tick that did not find the first stage overdue.
	live *gate.Timestamp
	// ofVerdicts is nil until a step lacks values.
	ofVerdicts *gate.Scenario
	// told is the latest step that was counted as unreplayable.
	told *step
}

func newReplay(scenario *gate.Scenario, findings *Findings) *replay {
	return &replay{scenario: scenario, findings: findings, report: findings.Replay}
}

// step replays one decision; head is the run before it.
func (r *replay) step(head gate.Head, s *step) {
	if s.withheld > 0 {
		r.unreplayable(s, fmt.Sprintf("%d evidence values are withheld: the verdicts on them are taken as recorded", s.withheld))
	} else {
		r.report.Decisions++
	}
	if len(s.packets) > 0 && !r.targetsKnown {
		r.targetsKnown = true
		for _, receipt := range s.packets[0].Receipts {
			r.targets = append(r.targets, receipt.Target)
		}
	}
	head.DispatchTargets = r.targets
	var found Findings
	switch {
	case s.started():
		r.entered = true
		found = r.start(head, s)
	case head.Status != gate.Active:
		found.add(CheckReplay, s.place(), "the run had ended; replay decides nothing")
	case !r.entered && r.timed(head, s):
		found = r.tick(head, s)
	default:
		found = r.trigger(head, s)
	}
	if s.decision.Outcome.Kind == gate.Advance {
		r.entered = true
	}
	for _, f := range found.Findings {
		r.findings.add(f.Check, f, "%s", f.Message)
	}
	r.findings.Omitted += found.Omitted
}

// unreplayable counts a step, once, as one that depends on what is not in the bundle.
func (r *replay) unreplayable(s *step, message string) {
	if r.told == s {
		return
	}
	r.told = s
	at := s.place()
	at.Check, at.Message = CheckReplay, message
	r.report.Unreplayable.add(at)
}

// settings are those under which the recorded answers count as they were recorded: how the deployment trusted lanes is not
// in a bundle, so that asserted evidence is accepted or refused as the record says, unless the spec forbids it.
func (r *replay) settings(s *step) *gate.Settings {
	delivered := map[gate.PacketID]int{}
	return &gate.Settings{
		MinLane:       gate.Asserted,
		ProviderLanes: map[gate.ProviderID]gate.TrustLane{},
		Dispatch: func(target gate.DispatchTarget, envelope *gate.PacketEnvelope, payload *gate.PacketPayload) (gate.DispatchReceipt, error) {
			want, err := gate.Receipt(target, envelope, payload)
			n := delivered[envelope.PacketID]
			delivered[envelope.PacketID]++
			if i := slices.IndexFunc(s.packets, func(p gate.PacketRecord) bool { return p.Envelope.PacketID == envelope.PacketID }); i >= 0 {
				// Receipts of other dispatchers cannot be derived.
				if receipts := s.packets[i].Receipts; n < len(receipts) && receipts[n].Dispatcher != want.Dispatcher {
					return receipts[n], nil
				}
			}
			return want, err
		},
	}
}

func (r *replay) start(head gate.Head, s *step) Findings {
	// That the run is of this scenario and namespace is checked with the manifest.
	spec := r.scenario.Spec()
	config := gate.RunConfig{
		TenantID: head.TenantID, NamespaceID: spec.NamespaceID, RunID: head.RunID, ScenarioID: spec.ScenarioID, DispatchTargets: r.targets,
	}
	var found Findings
	t, err := r.scenario.Start(config, s.decision.DecidedAt, true, r.settings(s))
	if err != nil {
		found.add(CheckReplay, s.place(), "replay refuses to start the run: %v", err)
		return found
	}
	if head.Decisions > 0 || !same(t.Step.Trigger, s.trigger) {
		found.add(CheckReplay, s.place(), "the start of a run is not its first step, or has another trigger than the engine makes")
	}
	compareStep(&found, s, &t.Step)
	return found
}

// trigger replays a decision on a trigger.
func (r *replay) trigger(head gate.Head, s *step) (found Findings) {
	set := r.settings(s)
	answers := r.answers(head, s, set)
	t, err := r.decide(head, s, set, answers)
	if err != nil {
		found.add(CheckReplay, s.place(), "replay refuses this step, which leaves no record: %v", err)
		return found
	}
	if r.undelivered(s, &t.Step) {
		r.unreplayable(s, "whether the packets could be issued is not in the bundle: "+s.decision.Outcome.Reason)
		compareGates(&found, s, t.Step.GateEvals)
		return found
	}
	compareStep(&found, s, &t.Step)
	return found
}

// undelivered reports whether the recorded failure is one of handing over packets, which only the engine's collaborators
// know of, and the engine was about to hand over some.
func (r *replay) undelivered(s *step, replayed *gate.Step) bool {
	outcome := &s.decision.Outcome
	if outcome.Kind != gate.Fail || len(replayed.Packets) == 0 || r.targetsKnown && len(r.targets) == 0 {
		return false
	}
	return outcome.Reason == gate.Refuse(gate.PolicyDenied).Error() ||
		strings.HasPrefix(outcome.Reason, gate.Refuse(gate.PolicyFailed, "").Error()) ||
		strings.HasPrefix(outcome.Reason, gate.Refuse(gate.DispatchFailed, "").Error())
}

// timed reports whether the step depends on when the stage was entered.
func (r *replay) timed(head gate.Head, s *step) bool {
	stage, known := r.scenario.Stage(head.CurrentStageID)
	return known && stage.Timeout != nil && s.trigger.Event.Kind == gate.Tick
}

// tick replays a tick on a first stage of which nobody recorded when it was entered: it must be right for some time of entry,
// before which no other tick has found the stage in time.
func (r *replay) tick(head gate.Head, s *step) Findings {
	now := s.trigger.Event.Time
	stage, _ := r.scenario.Stage(head.CurrentStageID)
	r.unreplayable(s, "whether the stage was overdue is not in the bundle: the run was started without a record")

	edge, possible := before(now, stage.Timeout.TimeoutMS)
	head.StageEnteredAt = after(edge, possible)
	inTime := r.trigger(head, s)
	if len(inTime.Findings) == 0 {
		if r.live == nil || later(now, *r.live) {
			r.live = &now
		}
		return inTime
	}
	if !possible || r.live != nil && !later(now, *r.live) {
		return inTime
	}
	head.StageEnteredAt = edge
	overdue := r.trigger(head, s)
	if len(overdue.Findings) > 0 && len(s.evals) > 0 {
		return inTime
	}
	return overdue
}

// later compares times; those of different kinds cannot both be of one stage with a timeout.
func later(a, b gate.Timestamp) bool {
	return a.Kind == b.Kind && (a.Millis > b.Millis || a.Tick > b.Tick)
}

// before is the latest time of entry for which a stage is overdue at a time. When there is none, it is the earliest of all.
func before(t gate.Timestamp, timeout uint64) (edge gate.Timestamp, possible bool) {
	switch {
	case t.Kind == gate.Logical && t.Tick < timeout:
		t.Tick = 0
		return t, false
	case t.Kind == gate.Logical:
		t.Tick -= timeout
		return t, true
	case timeout > math.MaxInt64 || t.Millis < math.MinInt64+int64(timeout):
		t.Millis = math.MinInt64
		return t, false
	default:
		t.Millis -= int64(timeout)
		return t, true
	}
}

// after is the earliest time of entry for which the stage is not overdue yet.
func after(edge gate.Timestamp, overdue bool) gate.Timestamp {
	switch {
	case !overdue:
	case edge.Kind == gate.Logical && edge.Tick < math.MaxUint64:
		edge.Tick++
	case edge.Kind == gate.UnixMillis && edge.Millis < math.MaxInt64:
		edge.Millis++
	}
	return edge
}

// answers are what the providers must have answered for the evidence to be recorded as it is.
func (r *replay) answers(head gate.Head, s *step, set *gate.Settings) map[gate.ConditionID]gate.Answer {
	answers := map[gate.ConditionID]gate.Answer{}
	judged := map[gate.ConditionID]bool{}
	stage, known := r.scenario.Stage(head.CurrentStageID)
	if !known {
		return answers
	}
	for i := range s.evals {
		eval := &s.evals[i]
		g := slices.IndexFunc(stage.Gates, func(g gate.GateSpec) bool { return g.GateID == eval.Evaluation.GateID })
		for j := range eval.Evidence {
			record := &eval.Evidence[j]
			condition, known := r.scenario.Condition(record.ConditionID)
			if !known || g < 0 || judged[record.ConditionID] {
				continue
			}
			result := record.Result
			if refused(&result) {
				result.Error = nil
				if !demands(stage.Gates[g].Trust) && !demands(condition.Trust) {
					set.ProviderLanes[condition.Query.ProviderID] = gate.Verified
				}
			} else {
				judged[record.ConditionID] = true
				result = r.kinds(s, eval, record, condition)
			}
			answers[record.ConditionID] = gate.Answer{Result: result}
		}
	}
	return answers
}

// refused reports whether evidence was refused for its lane; an error of the provider would have left no value.
func refused(result *gate.EvidenceResult) bool {
	return result.Lane == gate.Asserted && result.Error != nil && result.Error.Code == "trust_lane" && result.Error.Details == nil
}

func demands(trust *gate.TrustRequirement) bool {
	return trust != nil && trust.MinLane == gate.Verified
}

// kinds is the result with its numbers in the kinds that yield the recorded status, when other kinds than those that were
// read do; it notes that the verdict cannot be told from the bytes alone.
func (r *replay) kinds(s *step, eval *gate.GateEvalRecord, record *gate.EvidenceRecord, condition *gate.ConditionSpec) gate.EvidenceResult {
	result := record.Result
	if result.Error != nil || result.Value == nil || condition.Expected == nil || condition.Judge(&result) == record.Status {
		return result
	}
	at := s.place()
	at.Check, at.Message = CheckReplay, fmt.Sprintf("%s depends on whether a number was written 1 or 1.0", record.Status)
	at.GateID, at.ConditionID = &eval.Evaluation.GateID, &record.ConditionID
	if result.Value.Kind == gate.JSONValue {
		value := *result.Value
		value.JSON = floats(value.JSON)
		other := result
		other.Value = &value
		if condition.Judge(&other) == record.Status {
			r.report.Ambiguous.add(at)
			return other
		}
		return result
	}
	// Bytes are compared with integers only, and have no kinds themselves: the spec must have had floats, in every step.
	expected := floats(*condition.Expected)
	other := *condition
	other.Expected = &expected
	if other.Judge(&result) == record.Status && r.expect(&other) {
		r.report.Ambiguous.add(at)
	}
	return result
}

// expect replaces a condition of the scenario by one with other kinds of numbers.
func (r *replay) expect(condition *gate.ConditionSpec) bool {
	spec := *r.scenario.Spec()
	spec.Conditions = slices.Clone(spec.Conditions)
	for i := range spec.Conditions {
		if spec.Conditions[i].ConditionID == condition.ConditionID {
			spec.Conditions[i] = *condition
		}
	}
	scenario, err := gate.Compile(spec)
	if err != nil {
		return false
	}
	r.scenario = scenario
	return true
}

// same compares records by their canonical form.
func same[R any](a, b *R) bool {
	return string(canonical.Append(nil, *a, canonical.Canonical)) == string(canonical.Append(nil, *b, canonical.Canonical))
}
