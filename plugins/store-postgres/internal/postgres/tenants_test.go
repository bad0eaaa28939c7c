package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

func number(t *testing.T, c *pgx.Conn, sql string, args ...any) (n int) {
	t.Helper()
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// Every table with a tenant is held by row-level security, its owner too: a table that a later migration forgets is found.
func TestEveryTableIsHeld(t *testing.T) {
	c := connect(t, server.Socket(database(t)))
	const tables = `SELECT count(DISTINCT a.attrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'decision_gate'::regnamespace AND c.relkind = 'r' AND a.attname = 'tenant'`
	if n := number(t, c, tables); n < 16 {
		t.Errorf("%d tables have tenants", n)
	}
	if n := number(t, c, tables+` AND NOT (c.relrowsecurity AND c.relforcerowsecurity)`); n > 0 {
		t.Errorf("%d of them have no row-level security, or one without force", n)
	}
	if n := number(t, c, `SELECT count(*) FROM pg_class WHERE relnamespace = 'decision_gate'::regnamespace AND pg_get_userbyid(relowner) NOT IN ('decision_gate_owner')`); n > 0 {
		t.Errorf("%d tables and views do not belong to the owner", n)
	}
}

// The plugin's user, talked into any query at all, meets the tenant that was named for it, and none when none was.
func TestPluginMeetsOneTenant(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	for _, tenant := range []uint64{1, 2, 1 << 63} {
		commit(t, s, put(key("runs", tenant, "run"), "canary"), put(key("strange", tenant, "run"), "canary"))
	}
	app := connect(t, server.DSN(pgtest.App, name))
	for _, table := range []string{"runs", "other_records"} {
		all := `SELECT count(*) FROM decision_gate.` + table
		if n := number(t, app, all); n != 0 {
			t.Errorf("%s: without a tenant %d records are seen", table, n)
		}
		exec(t, app, `SELECT set_config('decision_gate.tenant', '2', false)`)
		if n := number(t, app, all); n != 1 {
			t.Errorf("%s: with a tenant %d records are seen", table, n)
		}
		if tag, err := app.Exec(t.Context(), `UPDATE decision_gate.`+table+` SET revision = 99`); err != nil || tag.RowsAffected() != 1 {
			t.Errorf("%s: an update of everything is %v, %v", table, tag, err)
		}
		if _, err := app.Exec(t.Context(), `UPDATE decision_gate.`+table+` SET tenant = 1, k = 'x'`); err == nil {
			t.Errorf("%s: a record was given to another tenant", table)
		}
		exec(t, app, `SELECT set_config('decision_gate.tenant', '', false)`)
	}
	for what, sql := range map[string]string{
		"delete records":        `DELETE FROM decision_gate.runs`,
		"truncate":              `TRUNCATE decision_gate.runs`,
		"switch the rules off":  `ALTER TABLE decision_gate.runs DISABLE ROW LEVEL SECURITY`,
		"query without rules":   `SET row_security = off; SELECT count(*) FROM decision_gate.runs`,
		"become the owner":      `SET ROLE decision_gate_owner`,
		"become the feed":       `SET ROLE decision_gate_feed`,
		"change the schema":     `CREATE TABLE decision_gate.mine (x int)`,
		"replace a function":    `CREATE OR REPLACE FUNCTION decision_gate.u64(bits bigint) RETURNS numeric LANGUAGE sql AS 'SELECT 1::numeric'`,
		"set the clock back":    `DELETE FROM decision_gate.clock`,
		"forge schema versions": `UPDATE decision_gate.schema_version SET version = 9`,
	} {
		if _, err := app.PgConn().Exec(t.Context(), sql).ReadAll(); err == nil {
			t.Errorf("the plugin's user can %s", what)
		}
		exec(t, app, `RESET row_security`)
	}
}

// A key of one tenant, in the name of another: there is no such record, whatever there is, and it cannot be written. What all
// share can be read.
func TestKeysInTheNameOfAnotherTenant(t *testing.T) {
	s := open(t, options(server.DSN(pgtest.App, database(t))))
	there, shared := key("runs", 1, "run"), key(store.SharedCollection, 0, "s")
	commit(t, s, put(there, "canary"), put(shared, "for all"), put(key("runs", 0, "of the host"), "x"))
	as := func(k store.Key, tenant uint64) store.Key { k.Behalf = tenant; return k }
	records, err := s.Get(t.Context(), []store.Key{as(there, 2), as(there, 1), as(shared, 2), as(key("runs", 0, "of the host"), 2), there, as(there, 2)})
	if err != nil {
		t.Fatal(err)
	}
	for i, found := range []bool{false, true, true, false, true, false} {
		if (records[i].Version > 0) != found || found == (records[i].Body == nil) {
			t.Errorf("record %d is %+v", i, records[i])
		}
	}
	for behalf, want := range map[uint64]int{0: 1, 1: 1, 2: 0} {
		n := 0
		err := s.Scan(t.Context(), store.Scan{Collection: "runs", Tenant: 1, Namespace: 9, Behalf: behalf}, func(store.Record) error { n++; return nil })
		if err != nil || n != want {
			t.Errorf("in the name of %d a scan finds %d records, %v", behalf, n, err)
		}
	}
	version := records[1].Version
	for name, op := range map[string]store.Op{
		"put over":    {Kind: store.OpPut, Key: as(there, 2), Body: []byte("x"), Expect: store.Version(version)},
		"put any":     {Kind: store.OpPut, Key: as(there, 2), Body: []byte("x")},
		"put absent":  {Kind: store.OpPut, Key: as(there, 2), Body: []byte("x"), Expect: store.Absent()},
		"put new":     {Kind: store.OpPut, Key: as(key("runs", 1, "new"), 2), Body: []byte("x"), Expect: store.Absent()},
		"remove":      {Kind: store.OpDelete, Key: as(there, 2), Expect: store.Version(version)},
		"count":       {Kind: store.OpAdd, Key: as(key("quotas", 1, "n"), 2), Delta: 1, Max: 9},
		"put shared":  {Kind: store.OpPut, Key: as(key(store.SharedCollection, 0, "new"), 2), Body: []byte("x"), Expect: store.Absent()},
		"over shared": {Kind: store.OpPut, Key: as(shared, 2), Body: []byte("x"), Expect: store.Version(records[2].Version)},
	} {
		outcomes, err := s.Commit(t.Context(), []store.Commit{{ID: newID(), Ops: []store.Op{op}}})
		if err == nil && outcomes[0].Refusal == nil || err != nil && !fault.Is(err, fault.Invalid) && name != "over shared" {
			t.Errorf("%s: %+v, %v", name, outcomes, err)
		}
	}
	// Beside it, in one transaction, others happen.
	commit(t, s, put(as(key("runs", 2, "own"), 2), "x"))
	if body(t, s, there) != "canary" || body(t, s, shared) != "for all" {
		t.Error("a record was changed in the name of another tenant")
	}
}

// What a call leaves in the session names no tenant: the next one, which may be another tenant's, begins with none.
func TestTenantIsCleared(t *testing.T) {
	name := database(t)
	app := connect(t, server.DSN(pgtest.App, name))
	tx, err := app.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context())
	for what, sql := range map[string]string{
		"commit": `SELECT decision_gate.commit_v1('{00000000-0000-0000-0000-000000000001}', '{00000000-0000-0000-0000-000000000002}', '{1}',
			'{2}', '{runs}', '{7}', '{9}', '{x}', '{7}', '{1}', '{-1}', '{y}', '{z}', '{0}', '{0}')`,
		"fresh": `SELECT decision_gate.commit_fresh_v1('{00000000-0000-0000-0000-000000000003}', '{00000000-0000-0000-0000-000000000002}',
			'{1}', '{runs}', '{7}', '{9}', '{w}', '{0}', '{y}', '{z}', '{7}', '{2}', '{f}', '{1}')`,
		"get":  `SELECT decision_gate.get_v1('{runs}', '{7}', '{9}', '{x}', '{7}', '{2}', '{1}', 1000)`,
		"scan": `SELECT decision_gate.scan_v1(2::smallint, 'runs', 7, 9, '', 'zz', false, 7, 10, 1000)`,
	} {
		if _, err := tx.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		var tenant string
		if err := tx.QueryRow(t.Context(), `SELECT current_setting('decision_gate.tenant', true)`).Scan(&tenant); err != nil || tenant != "" {
			t.Errorf("after a %s the session's tenant is %q, %v", what, tenant, err)
		}
	}
}

// The feed tells keys of all tenants, and there is no way through it to a body.
func TestFeedReadsNoBody(t *testing.T) {
	c := connect(t, server.Socket(database(t)))
	if n := number(t, c, `SELECT count(*) FROM information_schema.column_privileges WHERE grantee = 'decision_gate_feed' AND column_name = 'body'`); n > 0 {
		t.Errorf("the feed's role may read %d columns of bodies", n)
	}
	if n := number(t, c, `SELECT count(*) FROM pg_proc WHERE pronamespace = 'decision_gate'::regnamespace AND prosecdef AND proname <> 'changes_v1'`); n > 0 {
		t.Errorf("%d more functions act as their owner", n)
	}
}

// A commit that spans tenants is one commit, and keeps them apart.
func TestCommitOverTenants(t *testing.T) {
	s := open(t, options(server.DSN(pgtest.App, database(t))))
	var ops []store.Op
	for tenant := range uint64(5) {
		ops = append(ops, put(key("quotas", tenant, "k"), strings.Repeat("x", int(tenant)+1)))
	}
	commit(t, s, ops...)
	for tenant := range uint64(5) {
		if got := body(t, s, key("quotas", tenant, "k")); len(got) != int(tenant)+1 {
			t.Errorf("tenant %d has %q", tenant, got)
		}
	}
}

// People with SQL see runs and decisions as JSON, and cannot change anything.
func TestViews(t *testing.T) {
	name := database(t)
	s := open(t, options(server.DSN(pgtest.App, name)))
	commit(t, s,
		put(key("runs", 1<<63, "run-1"), `{"head":{"run_id":"run-1","scenario_id":"s","status":"active","current_stage_id":"build"},"steps":2,"chain":"00"}`),
		put(key("run_steps", 1<<63, "run-1", string(store.Uint64Segment(1))), `{"step":1,"host":"h","committed_at_unix_ms":1700000000000,"records":{"decision":{"outcome":1.0}}}`),
		put(key("run_steps", 1<<63, "run-1", string(store.Uint64Segment(2))), `{"step":2,"host":"h","committed_at_unix_ms":1700000000001,"records":{"tool_call":{}}}`),
		put(key("runs", 5, "\xff no JSON"), "\x00\xff"))
	reader := connect(t, server.DSN(pgtest.Reader, name))
	if n := number(t, reader, `SELECT count(*) FROM decision_gate.dg_runs WHERE tenant_id = 9223372036854775808 AND run_id = 'run-1' AND status = 'active' AND stage_id = 'build' AND steps = 2`); n != 1 {
		t.Errorf("dg_runs has the run %d times", n)
	}
	if n := number(t, reader, `SELECT count(*) FROM decision_gate.dg_runs`); n != 2 {
		t.Errorf("dg_runs has %d runs, 2 were written", n)
	}
	if n := number(t, reader, `SELECT count(*) FROM decision_gate.dg_decisions WHERE run_id = 'run-1' AND step = 1 AND decision ->> 'outcome' = '1.0'`); n != 1 {
		t.Errorf("dg_decisions has the decision %d times", n)
	}
	if n := number(t, reader, `SELECT count(*) FROM decision_gate.dg_decisions`); n != 1 {
		t.Errorf("dg_decisions has %d decisions, 1 was made", n)
	}
	for _, sql := range []string{`UPDATE decision_gate.runs SET revision = 1`, `DELETE FROM decision_gate.runs`, `UPDATE decision_gate.clock SET revision = 1`, `SELECT decision_gate.expire_v1(0, 1)`} {
		if _, err := reader.Exec(t.Context(), sql); err == nil {
			t.Errorf("a reader can %s", sql)
		}
	}
	// The plugin's user does not get past its tenant by a view.
	app := connect(t, server.DSN(pgtest.App, name))
	if _, err := app.Exec(t.Context(), `SELECT count(*) FROM decision_gate.dg_runs`); err == nil {
		t.Error("the plugin's user can use a view")
	}
}
