package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest"
)

// server is for all tests of the package, which make a database each.
var server *pgtest.Server

// The environment of a run of this test binary that tries the kit on a wrong store, on the server of the run that wants to
// see it fail.
const (
	wrongVariable  = "STORE_POSTGRES_WRONG"
	serverVariable = "STORE_POSTGRES_SERVER"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if shared := os.Getenv(serverVariable); shared != "" {
		port, dir, _ := strings.Cut(shared, " ")
		number, _ := strconv.Atoi(port)
		server = &pgtest.Server{Dir: dir, Port: number}
		return m.Run()
	}
	return pgtest.Main(m, func(s *pgtest.Server) { server = s })
}

// database makes a database.
func database(t *testing.T) string {
	t.Helper()
	name, err := server.Database()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func config(name string) map[string]any {
	return map[string]any{"dsn": server.DSN(pgtest.App, name)}
}

// remote is how the kit treats the server. What it damages is in the database that was made last.
func remote(last *string) *storetest.Remote {
	unsafe := map[string]storetest.Setting{}
	for _, setting := range []string{"fsync", "full_page_writes"} {
		unsafe[setting+" off"] = storetest.Setting{
			Set:   func() error { return server.Set(setting, "off") },
			Unset: func() error { return server.Set(setting, "on") },
		}
	}
	// A setting of the role counts for new sessions.
	synchronous := func(value string) func() error {
		return func() error {
			return server.Exec("postgres", fmt.Sprintf("ALTER ROLE %[1]s SET synchronous_commit = %[2]s; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%[1]s'", pgtest.App, value))
		}
	}
	unsafe["synchronous_commit off"] = storetest.Setting{Set: synchronous("off"), Unset: synchronous("on")}
	return &storetest.Remote{
		Unsafe: unsafe,
		Crash: func() error {
			server.Kill()
			return server.Run()
		},
		Damage: func() error {
			return server.Exec(*last, `UPDATE decision_gate.runs SET body = set_byte(body, 0, get_byte(body, 0) # 1)`)
		},
	}
}

// try holds a store to the kit; make makes its databases, one for each check.
func try(t *testing.T, make func() string) {
	var last string
	storetest.Test(t, storetest.Plugin{Package: ".", Remote: remote(&last), Config: func(string) any {
		last = make()
		return config(last)
	}})
}

func TestStore(t *testing.T) { try(t, func() string { return database(t) }) }

// mistake is what is written instead of something right: in a file of the plugin, or, without one, in the functions of the
// database, where it may be SQL that is run after them.
type mistake struct{ file, right, wrong string }

// wrongStores are the store with one mistake each, and a check of the kit that must notice.
var wrongStores = map[string]struct {
	mistakes []mistake
	caught   string
}{
	"ids forgotten": {[]mistake{
		{"", "INSERT INTO decision_gate.commits (id, digest, revision, at) VALUES (in_ids[c], in_digests[c], v_next, v_at);", ""},
		{"", "INSERT INTO decision_gate.commits (id, digest, revision, at) SELECT in_ids[c], in_digests[c], v_newest + c, v_at FROM generate_series(1, v_commits) AS c;", ""},
	}, "id-repeat"},
	"ids for any ops":                    {[]mistake{{"", "IF v_digest = in_digests[c] THEN", "IF true THEN"}}, "id-other-ops"},
	"maximum passed":                     {[]mistake{{"", "v_value + in_deltas[i] > in_maxima[i]", "false"}}, "counter-bounds"},
	"expectations ignored":               {[]mistake{{"", "IF in_expects[i] <> -1 AND in_expects[i] <> v_current THEN", "IF false THEN"}}, "commit-expectations"},
	"versions taken for granted":         {[]mistake{{"", "AND revision = in_expects[i] AND sha256 IS NOT NULL", ""}}, "concurrent-compare-and-swap"},
	"others see the refused":             {[]mistake{{"", "IF v_refused = 0 THEN\n      v_next", "IF true THEN\n      v_next"}}, "commit-all-or-nothing"},
	"a refusal fails the others":         {[]mistake{{"", "out_reasons[c] := v_refused;", "RAISE EXCEPTION 'refused';"}}, "commit-batch-independent"},
	"removals untold":                    {[]mistake{{"", "namespace, k, sha256 IS NULL FROM", "namespace, k, false FROM"}}, "changes-tell-all"},
	"collections without a table untold": {[]mistake{{"internal/postgres/tables.go", "n := scopePlace(collection, 0, 0, 0).table;", "n := tableOf[collection].Number;"}}, "changes-selected"},
	"a version comes back":               {[]mistake{{"", "SET revision = v_next, sha256 = v_sum", "SET revision = 1, sha256 = v_sum"}}, "version-grows"},
	"pages begin anew":                   {[]mistake{{"", "k >= $3", "k >= ''"}}, "scan-pages"},
	"keys ordered as text":               {[]mistake{{"", "ORDER BY k %s", `ORDER BY encode(k, 'escape') COLLATE "en-x-icu" %s`}}, "scan-order"},
	"namespaces meet":                    {[]mistake{{"", "tenant = $1 AND namespace = $2 AND", "tenant = $1 AND $2::bigint IS NOT NULL AND"}}, "scan-scope"},
	"tenant not set for writing": {[]mistake{
		{"", "v_tenant := in_behalves[i];\n          v_unused := set_config('decision_gate.tenant', v_tenant::text, true)", "v_tenant := in_behalves[i]"},
		{"", "v_tenant := in_group_behalves[g];\n      v_unused := set_config('decision_gate.tenant', v_tenant::text, true)", "v_tenant := in_group_behalves[g]"},
	}, "commit-nothing-lost"},
	"tenant not set for a scan": {[]mistake{{"", "v_unused := set_config('decision_gate.tenant', in_behalf::text, true);", ""}}, "scan-order"},
	"one tenant for all": {[]mistake{
		{"", "tenant = in_tenants[i] AND namespace", "namespace"},
		{"", "tenant = in_tenants[v_first] AND namespace", "namespace"},
		{"", "", "ALTER TABLE decision_gate.runs DISABLE ROW LEVEL SECURITY;"},
	}, "key-scopes"},
	"batches side by side": {[]mistake{
		{"", "decision_gate.clock WHERE one FOR UPDATE", "decision_gate.clock WHERE one"},
		{"", "UPDATE decision_gate.clock SET revision = revision + v_commits WHERE one RETURNING revision - v_commits INTO STRICT v_newest;", "SELECT revision INTO STRICT v_newest FROM decision_gate.clock;"},
		{"", "RETURN v_newest;", "UPDATE decision_gate.clock SET revision = v_newest + v_commits WHERE one; RETURN v_newest;"},
	}, "changes-complete"},
	"settings ignored": {[]mistake{{"", "current_setting('fsync') <> 'on'", "false"}}, "server-unsafe"},
	"commits that need not be on the disk": {[]mistake{
		{"", "current_setting('synchronous_commit') = 'off' OR", ""},
		{"internal/postgres/connect.go", `synchronous == "off" || `, ""},
	}, "server-unsafe"},
	"bodies believed": {[]mistake{{"internal/postgres/read.go", "func (r row) record(key store.Key) (store.Record, error) {", "func (r row) record(key store.Key) (store.Record, error) {\n\tbelieved := sha256.Sum256(r.body)\n\tr.sum = believed[:]"}}, "server-damaged"},
}

// The kit is worth something only when it fails a store that is wrong. Each runs in a process of its own, because there its
// failures are failures.
func TestKitCatchesWrongStores(t *testing.T) {
	if name := os.Getenv(wrongVariable); name != "" {
		try(t, func() string { return damaged(t, name) })
		return
	}
	for name, wrong := range wrongStores {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestKitCatchesWrongStores$/^"+wrong.caught+"$", "-test.short", "-test.v")
			cmd.Env = append(os.Environ(), wrongVariable+"="+name, fmt.Sprintf("%s=%d %s", serverVariable, server.Port, server.Dir))
			if overlay := overlay(t, wrong.mistakes); overlay != "" {
				cmd.Env = append(cmd.Env, "GOFLAGS=-overlay="+overlay)
			}
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestKitCatchesWrongStores/"+wrong.caught) {
				t.Errorf("check %s does not notice:\n%s", wrong.caught, out)
			}
			// A check that failed in the middle may have left the server unsafe.
			var last string
			for name, setting := range remote(&last).Unsafe {
				if err := setting.Unset(); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// instead makes a mistake in a text that must hold what is right.
func (m mistake) instead(t *testing.T, text string) string {
	t.Helper()
	if !strings.Contains(text, m.right) {
		t.Fatalf("%q is not there to be made wrong", m.right)
	}
	return strings.ReplaceAll(text, m.right, m.wrong)
}

// overlay writes files of the plugin with their mistakes, and answers the list by which the compiler takes them instead; empty
// when there are none.
func overlay(t *testing.T, mistakes []mistake) string {
	t.Helper()
	replace := map[string]string{}
	dir := t.TempDir()
	for i, m := range mistakes {
		if m.file == "" {
			continue
		}
		right, err := filepath.Abs(m.file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(right)
		if err != nil {
			t.Fatal(err)
		}
		replace[right] = filepath.Join(dir, fmt.Sprint(i, ".go"))
		if err := os.WriteFile(replace[right], []byte(m.instead(t, string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(replace) == 0 {
		return ""
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, list, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// damaged makes a database whose functions have the mistakes.
func damaged(t *testing.T, name string) string {
	t.Helper()
	sql, err := postgres.Functions()
	if err != nil {
		t.Fatal(err)
	}
	after := ""
	for _, m := range wrongStores[name].mistakes {
		switch {
		case m.file != "":
		case m.right == "":
			after += m.wrong
		default:
			sql = m.instead(t, sql)
		}
	}
	db := database(t)
	if err := server.Exec(db, "BEGIN; SET LOCAL ROLE decision_gate_owner;"+sql+after+"COMMIT;"); err != nil {
		t.Fatal(err)
	}
	return db
}
