package evidence

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/signature"
)

// TestSignatureRules: the rule of a provider beats that for all, and what is unsigned leaves nothing behind but the error.
func TestSignatureRules(t *testing.T) {
	strict := &signature.Rule{Keys: map[string]ed25519.PublicKey{}}
	r := newRegistry(t, Options{
		Time: &TimeOptions{}, Env: &EnvOptions{Values: map[string]string{"A": "a"}, MaxKeyBytes: 10, MaxValueBytes: 10},
		DefaultSignatures: strict, Signatures: map[gate.ProviderID]*signature.Rule{"env": nil, "unsure": strict},
	})
	with(t, r, "external", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) { return answer("a"), nil })
	with(t, r, "failing", func(context.Context, gate.EvidenceQuery) (gate.EvidenceResult, error) {
		return gate.EvidenceResult{}, errors.New("its own error")
	})
	for id, want := range map[gate.ProviderID]string{
		"time": "missing evidence signature", "external": "missing evidence signature", "failing": "its own error", "env": "",
	} {
		q := conditions(id)[0].Query
		switch id {
		case "time":
			q.CheckID = "now"
		case "env":
			params := canonical.NewObject([]canonical.Member{{Name: "key", Value: canonical.NewString("A")}})
			q.CheckID, q.Params = "get", &params
		}
		result, err := r.Query(t.Context(), q, gate.EvidenceContext{TriggerTime: gate.Timestamp{Kind: gate.UnixMillis}})
		switch {
		case err == nil && want != "", err != nil && err.Error() != want:
			t.Errorf("%s: %v, want %q", id, err, want)
		case err != nil && result != (gate.EvidenceResult{}):
			t.Errorf("%s: %+v is left of it", id, result)
		}
	}
}

// patient is a provider that takes longer than others may.
type patient struct {
	stub
	closed *atomic.Int64
}

func (patient) Patience() time.Duration { return time.Minute }

func (p patient) Close() error {
	p.closed.Add(1)
	return errors.New("cannot be closed")
}

// TestPatience: a provider that has a longer timeout of its own gets to say what went wrong; the others do not wait for ever.
func TestPatience(t *testing.T) {
	r := newRegistry(t, Options{})
	var closed atomic.Int64
	slow := func(ctx context.Context, _ gate.EvidenceQuery) (gate.EvidenceResult, error) {
		deadline, _ := ctx.Deadline()
		if time.Until(deadline) < 30*time.Second {
			<-ctx.Done()
		}
		return gate.EvidenceResult{}, errors.New("http request timed out")
	}
	with(t, r, "hasty", slow)
	if err := r.Register("patient", patient{slow, &closed}, contractOf("patient")); err != nil {
		t.Fatal(err)
	}
	answers := r.Gather(t.Context(), conditions("hasty", "patient"), gate.EvidenceContext{}, 20*time.Millisecond)
	if err := answers["0"].Err; !errors.Is(err, errTimeout) {
		t.Errorf("hasty: %v", err)
	}
	if err := answers["1"].Err; err == nil || err.Error() != "http request timed out" {
		t.Errorf("patient: %v", err)
	}
	if err := r.Close(); err == nil || closed.Load() != 1 {
		t.Errorf("closed %d times: %v", closed.Load(), err)
	}
	if err := r.Close(); err != nil || closed.Load() != 1 {
		t.Errorf("closed again, %d times: %v", closed.Load(), err)
	}
}
