package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// empty makes a database without tables, and answers how the program is run on it.
func empty(t *testing.T) (name string, program func(args ...string) *exec.Cmd) {
	t.Helper()
	name = database(t) + "_empty"
	if err := server.Create(name); err != nil {
		t.Fatal(err)
	}
	binary := launchtest.Build(t, ".")
	return name, func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, args...)
		cmd.Env = append(os.Environ(), dsnVariable+"="+server.DSN(pgtest.Owner, name))
		return cmd
	}
}

func said(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %v\n%s", cmd.Args[1:], err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestMigrate runs the program as an operator does: it tells the version, brings it up once however many begin at once, and
// says what is missing.
func TestMigrate(t *testing.T) {
	name, program := empty(t)
	state, err := postgres.Status(t.Context(), server.DSN(pgtest.Owner, name))
	if err != nil {
		t.Fatal(err)
	}
	newest := state.Newest
	if got := said(t, program("migrate", "status")); got != fmt.Sprint("schema version 0, newest ", newest) {
		t.Errorf("status of an empty database: %s", got)
	}
	answers := make([]string, 4)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() { answers[i] = said(t, program("migrate", "up")) })
	}
	wg.Wait()
	if all := strings.Join(answers, "\n"); strings.Count(all, fmt.Sprintf("schema version %d, was 0", newest)) != 1 || strings.Count(all, fmt.Sprintf("schema version %d, was %d", newest, newest)) != 3 {
		t.Errorf("four at once say\n%s", all)
	}
	if got := said(t, program("migrate", "status")); got != fmt.Sprintf("schema version %d, newest %d", newest, newest) {
		t.Errorf("status after it: %s", got)
	}
	for says, args := range map[string][]string{"usage: store-postgres migrate status|up": {"migrate", "down"}, dsnVariable + " is not set": {"migrate", "up"}, "cannot be parsed": {"migrate", "status"}} {
		cmd := program(args...)
		switch {
		case strings.Contains(says, "not set"):
			cmd.Env = append(cmd.Env, dsnVariable+"=")
		case strings.Contains(says, "parsed"):
			cmd.Env = append(cmd.Env, dsnVariable+"=postgres://u:"+pgtest.Password+"@h:notaport/d")
		}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), says) || strings.Contains(string(out), pgtest.Password) {
			t.Errorf("%v: %v, %s; want %q", args, err, out, says)
		}
	}
}

// TestMigrateKilled kills the program in the middle of a migration, with another one waiting for it: that one does it all.
func TestMigrateKilled(t *testing.T) {
	name, program := empty(t)
	if err := server.Exec(name, `CREATE FUNCTION public.pause() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.4); END';
		CREATE EVENT TRIGGER pause ON ddl_command_end WHEN TAG IN ('CREATE VIEW') EXECUTE FUNCTION public.pause()`); err != nil {
		t.Fatal(err)
	}
	waits := func(event string) {
		t.Helper()
		query := fmt.Sprintf("SELECT count(*) FROM pg_stat_activity WHERE datname = '%s' AND wait_event = '%s'", name, event)
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			got, err := server.Query("postgres", query)
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(got) != "0" {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("no migration waits for %s", event)
			}
		}
	}
	first := program("migrate", "up")
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	waits("PgSleep")
	second := make(chan string, 1)
	go func() { second <- said(t, program("migrate", "up")) }()
	waits("advisory")
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	if got := <-second; !strings.HasSuffix(got, ", was 0") {
		t.Errorf("the second says %s", got)
	}
}
