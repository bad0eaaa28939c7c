package evidence_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

func TestAnswers(t *testing.T) {
	length := evidence.Ask(func(_ context.Context, params struct{ Text string }, _ evidence.Context) (evidence.Result, error) {
		return evidence.Answer(len(params.Text), evidence.Verified)
	})
	p, err := evidence.Answers([]byte(contract), map[string]evidence.Answerer{"c": length})(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := p.Contract(t.Context()); err != nil || string(got) != contract {
		t.Errorf("Contract = %s, %v", got, err)
	}
	for params, want := range map[string]string{`{"text":"four"}`: "4", `{}`: "0", "": "0"} {
		var text json.RawMessage
		if params != "" {
			text = json.RawMessage(params)
		}
		if r, err := p.Query(t.Context(), evidence.Query{Check: "c", Params: text}, evidence.Context{}); err != nil || string(r.JSON) != want {
			t.Errorf("%s: %s, %v; want %s", params, r.JSON, err, want)
		}
	}
	for _, params := range []string{`[]`, `1`, `{"text":1}`, `{"txt":"x"}`, `{} {}`, `{`} {
		if _, err := p.Query(t.Context(), evidence.Query{Check: "c", Params: json.RawMessage(params)}, evidence.Context{}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v, want INVALID", params, err)
		}
	}
	if _, err := p.Query(t.Context(), evidence.Query{Check: "free"}, evidence.Context{}); !fault.Is(err, fault.Unimplemented) {
		t.Errorf("a check without a function: %v, want UNIMPLEMENTED", err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
