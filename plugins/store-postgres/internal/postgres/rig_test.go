package postgres_test

import (
	"context"
	"encoding/binary"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var server *pgtest.Server

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, func(s *pgtest.Server) { server = s }, "max_connections=40"))
}

func database(t *testing.T) string {
	t.Helper()
	name, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func options(dsn string) postgres.Options {
	return postgres.Options{
		DSN: dsn, MinimumTLS: "verify", MaxConnections: 4,
		StatementTimeout: 10 * time.Second, LockTimeout: 5 * time.Second, CommitIDLifetime: store.CommitIDLifetime,
	}
}

func open(t *testing.T, o postgres.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// connect is a session beside the plugin's.
func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func exec(t *testing.T, c *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

var ids atomic.Uint64

func newID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], uint64(time.Now().UnixMilli())<<16)
	binary.BigEndian.PutUint64(id[8:], ids.Add(1))
	return id
}

func key(collection string, tenant uint64, path ...string) store.Key {
	k := store.Key{Collection: collection, Tenant: tenant, Namespace: 9}
	for _, segment := range path {
		k.Path = append(k.Path, []byte(segment))
	}
	return k
}

func put(k store.Key, body string) store.Op {
	return store.Op{Kind: store.OpPut, Key: k, Body: []byte(body)}
}

func commit(t *testing.T, s *postgres.Store, ops ...store.Op) store.Outcome {
	t.Helper()
	outcomes, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: ops}})
	if err != nil {
		t.Fatal(err)
	}
	if outcomes[0].Refusal != nil {
		t.Fatal(outcomes[0].Refusal)
	}
	return outcomes[0]
}

func body(t *testing.T, s *postgres.Store, k store.Key) string {
	t.Helper()
	records, err := s.Get(t.Context(), []store.Key{k})
	if err != nil {
		t.Fatal(err)
	}
	return string(records[0].Body)
}

// lockWaiters counts the sessions of a database that wait for a lock.
const lockWaiters = `SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'`

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not so after 20 s", what)
		}
	}
}
