package runs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

const (
	// maxAttempts is how often a call loads again after another host came first: eight hosts on one run, and it stops being a race.
	maxAttempts = 8
	// maxBackoff bounds the pause before loading again; half of it is random, so that two hosts do not meet again.
	maxBackoff = 64 * time.Millisecond
	// maxStep is the size in bytes of the largest step (architecture of the store protocol: half of a message).
	maxStep = store.MaxBody
)

// StepTooLargeError is of a decision whose records no store takes; nothing of it is stored.
type StepTooLargeError struct{ Bytes int }

func (e *StepTooLargeError) Error() string {
	return fmt.Sprintf("the step is %d bytes, more than %d: ask for less evidence or issue smaller packets", e.Bytes, maxStep)
}

// Unwrap makes it a fault like that of a store.
func (e *StepTooLargeError) Unwrap() error { return fault.New(fault.TooLarge, "the step is too large") }

// errConflict says that the run moved between load and commit.
var errConflict = errors.New("the run was changed by another host")

// commit saves a transition: head, step and the marks by which its records are found again, all or nothing. More ops, such
// as those of metering, may be committed with it.
func (r *Runs) commit(ctx context.Context, ref Ref, before loaded, t gate.Transition, more ...store.Op) error {
	after := storedHead{Head: t.Head, Steps: before.Steps + 1}
	step := canonical.Append(nil, storedStep{
		Number:      after.Steps,
		Host:        r.host,
		CommittedAt: r.now().UnixMilli(),
		Records:     t.Step,
	}, canonical.Declared)
	if len(step) > maxStep {
		return &StepTooLargeError{Bytes: len(step)}
	}
	after.Chain = link(before.Chain, step)
	ops := append([]store.Op{ // the head first: a store names the first op that it refuses
		{Kind: store.OpPut, Key: ref.head(), Body: canonical.Append(nil, after, canonical.Declared), Expect: store.Version(before.version)},
		{Kind: store.OpPut, Key: ref.step(after.Steps), Body: step, Expect: store.Absent()},
	}, marks(ref, before, after.Steps, t)...)
	own := len(ops)
	ops = append(ops, more...)
	outcomes, err := r.store.Commit(ctx, []store.Commit{{ID: persist.NewCommitID(), Ops: ops}})
	if err != nil {
		return err
	}
	switch refusal := outcomes[0].Refusal; {
	case refusal == nil:
		return nil
	case refusal.Reason == store.Conflict && 0 < refusal.Op && refusal.Op < own:
		// The head is as it was loaded, and marks are loaded with it: nobody came first. Loading again would not help.
		return fault.New(fault.Corrupt, "a run holds a %s record that its head does not know of", ops[refusal.Op].Key.Collection)
	case refusal.Reason == store.Conflict:
		return errConflict
	default:
		return fault.New(fault.Internal, "the store refused a step: %s", refusal.Message)
	}
}

func marks(ref Ref, before loaded, step uint64, t gate.Transition) []store.Op {
	var ops []store.Op
	mark := canonical.Append(nil, storedMark{step}, canonical.Declared)
	put := func(key store.Key, body []byte) {
		ops = append(ops, store.Op{Kind: store.OpPut, Key: key, Body: body, Expect: store.Absent()})
	}
	if t.Step.Trigger != nil {
		put(ref.trigger(t.Step.Trigger.Event.TriggerID), mark)
	}
	if t.Step.Submission != nil {
		put(ref.submission(t.Step.Submission.SubmissionID), mark)
	}
	if len(t.Step.Packets) > 0 {
		issued := storedPackets{make([]gate.PacketID, len(t.Step.Packets))}
		for i := range t.Step.Packets {
			issued.PacketIDs[i] = t.Step.Packets[i].Envelope.PacketID
		}
		put(ref.packets(before.Head.Packets), canonical.Append(nil, issued, canonical.Declared))
	}
	return ops
}

// retry calls attempt until it does not meet another host's commit, at most maxAttempts times. Calls on one run take turns.
func (r *Runs) retry(ctx context.Context, ref Ref, attempt func() error) error {
	leave, err := r.waitLines.enter(ctx, ref)
	if err != nil {
		return err
	}
	defer leave()
	for n := range maxAttempts {
		if err = attempt(); !errors.Is(err, errConflict) {
			return r.orRemoved(ctx, ref, err)
		}
		pause := min(time.Millisecond<<n, maxBackoff)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		}
	}
	return fault.New(fault.Unavailable, "the run is busy: other hosts decided on it first, %d times in a row; try again", maxAttempts)
}
