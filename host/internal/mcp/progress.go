package mcp

import (
	"context"
	"fmt"
	"iter"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// progressSteps is how many steps of a run pass between two words on how far an export is.
const progressSteps = 1000

// tell tells the caller of a tool how far it is, where the caller can be told and wants to know. What is done only grows:
// the protocol has it so.
func (e *exchange) tell(done, total uint64, what string) {
	if e.call == nil || done <= e.done {
		return
	}
	e.done = done
	e.call.Progress(done, total, what)
}

// told are steps on whose way through an export the caller is told.
func told(ctx context.Context, steps iter.Seq2[gate.Step, error], total uint64) iter.Seq2[gate.Step, error] {
	e := exchangeOf(ctx)
	return func(yield func(gate.Step, error) bool) {
		done := uint64(0)
		for step, err := range steps {
			if !yield(step, err) {
				return
			}
			if done++; done%progressSteps == 0 || done == total {
				e.tell(done, total, "steps written")
			}
		}
	}
}

// verifying tells the caller how far a verification is, in bytes: how many there are, no manifest says.
func verifying(ctx context.Context) func(runpack.Progress) {
	e := exchangeOf(ctx)
	return func(p runpack.Progress) {
		e.tell(p.Bytes, 0, fmt.Sprintf("bytes read; %d decisions checked", p.Decisions))
	}
}
