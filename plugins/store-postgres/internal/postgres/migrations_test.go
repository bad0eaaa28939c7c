package postgres_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// update writes the tables of the newest version into testdata. It is for a version that was not released yet: the file of a
// released one shows what operators have, and is never written again.
var update = flag.Bool("update", false, "write testdata/version-N.sql of the newest schema")

// kept is what the databases in testdata hold.
var kept = []store.Commit{
	{ID: [16]byte{1}, Ops: []store.Op{
		put(key("runs", 1, "run"), `{"head":{"run_id":"run","status":"active"},"steps":2}`),
		put(key("run_steps", 1, "run", string(store.Uint64Segment(1))), "\x00\xff not JSON"),
		{Kind: store.OpAdd, Key: key("quotas", 1<<63, "n"), Delta: 1<<62 + 5, Max: store.MaxCounter},
	}},
	{ID: [16]byte{2}, Ops: []store.Op{put(key("scenarios", 0, "s"), "{}"), put(key("strange", 1<<64-1, "", "\x00", "long "+strings.Repeat("x", 200)), "")}},
	{ID: [16]byte{3}, Ops: []store.Op{put(key("schemas", 7, "short-lived"), "x")}},
	{ID: [16]byte{4}, Ops: []store.Op{{Kind: store.OpDelete, Key: key("schemas", 7, "short-lived")}, put(key("runs", 1, "run"), `{"head":{"run_id":"run","status":"done"},"steps":2}`)}},
}

func testdata(version int) string {
	return filepath.Join("testdata", fmt.Sprintf("version-%d.sql", version))
}

// TestForwards brings the tables of every version that there was to the newest: they are those of a new database then, and
// hold the records, versions, ids and changes that they held.
func TestForwards(t *testing.T) {
	fresh := database(t)
	state, err := postgres.Status(t.Context(), server.DSN(pgtest.Owner, fresh))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		writeVersion(t, state.Newest)
	}
	for version := 1; version <= state.Newest; version++ {
		t.Run(fmt.Sprint("from ", version), func(t *testing.T) {
			script, err := os.ReadFile(testdata(version))
			if err != nil {
				t.Fatalf("%v: run this test with -update before version %d is released", err, version)
			}
			name := fmt.Sprintf("%s_from_%d", fresh, version)
			if err := server.Create(name); err != nil {
				t.Fatal(err)
			}
			if err := server.Exec(name, string(script)); err != nil {
				t.Fatal(err)
			}
			// The ids are as old as the file, and would be forgotten.
			if err := server.Exec(name, `UPDATE decision_gate.commits SET at = extract(epoch FROM now())::integer`); err != nil {
				t.Fatal(err)
			}
			from, to, err := postgres.Up(t.Context(), server.DSN(pgtest.Owner, name))
			if err != nil || from != version || to != state.Newest {
				t.Fatalf("from %d to %d: %v", from, to, err)
			}
			if got, want := tablesOf(t, name, true), tablesOf(t, fresh, true); got != want {
				t.Errorf("the tables are not those of a new database. A migration that was released is never changed: write another. One that was not: run this test with -update.\ngot:\n%s\nwant:\n%s", got, want)
			}
			holdsWhatItHeld(t, name)
		})
	}
}

// tablesOf is SQL that makes the tables of a database, and without bare fills them. Functions and views are left out: every
// migration makes them anew.
func tablesOf(t *testing.T, name string, bare bool) string {
	t.Helper()
	args := []string{"--table=decision_gate.*", "--exclude-table=decision_gate.dg_*", "--inserts"}
	if bare {
		args = append(args, "--schema-only")
	}
	dump, err := server.Dump(name, args...)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(dump) {
		// Comments name the program's own version, and other lines are for psql.
		if !strings.HasPrefix(line, "--") && !strings.HasPrefix(line, `\`) && line != "\n" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// rights are those on the schema, which a dump of tables leaves out.
const rights = "GRANT USAGE ON SCHEMA decision_gate TO decision_gate_app, decision_gate_feed, decision_gate_reader;\n"

func writeVersion(t *testing.T, version int) {
	t.Helper()
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	for _, c := range kept {
		if outcomes, err := s.Commit(t.Context(), []store.Commit{c}); err != nil || outcomes[0].Refusal != nil {
			t.Fatalf("%+v, %v", outcomes, err)
		}
	}
	if err := os.WriteFile(testdata(version), []byte(rights+tablesOf(t, name, false)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// holdsWhatItHeld looks for what kept left, and goes on with it.
func holdsWhatItHeld(t *testing.T, name string) {
	t.Helper()
	s := open(t, options(server.DSN(pgtest.App, name)))
	records := map[string]store.Op{}
	for i, c := range kept {
		outcomes, err := s.Commit(t.Context(), []store.Commit{c})
		if err != nil || outcomes[0].Refusal != nil || outcomes[0].Revision != uint64(i+1) {
			t.Errorf("commit %d again: %+v, %v", i+1, outcomes, err)
		}
		for _, op := range c.Ops {
			records[string(store.AppendKey(nil, op.Key))] = op
		}
	}
	for _, op := range records {
		want := string(op.Body)
		if op.Kind == store.OpAdd {
			want = "\x40\x00\x00\x00\x00\x00\x00\x05"
		}
		if got := body(t, s, op.Key); got != want {
			t.Errorf("%v is %q, was %q", op.Key, got, want)
		}
	}
	told := map[string]bool{}
	err := s.Changes(t.Context(), 0, func(set store.ChangeSet) error {
		for _, change := range set.Changes {
			told[string(store.AppendKey(nil, change.Key))] = change.Deleted
		}
		return errEnough
	})
	if err != errEnough || len(told) != len(records) || !told[string(store.AppendKey(nil, key("schemas", 7, "short-lived")))] {
		t.Errorf("the feed tells %d records of %d, %v", len(told), len(records), err)
	}
	if got := commit(t, s, put(key("runs", 1, "run"), "next")); got.Revision != uint64(len(kept)+1) {
		t.Errorf("the next commit has revision %d", got.Revision)
	}
}

// slowMigration has every migration of a database pause before its last statements.
const slowMigration = `CREATE FUNCTION public.pause() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(2); END';
	CREATE EVENT TRIGGER pause ON ddl_command_end WHEN TAG IN ('CREATE VIEW') EXECUTE FUNCTION public.pause()`

// TestMigrateBrokenOff breaks a migration off in its middle: nothing of it is there, and the next one does it all.
func TestMigrateBrokenOff(t *testing.T) {
	for what, breakOff := range map[string]func(t *testing.T, name string, cancel func()){
		"by its user": func(_ *testing.T, _ string, cancel func()) { cancel() },
		"by an end of its session": func(t *testing.T, name string, _ func()) {
			if err := server.Exec("postgres", fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' AND usename = '%s'", name, pgtest.Owner)); err != nil {
				t.Fatal(err)
			}
		},
		"by a crash of the server": func(t *testing.T, _ string, _ func()) {
			server.Kill()
			if err := server.Run(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			name := database(t) + "_broken"
			if err := server.Create(name); err != nil {
				t.Fatal(err)
			}
			if err := server.Exec(name, slowMigration); err != nil {
				t.Fatal(err)
			}
			dsn := server.DSN(pgtest.Owner, name)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				_, _, err := postgres.Up(ctx, dsn)
				ended <- err
			}()
			waitUntilPaused(t, name)
			breakOff(t, name, cancel)
			if err := <-ended; err == nil {
				t.Error("the migration succeeded")
			}
			if state, err := postgres.Status(t.Context(), dsn); err != nil || state.Version != 0 {
				t.Errorf("after it the schema is %+v, %v", state, err)
			}
			if err := server.Exec(name, `DROP EVENT TRIGGER pause`); err != nil {
				t.Fatal(err)
			}
			if from, to, err := postgres.Up(t.Context(), dsn); err != nil || from != 0 || to < 1 {
				t.Fatalf("the next migration goes from %d to %d: %v", from, to, err)
			}
			commit(t, open(t, options(server.DSN(pgtest.App, name))), put(key("runs", 1, "a"), "1"))
		})
	}
}

// waitUntilPaused returns when a migration of the database is in its middle.
func waitUntilPaused(t *testing.T, name string) {
	t.Helper()
	query := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND wait_event = 'PgSleep'", name)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got, err := server.Query("postgres", query)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(got) == "1" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the migration does not pause")
		}
	}
}
