package host_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// postgresFault is something wrong with a database server that runs.
type postgresFault struct {
	name       string
	begin, end []string // what the server does, see package pgserver
	refuses    bool     // calls are refused, else they wait or go on
	operatorIs string   // told, in the log
}

// holdRow has a session update every run, wait, and then ask for the lock that each commit takes first. A commit that has that
// one and waits for a run is in a deadlock with it.
const holdRow = `sql BEGIN; UPDATE decision_gate.runs SET body = body; SELECT pg_sleep(0.5); SELECT 1 FROM decision_gate.clock FOR UPDATE; COMMIT`

// holdClock has a session keep the lock that each commit takes first for longer than a commit waits for it.
const holdClock = `sql BEGIN; SELECT 1 FROM decision_gate.clock FOR UPDATE; SELECT pg_sleep(2.5); COMMIT`

var postgresFaults = []postgresFault{
	{name: "no connection is left, but those that are open", begin: []string{"crowd"}, end: []string{"disperse"}},
	{
		name:  "no connection is left at all",
		begin: []string{"sql ALTER ROLE decision_gate CONNECTION LIMIT 0", "cut"}, end: []string{"sql ALTER ROLE decision_gate CONNECTION LIMIT 64"},
		refuses: true, operatorIs: "raise its max_connections or lower the plugin's",
	},
	{name: "deadlocks", begin: []string{holdRow, holdRow, holdRow}},
	{name: "a lock that is held for longer than lock_timeout", begin: []string{holdClock}},
	{name: "a statement that takes longer than statement_timeout", begin: []string{slowCommit}, end: []string{"sql DROP TRIGGER slow ON decision_gate.commits; DROP FUNCTION decision_gate.slowly; DROP SEQUENCE decision_gate.slow"}},
}

// slowCommit has one commit take longer than statement_timeout.
const slowCommit = `sql CREATE SEQUENCE decision_gate.slow; GRANT USAGE ON SEQUENCE decision_gate.slow TO decision_gate_app; ` +
	`CREATE FUNCTION decision_gate.slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF nextval('decision_gate.slow') = 1 THEN PERFORM pg_sleep(5); END IF; RETURN NEW; END $$; ` +
	`CREATE TRIGGER slow BEFORE INSERT ON decision_gate.commits FOR EACH ROW EXECUTE FUNCTION decision_gate.slowly()`

// TestPostgresFaults breaks what can break in a database server that runs, while clients decide: none is told anything wrong,
// the operator is told what to do, and all goes on by itself when it is over.
func TestPostgresFaults(t *testing.T) {
	db := startDatabase(t)
	hcl := strings.Replace(postgresHCL(t, db.dsn), "config { dsn = "+quote(db.dsn)+" }", "config {\n dsn = "+quote(db.dsn)+"\n statement_timeout = \"2s\"\n lock_timeout = \"1s\"\n }", 1)
	s := newSiegeOn(t, 1, "store-postgres", hcl)
	b := s.hosts[0]
	if err := b.open(); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, URL: b.host.url, Dir: s.dir}
	runs := []string{"r1", "r2"}
	defineLoop(f, runs...)
	got, stop := newAcknowledged(), make(chan struct{})
	s.got = got
	clients := drive(t, func(int) string { return f.URL }, runs, fewClients, stop, got)
	pid := childNamed(t, b.host.cmd.Process.Pid, s.plugin)
	for _, fault := range postgresFaults {
		if err := b.decided(20); err != nil {
			t.Fatalf("before %s: %v", fault.name, err)
		}
		for _, command := range fault.begin {
			if _, err := db.try(command); err != nil && !strings.Contains(err.Error(), "deadlock") {
				t.Fatalf("%s: %v", fault.name, err)
			}
		}
		if fault.refuses {
			refusedWhile(t, f, fault.name)
			waitFor(t, fault.name+": the log to say "+fault.operatorIs, func() bool { return strings.Contains(b.host.log.String(), fault.operatorIs) })
			waitFor(t, fault.name+": the host not to be ready", func() bool { return !b.ready() })
		} else if err := b.decided(20); err != nil {
			t.Errorf("%s: %v", fault.name, err)
		}
		for _, command := range fault.end {
			db.do(command)
		}
		if err := b.decided(20); err != nil {
			t.Fatalf("after %s: %v", fault.name, err)
		}
		waitFor(t, fault.name+": readiness", b.ready)
	}
	close(stop)
	clients.Wait()
	got.check(f)
	for run, log := range got.logs {
		if err := got.history.check(run, log); err != nil {
			t.Error(err)
		}
	}
	if now := childNamed(t, b.host.cmd.Process.Pid, s.plugin); now != pid {
		t.Errorf("the store was restarted")
	}
	s.end()
}

// refusedWhile waits until a client is told to try again, and nothing about the database.
func refusedWhile(t *testing.T, f *fixture, what string) {
	t.Helper()
	var refused reply
	waitFor(t, what+": a call to be refused", func() bool {
		refused = f.call("scenario_next", next("r1", "while-"+strings.ReplaceAll(what, " ", "-")))
		return refused.Error != nil
	})
	if e := refused.Error; e.Code != -32050 || strings.Contains(e.Message, "/") || strings.Contains(e.Message, "decision_gate") {
		t.Errorf("%s: the client is told %+v", what, e)
	}
}

// skewed are the files of the host that ask for the time to write it down, and what they ask instead in a build whose clock is
// wrong. Deadlines are left alone: they are differences.
var skewed = map[string][2]string{
	"internal/persist/persist.go": {"time.Now()", "time.Now().Add(-50 * time.Hour)"},
	"internal/runs/runs.go":       {"now: time.Now,", "now: func() time.Time { return time.Now().Add(-50 * time.Hour) },"},
	"internal/mcp/record.go":      {"time.Now()", "time.Now().Add(-50 * time.Hour)"},
}

// buildSkewed builds a host whose clock is behind by two days: longer than ids of commits are kept.
func buildSkewed(t *testing.T, path string) {
	t.Helper()
	replace := map[string]string{}
	for file, change := range skewed {
		right, err := filepath.Abs(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(right)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), change[0]) {
			t.Fatalf("%s does not hold %q", file, change[0])
		}
		replace[right] = filepath.Join(t.TempDir(), filepath.Base(file))
		if err := os.WriteFile(replace[right], []byte(strings.ReplaceAll(string(text), change[0], change[1])), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", path, "./cmd/decision-gate").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestClocksDisagree has two hosts whose clocks are two days apart decide on the same runs in one database, while their plugins
// are killed: the order of decisions is the database's, and so is the age of the ids by which a commit is known again.
func TestClocksDisagree(t *testing.T) {
	binary(t)
	plugins(t)
	db := startDatabase(t)
	s := newSiegeOn(t, 2, "store-postgres", postgresHCL(t, db.dsn))
	s.hosts[1].program = "decision-gate-behind"
	buildSkewed(t, filepath.Join(s.dir, s.hosts[1].program))
	s.round(func(b *besieged) error {
		for range 2 {
			if err := b.decided(30); err != nil {
				return err
			}
			if err := faultKinds[0].make(b, db, nil); err != nil {
				return err
			}
			// The feed's clean-up would forget an id that it took for old.
			if _, err := db.try("sql SELECT decision_gate.expire_v1(86400, 2000)"); err != nil {
				return err
			}
		}
		return b.decided(30)
	})
	if apart := db.do("sql SELECT max(committed_at) - min(committed_at) > interval '49 hours' FROM decision_gate.dg_steps"); apart[0] != "t" {
		t.Errorf("the clocks were not apart: %s", apart[0])
	}
	if forgotten := db.do("sql SELECT (SELECT revision FROM decision_gate.clock) - count(*) FROM decision_gate.commits"); forgotten[0] != "0" {
		t.Errorf("ids of %s commits were forgotten", forgotten[0])
	}
}
