package storetest

import (
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var limitChecks = []check{
	{"limit-body", "a body of MaxBody bytes is kept and read back, one byte more is TOO_LARGE and leaves nothing", limitBody},
	{"limit-keys", "keys over the limits of the protocol are refused and leave nothing", limitKeys},
	{"limit-counts", "a request of the largest size works, one more is refused and leaves nothing", limitCounts},
	{"limit-empty-commit", "a commit without ops is INVALID", limitEmptyCommit},
}

func limitBody(c *trial) {
	p := c.open()
	body := randomBytes(store.MaxBody)
	c.commit(p, put(key("big"), body))
	p.stop()
	p = c.open()
	if got := c.get(p, key("big")); string(got.Body) != body {
		c.Errorf("Get answers other bytes than the %d that were put", len(body))
	}
	if got := c.scan(p, everything()); len(got) != 1 || string(got[0].Body) != body {
		c.Errorf("Scan does not answer the record of %d bytes", len(body))
	}
	_, err := c.attempt(p, newCommit(put(key("beside"), "x"), put(key("over"), body+"x")))
	if !fault.Is(err, fault.TooLarge) {
		c.Errorf("a body over MaxBody: got error %v, want TOO_LARGE", err)
	}
	for _, got := range c.getAll(p, key("over"), key("beside")) {
		if got.Version != 0 {
			c.Errorf("a commit refused as TOO_LARGE left %s", describeRecord(got))
		}
	}
}

// notCommitted asserts that a commit was refused as INVALID or TOO_LARGE, either as an error or as an outcome.
func (c *trial) notCommitted(what string, s store.Store, commits ...store.Commit) {
	c.Helper()
	outcomes, err := c.attempt(s, commits...)
	switch {
	case fault.Is(err, fault.Invalid) || fault.Is(err, fault.TooLarge):
	case err != nil:
		c.Errorf("%s: got error %v, want INVALID", what, err)
	default:
		c.invalid(what, outcomes[0])
	}
}

func limitKeys(c *trial) {
	p := c.open()
	long := strings.Repeat("k", store.MaxSegment+1)
	for what, bad := range inOrder(map[string]store.Key{
		"a segment over 255 bytes":                key(long),
		"a last segment over 255 bytes":           key("a", long),
		"nine segments":                           key("1", "2", "3", "4", "5", "6", "7", "8", "9"),
		"no segment":                              key(),
		"an empty collection name":                keyIn("", 7, 9, "a"),
		"a collection name of 64":                 keyIn(strings.Repeat("c", 64), 7, 9, "a"),
		"a collection name in upper case":         keyIn("Runs", 7, 9, "a"),
		"a collection name with SQL in it":        keyIn("runs; drop table runs", 7, 9, "a"),
		"a collection name with a quote":          keyIn(`runs"`, 7, 9, "a"),
		"a collection name with a NUL":            keyIn("runs\x00", 7, 9, "a"),
		"a collection name with a letter like é":  keyIn("rés", 7, 9, "a"),
		"a collection name with a path separator": keyIn("../runs", 7, 9, "a"),
	}) {
		c.notCommitted(what, p, newCommit(put(key("beside"), "x"), put(bad, "y")))
		c.notCommitted("counting at "+what, p, newCommit(put(key("beside"), "x"), add(bad, 1, 1)))
		ctx, cancel := c.call()
		if _, err := p.Get(ctx, []store.Key{bad}); !fault.Is(err, fault.Invalid) {
			c.Errorf("Get of %s: got error %v, want INVALID", what, err)
		}
		cancel()
	}
	if got := c.scan(p, everything()); len(got) != 0 {
		c.Errorf("refused commits left %d records, the first is %s", len(got), describeRecord(got[0]))
	}
}

func limitCounts(c *trial) {
	p := c.open()
	name := func(i int) store.Key { return key("count", fmt.Sprintf("%05d", i)) }
	many := func(from, n int) (ops []store.Op) {
		for i := range n {
			ops = append(ops, put(name(from+i), "x"))
		}
		return ops
	}
	c.commit(p, many(0, store.MaxOps)...)
	var singles []store.Commit
	for i := range store.MaxCommits {
		singles = append(singles, newCommit(put(name(1000+i), "x")))
	}
	for i, outcome := range c.try(p, singles...) {
		if outcome.Refusal != nil {
			c.Errorf("commit %d of %d: %s", i, len(singles), describeOutcome(outcome))
		}
	}
	want := store.MaxOps + store.MaxCommits
	c.notCommitted("a commit of 257 ops", p, newCommit(many(2000, store.MaxOps+1)...))
	c.notCommitted("a request of 257 commits", p, append(singles, newCommit(put(name(3000), "x")))...)
	if got := len(c.scan(p, everything())); got != want {
		c.Errorf("%d records after refused requests, want %d", got, want)
	}
	var keys []store.Key
	for i := range store.MaxKeys + 1 {
		keys = append(keys, name(i))
	}
	present := 0
	for _, record := range c.getAll(p, keys[:store.MaxKeys]...) {
		if record.Version != 0 {
			present++
		}
	}
	if present != store.MaxOps+store.MaxKeys-1000 {
		c.Errorf("a Get of %d keys found %d records, want %d", store.MaxKeys, present, store.MaxOps+store.MaxKeys-1000)
	}
	ctx, cancel := c.call()
	defer cancel()
	if _, err := p.Get(ctx, keys); !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
		c.Errorf("a Get of 1025 keys: got error %v, want INVALID", err)
	}
}

func limitEmptyCommit(c *trial) {
	p := c.open()
	c.notCommitted("a commit without ops", p, newCommit())
	outcomes := c.try(p, newCommit(put(key("a"), "x")), newCommit(put(key("b"), "y")))
	for i, outcome := range outcomes {
		if outcome.Refusal != nil {
			c.Errorf("commit %d: %s", i, describeOutcome(outcome))
		}
	}
}
