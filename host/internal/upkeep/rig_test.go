package upkeep

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/internal/persist"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func at(collection string, tenant, namespace uint64, path ...string) store.Key {
	key := store.Key{Collection: collection, Tenant: tenant, Namespace: namespace}
	for _, segment := range path {
		key.Path = append(key.Path, []byte(segment))
	}
	return key
}

func put(key store.Key, body string) store.Op {
	return store.Op{Kind: store.OpPut, Key: key, Body: []byte(body)}
}

func must(t testing.TB, s store.Store, ops ...store.Op) {
	t.Helper()
	outcomes, err := s.Commit(t.Context(), []store.Commit{{ID: persist.NewCommitID(), Ops: ops}})
	if err != nil || outcomes[0].Refusal != nil {
		t.Fatalf("%v %+v", err, outcomes)
	}
}

// filled is a store with records of every kind: in several scopes, empty, removed, written again, and counters.
func filled(t testing.TB, n int) *faultystore.Store {
	t.Helper()
	s := faultystore.New()
	for i := range n {
		id := fmt.Sprint(i)
		must(t, s,
			put(at("scenarios", uint64(i%3), 0, id), "first "+id),
			put(at("notes", 1, uint64(i%5), id, "\x00\xff"), ""),
			store.Op{Kind: store.OpAdd, Key: at("schema_counts", 1, uint64(i%2), "entries"), Delta: 1, Max: 1 << 40})
		switch i % 4 {
		case 1:
			must(t, s, put(at("scenarios", uint64(i%3), 0, id), "second "+id))
		case 2:
			must(t, s, store.Op{Kind: store.OpDelete, Key: at("notes", 1, uint64(i%5), id, "\x00\xff")})
		}
	}
	return s
}

// contents are the records of a store but for those of this package.
func contents(t testing.TB, s store.Store) map[string]string {
	t.Helper()
	found := map[string]string{}
	all, err := scopes(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range all {
		if scope.Collection == ownCollection {
			continue
		}
		err := s.Scan(t.Context(), scope.scan(), func(r store.Record) error {
			found[string(store.AppendKey(nil, r.Key))] = string(r.Body)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func sameContents(t testing.TB, a, b store.Store) {
	t.Helper()
	one, other := contents(t, a), contents(t, b)
	if len(one) == 0 || len(one) != len(other) {
		t.Errorf("%d records and %d", len(one), len(other))
	}
	for key, body := range one {
		if got, ok := other[key]; !ok || got != body {
			t.Errorf("%q is %q, and %q (%v) in the other", key, body, got, ok)
		}
	}
}

// counts that a record is still a counter.
func counts(t testing.TB, s store.Store, key store.Key, want uint64) {
	t.Helper()
	must(t, s, store.Op{Kind: store.OpAdd, Key: key, Delta: 1, Max: 1 << 40})
	record, err := get(context.Background(), s, key)
	if err != nil || binary.BigEndian.Uint64(record.Body) != want+1 {
		t.Errorf("the counter is %x (%v), want %d", record.Body, err, want+1)
	}
}
