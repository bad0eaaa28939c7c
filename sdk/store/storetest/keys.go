package storetest

import (
	"fmt"
	"math"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest/internal/model"
)

var keyChecks = []check{
	{"key-paths", "paths that differ in any byte or in where segments end are different records, and are answered as they were written", keyPaths},
	{"key-scopes", "tenants and namespaces are all of uint64, and records of different scopes never meet", keyScopes},
	{"key-behalf", "whoever a record is touched in the name of is no part of its key: in its tenant's name it is the same record, in another's it or none, and what all share is there for each", keyBehalf},
	{"key-collections", "any collection name of 1 to 63 characters works, and collections never meet", keyCollections},
}

// distinct writes a record of its own under each key and asserts that each is there, before and after a restart.
func (c *trial) distinct(keys []store.Key) {
	c.Helper()
	p := c.open()
	for i, k := range keys {
		got := c.try(p, newCommit(put(k, fmt.Sprint(i), store.Absent())))[0]
		if got.Refusal != nil {
			c.Errorf("%s counts as another key that was written before: %s", model.Name(k), describeOutcome(got))
		}
	}
	for range 2 {
		for i, got := range c.getAll(p, keys...) {
			if string(got.Body) != fmt.Sprint(i) {
				c.Errorf("record %d was written under its key, Get answers %s", i, describeRecord(got))
			}
		}
		for i, k := range keys {
			scan := store.Scan{Collection: k.Collection, Tenant: k.Tenant, Namespace: k.Namespace, Prefix: k.Path}
			found := false
			for _, got := range c.scan(p, scan) {
				found = found || got.Key.Compare(k) == 0 && string(got.Body) == fmt.Sprint(i)
			}
			if !found {
				c.Errorf("Scan does not answer %s as it was written", model.Name(k))
			}
		}
		p.stop()
		p = c.open()
	}
	for _, k := range keys {
		c.commit(p, del(k))
		if got := c.get(p, k); got.Version != 0 {
			c.Errorf("%s was deleted, Get answers %s", model.Name(k), describeRecord(got))
		}
	}
}

func keyPaths(c *trial) {
	long := strings.Repeat("k", store.MaxSegment-1)
	var keys []store.Key
	for _, segment := range []string{
		"", "\x00", "\x00\x00", "\x01", "a", "A", "a ", " a", "a\x00", "a\x00b", "\x00a", "b", "é", "e\u0301", "É", "\xff", "\xff\xff", "\xc3", "\xfe",
		"%", "_", "*", "'", `"`, `\`, "\\x00", "/", "..", "a/b", "null", "1", "01", "1.0", long + "1", long + "2", long,
		strings.Repeat("\x00", store.MaxSegment), strings.Repeat("\xff", store.MaxSegment),
	} {
		keys = append(keys, key(segment))
	}
	for _, path := range [][]string{
		{"a", "b"}, {"ab", ""}, {"a", ""}, {"a", "", ""}, {"", "a"}, {"", ""}, {"a\x00", "b"}, {"a", "\x00b"}, {"a", "b", "c"}, {"ab", "c"}, {"a", "bc"},
		{"", "", "", "", "", "", "", ""}, {"1", "2", "3", "4", "5", "6", "7", "8"}, {"1", "2", "3", "4", "5", "6", "7"}, {long + "1", long + "2"}, {"\xff", "\xff"},
	} {
		keys = append(keys, key(path...))
	}
	full := make([]string, store.MaxSegments)
	for i := range full {
		full[i] = strings.Repeat("\x00", store.MaxSegment)
	}
	c.distinct(append(keys, key(full...)))
}

// scopes are numbers that some encodings of uint64 fold: to 32 or 63 bits, to a float, to a sign.
var scopes = []uint64{0, 1, 2, 255, 256, 1 << 31, 1<<32 - 1, 1 << 32, 1<<53 + 1, 1<<53 + 2, math.MaxInt64, 1 << 63, 1<<63 + 1, math.MaxUint64 - 1, math.MaxUint64}

func keyScopes(c *trial) {
	var keys []store.Key
	for _, n := range scopes {
		keys = append(keys, keyIn("runs", n, 5, "k"), keyIn("runs", 5, n, "k"))
	}
	c.distinct(append(keys, keyIn("runs", math.MaxUint64, math.MaxUint64, "k"), keyIn("runs", 0, 0, "k")))
}

func keyBehalf(c *trial) {
	p := c.open()
	as := func(k store.Key, tenant uint64) store.Key { k.Behalf = tenant; return k }
	own, other, shared := keyIn("runs", 7, 9, "k"), keyIn("runs", math.MaxUint64, 9, "k"), keyIn(store.SharedCollection, 0, 0, "k")
	c.commit(p, put(shared, "shared", store.Absent()))
	for _, k := range []store.Key{own, other} {
		// First as its tenant, then as the host, then as its tenant again.
		version := c.commit(p, put(as(k, k.Tenant), "1", store.Absent())).Versions[0]
		version = c.commit(p, put(k, "2", store.Version(version))).Versions[0]
		c.commit(p, put(as(k, k.Tenant), fmt.Sprint(k.Tenant), store.Version(version)))
	}
	for _, k := range []store.Key{own, other} {
		for i, got := range c.getAll(p, k, as(k, k.Tenant), as(shared, k.Tenant)) {
			if want := []string{fmt.Sprint(k.Tenant), fmt.Sprint(k.Tenant), "shared"}[i]; string(got.Body) != want {
				c.Errorf("in the name of tenant %d Get %d answers %s, want %s", k.Tenant, i, describeRecord(got), want)
			}
		}
		for _, behalf := range []uint64{7, 8, math.MaxUint64} {
			if got := c.get(p, as(k, behalf)); got.Version != 0 && string(got.Body) != fmt.Sprint(k.Tenant) {
				c.Errorf("%s in the name of tenant %d is %s", model.Name(k), behalf, describeRecord(got))
			}
			found := c.scan(p, store.Scan{Collection: k.Collection, Tenant: k.Tenant, Namespace: k.Namespace, Behalf: behalf})
			if len(found) > 1 || len(found) == 0 && behalf == k.Tenant || len(found) == 1 && string(found[0].Body) != fmt.Sprint(k.Tenant) {
				c.Errorf("a Scan of tenant %d in the name of tenant %d answers %d records", k.Tenant, behalf, len(found))
			}
		}
	}
}

func keyCollections(c *trial) {
	var keys []store.Key
	for _, name := range []string{
		"a", "aa", "a_", "a0", "_", "__", "_a", "0", "00", "1a", strings.Repeat("c", 63), strings.Repeat("c", 62), strings.Repeat("0", 63), strings.Repeat("_", 63),
		"runs", "run_steps", "runs_", "audit_heads", "select", "table", "order", "group", "index", "null", "sqlite_master", "sqlite_x", "pg_class", "commits", "records", "changes",
	} {
		keys = append(keys, keyIn(name, 7, 9, "k"))
	}
	c.distinct(keys)
}
