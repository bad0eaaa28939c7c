package storetest

import (
	"fmt"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Remote is the server of a store that keeps its data in one. Such a plugin syncs nothing itself, so its system calls prove
// nothing: that answered commits last is shown by what the server does and how it is set.
type Remote struct {
	// Crash ends the server with all of its processes at once, as a power cut would, starts it again and returns when it
	// answers. Nil where that cannot be done; whether answered commits last is then not known.
	Crash func() error
	// Unsafe are settings with which the server may lose what it has committed, each by what is wrong with it.
	Unsafe map[string]Setting
	// Damage changes the first byte of every body of collection "runs" in the data that was opened last, behind the store's
	// back. Nil where that cannot be done; whether bodies are checked is then not known.
	Damage func() error
}

// Setting is something about a server that can be changed and changed back while it runs.
type Setting struct{ Set, Unset func() error }

// remoting is a target whose data is in a server.
type remoting interface{ remote() *Remote }

func (p *pluginTarget) remote() *Remote { return p.server }

// remoteChecks stand in for syncChecks where the data is in a server.
var remoteChecks = []check{
	{"server-crash", "after a crash of the server in the middle of writing every answered commit is there once, every other one completely or not at all, a retry with its id does nothing twice, and the plugin that was running goes on", serverCrash},
	{"server-unsafe", "a store does not commit to a server that may lose it, neither when it opens nor when the server is changed under it", serverUnsafe},
	{"server-damaged", "a body that was changed in the server is CORRUPT in Get, Scan and Add, and others are answered", serverDamaged},
}

// recovered bounds the time after which a store must work again.
const recovered = 20 * time.Second

// noticed bounds the time after which a store must have noticed a change of its server.
const noticed = 5 * time.Second

// until waits for something to be so.
func (c *trial) until(what string, within time.Duration, so func() error) {
	c.Helper()
	deadline := time.Now().Add(within)
	for {
		err := so()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			c.Fatalf("%s: not so after %v: %v", what, within, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// answers asserts that a store works again.
func (c *trial) answers(what string, s store.Store) {
	c.Helper()
	c.until(what, recovered, func() error {
		ctx, cancel := c.call()
		defer cancel()
		_, err := s.Describe(ctx)
		return err
	})
}

func serverCrash(c *trial) {
	server := c.target.(remoting).remote()
	writers := make([]*crashWriter, 4)
	for i := range writers {
		writers[i] = &crashWriter{name: fmt.Sprint("w", i)}
	}
	p := c.open()
	for range c.times(5, 2) {
		started := make(chan struct{})
		begin := sync.OnceFunc(func() { close(started) })
		var wg sync.WaitGroup
		for _, w := range writers {
			wg.Go(func() { w.write(c, p, begin) })
		}
		select {
		case <-started:
		case <-time.After(callTimeout):
			c.Fatalf("no commit was answered in %v", callTimeout)
		}
		time.Sleep(jitter(time.Millisecond, 60*time.Millisecond))
		if err := server.Crash(); err != nil {
			c.Fatalf("crash the server: %v", err)
		}
		wg.Wait()
		c.answers("after a crash of the server the plugin works again", p)
		for _, w := range writers {
			w.check(c, p)
		}
	}
	p.stop()
	p = c.open()
	total := 0
	for _, w := range writers {
		w.check(c, p)
		total += len(w.answered)*crashOps + 1
	}
	if got := len(c.scan(p, everything())); got != total {
		c.Errorf("%d records after all crashes of the server, want %d", got, total)
	}
}

func serverUnsafe(c *trial) {
	p := c.open()
	for name, setting := range inOrder(c.target.(remoting).remote().Unsafe) {
		if err := setting.Set(); err != nil {
			c.Fatalf("%s: %v", name, err)
		}
		c.until("with "+name+" no commit succeeds", noticed, func() error {
			outcomes, err := c.attempt(p, newCommit(put(key(name), "x")))
			if err == nil && outcomes[0].Refusal == nil {
				return fmt.Errorf("a commit was answered as done")
			}
			return nil
		})
		if late, err := c.target.open(); err == nil {
			if _, err := c.attempt(late, newCommit(put(key(name), "x"))); err == nil {
				c.Errorf("with %s a store opens and commits", name)
			}
			late.stop()
		}
		if err := setting.Unset(); err != nil {
			c.Fatalf("%s: %v", name, err)
		}
		c.until("without "+name+" commits succeed again", recovered, func() error {
			_, err := c.attempt(p, newCommit(put(key(name), "y")))
			return err
		})
	}
}

func serverDamaged(c *trial) {
	damage := c.target.(remoting).remote().Damage
	if damage == nil {
		return
	}
	p := c.open()
	sound := keyIn("usage", 7, 9, "sound")
	c.commit(p, put(key("a"), "body"), add(key("counter"), 5, 9), put(sound, "body"))
	if err := damage(); err != nil {
		c.Fatalf("damage bodies: %v", err)
	}
	ctx, cancel := c.call()
	defer cancel()
	if records, err := p.Get(ctx, []store.Key{key("a")}); !fault.Is(err, fault.Corrupt) {
		c.Errorf("Get of a body that was changed: %+v, %v; want CORRUPT", records, err)
	}
	err := p.Scan(ctx, store.Scan{Collection: "runs", Tenant: 7, Namespace: 9}, func(store.Record) error { return nil })
	if !fault.Is(err, fault.Corrupt) {
		c.Errorf("Scan of a body that was changed: %v; want CORRUPT", err)
	}
	if outcomes, err := p.Commit(ctx, []store.Commit{newCommit(add(key("counter"), 1, 1<<62))}); !fault.Is(err, fault.Corrupt) {
		c.Errorf("Add to a counter that was changed: %+v, %v; want CORRUPT", outcomes, err)
	}
	if got := c.get(p, sound); string(got.Body) != "body" {
		c.Errorf("a sound record beside damaged ones: %+v", got)
	}
}
