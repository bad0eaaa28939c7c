package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Two stores on one file share nothing but the file: locks are per open file, so this is what two processes do.
// The conformance kit repeats it with processes.
func TestTwoStoresOnOneFile(t *testing.T) {
	options := testOptions(t.TempDir())
	var stores [2]*Store
	var wg sync.WaitGroup
	for i := range stores {
		wg.Go(func() { // At once, so that both find no file.
			var err error
			if stores[i], err = Open(t.Context(), options); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	defer stores[0].Close()
	defer stores[1].Close()

	const each = 60
	for _, s := range stores {
		wg.Go(func() {
			for done := 0; done < each; {
				r := get(t, s, key("n"))
				body := binary.BigEndian.AppendUint64(nil, 0)
				if r.Version > 0 {
					body = r.Body
				}
				next := binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(body)+1)
				if o := commit(t, s, put(key("n"), string(next), store.Version(r.Version))); o.Refusal == nil {
					done++
				}
			}
		})
	}
	wg.Wait()
	if n := binary.BigEndian.Uint64(get(t, stores[0], key("n")).Body); n != 2*each {
		t.Errorf("%d increments are there, want %d", n, 2*each)
	}

	c := store.Commit{ID: newID(), Ops: []store.Op{put(key("once"), "", store.Absent())}}
	var answers []store.Outcome
	for _, s := range stores {
		outcomes, err := s.Commit(t.Context(), []store.Commit{c})
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, outcomes[0])
	}
	if answers[0].Refusal != nil || fmt.Sprint(answers[0]) != fmt.Sprint(answers[1]) {
		t.Errorf("the same commit at both: %+v", answers)
	}
}

// A follower sees commits of the other process too, without being told.
func TestFollowerSeesTheOtherProcess(t *testing.T) {
	options := testOptions(t.TempDir())
	here, there := mustOpen(t, options), mustOpen(t, options)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	caughtUp := make(chan struct{})
	done := make(chan bool, 1)
	go func() {
		seen, first := false, true
		_ = here.Changes(ctx, 0, func(set store.ChangeSet) error {
			if first {
				close(caughtUp)
				first = false
			}
			if len(set.Changes) > 0 {
				seen = true
				cancel()
			}
			return nil
		})
		done <- seen
	}()
	<-caughtUp
	commit(t, there, put(key("a"), "", store.Any()))
	if !<-done {
		t.Error("the commit of the other process was not told")
	}
}

func TestLockOfAnotherProcess(t *testing.T) {
	options := testOptions(t.TempDir())
	options.BusyTimeout = 50 * time.Millisecond
	s := mustOpen(t, options)
	commit(t, s, put(key("a"), "x", store.Any()))
	other, err := openConn(options.Path, "", readWrite, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	c := []store.Commit{{ID: newID(), Ops: []store.Op{put(key("b"), "y", store.Any())}}}
	if _, err := s.Commit(t.Context(), c); !fault.Is(err, fault.Unavailable) {
		t.Errorf("while another process holds the lock: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.Commit(ctx, c); !fault.Is(err, fault.Deadline) {
		t.Errorf("a deadline shorter than the lock's: %v", err)
	}
	if r := get(t, s, key("a")); string(r.Body) != "x" {
		t.Errorf("readers wait for the writer: %+v", r)
	}
	if err := other.exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), c); err != nil {
		t.Error(err)
	}
}
