package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func honest(s store.Store) store.Store { return s }

// A check that fails a hundred times says so, and tells the first few.
func TestFewFailuresAreTold(t *testing.T) {
	failed, report := record(t, check{"many", "nothing", func(c *trial) {
		for i := range maxFailures + 107 {
			c.Errorf("failure %d", i)
		}
		c.Fatalf("the end")
	}}, newMemory(honest))
	want := "failure 0\nfailure 1\nfailure 2\nfailure 3\nfailure 4\nthe end\nand 107 more failures of many\nmany proves: nothing"
	if !failed || report != want {
		t.Errorf("failed %v:\n%s\nwant\n%s", failed, report, want)
	}
}

// A failure says after what end of the store it happened.
func TestFailuresSayWhen(t *testing.T) {
	_, report := record(t, check{"ends", "nothing", func(c *trial) {
		p := c.open()
		c.Errorf("1")
		p.stop()
		p = c.open()
		c.Errorf("2")
		p.kill()
		p.stop() // It has ended already.
		c.open()
		c.Errorf("3")
		c.Errorf("Get %s", "after a crash")
		c.open()
		c.Fatalf("4")
	}}, newMemory(honest))
	want := "1\nafter a restart: 2\nafter a crash: 3\nGet after a crash\nafter a crash: 4\nends proves: nothing"
	if report != want {
		t.Errorf("got\n%s\nwant\n%s", report, want)
	}
}

// The author of a store for one process learns how to say so.
func TestSecondProcessHint(t *testing.T) {
	for _, ck := range sharedChecks {
		target := newMemory(honest)
		target.single = true
		failed, report := record(t, ck, target)
		if !failed || !strings.Contains(report, "the data is in use; a store that is for one process sets SingleProcess") {
			t.Errorf("%s: %v\n%s", ck.name, failed, report)
		}
	}
}

// A wrong store is reported alike at every run.
func TestReportsAreAlike(t *testing.T) {
	for _, ck := range limitChecks[1:2] {
		first := ""
		for i := range 3 {
			_, report := record(t, ck, newMemory(func(s store.Store) store.Store {
				w := &wrong{Store: s}
				w.get = func(context.Context, []store.Key) ([]store.Record, error) { return nil, fmt.Errorf("no") }
				w.commit = func(ctx context.Context, commits []store.Commit) ([]store.Outcome, error) {
					return make([]store.Outcome, len(commits)), nil
				}
				return w
			}))
			if i == 0 {
				first = report
			}
			if report != first || report == "" {
				t.Errorf("%s:\n%s\nand before\n%s", ck.name, report, first)
			}
		}
	}
}
