package storetest

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

var concurrencyChecks = []check{
	{"concurrent-compare-and-swap", "of many writers that replace a version, one succeeds at a time and no write is lost", concurrentCompareAndSwap},
	{"concurrent-create", "of many writers that expect absent, exactly one creates the record", concurrentCreate},
	{"read-your-writes", "a commit that was answered is seen by every Get and Scan that begins later", readYourWrites},
	{"get-one-moment", "a Get reads all its records at one point in time", getOneMoment},
}

// sharedChecks are for stores that several processes may use at once.
var sharedChecks = []check{
	{"processes-compare-and-swap", "writers in two processes on the same data lose no write", processesCompareAndSwap},
	{"processes-read", "a commit that one process answered is seen by the other, in Get, Scan and the feed", processesRead},
	{"processes-id", "a commit that is repeated in another process is answered with the first outcome and does nothing", processesID},
	{"processes-counter", "counters do not pass their maximum when two processes count", processesCounter},
}

// singleProcessChecks are for stores that say they refuse a second process.
var singleProcessChecks = []check{
	{"processes-second-refused", "a store for one process refuses a second one on the same data, and the first goes on", processesSecondRefused},
}

// maxConflicts is over the number of writes that any check makes to one record: each conflict means that another writer
// succeeded, unless the store answers reads that are out of date.
const maxConflicts = 1000

// increment replaces the number in a record by the next one, n times, over whatever others do to it.
func (c *trial) increment(s store.Store, k store.Key, n int) error {
	for range n {
		for conflicts := 0; ; conflicts++ {
			if conflicts == maxConflicts {
				return fmt.Errorf("%d conflicts in a row: Get does not answer what Commit compares with", conflicts)
			}
			got, err := c.read(s, k)
			if err != nil {
				return err
			}
			var number uint64
			if got[0].Version > 0 && len(got[0].Body) != 8 {
				return fmt.Errorf("want 8 bytes, got %s", describeRecord(got[0]))
			}
			if got[0].Version > 0 {
				number = binary.BigEndian.Uint64(got[0].Body)
			}
			outcomes, err := c.attempt(s, newCommit(put(k, counter(number+1), store.Version(got[0].Version))))
			if err != nil {
				return err
			}
			if outcomes[0].Refusal == nil {
				break
			}
			if outcomes[0].Refusal.Reason != store.Conflict {
				return fmt.Errorf("a compare-and-swap: %s", describeOutcome(outcomes[0]))
			}
		}
	}
	return nil
}

func concurrentCompareAndSwap(c *trial) {
	p := c.open()
	writers, each := 8, c.times(25, 8)
	c.parallel(writers, func(int) error { return c.increment(p, key("n"), each) })
	c.counts("after many writers", p, key("n"), uint64(writers*each))
}

func concurrentCreate(c *trial) {
	p := c.open()
	for round := range c.times(30, 10) {
		var created atomic.Int64
		c.parallel(8, func(i int) error {
			got, err := c.attempt(p, newCommit(put(key(fmt.Sprint(round)), fmt.Sprint(i), store.Absent())))
			if err == nil && got[0].Refusal == nil {
				created.Add(1)
			}
			return err
		})
		if created.Load() != 1 {
			c.Fatalf("%d of 8 writers created one record", created.Load())
		}
	}
}

func readYourWrites(c *trial) {
	p := c.open()
	c.readsBack(p, p)
}

// readsBack has writers commit through one store and read through another at once.
func (c *trial) readsBack(writer, reader store.Store) {
	c.Helper()
	rounds := c.times(40, 10)
	c.parallel(4, func(w int) error {
		k := key("w", fmt.Sprint(w))
		for i := range rounds {
			body := fmt.Sprint(i)
			outcome, err := c.attempt(writer, newCommit(put(k, body)))
			if err != nil {
				return err
			}
			got, err := c.read(reader, k)
			if err != nil {
				return err
			}
			if got[0].Version != outcome[0].Versions[0] || string(got[0].Body) != body {
				return fmt.Errorf("after a commit that was answered with version %d, Get answers %s", outcome[0].Versions[0], describeRecord(got[0]))
			}
			ctx, cancel := c.call()
			scan := everything()
			scan.Prefix = k.Path
			seen := 0
			err = reader.Scan(ctx, scan, func(record store.Record) error {
				if seen++; record.Version != outcome[0].Versions[0] {
					return fmt.Errorf("after a commit that was answered with version %d, Scan answers %s", outcome[0].Versions[0], describeRecord(record))
				}
				return nil
			})
			cancel()
			if err != nil || seen != 1 {
				return fmt.Errorf("a scan of one committed record answers %d records, error %w", seen, err)
			}
		}
		return nil
	})
}

func getOneMoment(c *trial) {
	p := c.open()
	keys := []store.Key{key("a"), keyIn("usage", 1<<63, 9, "b"), key("z", "z")}
	write := func(body string) error {
		var ops []store.Op
		for _, k := range keys {
			ops = append(ops, put(k, body))
		}
		_, err := c.attempt(p, newCommit(ops...))
		return err
	}
	if err := write("0"); err != nil {
		c.Fatalf("Commit: %v", err)
	}
	stop := make(chan struct{})
	ended := make(chan error, 1)
	var once sync.Once
	end := func() { once.Do(func() { close(stop) }) }
	defer end()
	go func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if err := write(fmt.Sprint(i)); err != nil {
				ended <- err
				return
			}
		}
	}()
	for range c.times(400, 100) {
		got := c.getAll(p, keys...)
		for _, record := range got[1:] {
			if string(record.Body) != string(got[0].Body) {
				c.Fatalf("records that change together differ in one Get: %s and %s", describeRecord(got[0]), describeRecord(record))
			}
		}
	}
	end()
	if err := <-ended; err != nil {
		c.Errorf("Commit: %v", err)
	}
}

func processesCompareAndSwap(c *trial) {
	processes := []*process{c.open(), c.open()}
	writers, each := 6, c.times(20, 6)
	c.parallel(writers, func(i int) error { return c.increment(processes[i%2], key("n"), each) })
	for _, p := range processes {
		c.counts("after writers in two processes", p, key("n"), uint64(writers*each))
	}
}

func processesRead(c *trial) {
	one, two := c.open(), c.open()
	c.readsBack(one, two)
	c.readsBack(two, one)
	if !c.describe(two).Changes {
		return
	}
	begin := c.commit(two, put(key("begin"), "x")).Revision
	f := newFeed(begin)
	ended := make(chan error, 1)
	k := key("told")
	go func() {
		ended <- c.follow(two, f, func() bool { return len(f.told) > 0 })
	}()
	revision := c.commit(one, put(k, "x")).Revision
	if err := <-ended; err != nil {
		c.Fatalf("the feed of one process does not tell what another committed: %v", err)
	}
	if got, ok := f.told[model.Name(k)]; !ok || got.Revision != revision {
		c.Errorf("the feed of one process tells %+v, the other committed revision %d", got, revision)
	}
}

func processesID(c *trial) {
	one, two := c.open(), c.open()
	for i, s := range []*process{one, two} {
		other := []*process{two, one}[i]
		commit := everyKind(c, s, fmt.Sprint("k", i))
		first := c.committed(s, commit)
		c.repeated("a repeat in another process", other, commit, first)
		changed := commit
		changed.Ops = []store.Op{put(key("other"), "x")}
		c.invalid("other ops under an id of another process", c.try(other, changed)[0])
	}
}

func processesCounter(c *trial) {
	processes := []*process{c.open(), c.open()}
	const maximum = 60
	var done atomic.Int64
	c.parallel(6, func(i int) error {
		for range maximum / 4 {
			got, err := c.attempt(processes[i%2], newCommit(add(key("n"), 1, maximum)))
			if err != nil {
				return err
			}
			if got[0].Refusal == nil {
				done.Add(1)
			}
		}
		return nil
	})
	if done.Load() != maximum {
		c.Errorf("%d Adds of 1 were committed below a maximum of %d", done.Load(), maximum)
	}
	c.counts("after two processes counted", processes[1], key("n"), maximum)
}

func processesSecondRefused(c *trial) {
	first := c.open()
	c.commit(first, put(key("a"), "1"))
	second, err := c.target.open()
	if err == nil {
		second.stop()
		c.Errorf("a second process opened the same data")
	}
	c.commit(first, put(key("a"), "2"))
	first.kill()
	if got := c.get(c.open(), key("a")); string(got.Body) != "2" {
		c.Errorf("after the first process crashed: %s", describeRecord(got))
	}
}
