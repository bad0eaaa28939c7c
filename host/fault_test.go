package host_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
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

type decision struct {
	Decision struct {
		DecisionID string `json:"decision_id"`
		Seq        uint64
		TriggerID  string `json:"trigger_id"`
	}
}

// acknowledged are the decisions that clients were given, by run and trigger.
type acknowledged struct {
	mu   sync.Mutex
	seqs map[string]map[string]uint64
}

func (a *acknowledged) add(t testing.TB, run string, d decision) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.seqs[run] == nil {
		a.seqs[run] = map[string]uint64{}
	}
	if seq, seen := a.seqs[run][d.Decision.TriggerID]; seen && seq != d.Decision.Seq {
		t.Errorf("trigger %s of %s was decided twice: %d and %d", d.Decision.TriggerID, run, seq, d.Decision.Seq)
	}
	a.seqs[run][d.Decision.TriggerID] = d.Decision.Seq
}

func (a *acknowledged) count() (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, triggers := range a.seqs {
		n += len(triggers)
	}
	return n
}

// drive has clients ask for decisions until stop is closed. A call that fails is made again with the same trigger, as a
// client would: what was decided must then be answered, not decided again.
func drive(t testing.TB, url func(client int) string, runs []string, clients int, stop <-chan struct{}, got *acknowledged) *sync.WaitGroup {
	var wg sync.WaitGroup
	var trigger atomic.Int64
	for c := range clients {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				run := runs[(c+i)%len(runs)]
				id := fmt.Sprintf("t-%d", trigger.Add(1))
				if d, ok := insist(func() string { return url(c) }, run, id, stop); ok {
					got.add(t, run, d)
				}
			}
		})
	}
	return &wg
}

func insist(url func() string, run, trigger string, stop <-chan struct{}) (d decision, ok bool) {
	for {
		r, err := post(url(), "scenario_next", next(run, trigger))
		if err == nil && r.Error == nil && json.Unmarshal(r.Result, &d) == nil {
			return d, true
		}
		select {
		case <-stop:
			return d, false
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// check asks for every acknowledged decision again, and replays the export of every run: nothing lost, nothing twice, no hole.
func (a *acknowledged) check(f *fixture) {
	f.t.Helper()
	for run, triggers := range a.seqs {
		out := filepath.Join(f.Dir, "exports", run)
		f.must("runpack_export", map[string]any{
			"scenario_id": "loop", "tenant_id": 1, "namespace_id": 1, "run_id": run, "output_dir": out,
			"generated_at": map[string]any{"kind": "logical", "value": 1}, "include_verification": true,
		}, nil)
		dir, err := runpack.OpenDirectory(out)
		if err != nil {
			f.t.Fatal(err)
		}
		report, err := runpack.Verify(context.Background(), dir, "manifest.json", runpack.Options{Replay: true})
		if err != nil || report.Verdict() != runpack.Pass {
			f.t.Errorf("the runpack of %s fails: %v %+v %+v", run, err, report, report.DecisionGate)
		}
		dir.Close()
		recorded := map[string]uint64{}
		var log []struct {
			Seq       uint64
			TriggerID string `json:"trigger_id"`
		}
		text, err := os.ReadFile(filepath.Join(out, "artifacts", "decisions.json"))
		if err != nil {
			f.t.Fatal(err)
		}
		if err := json.Unmarshal(text, &log); err != nil {
			f.t.Fatal(err)
		}
		for i, d := range log {
			if d.Seq != uint64(i+1) {
				f.t.Errorf("%s: decision %d has seq %d", run, i+1, d.Seq)
			}
			if _, twice := recorded[d.TriggerID]; twice {
				f.t.Errorf("%s: trigger %s has two decisions", run, d.TriggerID)
			}
			recorded[d.TriggerID] = d.Seq
		}
		for trigger, seq := range triggers {
			if recorded[trigger] != seq {
				f.t.Errorf("%s: decision %d on %s was acknowledged, %d is recorded", run, seq, trigger, recorded[trigger])
			}
		}
	}
}

func storePID(f *fixture) int {
	for _, p := range f.Host.Plugins() {
		if p.Kind == "store" {
			return p.PID
		}
	}
	return 0
}

// TestStoreKilled kills the store plugin again and again while clients decide: the host recovers it by itself, and every
// decision that a client was given is there afterwards.
func TestStoreKilled(t *testing.T) {
	f := open(t, t.TempDir())
	runs := []string{"r1", "r2", "r3"}
	defineLoop(f, runs...)
	got := &acknowledged{seqs: map[string]map[string]uint64{}}
	stop := make(chan struct{})
	clients := drive(t, func(int) string { return f.URL }, runs, 8, stop, got)
	killed := map[int]bool{}
	for len(killed) < 5 {
		waitFor(t, "a new store process", func() bool { pid := storePID(f); return pid > 0 && !killed[pid] && f.Host.Ready() })
		before := got.count()
		waitFor(t, "decisions", func() bool { return got.count() >= before+20 })
		pid := storePID(f)
		if pid > 0 && !killed[pid] {
			killed[pid] = true
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	waitFor(t, "readiness", f.Host.Ready)
	close(stop)
	clients.Wait()
	got.check(f)
	f.stop()
	for pid := range killed {
		if processAlive(pid) {
			t.Errorf("killed store process %d is still there", pid)
		}
	}
}

// TestTwoHosts has two hosts decide on the same runs, and on the same triggers, in one database.
func TestTwoHosts(t *testing.T) {
	dir := t.TempDir()
	one, two := open(t, dir), open(t, dir)
	runs := []string{"r1", "r2"}
	defineLoop(one, runs...)
	urls := []string{one.URL, two.URL}
	got := &acknowledged{seqs: map[string]map[string]uint64{}}
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			for i := range 40 {
				// Both hosts get every trigger, at about the same time.
				run, trigger := runs[i%2], fmt.Sprintf("t-%d", i+40*(c/2))
				if d, ok := insist(func() string { return urls[c%2] }, run, trigger, nil); ok {
					got.add(t, run, d)
				}
			}
		})
	}
	wg.Wait()
	if n := got.count(); n != 160 {
		t.Errorf("%d triggers were decided, want 160", n)
	}
	got.check(two)
}

// TestDefinitionsSurvive shows that a restarted host knows its scenarios, and accepts their definition once more.
func TestDefinitionsSurvive(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	defineLoop(f, "r1")
	f.must("scenario_next", next("r1", "t1"), nil)
	if r := f.call("scenario_define", json.RawMessage(`{"spec":`+loop+`}`)); r.Error == nil || r.Error.Code != -32009 {
		t.Errorf("a second definition in one process: %+v", r)
	}
	f.stop()

	f = open(t, dir)
	var d decision
	f.must("scenario_next", next("r1", "t2"), &d)
	if d.Decision.Seq != 2 {
		t.Errorf("decision after the restart has seq %d", d.Decision.Seq)
	}
	f.must("scenario_define", json.RawMessage(`{"spec":`+loop+`}`), nil)
	if r := f.call("scenario_define", json.RawMessage(`{"spec":`+loop+`}`)); r.Error == nil || r.Error.Code != -32009 {
		t.Errorf("a second definition after the restart: %+v", r)
	}
	other := json.RawMessage(`{"spec":` + loop[:len(loop)-1] + `,"spec_version":"2"}}`)
	if r := f.call("scenario_define", other); r.Error == nil || r.Error.Code != -32009 {
		t.Errorf("another definition under the same id: %+v", r)
	}
}

// TestReadiness shows that a host whose store cannot be started again says so.
func TestReadiness(t *testing.T) {
	f := open(t, t.TempDir())
	if status := readyz(t, f.URL); status != http.StatusOK {
		t.Fatalf("readyz answers %d", status)
	}
	// A stopped process answers nothing: only the deadline of its health tells.
	pid := storePID(f)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "readyz to turn red", func() bool { return readyz(t, f.URL) == http.StatusServiceUnavailable })
	waitFor(t, "the host to replace the stopped process", func() bool { return storePID(f) != pid && readyz(t, f.URL) == http.StatusOK })
}

func readyz(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func waitFor(t *testing.T, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if met() {
			return
		}
	}
	t.Fatalf("waited in vain for %s", what)
}

func processAlive(pid int) bool {
	return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
