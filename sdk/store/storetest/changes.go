package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

var changeChecks = []check{
	{"changes-tell-all", "the feed tells the last change of every record, deletes too, in revision order and nothing else", changesTellAll},
	{"changes-after", "the feed after a revision tells what is after it and nothing at or below it", changesAfter},
	{"changes-follow", "an open feed tells later commits", changesFollow},
	{"changes-selected", "a feed of some collections tells all of their changes and is complete, whatever changes in others", changesSelected},
	{"changes-after-restart", "a reader goes on after a restart and a crash from where it was", changesAfterRestart},
	{"changes-complete", "a reader that has seen Complete >= N has missed nothing at or below N, however many commit at once and however often it begins anew", changesComplete},
}

// feed reads the change feed and asserts its order.
type feed struct {
	complete, newest uint64
	// told is the last change of each record.
	told map[string]store.Change
}

func newFeed(after uint64) *feed {
	return &feed{complete: after, newest: after, told: map[string]store.Change{}}
}

func (f *feed) read(set store.ChangeSet) error {
	for _, change := range set.Changes {
		switch {
		case change.Revision <= f.complete:
			return fmt.Errorf("%s at revision %d is told after everything up to %d was said to be told", model.Name(change.Key), change.Revision, f.complete)
		case change.Revision < f.newest:
			return fmt.Errorf("revision %d is told after %d", change.Revision, f.newest)
		}
		f.newest = change.Revision
		f.told[model.Name(change.Key)] = change
	}
	if set.Complete < f.complete {
		return fmt.Errorf("complete up to %d after it was complete up to %d", set.Complete, f.complete)
	}
	f.complete = set.Complete
	return nil
}

var errEnough = errors.New("enough was read")

// follow reads the feed from where f is, until done says so.
func (c *trial) follow(s store.Store, f *feed, done func() bool) error {
	ctx, cancel := c.call()
	defer cancel()
	err := s.Changes(ctx, f.complete, func(set store.ChangeSet) error {
		if err := f.read(set); err != nil {
			return err
		}
		if done() {
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nil
	case err == nil:
		return errors.New("the feed ended by itself")
	case ctx.Err() != nil:
		return fmt.Errorf("the feed is complete up to %d after %v: %w", f.complete, callTimeout, err)
	}
	return err
}

// readTo reads the feed until it is complete up to a revision.
func (c *trial) readTo(s store.Store, after, revision uint64) *feed {
	c.Helper()
	f := newFeed(after)
	if err := c.follow(s, f, func() bool { return f.complete >= revision }); err != nil {
		c.Fatalf("Changes after %d: %v", after, err)
	}
	return f
}

// feeding opens a store and says whether it has a feed; one that has none must say UNIMPLEMENTED.
func (c *trial) feeding() (*process, bool) {
	c.Helper()
	p := c.open()
	if c.describe(p).Changes {
		return p, true
	}
	ctx, cancel := c.call()
	defer cancel()
	if err := p.Changes(ctx, 0, func(store.ChangeSet) error { return nil }); !fault.Is(err, fault.Unimplemented) {
		c.Errorf("a store without Changes answers %v, want UNIMPLEMENTED", err)
	}
	return p, false
}

// write is one change that a commit made.
type write struct {
	key     store.Key
	deleted bool
}

// tells asserts that the feed has the last change of each record and no other record.
func (c *trial) tells(what string, f *feed, want []write) {
	c.Helper()
	last := map[string]write{}
	for _, w := range want {
		last[model.Name(w.key)] = w
	}
	for name, w := range last {
		if got, ok := f.told[name]; !ok || got.Deleted != w.deleted {
			c.Errorf("%s: %s deleted=%v is not told; told: %v, %+v", what, name, w.deleted, ok, got)
		}
	}
	for name := range f.told {
		if _, ok := last[name]; !ok {
			c.Errorf("%s: %s is told and did not change", what, name)
		}
	}
}

// history makes changes of every kind and answers what each revision did.
func (c *trial) history(s store.Store) (writes []write, revisions []uint64) {
	c.Helper()
	step := func(ops ...store.Op) {
		outcome := c.commit(s, ops...)
		for i, op := range ops {
			writes = append(writes, write{op.Key, outcome.Versions[i] == 0})
			revisions = append(revisions, outcome.Revision)
		}
	}
	step(put(key("a"), "1"))
	step(put(key("b"), "1"), put(key("c"), "1"), add(key("n"), 1, 9))
	step(put(keyIn("runs", 1<<63, 1<<64-1, "far"), "1"), put(keyIn("usage", 0, 0, "\x00", "\xff"), "1"))
	step(put(key("a"), "2"))
	c.try(s, newCommit(put(key("refused"), "x"), put(key("a"), "x", store.Absent())))
	step(del(key("b")), put(key("d"), "1"))
	step(del(key("c")))
	step(put(key("c"), "2"))
	step(add(key("n"), 1, 9))
	step(put(key("short-lived"), "1"))
	step(del(key("short-lived")))
	return writes, revisions
}

func changesTellAll(c *trial) {
	p, ok := c.feeding()
	if !ok {
		return
	}
	writes, revisions := c.history(p)
	newest := revisions[len(revisions)-1]
	f := c.readTo(p, 0, newest)
	c.tells("from the start", f, writes)
	for name, change := range f.told {
		if got := c.get(p, change.Key); got.Revision != change.Revision && !change.Deleted {
			c.Errorf("%s is told with revision %d, the record has %d", name, change.Revision, got.Revision)
		}
	}
	if got := c.describe(p).Revision; f.complete > got {
		c.Errorf("complete up to %d, Describe answers revision %d", f.complete, got)
	}
}

func changesAfter(c *trial) {
	p, ok := c.feeding()
	if !ok {
		return
	}
	writes, revisions := c.history(p)
	newest := revisions[len(revisions)-1]
	for i, after := range revisions {
		if after == newest {
			break
		}
		var want []write
		for j := i + 1; j < len(writes); j++ {
			if revisions[j] > after {
				want = append(want, writes[j])
			}
		}
		c.tells(fmt.Sprintf("after revision %d", after), c.readTo(p, after, newest), want)
	}
}

func changesSelected(c *trial) {
	p, ok := c.feeding()
	if !ok {
		return
	}
	writes, revisions := c.history(p)
	wanted := []string{"usage", "strange"}
	strange := keyIn("strange", 3, 4, "a")
	newest := c.commit(p, put(strange, "1")).Revision
	newest = max(newest, c.commit(p, put(key("last"), "x")).Revision)
	want := []write{{strange, false}}
	for i, w := range writes {
		if slices.Contains(wanted, w.key.Collection) && revisions[i] > 0 {
			want = append(want, w)
		}
	}
	f := newFeed(0)
	ctx, cancel := c.call()
	defer cancel()
	err := store.ChangesOf(ctx, p.Store, wanted, 0, func(set store.ChangeSet) error {
		if err := f.read(set); err != nil {
			return err
		}
		if f.complete >= newest {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		c.Fatalf("the feed of %q is complete up to %d, want %d: %v", wanted, f.complete, newest, err)
	}
	c.tells("some collections", f, want)
}

func changesFollow(c *trial) {
	p, ok := c.feeding()
	if !ok {
		return
	}
	begin := c.commit(p, put(key("before"), "x")).Revision
	f := newFeed(begin)
	var want atomic.Uint64
	ended := make(chan error, 1)
	progress := make(chan uint64, 1000)
	go func() {
		ended <- c.follow(p, f, func() bool {
			progress <- f.complete
			return want.Load() > 0 && f.complete >= want.Load()
		})
	}()
	var writes []write
	for i := range 10 {
		k := key("later", fmt.Sprint(i))
		revision := c.commit(p, put(k, "x")).Revision
		writes = append(writes, write{k, false})
		if i == 9 {
			want.Store(revision)
		}
		for seen := uint64(0); seen < revision; {
			select {
			case seen = <-progress:
			case err := <-ended:
				if err != nil || i < 9 {
					c.Fatalf("the open feed ended: %v", err)
				}
				seen = revision
				ended <- nil
			}
		}
	}
	// The last commit was told before its revision was known to be the last.
	c.commit(p, put(key("after"), "x"))
	writes = append(writes, write{key("after"), false})
	if err := <-ended; err != nil {
		c.Fatalf("the open feed: %v", err)
	}
	if _, ok := f.told[model.Name(key("after"))]; !ok {
		writes = writes[:len(writes)-1]
	}
	c.tells("an open feed", f, writes)
}

func changesAfterRestart(c *trial) {
	p, ok := c.feeding()
	if !ok {
		return
	}
	first := c.commit(p, put(key("a"), "1"), put(key("b"), "1")).Revision
	begin := c.readTo(p, 0, first).complete
	c.commit(p, del(key("a")))
	p.stop()
	p = c.open()
	c.commit(p, put(key("c"), "1"))
	p.kill()
	p = c.open()
	last := c.commit(p, put(key("d"), "1")).Revision
	c.tells("after a restart and a crash", c.readTo(p, begin, last), []write{{key("a"), true}, {key("c"), false}, {key("d"), false}})
	c.tells("from the start", c.readTo(p, 0, last), []write{{key("a"), true}, {key("b"), false}, {key("c"), false}, {key("d"), false}})
}

// changesComplete has writers commit while one reader follows and another begins anew again and again.
func changesComplete(c *trial) {
	p, ok := c.feeding()
	if !ok {
		return
	}
	const writers = 6
	rounds := c.times(60, 20)
	readers := []*feed{newFeed(0), newFeed(0)}
	// The revision up to which all must be told; 0 while writers are at work.
	var end atomic.Uint64
	ended := make(chan error, len(readers))
	for i, f := range readers {
		go func() {
			for sets := 0; ; {
				err := c.follow(p, f, func() bool {
					sets++
					return end.Load() > 0 && f.complete >= end.Load() || i == 1 && sets%3 == 0
				})
				if err != nil || end.Load() > 0 && f.complete >= end.Load() {
					ended <- err
					return
				}
			}
		}()
	}
	outcomes := make([][]store.Outcome, writers)
	c.parallel(writers, func(w int) error {
		for i := range rounds {
			var commits []store.Commit
			for j := range 1 + w%3 {
				k := key(fmt.Sprint(w), fmt.Sprint(i), fmt.Sprint(j))
				commits = append(commits, newCommit(put(k, "x", store.Absent()), put(key("hot", fmt.Sprint(i%3)), fmt.Sprint(w))))
			}
			got, err := c.attempt(p, commits...)
			if err != nil {
				return err
			}
			outcomes[w] = append(outcomes[w], got...)
		}
		return nil
	})
	// A last commit lets a reader that is complete see that it is.
	end.Store(c.commit(p, put(key("last"), "x")).Revision)
	c.commit(p, put(key("wake"), "x"))
	for range readers {
		select {
		case err := <-ended:
			if err != nil {
				c.Fatalf("Changes: %v", err)
			}
		case <-time.After(callTimeout):
			c.Fatalf("a reader is not complete %v after the last commit", callTimeout)
		}
	}
	for i, f := range readers {
		for w := range writers {
			n := 0
			for r := range rounds {
				for j := range 1 + w%3 {
					k := key(fmt.Sprint(w), fmt.Sprint(r), fmt.Sprint(j))
					change, ok := f.told[model.Name(k)]
					if !ok || change.Revision > outcomes[w][n].Revision || outcomes[w][n].Refusal != nil {
						c.Fatalf("reader %d was not told %s of %s; told: %v, %+v", i, model.Name(k), describeOutcome(outcomes[w][n]), ok, change)
					}
					n++
				}
			}
		}
	}
}
