package postgres_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// Connections that are cut at any moment, also between a commit and its answer, lose no commit and do none twice.
func TestConnectionsCut(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	killer := connect(t, server.Socket(name))
	const writers, cuts = 4, 12
	var enough atomic.Bool
	var answered [writers]uint64
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for !enough.Load() {
				add := store.Commit{ID: newID(), Ops: []store.Op{{Kind: store.OpAdd, Key: key("usage", uint64(w), "n"), Delta: 1, Max: store.MaxCounter}}}
				// As the host does: again with the same id.
				for {
					outcomes, err := s.Commit(t.Context(), []store.Commit{add})
					if err == nil && outcomes[0].Refusal == nil {
						break
					}
					if err == nil || !fault.Is(err, fault.Unavailable) {
						t.Errorf("%+v, %v", outcomes, err)
						return
					}
				}
				answered[w]++
			}
		})
	}
	cut := 0
	waitFor(t, "connections are cut", func() bool {
		// Between two cuts there is time for some commits, on a busy machine too.
		time.Sleep(rand.N(60 * time.Millisecond))
		cut += number(t, killer, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND usename = $2 AND query LIKE '%commit\_%'`, name, pgtest.App)
		return cut >= cuts
	})
	enough.Store(true)
	wg.Wait()
	for w := range writers {
		if got := binary.BigEndian.Uint64([]byte(body(t, s, key("usage", uint64(w), "n")))); got != answered[w] {
			t.Errorf("writer %d: %d commits were counted, %d were answered", w, got, answered[w])
		}
	}
}

// Somebody who holds a lock makes commits unavailable for a time, not the process hang; reads go on.
func TestLockHeld(t *testing.T) {
	name := database(t)
	o := options(server.DSN(pgtest.App, name))
	o.LockTimeout = 200 * time.Millisecond
	s := open(t, o)
	commit(t, s, put(key("runs", 1, "a"), "1"))
	holder := connect(t, server.Socket(name))
	tx, err := holder.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `SELECT FROM decision_gate.clock FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: []store.Op{put(key("runs", 1, "a"), "2")}}}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a commit that meets a lock: %v", err)
	}
	if got := body(t, s, key("runs", 1, "a")); got != "1" {
		t.Errorf("a read beside a lock: %q", got)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit(t, s, put(key("runs", 1, "a"), "2"))
}

// A statement that the server is slow with makes a call unavailable for a time, and the commit that was broken off is done once
// when it is tried again.
func TestStatementTimeout(t *testing.T) {
	name := database(t)
	o := options(server.DSN(pgtest.App, name))
	o.StatementTimeout = time.Second
	s := open(t, o)
	script := `CREATE FUNCTION decision_gate.slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NEW; END';
		CREATE TRIGGER slow BEFORE INSERT ON decision_gate.commits FOR EACH ROW EXECUTE FUNCTION decision_gate.slowly()`
	if err := server.Exec(name, script); err != nil {
		t.Fatal(err)
	}
	add := []store.Commit{{ID: newID(), Ops: []store.Op{{Kind: store.OpAdd, Key: key("usage", 1, "n"), Delta: 1, Max: 9}}}}
	if _, err := s.Commit(t.Context(), add); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "statement_timeout") {
		t.Errorf("a commit that takes too long: %v", err)
	}
	if got := body(t, s, key("usage", 1, "n")); got != "" {
		t.Errorf("it left %q", got)
	}
	if err := server.Exec(name, `DROP TRIGGER slow ON decision_gate.commits`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if outcomes, err := s.Commit(t.Context(), add); err != nil || outcomes[0].Refusal != nil {
			t.Errorf("the commit again: %+v, %v", outcomes, err)
		}
	}
	if got := body(t, s, key("usage", 1, "n")); got != "\x00\x00\x00\x00\x00\x00\x00\x01" {
		t.Errorf("it is counted as %q", got)
	}
}

// Two sessions that lock the same two rows in turn are a deadlock that the server breaks; the commit is tried again.
func TestDeadlockBroken(t *testing.T) {
	name := database(t)
	o := options(server.DSN(pgtest.App, name))
	s := open(t, o)
	commit(t, s, put(key("runs", 1, "a"), "1"))
	other := connect(t, server.Socket(name))
	tx, err := other.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background())
	if _, err := tx.Exec(t.Context(), `UPDATE decision_gate.runs SET body = body`); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: []store.Op{put(key("runs", 1, "a"), "2")}}})
		ended <- err
	}()
	watch := connect(t, server.Socket(name))
	waitFor(t, "the commit meets the lock", func() bool { return number(t, watch, lockWaiters, name) > 0 })
	// The commit has the clock and waits for the row; this session has the row and now waits for the clock.
	_, err = tx.Exec(t.Context(), `SELECT FROM decision_gate.clock FOR UPDATE`)
	_ = tx.Rollback(t.Context())
	if err := <-ended; err != nil {
		t.Errorf("a commit in a deadlock: %v", err)
	}
	t.Logf("the other session: %v", err)
	if got := body(t, s, key("runs", 1, "a")); got != "2" {
		t.Errorf("after a deadlock the record is %q", got)
	}
}

// A server without a free connection is waited for, and a store that has connections goes on.
func TestConnectionsExhausted(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	commit(t, s, put(key("runs", 1, "a"), "1"))
	var taken []*pgx.Conn
	for range 60 {
		c, err := pgx.Connect(t.Context(), server.DSN(pgtest.Reader, name))
		if err != nil {
			break
		}
		taken = append(taken, c)
	}
	if len(taken) == 60 {
		t.Error("the server has no limit")
	}
	commit(t, s, put(key("runs", 1, "a"), "2"))
	if _, err := postgres.Open(t.Context(), options(server.DSN(pgtest.App, name))); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a store that finds no connection: %v", err)
	}
	for _, c := range taken {
		c.Close(t.Context())
	}
	commit(t, s, put(key("runs", 1, "a"), "3"))
	open(t, options(server.DSN(pgtest.App, name)))
}

// A body that somebody changed in the database is told as damaged, in every way to read it, and decides nothing.
func TestDamagedBody(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	commit(t, s, put(key("runs", 1, "a"), "1"), store.Op{Kind: store.OpAdd, Key: key("quotas", 1, "n"), Delta: 5, Max: 9})
	if err := server.Exec(name, `UPDATE decision_gate.runs SET body = '2'; UPDATE decision_gate.quotas SET body = '\x0000000000000000'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), []store.Key{key("runs", 1, "a")}); !fault.Is(err, fault.Corrupt) {
		t.Errorf("Get: %v", err)
	}
	err := s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 9}, func(store.Record) error { return nil })
	if !fault.Is(err, fault.Corrupt) {
		t.Errorf("Scan: %v", err)
	}
	// Beside a commit that is sound, which happens.
	damaged := store.Commit{ID: newID(), Ops: []store.Op{{Kind: store.OpAdd, Key: key("quotas", 1, "n"), Delta: 1, Max: 9}}}
	if _, err := s.Commit(t.Context(), []store.Commit{damaged}); !fault.Is(err, fault.Corrupt) {
		t.Errorf("Add: %v", err)
	}
	commit(t, s, put(key("runs", 1, "b"), "1"))
}

// Ids of commits are forgotten after their lifetime, not before.
func TestIDsExpire(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	for i := range 5 {
		commit(t, s, put(key("runs", 1, fmt.Sprint(i)), "1"))
	}
	c := connect(t, server.Socket(name))
	exec(t, c, `UPDATE decision_gate.commits SET at = at - 90000 WHERE revision <= 3`)
	app := connect(t, server.DSN(pgtest.App, name))
	if n := number(t, app, `SELECT decision_gate.expire_v1(86400, 2)`) + number(t, app, `SELECT decision_gate.expire_v1(86400, 2)`); n != 3 {
		t.Errorf("%d ids were forgotten", n)
	}
	if n := number(t, c, `SELECT count(*) FROM decision_gate.commits`); n != 2 {
		t.Errorf("%d ids are left", n)
	}
}
