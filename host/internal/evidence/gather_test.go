package evidence

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestGatherBesideManyThatHang asks a thousand conditions of a provider that hangs: another provider is asked at once, and
// the call takes about the time of one question.
func TestGatherBesideManyThatHang(t *testing.T) {
	r := newRegistry(t, Options{})
	const timeout = 500 * time.Millisecond
	with(t, r, "hangs", func(ctx context.Context, _ gate.EvidenceQuery) (gate.EvidenceResult, error) {
		<-ctx.Done()
		return gate.EvidenceResult{}, ctx.Err()
	})
	began := time.Now()
	var asked time.Duration
	with(t, r, "good", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) {
		asked = time.Since(began)
		return answer("x"), nil
	})
	all := conditions(append(slices.Repeat([]gate.ProviderID{"hangs"}, 1000), "good")...)
	got := r.Gather(t.Context(), all, gate.EvidenceContext{}, timeout)
	if took := time.Since(began); took > 5*timeout { // one question after another in 64 rows would be 16 times
		t.Errorf("the call took %s", took)
	}
	if asked >= timeout {
		t.Errorf("the provider that answers was asked after %s", asked)
	}
	for i, c := range all {
		if err := got[c.ConditionID].Err; i < 1000 && err != errTimeout || i == 1000 && err != nil {
			t.Fatalf("condition %d: %v", i, err)
		}
	}
}
