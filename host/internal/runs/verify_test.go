package runs

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// verified is what a Verifier finds in the store of a rig.
func (r *rig) verified() (found []string, counted Verified) {
	r.t.Helper()
	v := NewVerifier(r.store, func(f Finding) error {
		found = append(found, fmt.Sprintf("%s/%d: %s", f.Run, f.Step, f.Problem))
		return nil
	})
	if err := v.Namespace(r.t.Context(), 1, 1); err != nil {
		r.t.Fatal(err)
	}
	return found, v.Verified
}

// busy is a rig with runs of all kinds of records: triggers, packets, submissions, and calls that leave no mark.
func busy(t testing.TB, runs ...gate.RunID) *rig {
	t.Helper()
	r := started(t)
	for _, run := range runs {
		if err := r.start(run); err != nil {
			t.Fatal(err)
		}
	}
	for _, run := range append(runs, "r") {
		for i := range 6 {
			if _, err := r.next(run, gate.TriggerID(fmt.Sprint("t-", i))); err != nil {
				t.Fatal(err)
			}
			if _, err := r.submit(run, gate.SubmissionID(fmt.Sprint("s-", i)), "x"); err != nil {
				t.Fatal(err)
			}
			if _, err := r.status(run); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.next(run, "t-0"); err != nil { // a repeat
			t.Fatal(err)
		}
	}
	return r
}

func TestVerifyFindsNothingInSoundRuns(t *testing.T) {
	long := gate.RunID(strings.Repeat("long", 100))
	r := busy(t, "", "a", "\x00", long, "zz")
	found, counted := r.verified()
	if len(found) > 0 || counted.Runs != 6 || counted.Steps != 6*(1+6*3+1) {
		t.Errorf("%q %+v", found, counted)
	}
}

// segment is the last one of a key.
func segment(key store.Key) string { return string(key.Path[len(key.Path)-1]) }

// ofRun says whether a record is of the run "r", as tests of others are beside it.
func ofRun(key store.Key, last string) bool {
	return string(key.Path[0]) == "r" && (last == "" || segment(key) == last)
}

// Every change behind the host's back is found, and told with its run and, where anything shows it, its step.
func TestVerifyFindsWhatWasChanged(t *testing.T) {
	number := func(n uint64) string { return string(store.Uint64Segment(n)) }
	replaced := func(old, by string) func([]byte) []byte {
		return func(body []byte) []byte { return []byte(strings.Replace(string(body), old, by, 1)) }
	}
	removed := func([]byte) []byte { return nil }
	for name, test := range map[string]struct {
		collection, last string
		edit             func([]byte) []byte
		want             string
	}{
		"a removed step":           {stepCollection, number(3), removed, "r/3: it is missing"},
		"the last step removed":    {stepCollection, number(20), removed, "r/20: it is missing"},
		"a changed step":           {stepCollection, number(3), replaced(`"host":"test"`, `"host":"best"`), "r/0: its chain is broken: steps 1 to 20"},
		"a damaged step":           {stepCollection, number(4), func([]byte) []byte { return []byte("{") }, "r/4: stored run_steps record cannot be read"},
		"a renumbered step":        {stepCollection, number(4), replaced(`"step":4`, `"step":5`), "r/4: it says that it is step 5"},
		"a renumbered trigger":     {stepCollection, number(2), replaced(`"seq":1,"event"`, `"seq":2,"event"`), "r/2: its trigger has the number 2"},
		"a removed mark":           {triggerCollection, "t-2", removed, `r/8: its trigger "t-2" has no mark`},
		"a mark of another step":   {triggerCollection, "t-2", replaced(`8`, `9`), `r/8: the mark of its trigger "t-2" leads to step 9`},
		"a mark far ahead":         {submissionCollection, "s-1", replaced(`6`, `600`), `the mark of submission "s-1" leads to step 600`},
		"a removed submission":     {submissionCollection, "s-1", removed, `r/6: its submission "s-1" has no mark`},
		"a removed packet list":    {packetCollection, "", removed, "r/2: its packets are not in the list"},
		"a changed packet list":    {packetCollection, number(0), replaced("p-0", "p-9"), "r/2: the list of the run's packets has others for it"},
		"a removed head":           {headCollection, "", removed, "r/0: " + noHead},
		"a damaged head":           {headCollection, "", func([]byte) []byte { return []byte("[]") }, "r/0: the head"},
		"a head of before":         {headCollection, "", replaced(`"steps":20`, `"steps":19`), "r/20: it is stored and the head counts 19"},
		"a head that counts wrong": {headCollection, "", replaced(`"triggers":6`, `"triggers":7`), "r/0: the head counts 7 triggers"},
		"the head of another run":  {headCollection, "", replaced(`"run_id":"r"`, `"run_id":"q"`), "q/0: the head is that of run \"q\""},
		"another scenario":         {headCollection, "", replaced(`"scenario_id":"loop"`, `"scenario_id":"hoop"`), `r/0: there is no scenario "hoop"`},
	} {
		r := busy(t, "q", "s")
		if n := r.store.Edit(test.collection, func(key store.Key, body []byte) []byte {
			if ofRun(key, test.last) {
				return test.edit(body)
			}
			return body
		}); n == 0 {
			t.Errorf("%s: nothing was changed", name)
			continue
		}
		found, _ := r.verified()
		if len(found) == 0 || !strings.Contains(strings.Join(found, "\n"), test.want) {
			t.Errorf("%s: found %q, want %q", name, found, test.want)
		}
		for _, f := range found {
			if !strings.HasPrefix(f, "r/") && !strings.HasPrefix(test.want, "q/") {
				t.Errorf("%s: told of another run: %s", name, f)
			}
		}
	}
}

// Runs that are decided on while they are verified are sound.
func TestVerifyBesideAHost(t *testing.T) {
	r := busy(t, "a", "b")
	rounds := make(chan int) // the writer keeps pace: a few decisions in every verification
	var writer sync.WaitGroup
	writer.Go(func() {
		for n := range rounds {
			for i := range 10 {
				if _, err := r.next([]gate.RunID{"a", "r"}[i%2], gate.TriggerID(fmt.Sprintf("later-%d-%d", n, i))); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for n := range 15 {
		rounds <- n
		if found, counted := r.verified(); len(found) > 0 || counted.Runs != 3 {
			t.Errorf("%q %+v", found, counted)
		}
	}
	close(rounds)
	writer.Wait()
}

// However the decisions fall between the reads, sound runs are: each read is followed by one.
func TestVerifyWithADecisionAfterEachRead(t *testing.T) {
	r := busy(t, "a", "b")
	n, inside := 0, false
	r.store.Around(func(_ context.Context, call faultystore.Call, do func()) error {
		do()
		if call == faultystore.Commit || inside {
			return nil
		}
		inside = true
		defer func() { inside = false }()
		n++
		_, err := r.next([]gate.RunID{"a", "b", "r"}[n%3], gate.TriggerID(fmt.Sprint("between-", n)))
		return err
	})
	for range 3 {
		if found, counted := r.verified(); len(found) > 0 || counted.Runs != 3 {
			t.Errorf("%q %+v", found, counted)
		}
	}
}
