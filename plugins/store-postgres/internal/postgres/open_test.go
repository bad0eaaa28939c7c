package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// A server, a user or a schema that the plugin must not work with is refused, with a reason that helps and without what is
// in the connection string.
func TestOpenRefuses(t *testing.T) {
	name := database(t)
	empty := name + "_empty"
	if err := server.Create(empty); err != nil {
		t.Fatal(err)
	}
	newer := database(t)
	script := `INSERT INTO decision_gate.schema_version (version) VALUES (9999)`
	for user, settings := range map[string]string{"careless": "SET synchronous_commit = off", "mighty": "BYPASSRLS", "twofold": "NOSUPERUSER"} {
		script += fmt.Sprintf("; CREATE ROLE %s LOGIN PASSWORD '%s' IN ROLE decision_gate_app; ALTER ROLE %s %s", user, pgtest.Password, user, settings)
	}
	if err := server.Exec(newer, script+"; GRANT decision_gate_owner TO twofold; CREATE ROLE stranger LOGIN PASSWORD '"+pgtest.Password+"'"); err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	dsn := func(user string) string { return server.DSN(user, name) }
	for what, test := range map[string]struct {
		dsn    string
		reason fault.Reason
		says   string
	}{
		"a superuser":                  {dsn(pgtest.Admin), fault.Denied, "BYPASSRLS"},
		"a user with BYPASSRLS":        {dsn("mighty"), fault.Denied, "BYPASSRLS"},
		"the owner":                    {dsn(pgtest.Owner), fault.Denied, "decision_gate_app"},
		"a member of the owner":        {dsn("twofold"), fault.Denied, "decision_gate_app"},
		"a user that does not sync":    {dsn("careless"), fault.Denied, "synchronous_commit is off"},
		"a user without a role":        {dsn("stranger"), fault.Denied, "GRANT decision_gate_app"},
		"a wrong password":             {strings.Replace(dsn(pgtest.App), pgtest.Password, "wr0ng-password", 1), fault.Denied, "pg_hba.conf"},
		"no such database":             {server.DSN(pgtest.App, "nowhere"), fault.Denied, "does not exist"},
		"no schema":                    {server.DSN(pgtest.App, empty), fault.Denied, "migrate up"},
		"a newer schema":               {server.DSN(pgtest.App, newer), fault.Denied, "newer plugin"},
		"no server":                    {strings.Replace(dsn(pgtest.App), fmt.Sprint(":", server.Port), fmt.Sprint(":", closed.Addr().(*net.TCPAddr).Port), 1), fault.Unavailable, "cannot be reached"},
		"no connection string":         {"postgres://u:" + pgtest.Password + "@h:notaport/d", fault.Invalid, "sslmode=verify-full"},
		"a certificate that is absent": {dsn(pgtest.App) + "&sslrootcert=/nowhere/ca.pem&sslmode=verify-full", fault.Invalid, "files that exist"},
		"plain text on the network":    {"postgres://decision_gate:" + pgtest.Password + "@192.0.2.1/d?sslmode=disable", fault.Invalid, "minimum_tls"},
		"plain text when asked for":    {"postgres://decision_gate:" + pgtest.Password + "@192.0.2.1/d", fault.Invalid, "minimum_tls"},
		"a certificate of anybody":     {"postgres://decision_gate:" + pgtest.Password + "@192.0.2.1/d?sslmode=require", fault.Invalid, "minimum_tls"},
		"plain text to the second":     {"postgres://decision_gate:" + pgtest.Password + "@127.0.0.1,192.0.2.1/d?sslmode=disable", fault.Invalid, "minimum_tls"},
	} {
		t.Run(what, func(t *testing.T) {
			var log bytes.Buffer
			o := options(test.dsn)
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s, err := postgres.Open(t.Context(), o)
			if err == nil {
				s.Close()
				t.Fatal("it is opened")
			}
			if !fault.Is(err, test.reason) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s: %v; want %s and %q", fault.ReasonOf(err), err, test.reason, test.says)
			}
			quiet(t, err.Error()+fault.ToStatus(err).Error()+log.String())
		})
	}
}

// On the server's own machine a socket of it does as well.
func TestUnixSocket(t *testing.T) {
	s := open(t, options(fmt.Sprintf("host=%s port=%d user=%s database=%s", server.Dir, server.Port, pgtest.App, database(t))))
	commit(t, s, put(key("runs", 1, "a"), "1"))
}

// quiet asserts that a text holds nothing of a connection string that is secret.
func quiet(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{pgtest.Password, "wr0ng", "192.0.2.1", "notaport"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in: %s", secret, text)
		}
	}
}

// The log of a store that loses its server says so, and not how to reach it.
func TestLogHoldsNoSecret(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	o := options(server.DSN(pgtest.App, database(t)))
	o.Logger = slog.New(slog.NewTextHandler(locked{&mu, &log}, nil))
	s := open(t, o)
	commit(t, s, put(key("runs", 1, "a"), "1"))
	server.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := s.Describe(ctx); err == nil {
		t.Error("a store without its server answers")
	} else {
		quiet(t, err.Error())
	}
	if err := s.Health(ctx); err == nil {
		t.Error("a store without its server is healthy")
	}
	if err := server.Run(); err != nil {
		t.Fatal(err)
	}
	commit(t, s, put(key("runs", 1, "a"), "2"))
	mu.Lock()
	defer mu.Unlock()
	quiet(t, log.String())
	if !strings.Contains(log.String(), "trying again") {
		t.Errorf("the log says nothing: %s", log.String())
	}
}

type locked struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (l locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.to.Write(b)
}

// Migrations that begin at once happen once, and are said to be done by each.
func TestMigrateAtOnce(t *testing.T) {
	name := database(t) + "_fresh"
	if err := server.Create(name); err != nil {
		t.Fatal(err)
	}
	dsn := server.DSN(pgtest.Owner, name)
	state, err := postgres.Status(t.Context(), dsn)
	if err != nil || state.Version != 0 || state.Newest < 1 {
		t.Fatalf("%+v, %v", state, err)
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, _, errs[i] = postgres.Up(t.Context(), dsn) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if state, err = postgres.Status(t.Context(), dsn); err != nil || state.Version != state.Newest {
		t.Fatalf("%+v, %v", state, err)
	}
	s := open(t, options(server.DSN(pgtest.App, name)))
	commit(t, s, put(key("runs", 1, "a"), "1"))
	// A migration beside a store that is at work leaves its records, and the store goes on.
	if _, _, err := postgres.Up(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	if got := body(t, s, key("runs", 1, "a")); got != "1" {
		t.Errorf("after another migration the record is %q", got)
	}
	commit(t, s, put(key("runs", 1, "a"), "2"))
}

// Who may not migrate is told what to do, and a schema of a newer program is left alone.
func TestMigrateRefuses(t *testing.T) {
	name := database(t)
	if _, _, err := postgres.Up(t.Context(), server.DSN(pgtest.App, name)); !fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "GRANT decision_gate_owner") {
		t.Errorf("the plugin's user: %v", err)
	}
	if err := server.Exec(name, `INSERT INTO decision_gate.schema_version (version) VALUES (9999)`); err != nil {
		t.Fatal(err)
	}
	if _, _, err := postgres.Up(t.Context(), server.DSN(pgtest.Owner, name)); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("a newer schema: %v", err)
	}
}
