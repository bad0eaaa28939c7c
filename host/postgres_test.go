package host_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// database is a PostgreSQL server that can be killed.
type database struct {
	t   *testing.T
	dsn string

	mu    sync.Mutex
	input io.WriteCloser
	lines *bufio.Scanner
}

func startDatabase(t *testing.T, settings ...string) *database {
	t.Helper()
	cmd := exec.Command(launchtest.Build(t, "../plugins/store-postgres/internal/pgserver"), settings...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		input.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	d := &database{t: t, input: input, lines: bufio.NewScanner(output)}
	if !d.lines.Scan() {
		t.Fatalf("the database server does not start: %v", d.lines.Err())
	}
	d.dsn = d.lines.Text()
	return d
}

// try has the server do something, see package pgserver, and answers the rows of a query.
func (d *database) try(command string) (rows []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := fmt.Fprintln(d.input, command); err != nil {
		return nil, err
	}
	for d.lines.Scan() {
		line := d.lines.Text()
		switch {
		case line == "ready":
			return rows, nil
		case strings.HasPrefix(line, "pgserver: "):
			return nil, fmt.Errorf("%s: %s", command, line)
		}
		rows = append(rows, line)
	}
	return nil, fmt.Errorf("%s: the database server has ended: %v", command, d.lines.Err())
}

// do is try where nothing may go wrong.
func (d *database) do(command string) []string {
	d.t.Helper()
	rows, err := d.try(command)
	if err != nil {
		d.t.Fatal(err)
	}
	return rows
}

// postgresHCL is the configuration of a host on a database server.
func postgresHCL(t *testing.T, dsn string) string {
	t.Helper()
	program := filepath.Join(plugins(t), "store-postgres")
	if _, err := os.Stat(program); err != nil {
		if err := os.Rename(launchtest.Build(t, "../plugins/store-postgres"), program); err != nil {
			t.Fatal(err)
		}
	}
	before, after, _ := strings.Cut(hcl, `plugin "store" "sqlite"`)
	_, after, _ = strings.Cut(after, "\n}\n")
	return before + fmt.Sprintf("plugin \"store\" \"postgres\" {\n  command         = \"store-postgres\"\n  health_interval = \"200ms\"\n  config { dsn = %q }\n}\n", dsn) + after
}

// TestPostgres decides a gate on two hosts with one database, whose server is killed in between: what was decided stays so, on
// both, and both go on.
func TestPostgres(t *testing.T) {
	db := startDatabase(t)
	hosts := []*fixture{openWith(t, t.TempDir(), postgresHCL(t, db.dsn)), openWith(t, t.TempDir(), postgresHCL(t, db.dsn))}
	first := defineOn(hosts[0], "gate", object{"provider_id": "env", "check_id": "get", "params": object{"key": "DEPLOY_ENV"}}, "staging")
	runs := []run{first, {hosts[1], first.scenario, first.id, first.tenant}}
	given := map[string]string{}
	for round := range 3 {
		for i, r := range runs {
			trigger := fmt.Sprintf("t-%d-%d", round, i)
			answer := r.at(trigger, inSummer)
			if got := outcome(t, answer); got != "hold" {
				t.Errorf("%s: %s, want hold", trigger, got)
			}
			given[trigger] = string(answer.Result)
		}
		db.do("crash")
		for trigger, want := range given {
			for i, r := range runs {
				if got := r.at(trigger, inSummer); got.Error != nil || string(got.Result) != want {
					t.Errorf("after a crash of the database host %d answers %s of %s, it was %s", i, got.Result, trigger, want)
				}
			}
		}
	}
}
