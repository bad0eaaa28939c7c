package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// removeScenario removes a scenario beneath the hosts, as retention does.
const removeScenario = `sql WITH now AS (UPDATE decision_gate.clock SET revision = revision + 1 RETURNING revision)
	UPDATE decision_gate.scenarios SET sha256 = NULL, body = NULL, revision = (SELECT revision FROM now) WHERE decision_gate.id((decision_gate.segments(k))[1]) = 'loop'`

// TestHostsSeeChanges removes and defines a scenario on one of two hosts with one database, and beneath both: what the other
// keeps in memory is dropped, also behind a pooler that lets nobody listen, and after the database and a plugin were away.
func TestHostsSeeChanges(t *testing.T) {
	db := startDatabase(t)
	for _, test := range []struct{ name, dsn, pooling string }{
		{"connected", db.dsn, "session"},
		{"through a pooler", db.do("pooler")[0], "transaction"},
	} {
		t.Run(test.name, func(t *testing.T) {
			hcl := strings.Replace(postgresHCL(t, test.dsn), "config { dsn = ", "config { \n pooling = "+quote(test.pooling)+"\n dsn = ", 1)
			hcl = strings.Replace(hcl, quote(test.dsn)+" }", quote(test.dsn)+"\n }", 1)
			one, other := openWith(t, t.TempDir(), hcl), openWith(t, t.TempDir(), hcl)
			startable := func(f *fixture) bool {
				r := f.call("scenario_start", start(fmt.Sprintf("%s-%d", test.name, time.Now().UnixNano())))
				if r.Error != nil && r.Error.Code != -32004 && !r.Error.Data.Retryable {
					t.Fatalf("%+v", r.Error)
				}
				return r.Error == nil
			}
			define := func(version string) {
				one.must("scenario_define", json.RawMessage(`{"spec":`+strings.Replace(loop, `"spec_version":"1"`, `"spec_version":"`+version+`"`, 1)+`}`), nil)
			}
			removedAndSeen := func(what string) {
				t.Helper()
				if !startable(one) || !startable(other) {
					t.Fatalf("%s: the scenario cannot be used", what)
				}
				waitFor(t, "the hosts to follow", func() bool { return one.Host.Changes().Following && other.Host.Changes().Following })
				for _, f := range []*fixture{one, other} { // kept from now on
					if !startable(f) {
						t.Fatalf("%s: the scenario cannot be used", what)
					}
				}
				db.do(strings.ReplaceAll(removeScenario, "\n", " "))
				began := time.Now()
				for _, f := range []*fixture{one, other} {
					waitFor(t, what+": the hosts to drop a scenario that was removed", func() bool { return !startable(f) })
				}
				t.Logf("%s: dropped by both hosts after %v", what, time.Since(began))
			}
			define("1")
			removedAndSeen("at first")
			define("2")
			db.do("crash")
			waitFor(t, "the hosts to serve again", func() bool { return startable(one) && startable(other) })
			removedAndSeen("after a crash of the database")
			define("3")
			if err := syscall.Kill(storePID(other), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			waitFor(t, "the host to serve again", func() bool { return startable(other) })
			removedAndSeen("after the plugin was killed")
		})
	}
}
