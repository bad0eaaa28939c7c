package main

import (
	"fmt"
	"os"
	"os/exec"
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

// remote is how the kit treats the server.
func remote() *storetest.Remote {
	unsafe := map[string]storetest.Setting{}
	for _, setting := range []string{"fsync", "full_page_writes"} {
		unsafe[setting+" off"] = storetest.Setting{
			Set:   func() error { return server.Set(setting, "off") },
			Unset: func() error { return server.Set(setting, "on") },
		}
	}
	return &storetest.Remote{Unsafe: unsafe, Crash: func() error {
		server.Kill()
		return server.Run()
	}}
}

func TestStore(t *testing.T) {
	storetest.Test(t, storetest.Plugin{Package: ".", Remote: remote(), Config: func(string) any { return config(database(t)) }})
}

// wrongStores are the store with one mistake each in what the server does, and a check of the kit that must notice.
var wrongStores = map[string]struct{ right, wrong, caught string }{
	"ids forgotten":          {"INSERT INTO decision_gate.commits (id, digest, revision, at) VALUES (in_ids[c], in_digests[c], v_next, v_at);", "", "id-repeat"},
	"ids for any ops":        {"IF v_digest = in_digests[c] THEN", "IF true THEN", "id-other-ops"},
	"maximum passed":         {"v_value + in_deltas[i] > in_maxima[i]", "false", "counter-bounds"},
	"expectations ignored":   {"IF in_expects[i] <> -1 AND in_expects[i] <> v_current THEN", "IF false THEN", "commit-expectations"},
	"others see the refused": {"IF v_refused = 0 THEN\n          v_next", "IF true THEN\n          v_next", "commit-all-or-nothing"},
	"removals untold":        {"namespace, k, sha256 IS NULL FROM", "namespace, k, false FROM", "changes-tell-all"},
	"a version comes back":   {"SET revision = v_next, sha256 = v_sum", "SET revision = 1, sha256 = v_sum", "version-grows"},
	"pages begin anew":       {"k >= $3", "k >= ''", "scan-pages"},
	"namespaces meet":        {"tenant = $1 AND namespace = $2 AND", "tenant = $1 AND $2::bigint IS NOT NULL AND", "scan-scope"},
	"batches side by side":   {"decision_gate.clock WHERE one FOR UPDATE", "decision_gate.clock WHERE one", "changes-complete"},
	"settings ignored":       {"current_setting('fsync') <> 'on'", "false", "server-unsafe"},
}

// The kit is worth something only when it fails a store that is wrong. Each runs in a process of its own, because there its
// failures are failures.
func TestKitCatchesWrongStores(t *testing.T) {
	if name := os.Getenv(wrongVariable); name != "" {
		storetest.Test(t, storetest.Plugin{Package: ".", Remote: remote(), Config: func(string) any { return config(damaged(t, name)) }})
		return
	}
	for name, wrong := range wrongStores {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestKitCatchesWrongStores$/^"+wrong.caught+"$", "-test.short", "-test.v")
			cmd.Env = append(os.Environ(), wrongVariable+"="+name, fmt.Sprintf("%s=%d %s", serverVariable, server.Port, server.Dir))
			out, err := cmd.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "--- FAIL: TestKitCatchesWrongStores/"+wrong.caught) {
				t.Errorf("check %s does not notice:\n%s", wrong.caught, out)
			}
			// A check that failed in the middle may have left the server unsafe.
			for _, setting := range []string{"fsync", "full_page_writes"} {
				if err := server.Set(setting, "on"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// damaged makes a database whose functions have the mistake.
func damaged(t *testing.T, name string) string {
	sql, err := postgres.Functions()
	if err != nil {
		t.Fatal(err)
	}
	wrong := wrongStores[name]
	if !strings.Contains(sql, wrong.right) {
		t.Fatalf("the functions do not contain %q", wrong.right)
	}
	db := database(t)
	script := "BEGIN; SET LOCAL ROLE decision_gate_owner;" + strings.ReplaceAll(sql, wrong.right, wrong.wrong) + "COMMIT;"
	if err := server.Exec(db, script); err != nil {
		t.Fatal(err)
	}
	return db
}
