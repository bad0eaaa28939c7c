package host_test

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// history is what clients asked of runs, what they were told, and when: by it the decisions of a run are told from decisions
// that only look like those of one run which every client reads and writes in turn.
type history struct {
	mu    sync.Mutex
	began time.Time
	runs  map[string][]porcupine.Operation
}

// question is a call: for the decision on a trigger, or, without one, for where the run stands.
type question struct{ trigger string }

// told is the answer: the number of the decision, or of the last one. It is not known of a call whose answer was lost.
type told struct {
	seq   uint64
	known bool
}

func newHistory() *history {
	return &history{began: time.Now(), runs: map[string][]porcupine.Operation{}}
}

// begin notes a call; what it answers notes the end of it. A call whose answer was lost may take effect at any later time, or
// never. A read without an answer says nothing.
func (h *history) begin(client int, run, trigger string) func(told) {
	called := time.Since(h.began)
	return func(answer told) {
		op := porcupine.Operation{ClientId: client, Input: question{trigger}, Call: int64(called), Output: answer, Return: int64(time.Since(h.began))}
		if !answer.known {
			if trigger == "" {
				return
			}
			op.Return = math.MaxInt64
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.runs[run] = append(h.runs[run], op)
	}
}

// count is the number of calls, and of those whose outcome is not known.
func (h *history) count() (calls, unknown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ops := range h.runs {
		calls += len(ops)
		for _, op := range ops {
			if !op.Output.(told).known {
				unknown++
			}
		}
	}
	return calls, unknown
}

// checkTimeout is for a search that does not end; one takes milliseconds.
const checkTimeout = 2 * time.Minute

// check returns an error unless the calls on a run can be put in one order, each between its beginning and its end, in which
// they explain the run's log: the triggers in the order of their decisions.
func (h *history) check(run string, log []string) error {
	h.mu.Lock()
	ops := h.runs[run]
	h.mu.Unlock()
	decided := map[string]int{}
	for i, trigger := range log {
		if decided[trigger] > 0 {
			return fmt.Errorf("%s: decisions %d and %d are both on trigger %s", run, decided[trigger], i+1, trigger)
		}
		decided[trigger] = i + 1
	}
	result := porcupine.CheckOperationsTimeout(headOf(decided), ops, checkTimeout)
	if result != porcupine.Ok {
		return fmt.Errorf("%s: a history of %d calls and %d decisions is not linearizable (%s)", run, len(ops), len(log), result)
	}
	return nil
}

// headOf is the model of a run's head. The log is what was read last of all, after every call, and the place of each trigger in
// it is fixed; so the state is the number of decisions made so far.
func headOf(decided map[string]int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return 0 },
		Step: func(state, input, output any) (bool, any) {
			made, trigger, answer := state.(int), input.(question).trigger, output.(told)
			place := decided[trigger]
			switch {
			case trigger == "":
				return uint64(made) == answer.seq, made
			case answer.known && uint64(place) != answer.seq:
				return false, made
			case place == 0: // the answer was lost, and nothing was done
				return true, made
			case place == made+1:
				return true, place
			}
			return place <= made, made
		},
	}
}

// call notes a call of which it is known when it began and ended.
func (h *history) call(run, trigger string, from, to int64, answer told) {
	h.runs[run] = append(h.runs[run], porcupine.Operation{Input: question{trigger}, Call: from, Output: answer, Return: to})
}

// The checker is worth something only when it fails a history that is wrong.
func TestCheckerCatchesWrongHistories(t *testing.T) {
	is := func(seq uint64) told { return told{seq, true} }
	lost := told{}
	const never = math.MaxInt64
	tests := []struct {
		name  string
		calls func(h *history)
		log   []string
		wrong bool
	}{
		{"one after another", func(h *history) {
			h.call("r", "a", 0, 1, is(1))
			h.call("r", "", 2, 3, is(1))
			h.call("r", "b", 4, 5, is(2))
			h.call("r", "a", 6, 7, is(1))
		}, []string{"a", "b"}, false},
		{"at once, in the other order", func(h *history) { h.call("r", "a", 0, 9, is(2)); h.call("r", "b", 1, 8, is(1)) }, []string{"b", "a"}, false},
		{"an answer lost, done late", func(h *history) {
			h.call("r", "a", 0, never, lost)
			h.call("r", "b", 1, 2, is(1))
			h.call("r", "", 3, 4, is(2))
		}, []string{"b", "a"}, false},
		{"an answer lost, done never", func(h *history) { h.call("r", "a", 0, never, lost); h.call("r", "b", 1, 2, is(1)) }, []string{"b"}, false},
		{"an answer lost, asked again", func(h *history) { h.call("r", "a", 0, never, lost); h.call("r", "a", 5, 6, is(1)) }, []string{"a"}, false},

		{"a decision before one that had ended", func(h *history) { h.call("r", "a", 0, 1, is(2)); h.call("r", "b", 2, 3, is(1)) }, []string{"b", "a"}, true},
		{"a decision lost", func(h *history) { h.call("r", "a", 0, 1, is(1)); h.call("r", "b", 2, 3, is(1)) }, []string{"b"}, true},
		{"a trigger decided twice", func(h *history) { h.call("r", "a", 0, never, lost); h.call("r", "a", 2, 3, is(2)) }, []string{"a", "a"}, true},
		{"a trigger answered twice", func(h *history) { h.call("r", "a", 0, 1, is(1)); h.call("r", "a", 2, 3, is(2)) }, []string{"b", "a"}, true},
		{"a read of the past", func(h *history) {
			h.call("r", "a", 0, 1, is(1))
			h.call("r", "b", 2, 3, is(2))
			h.call("r", "", 4, 5, is(1))
		}, []string{"a", "b"}, true},
		{"a read of the future", func(h *history) { h.call("r", "", 0, 1, is(1)); h.call("r", "a", 2, 3, is(1)) }, []string{"a"}, true},
		{"done before it was asked", func(h *history) { h.call("r", "a", 4, never, lost); h.call("r", "b", 1, 2, is(2)) }, []string{"a", "b"}, true},
		{"nobody asked", func(h *history) { h.call("r", "b", 1, 2, is(2)) }, []string{"a", "b"}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := newHistory()
			test.calls(h)
			if err := h.check("r", test.log); (err != nil) != test.wrong {
				t.Errorf("%v", err)
			}
		})
	}
}

// standing reads the number of a run's last decision.
func standing(url, run string) told {
	r, err := post(url, "scenario_status", json.RawMessage(fmt.Sprintf(`{"scenario_id":"loop","request":{"run_id":%q,"tenant_id":1,"namespace_id":1,"requested_at":{"kind":"unix_millis","value":1710000000000}}}`, run)))
	if err != nil || r.Error != nil {
		return told{}
	}
	var status struct {
		LastDecision *struct{ Seq uint64 } `json:"last_decision"`
	}
	switch err := json.Unmarshal(r.Result, &status); {
	case err != nil:
		return told{}
	case status.LastDecision == nil:
		return told{0, true}
	}
	return told{status.LastDecision.Seq, true}
}
