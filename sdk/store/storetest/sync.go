package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// tracing is a target whose processes can run under strace.
type tracing interface {
	openTraced(inject ...string) (p *process, trace string, err error)
}

// syncChecks need a plugin process: they look at its system calls.
var syncChecks = []check{
	{"sync-before-answer", "a commit is answered after a sync that began when its bytes were written, and ended", syncBeforeAnswer},
	{"sync-many-writers", "the same holds for every one of many commits at once, which may share a sync", syncManyWriters},
	{"sync-error", "a commit whose sync failed is not answered as committed", syncError},
}

// openTraced starts a process under strace.
func (c *trial) openTraced(inject ...string) (*process, string) {
	c.Helper()
	p, trace, err := c.target.(tracing).openTraced(inject...)
	if err != nil {
		c.Fatalf("%v", err)
	}
	c.Cleanup(p.stop)
	return p, trace
}

// send commits a record with a marker that is in no other write.
func (c *trial) send(s store.Store, name string) (sent, store.Outcome, error) {
	marker := randomBytes(64)
	out := sent{marker: []byte(marker), begin: now()}
	outcomes, err := c.attempt(s, newCommit(put(key("marker", name), marker)))
	out.end = now()
	if err != nil {
		return out, store.Outcome{}, err
	}
	return out, outcomes[0], nil
}

func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

// sends commits from several writers, one commit at a time each, and answers what was acknowledged.
func (c *trial) sends(s store.Store, writers, each int) (acknowledged []sent, failed int) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				got, outcome, err := c.send(s, fmt.Sprint(w, "-", i))
				mu.Lock()
				if err == nil && outcome.Refusal == nil {
					acknowledged = append(acknowledged, got)
				} else {
					failed++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return acknowledged, failed
}

// durable asserts that a trace shows every acknowledged commit durable before its answer.
func (c *trial) durable(trace string, acknowledged []sent) {
	c.Helper()
	events, err := readTrace(trace)
	if err != nil {
		c.Fatalf("read the trace of system calls: %v", err)
	}
	wrong, first := 0, ""
	for _, s := range acknowledged {
		if why := undurable(events, s); why != "" {
			if wrong++; first == "" {
				first = why
			}
		}
	}
	if wrong > 0 {
		c.Errorf("%d of %d commits were answered before they were durable; the first: %s", wrong, len(acknowledged), first)
	}
}

func syncBeforeAnswer(c *trial) {
	c.syncs(1, c.times(20, 8))
}

func syncManyWriters(c *trial) {
	c.syncs(6, c.times(10, 4))
}

func (c *trial) syncs(writers, each int) {
	c.Helper()
	p, trace := c.openTraced(delaySyncs())
	acknowledged, failed := c.sends(p, writers, each)
	p.stop()
	if failed > 0 {
		c.Errorf("%d of %d commits failed", failed, writers*each)
	}
	c.durable(trace, acknowledged)
}

// syncError lets the first syncs pass, fewer than a run needs, and asserts that what is acknowledged is durable all the
// same: a store may fail, or write again, but not ignore the error.
func syncError(c *trial) {
	p := c.open()
	c.commit(p, put(key("before"), "x"))
	p.stop()
	opened := 0
	for _, passing := range []int{1, 2, 4, 8} {
		p, trace, err := c.target.(tracing).openTraced(failSyncs(passing))
		if err != nil {
			// Failing to open is an honest answer to a failing sync.
			continue
		}
		opened++
		got, _ := c.sends(p, 2, c.times(12, 6))
		p.kill()
		c.durable(trace, got)
	}
	if opened == 0 {
		c.Fatalf("the store did not open under strace although up to 7 syncs of each thread succeed")
	}
	p = c.open()
	if got := c.get(p, key("before")); string(got.Body) != "x" {
		c.Errorf("after failed syncs: %s", describeRecord(got))
	}
	c.commit(p, put(key("after"), "x"))
}
