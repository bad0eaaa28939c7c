package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// loop is a scenario that advances for ever, from one stage to another and back.
const loop = `{"scenario_id":"loop","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,
"stages":[
 {"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"ga","requirement":{"And":[{"Condition":"past"},{"Not":{"Condition":"future"}}]}}],"advance_to":{"kind":"fixed","stage_id":"b"},"on_timeout":"fail"},
 {"stage_id":"b","entry_packets":[],"gates":[{"gate_id":"gb","requirement":{"Condition":"past"}}],"advance_to":{"kind":"fixed","stage_id":"a"},"on_timeout":"fail"}],
"conditions":[
 {"condition_id":"past","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]},
 {"condition_id":"future","query":{"provider_id":"time","check_id":"after","params":{"timestamp":9000000000000}},"comparator":"equals","expected":true,"policy_tags":[]}]}`

func defineLoop(f *fixture, runs ...string) {
	f.t.Helper()
	f.must("scenario_define", json.RawMessage(`{"spec":`+loop+`}`), nil)
	for _, run := range runs {
		f.must("scenario_start", start(run), nil)
	}
}

func start(run string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"scenario_id":"loop","run_config":{"tenant_id":1,"namespace_id":1,"run_id":%q,"scenario_id":"loop","dispatch_targets":[],"policy_tags":[]},
		"started_at":{"kind":"unix_millis","value":1},"issue_entry_packets":false}`, run))
}

func next(run, trigger string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"scenario_id":"loop","request":{"run_id":%q,"tenant_id":1,"namespace_id":1,"trigger_id":%q,"agent_id":"a","time":{"kind":"unix_millis","value":1710000000000}}}`, run, trigger))
}

// decision is the answer to a trigger, or an entry of a runpack's log.
type decision struct {
	Decision struct {
		DecisionID string `json:"decision_id"`
		Seq        uint64
		TriggerID  string `json:"trigger_id"`
	}
	// whole is all of the decision, its members sorted: what a client was told must stay so to the last byte.
	whole string
}

func (d *decision) UnmarshalJSON(text []byte) error {
	var answer struct{ Decision json.RawMessage }
	if err := json.Unmarshal(text, &answer); err != nil {
		return err
	}
	return d.read(answer.Decision)
}

func (d *decision) read(record []byte) error {
	if err := json.Unmarshal(record, &d.Decision); err != nil {
		return err
	}
	var members any
	decoder := json.NewDecoder(bytes.NewReader(record))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		return err
	}
	sorted, err := json.Marshal(members)
	d.whole = string(sorted)
	return err
}

// acknowledged are the decisions that clients were given, by run and trigger.
type acknowledged struct {
	mu    sync.Mutex
	given map[string]map[string]decision

	history *history
	// logs are the triggers of each run that was checked, in the order of their decisions.
	logs map[string][]string
}

func newAcknowledged() *acknowledged {
	return &acknowledged{given: map[string]map[string]decision{}, history: newHistory(), logs: map[string][]string{}}
}

func (a *acknowledged) add(t testing.TB, run string, d decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.given[run] == nil {
		a.given[run] = map[string]decision{}
	}
	if before, seen := a.given[run][d.Decision.TriggerID]; seen && before.whole != d.whole {
		t.Errorf("trigger %s of %s was decided twice:\n%s\n%s", d.Decision.TriggerID, run, before.whole, d.whole)
	}
	a.given[run][d.Decision.TriggerID] = d
}

func (a *acknowledged) count() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, triggers := range a.given {
		n += len(triggers)
	}
	return n
}

const (
	// askedAgain is one in how many calls asks for one of the last triggers once more, which another client, or none, has
	// been answered.
	askedAgain = 4
	// readInstead is one in how many calls reads where a run stands.
	readInstead = 8
	// thinking is the longest pause of a client between two calls: it bounds the length of the runs, which are replayed.
	thinking = 6 * time.Millisecond
)

// drive has clients ask for decisions until stop is closed. A call that fails is made again with the same trigger, as a
// client would: what was decided must then be answered, not decided again.
func drive(t testing.TB, url func(client int) string, runs []string, clients int, stop <-chan struct{}, got *acknowledged) *sync.WaitGroup {
	var wg sync.WaitGroup
	var newest atomic.Int64
	for c := range clients {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(rand.N(thinking)):
				}
				n := newest.Load() - rand.Int64N(int64(clients))
				if n < 1 || rand.N(askedAgain) > 0 {
					n = newest.Add(1)
				}
				run := runs[n%int64(len(runs))]
				if rand.N(readInstead) == 0 {
					ended := got.history.begin(c, run, "")
					ended(standing(url(c), run))
				}
				asking := client{c, url, got.history}
				if d, ok := asking.insist(t, run, fmt.Sprintf("t-%d", n), stop); ok {
					got.add(t, run, d)
				}
			}
		})
	}
	return &wg
}

// client asks the host that it is told to, and notes what it asks and is told.
type client struct {
	number  int
	url     func(client int) string
	history *history
}

// insist asks until there is a decision.
func (c client) insist(t testing.TB, run, trigger string, stop <-chan struct{}) (d decision, ok bool) {
	for {
		d, refusal, ok := c.ask(run, trigger)
		if ok {
			return d, true
		}
		if final(refusal) {
			t.Errorf("trigger %s of %s: %+v", trigger, run, refusal)
			return d, false
		}
		select {
		case <-stop:
			return d, false
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// ask asks once. There is neither a decision nor a refusal when the answer was lost.
func (c client) ask(run, trigger string) (d decision, refusal *rpcError, ok bool) {
	ended := c.history.begin(c.number, run, trigger)
	r, err := post(c.url(c.number), "scenario_next", next(run, trigger))
	if err == nil && r.Error == nil && json.Unmarshal(r.Result, &d) == nil {
		ended(told{d.Decision.Seq, true})
		return d, nil, true
	}
	if !refused(err) {
		ended(told{})
	}
	return d, r.Error, false
}

// refused says that there was nobody to take a call, of which nothing can come then.
func refused(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// final says that a client is told not to try again. A run that is not known does not count: the port of a host that was killed
// may be given to another test's host.
func final(e *rpcError) bool { return e != nil && !e.Data.Retryable && e.Code != -32004 }

// check exports every run and compares: nothing lost, nothing changed, nothing twice, no hole, and every verdict follows
// again from its evidence. Then it asks for some decisions once more.
func (a *acknowledged) check(f *fixture) {
	f.t.Helper()
	a.checkWith(f, func(dir string) error {
		bundle, err := runpack.OpenDirectory(dir)
		if err != nil {
			return err
		}
		defer bundle.Close()
		report, err := runpack.Verify(context.Background(), bundle, "manifest.json", runpack.Options{Replay: true})
		if err == nil && report.Verdict() != runpack.Pass {
			err = fmt.Errorf("%+v %+v", report, report.DecisionGate)
		}
		return err
	})
}

// checkWith checks with another way to verify a runpack.
func (a *acknowledged) checkWith(f *fixture, verify func(dir string) error) {
	f.t.Helper()
	for run := range a.given {
		out := filepath.Join(f.Dir, "exports", run)
		f.must("runpack_export", map[string]any{
			"scenario_id": "loop", "tenant_id": 1, "namespace_id": 1, "run_id": run, "output_dir": out,
			"generated_at": map[string]any{"kind": "logical", "value": 1}, "include_verification": true,
		}, nil)
		if err := verify(out); err != nil {
			f.t.Errorf("the runpack of %s fails: %v", run, err)
		}
		a.compare(f.t, run, filepath.Join(out, "artifacts", "decisions.json"))
		a.askAgain(f, run)
	}
}

// compare holds what the clients were told against a runpack's log.
func (a *acknowledged) compare(t testing.TB, run, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var log []json.RawMessage
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	recorded := map[string]string{}
	for i, record := range log {
		var d decision
		if err := d.read(record); err != nil {
			t.Fatal(err)
		}
		if d.Decision.Seq != uint64(i+1) {
			t.Errorf("%s: decision %d has seq %d", run, i+1, d.Decision.Seq)
		}
		if _, twice := recorded[d.Decision.TriggerID]; twice {
			t.Errorf("%s: trigger %s has two decisions", run, d.Decision.TriggerID)
		}
		recorded[d.Decision.TriggerID] = d.whole
		a.logs[run] = append(a.logs[run], d.Decision.TriggerID)
	}
	for trigger, told := range a.given[run] {
		if recorded[trigger] != told.whole {
			t.Errorf("%s: on %s a client was told\n%s\nand recorded is\n%s", run, trigger, told.whole, recorded[trigger])
		}
	}
}

// askAgain asks for up to twenty of a run's decisions once more.
func (a *acknowledged) askAgain(f *fixture, run string) {
	f.t.Helper()
	left := 20
	for trigger, told := range a.given[run] { // in no order
		var d decision
		f.must("scenario_next", next(run, trigger), &d)
		if d.whole != told.whole {
			f.t.Errorf("%s: on %s a client was told\n%s\nand another, later,\n%s", run, trigger, told.whole, d.whole)
		}
		if left--; left == 0 {
			return
		}
	}
}
