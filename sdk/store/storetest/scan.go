package storetest

import (
	"errors"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

var scanChecks = []check{
	{"scan-order", "Scan answers records in key order, segment by segment and bytewise, in both directions", scanOrder},
	{"scan-prefix", "Prefix keeps the paths that begin with these whole segments", scanPrefix},
	{"scan-start-after", "StartAfter keeps what is behind a path in the direction of the scan, whether there is such a record or not", scanStartAfter},
	{"scan-limit", "Limit ends a scan after that many records, and reading on from the last misses and repeats none", scanLimit},
	{"scan-scope", "a scan answers records of its collection, tenant and namespace only", scanScope},
	{"scan-pages", "a range of many pages is answered completely and in order, and a reader may leave early", scanPages},
	{"scan-while-writing", "records that do not change during a scan are seen exactly once, and writers need not wait for its end", scanWhileWriting},
}

// nastyPaths are in an order that only the comparison of segments as bytes gives.
var nastyPaths = [][]string{
	{""}, {"", ""}, {"", "\x00"}, {"", "a"}, {"\x00"}, {"\x00", ""}, {"\x00", "a"}, {"\x00\x00"}, {"\x00\x01"}, {"\x00\xff"}, {"\x01"}, {"\x01", "\x00"}, {"\x01\x00"}, {"\x01\x01"},
	{"A"}, {"B"}, {"a"}, {"a", ""}, {"a", "", "x"}, {"a", "\x00"}, {"a", "b"}, {"a", "b", "c"}, {"a", "b", "c", "d"}, {"a", "b\x00"}, {"a", "b\x01"}, {"a", "ba"}, {"a", "c"}, {"a", "\xff"},
	{"a\x00"}, {"a\x00", "b"}, {"a\x00\x00"}, {"a\x00\x01"}, {"a\x00\xff"}, {"a\x01"}, {"a "}, {"a/b"}, {"aa"}, {"ab"}, {"ab", "c"}, {"a\xff"}, {"a\xff", "x"}, {"a\xff\x00"}, {"a\xff\xff"},
	{"b"}, {"b", "10"}, {"b", "9"}, {"é"}, {"\xfe"}, {"\xfe\xff"}, {"\xff"}, {"\xff", ""}, {"\xff", "\x00"}, {"\xff", "\xff"}, {"\xff\x00"}, {"\xff\xff"}, {"\xff\xff", "a"}, {"\xff\xff\xff"},
}

// plant writes records under the paths in random order and answers them in key order.
func (c *trial) plant(s store.Store, paths [][]string) []store.Record {
	c.Helper()
	var records []store.Record
	for _, i := range mathrand.Perm(len(paths)) {
		k, body := key(paths[i]...), fmt.Sprintf("body %d", i)
		outcome := c.commit(s, put(k, body))
		records = append(records, store.Record{Key: k, Version: outcome.Versions[0], Revision: outcome.Revision, Body: []byte(body)})
	}
	slices.SortFunc(records, func(a, b store.Record) int { return a.Key.Compare(b.Key) })
	return records
}

// scans asserts the answer of one scan in both directions: records is everything planted, keep selects what is in range.
func (c *trial) scans(what string, s store.Store, scan store.Scan, records []store.Record, keep func(store.Key) bool) {
	c.Helper()
	var want []store.Record
	for _, record := range records {
		if keep(record.Key) {
			want = append(want, record)
		}
	}
	if scan.Reverse {
		slices.Reverse(want)
		what += ", reversed"
	}
	if scan.Limit > 0 && scan.Limit < uint64(len(want)) {
		want = want[:scan.Limit]
	}
	c.same(what, c.scan(s, scan), want)
}

func scanOrder(c *trial) {
	p := c.open()
	records := c.plant(p, nastyPaths)
	for _, reverse := range []bool{false, true} {
		scan := everything()
		scan.Reverse = reverse
		c.scans("a scan of everything", p, scan, records, func(store.Key) bool { return true })
	}
}

func scanPrefix(c *trial) {
	p := c.open()
	records := c.plant(p, nastyPaths)
	prefixes := append(slices.Clone(nastyPaths), []string{"b", "1"}, []string{"nothing"}, []string{"a", "b", "c", "d", "e"},
		[]string{"\xff\xff\xff\xff"}, []string{"", "", "", "", "", "", "", ""}, []string{strings.Repeat("\xff", store.MaxSegment)})
	for _, segments := range prefixes {
		prefix := pathOf(segments...)
		begins := func(k store.Key) bool {
			return len(k.Path) >= len(prefix) && model.ComparePaths(k.Path[:len(prefix)], prefix) == 0
		}
		for _, reverse := range []bool{false, true} {
			scan := everything()
			scan.Prefix, scan.Reverse = prefix, reverse
			c.scans(fmt.Sprintf("prefix %q", segments), p, scan, records, begins)
		}
	}
}

func scanStartAfter(c *trial) {
	p := c.open()
	records := c.plant(p, nastyPaths)
	starts := append(slices.Clone(nastyPaths), []string{"a", "b", "bb"}, []string{"a\x00\x00\x00"}, []string{"zz"}, []string{"\xff\xff\xff\xff"},
		[]string{"", "", "", "", "", "", "", ""}, []string{strings.Repeat("a", store.MaxSegment)})
	for i, segments := range starts {
		start := pathOf(segments...)
		for _, prefix := range [][][]byte{nil, pathOf("a"), pathOf("a", "b"), pathOf("\xff")} {
			if prefix != nil && c.short && i%4 != 0 {
				continue
			}
			for _, reverse := range []bool{false, true} {
				scan := everything()
				scan.Prefix, scan.StartAfter, scan.Reverse = prefix, start, reverse
				behind := func(k store.Key) bool {
					order := model.ComparePaths(k.Path, start)
					return len(k.Path) >= len(prefix) && model.ComparePaths(k.Path[:len(prefix)], prefix) == 0 && (order > 0) != reverse && order != 0
				}
				c.scans(fmt.Sprintf("prefix %q after %q", prefix, segments), p, scan, records, behind)
			}
		}
	}
}

func scanLimit(c *trial) {
	p := c.open()
	records := c.plant(p, nastyPaths)
	n := uint64(len(records))
	for _, limit := range []uint64{1, 2, n - 1, n, n + 1, math.MaxInt64, 1 << 63, math.MaxUint64, 0} {
		for _, reverse := range []bool{false, true} {
			scan := everything()
			scan.Limit, scan.Reverse = limit, reverse
			c.scans(fmt.Sprintf("limit %d", limit), p, scan, records, func(store.Key) bool { return true })
		}
	}
	scan := everything()
	scan.Prefix, scan.StartAfter, scan.Limit = pathOf("a"), pathOf("a", "b"), 2
	c.scans("prefix, start and limit", p, scan, records, func(k store.Key) bool {
		return string(k.Path[0]) == "a" && model.ComparePaths(k.Path, pathOf("a", "b")) > 0
	})
	for _, reverse := range []bool{false, true} {
		scan := everything()
		scan.Limit, scan.Reverse = 7, reverse
		var all []store.Record
		for page := c.scan(p, scan); len(page) > 0; page = c.scan(p, scan) {
			if all = append(all, page...); len(all) > len(records) {
				break
			}
			scan.StartAfter = all[len(all)-1].Key.Path
		}
		if reverse {
			slices.Reverse(all)
		}
		c.same("pages of 7", all, records)
	}
}

func scanScope(c *trial) {
	p := c.open()
	var keys []store.Key
	for _, n := range scopes {
		for _, path := range []string{"", "k", "\xff\xff"} {
			keys = append(keys, keyIn("runs", n, 5, path), keyIn("runs", 5, n, path))
		}
	}
	for _, name := range []string{"run", "runs_", "runt", "runs", "runs0"} {
		keys = append(keys, keyIn(name, 5, 5, "k"))
	}
	slices.SortFunc(keys, store.Key.Compare)
	keys = slices.CompactFunc(keys, func(a, b store.Key) bool { return a.Compare(b) == 0 })
	for _, k := range keys {
		c.commit(p, put(k, model.Name(k)))
	}
	for _, k := range keys {
		for _, reverse := range []bool{false, true} {
			scan := store.Scan{Collection: k.Collection, Tenant: k.Tenant, Namespace: k.Namespace, Reverse: reverse}
			want := 0
			for _, other := range keys {
				if other.Collection == k.Collection && other.Tenant == k.Tenant && other.Namespace == k.Namespace {
					want++
				}
			}
			got := c.scan(p, scan)
			for _, record := range got {
				if record.Key.Collection != k.Collection || record.Key.Tenant != k.Tenant || record.Key.Namespace != k.Namespace || string(record.Body) != model.Name(record.Key) {
					c.Fatalf("a scan of the scope of %s answers %s", model.Name(k), describeRecord(record))
				}
			}
			if len(got) != want {
				c.Errorf("a scan of the scope of %s answers %d records, want %d", model.Name(k), len(got), want)
			}
		}
	}
	if got := c.scan(p, store.Scan{Collection: "nothing", Tenant: 5, Namespace: 5}); len(got) != 0 {
		c.Errorf("a scan of a collection without records answers %d", len(got))
	}
}

// fill writes n records of size bytes under names in order and answers the keys.
func (c *trial) fill(s store.Store, n, size int) []store.Key {
	c.Helper()
	var keys []store.Key
	for i := 0; i < n; i += 100 {
		var ops []store.Op
		for j := i; j < min(i+100, n); j++ {
			keys = append(keys, key("page", fmt.Sprintf("%06d", j)))
			ops = append(ops, put(keys[j], randomBytes(size)))
		}
		c.commit(s, ops...)
	}
	return keys
}

func scanPages(c *trial) {
	p := c.open()
	// Over five pages by bytes.
	keys := c.fill(p, c.times(3000, 600), c.times(2<<10, 10<<10))
	for _, reverse := range []bool{false, true} {
		scan := everything()
		scan.Reverse = reverse
		got := c.scan(p, scan)
		if reverse {
			slices.Reverse(got)
		}
		if len(got) != len(keys) {
			c.Errorf("%d records, want %d", len(got), len(keys))
		}
		for i := range min(len(got), len(keys)) {
			if got[i].Key.Compare(keys[i]) != 0 {
				c.Fatalf("record %d is %s, want %s", i, model.Name(got[i].Key), model.Name(keys[i]))
			}
		}
	}
	enough := errors.New("enough")
	for _, after := range []int{1, 2, len(keys) / 2, len(keys)} {
		seen := 0
		ctx, cancel := c.call()
		err := p.Scan(ctx, everything(), func(store.Record) error {
			if seen++; seen == after {
				return enough
			}
			return nil
		})
		cancel()
		if !errors.Is(err, enough) || seen != after {
			c.Errorf("a reader left after %d records: yield was called %d times and Scan answered %v", after, seen, err)
		}
	}
}

func scanWhileWriting(c *trial) {
	p := c.open()
	keys := c.fill(p, c.times(2000, 500), c.times(2<<10, 8<<10))
	// Every tenth record is written during the scan; the others must come out as they are.
	hot := func(i int) bool { return i%10 == 5 }
	for _, reverse := range []bool{false, true} {
		scan := everything()
		scan.Reverse = reverse
		writes, stable := 0, 0
		var last *store.Key
		ctx, cancel := c.call()
		err := p.Scan(ctx, scan, func(record store.Record) error {
			if last != nil && (record.Key.Compare(*last) > 0) == reverse {
				return fmt.Errorf("%s follows %s", model.Name(record.Key), model.Name(*last))
			}
			last = &record.Key
			if name := string(record.Key.Path[len(record.Key.Path)-1]); strings.HasSuffix(name, "5") || len(record.Key.Path) > 2 {
				return nil
			}
			if stable++; stable%(len(keys)/20) != 0 {
				return nil
			}
			// Ahead and behind: changed, deleted, written again and new.
			victim := keys[(writes*170+5)%len(keys)/10*10+5]
			between := victim
			between.Path = append(slices.Clone(victim.Path), []byte("new"))
			writes++
			for _, op := range []store.Op{put(victim, "changed"), del(victim), put(victim, "again"), put(between, "new")} {
				if outcomes, err := c.attempt(p, newCommit(op)); err != nil || outcomes[0].Refusal != nil {
					return fmt.Errorf("a commit during a scan: %v, %v", outcomes, err)
				}
			}
			return nil
		})
		cancel()
		if err != nil {
			c.Fatalf("Scan: %v", err)
		}
		want := 0
		for i := range keys {
			if !hot(i) {
				want++
			}
		}
		if stable != want {
			c.Errorf("%d records that did not change were seen, want each of %d once", stable, want)
		}
		if writes == 0 {
			c.Errorf("no commit was made during the scan")
		}
	}
}
