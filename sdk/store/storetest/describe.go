package storetest

import (
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var describeChecks = []check{
	{"describe-limits", "a store announces the limits of the protocol or wider ones, and remembers commit ids for 24 hours at least", describeLimits},
	{"describe-revision", "Describe answers the newest revision, and a restart does not take it back", describeRevision},
}

func (c *trial) describe(s store.Store) store.Description {
	c.Helper()
	ctx, cancel := c.call()
	defer cancel()
	description, err := s.Describe(ctx)
	if err != nil {
		c.Fatalf("Describe: %v", err)
	}
	return description
}

func describeLimits(c *trial) {
	d := c.describe(c.open())
	for _, limit := range []struct {
		name      string
		got, want uint64
	}{
		{"MaxBodyBytes", d.MaxBodyBytes, store.MaxBody},
		{"MaxOps", uint64(d.MaxOps), store.MaxOps},
		{"MaxCommits", uint64(d.MaxCommits), store.MaxCommits},
		{"MaxKeys", uint64(d.MaxKeys), store.MaxKeys},
		{"CommitIDLifetime in seconds", uint64(d.CommitIDLifetime.Seconds()), uint64(store.CommitIDLifetime.Seconds())},
	} {
		if limit.got < limit.want {
			c.Errorf("%s is %d, below the protocol's %d", limit.name, limit.got, limit.want)
		}
	}
}

func describeRevision(c *trial) {
	p := c.open()
	var newest uint64
	for range 3 {
		newest = c.commit(p, put(key("a"), "x"), put(key("b"), "y")).Revision
		if got := c.describe(p).Revision; got != newest {
			c.Errorf("Describe answers revision %d after a commit that answered %d", got, newest)
		}
	}
	p.stop()
	p = c.open()
	if got := c.describe(p).Revision; got < newest {
		c.Errorf("revision %d after a restart, %d before", got, newest)
	}
	if got := c.commit(p, put(key("c"), "z")).Revision; got <= newest {
		c.Errorf("a commit after a restart has revision %d, one before had %d", got, newest)
	}
}
