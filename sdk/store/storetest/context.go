package storetest

import (
	"context"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// promptly is how soon a call returns after its context has ended: far more than a scheduler needs, far less than the
// deadline of any caller.
const promptly = 3 * time.Second

var contextChecks = []check{
	{"context-ended", "a call whose context has ended returns at once, with UNAVAILABLE or DEADLINE, and commits nothing twice", contextEnded},
	{"context-abandoned", "scans and feeds that their readers abandon leave nothing behind that disturbs later calls", contextAbandoned},
}

func contextEnded(c *trial) {
	p := c.open()
	c.fill(p, 200, 10<<10)
	commit := newCommit(add(key("count"), 1, 9))
	calls := map[string]func(context.Context) error{
		"Get": func(ctx context.Context) error {
			_, err := p.Get(ctx, []store.Key{key("a")})
			return err
		},
		"Scan": func(ctx context.Context) error {
			return p.Scan(ctx, everything(), func(store.Record) error { return nil })
		},
		"Commit": func(ctx context.Context) error {
			_, err := p.Commit(ctx, []store.Commit{commit})
			return err
		},
	}
	if c.describe(p).Changes {
		calls["Changes"] = func(ctx context.Context) error {
			return p.Changes(ctx, 0, func(store.ChangeSet) error { return nil })
		}
	}
	expect := func(what string, reason fault.Reason, call func(context.Context) error, end func(context.Context) (context.Context, context.CancelFunc), after time.Duration) {
		ctx, cancel := end(c.ctx)
		defer cancel()
		began := time.Now()
		err := call(ctx)
		if took := time.Since(began) - after; took > promptly {
			c.Errorf("%s: returned %v after the end of its context", what, took)
		}
		if !fault.Is(err, reason) {
			c.Errorf("%s: got error %v, want %s", what, err, reason)
		}
	}
	for name, call := range calls {
		expect(name+" with a cancelled context", fault.Unavailable, call, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			return ctx, cancel
		}, 0)
		expect(name+" after its deadline", fault.Deadline, call, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, -time.Second)
		}, 0)
	}
	if follow, ok := calls["Changes"]; ok {
		const after = 50 * time.Millisecond
		expect("Changes when its context is cancelled", fault.Unavailable, follow, func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(after, cancel)
			return ctx, cancel
		}, after)
		expect("Changes at its deadline", fault.Deadline, follow, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, after)
		}, after)
	}
	// The caller does not know whether the commits that it gave up happened; their id does.
	c.committed(p, commit)
	c.counts("a commit given up twice and then made", p, key("count"), 1)
}

func contextAbandoned(c *trial) {
	p := c.open()
	c.fill(p, 300, 10<<10)
	changes := c.describe(p).Changes
	for range c.times(60, 20) {
		ctx, cancel := c.call()
		seen := 0
		err := p.Scan(ctx, everything(), func(store.Record) error {
			if seen++; seen == 5 {
				cancel()
			}
			return ctx.Err()
		})
		if err == nil || seen == 300 {
			c.Errorf("a scan whose context was cancelled after 5 records answered %d and %v", seen, err)
		}
		cancel()
		if changes {
			ctx, cancel := c.call()
			_ = p.Changes(ctx, 0, func(store.ChangeSet) error {
				cancel()
				return ctx.Err()
			})
			cancel()
		}
	}
	began := time.Now()
	for range 10 {
		c.commit(p, add(key("count"), 1, 1000))
	}
	c.counts("after abandoned scans and feeds", p, key("count"), 10)
	if took := time.Since(began); took > promptly {
		c.Errorf("10 commits after abandoned scans and feeds took %v", took)
	}
}
