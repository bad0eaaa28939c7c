package evidence

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestAskEnds asks outside of any run a provider that hangs, with a client that stays: the question has the time of one of a run.
func TestAskEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, Options{})
		release := make(chan struct{})
		defer close(release)
		with(t, r, "deaf", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) {
			<-release
			return answer("late"), nil
		})
		began := time.Now()
		_, err := r.Ask(t.Context(), conditions("deaf")[0].Query, gate.EvidenceContext{})
		if err != errTimeout || time.Since(began) != askTimeout {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
