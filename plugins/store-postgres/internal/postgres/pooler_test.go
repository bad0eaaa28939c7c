package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// pooler starts PgBouncer in transaction mode and answers the connection string through it.
func pooler(t *testing.T, database string) string {
	t.Helper()
	dsn, err := server.Pooler(database)
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// Through a pooler in transaction mode, where every statement may meet another session, two stores work on one database as
// without it.
func TestPooler(t *testing.T) {
	o := options(pooler(t, database(t)))
	o.Pooler, o.MaxConnections = true, 8
	stores := []interface {
		Commit(context.Context, []store.Commit) ([]store.Outcome, error)
	}{open(t, o), open(t, o)}
	follower := open(t, o)
	const writers, each = 8, 15
	told := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() {
		seen := 0
		told <- follower.Changes(ctx, 0, func(set store.ChangeSet) error {
			for _, change := range set.Changes {
				if change.Key.Collection == "run_steps" {
					seen++
				}
			}
			if seen == writers*each {
				return errEnough
			}
			return nil
		})
	}()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				ops := []store.Op{put(key("run_steps", uint64(w), fmt.Sprint(i)), "step"), {Kind: store.OpAdd, Key: key("usage", 1, "n"), Delta: 1, Max: 1000}}
				outcomes, err := stores[w%2].Commit(t.Context(), []store.Commit{{ID: newID(), Ops: ops}})
				if err != nil || outcomes[0].Refusal != nil {
					t.Errorf("%+v, %v", outcomes, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if got := body(t, follower, key("usage", 1, "n")); got != "\x00\x00\x00\x00\x00\x00\x00"+string(rune(writers*each)) {
		t.Errorf("counted %q", got)
	}
	if err := <-told; err != errEnough {
		t.Errorf("the feed: %v", err)
	}
	found := 0
	if err := follower.Scan(t.Context(), store.Scan{Collection: "run_steps", Tenant: 3, Namespace: 9}, func(store.Record) error { found++; return nil }); err != nil || found != each {
		t.Errorf("a scan finds %d records, %v", found, err)
	}
}

// errEnough ends a feed.
var errEnough = errors.New("enough")
