package runpack

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// logs are the six logs of a bundle, read side by side.
type logs struct {
	streams     []*stream
	triggers    *log[gate.TriggerRecord]
	gateEvals   *log[gate.GateEvalRecord]
	decisions   *log[gate.DecisionRecord]
	packets     *log[gate.PacketRecord]
	submissions *log[gate.SubmissionRecord]
	toolCalls   *log[gate.ToolCallRecord]
}

// logError is why reading the logs ends: what is wrong, and where.
type logError struct {
	check Check
	at    place
	err   error
}

func (e *logError) Error() string { return e.err.Error() }

func outOfPlace(at place, format string, args ...any) error {
	return &logError{check: CheckSequence, at: at, err: syntax(format, args...)}
}

func openLogs(ctx context.Context, b *bundle) (*logs, error) {
	ls := &logs{}
	for _, open := range []func() error{
		func() (err error) { ls.triggers, err = openLog[gate.TriggerRecord](ctx, b, ls, TriggersPath); return },
		func() (err error) {
			ls.gateEvals, err = openLog[gate.GateEvalRecord](ctx, b, ls, GateEvalsPath)
			return
		},
		func() (err error) {
			ls.decisions, err = openLog[gate.DecisionRecord](ctx, b, ls, DecisionsPath)
			return
		},
		func() (err error) { ls.packets, err = openLog[gate.PacketRecord](ctx, b, ls, PacketsPath); return },
		func() (err error) {
			ls.submissions, err = openLog[gate.SubmissionRecord](ctx, b, ls, SubmissionsPath)
			return
		},
		func() (err error) {
			ls.toolCalls, err = openLog[gate.ToolCallRecord](ctx, b, ls, ToolCallsPath)
			return
		},
	} {
		if err := open(); err != nil {
			return ls, err
		}
	}
	return ls, nil
}

func openLog[R any](ctx context.Context, b *bundle, ls *logs, path string) (*log[R], error) {
	in, err := b.open(ctx, path)
	if err != nil {
		return nil, &logError{check: CheckReadable, at: inFile(path), err: err}
	}
	ls.streams = append(ls.streams, in)
	l, err := newLog[R](in, path)
	if err != nil {
		return nil, &logError{check: CheckReadable, at: inFile(path), err: err}
	}
	return l, nil
}

func (ls *logs) close() {
	for _, in := range ls.streams {
		in.Close()
	}
}

// pop returns the next record, which there must be, and reads on.
func (l *log[R]) pop() (*R, error) {
	record := l.head
	if err := l.advance(); err != nil {
		return nil, &logError{check: CheckReadable, at: inFile(l.path), err: err}
	}
	return record, nil
}

// step gathers the records of the next decision, nil after the last. Each trigger that is recorded has one decision, and
// each decision a trigger.
func (ls *logs) step() (*step, error) {
	switch {
	case ls.triggers.head == nil && ls.decisions.head == nil:
		return nil, nil
	case ls.triggers.head == nil:
		return nil, outOfPlace(place{DecisionSeq: &ls.decisions.head.Seq}, "the decision has no trigger")
	case ls.decisions.head == nil:
		return nil, outOfPlace(place{TriggerID: &ls.triggers.head.Event.TriggerID}, "the trigger has no decision")
	}
	size := ls.triggers.size + ls.decisions.size
	s := &step{}
	var err error
	if s.trigger, err = ls.triggers.pop(); err != nil {
		return nil, err
	}
	if s.decision, err = ls.decisions.pop(); err != nil {
		return nil, err
	}
	s.evals, err = gather(ls.gateEvals, s, &size, func(e *gate.GateEvalRecord) bool { return e.TriggerID == s.decision.TriggerID })
	if err != nil {
		return nil, err
	}
	s.packets, err = gather(ls.packets, s, &size, func(p *gate.PacketRecord) bool { return p.DecisionID == s.decision.DecisionID })
	return s, err
}

// gather pops the records that belong to a step. A log that belongs to one step from end to end must not fill the memory.
func gather[R any](l *log[R], s *step, size *int, belongs func(*R) bool) ([]R, error) {
	var records []R
	for l.head != nil && belongs(l.head) {
		if *size += l.size; *size > maxStep {
			return nil, outOfPlace(s.place(), "the records of the step are over %d bytes", maxStep)
		}
		record, err := l.pop()
		if err != nil {
			return nil, err
		}
		records = append(records, *record)
	}
	return records, nil
}

// leftOver is the first record that no step has claimed, as an error.
func (ls *logs) leftOver() error {
	if e := ls.gateEvals.head; e != nil {
		return outOfPlace(place{TriggerID: &e.TriggerID, GateID: &e.Evaluation.GateID}, "the gate's record belongs to no decision, or does not stand in its place")
	}
	if p := ls.packets.head; p != nil {
		return outOfPlace(place{PacketID: &p.Envelope.PacketID}, "the packet's record belongs to no decision, or does not stand in its place")
	}
	return nil
}

type form struct {
	path      string
	canonical bool
}

func (ls *logs) forms() []form {
	return []form{
		{ls.triggers.path, ls.triggers.canonical},
		{ls.gateEvals.path, ls.gateEvals.canonical},
		{ls.decisions.path, ls.decisions.canonical},
		{ls.packets.path, ls.packets.canonical},
		{ls.submissions.path, ls.submissions.canonical},
		{ls.toolCalls.path, ls.toolCalls.canonical},
	}
}
