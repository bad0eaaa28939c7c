package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// pgbenchProgram comes with Debian's postgresql-15.
const pgbenchProgram = "/usr/lib/postgresql/15/bin/pgbench"

// pgRow is a row that the product has written.
type pgRow struct{ key, sum, body []byte }

// rowSample are the rows of a decision.
type rowSample struct{ head, step, mark pgRow }

// sampleRows reads the rows that the newest decision has left.
func (d *database) sampleRows(name string) (s rowSample, err error) {
	err = d.on(name, func(ctx context.Context, c *pgx.Conn) error {
		for table, row := range map[string]*pgRow{"runs": &s.head, "run_steps": &s.step, "run_triggers": &s.mark} {
			sql := `SELECT k, sha256, body FROM decision_gate.` + table + ` ORDER BY revision DESC LIMIT 1`
			if err := c.QueryRow(ctx, sql).Scan(&row.key, &row.sum, &row.body); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
		return nil
	})
	return s, err
}

// pgbenchScript does what the store does for a decision, statement by statement: the tenant is set, a head updated by its key,
// a step, a mark of the trigger and the id of the commit inserted. Keys are as long as the product's, and as random; bodies
// are its bytes and go over the wire as parameters. Ids of commits are ordered by time and revisions grow, as in the product.
const pgbenchScript = `\set n :n + 1
\set head :client_id + :clients * random(0, %[1]d)
\set tenant 1 + :head %% :tenants
\set revision :n * :clients + :client_id
\set x random(1, 9000000000000000000)
\set y random(1, 9000000000000000000)
BEGIN;
SELECT set_config('decision_gate.tenant', :tenant, true);
UPDATE decision_gate.runs SET revision = :revision, sha256 = %[2]s, body = convert_to(:head_body, 'UTF8') WHERE tenant = :tenant AND namespace = 1 AND k = %[3]s;
INSERT INTO decision_gate.run_steps (tenant, namespace, revision, k, sha256, body) VALUES (:tenant, 1, :revision, %[4]s, %[5]s, convert_to(:step_body, 'UTF8'));
INSERT INTO decision_gate.run_triggers (tenant, namespace, revision, k, sha256, body) VALUES (:tenant, 1, :revision, %[6]s, %[7]s, convert_to(:mark_body, 'UTF8'));
INSERT INTO decision_gate.commits (id, digest, revision, at) VALUES (%[8]s, '5bd0f8ab-3f37-4d8e-9d8f-1d5b2f6f9b11', :revision, extract(epoch FROM now())::integer);
COMMIT;
`

// headKey is an expression for the key of a head, as long as the sampled one.
func headKey(number string, sample []byte) string {
	return fmt.Sprintf(`decode(md5(%s::text), 'hex') || %s`, number, literal(sample[md5Bytes:]))
}

// Sizes of the random parts of keys.
const md5Bytes, numberBytes = 16, 8

// childKey is an expression for a key below a head's: the random parts stand where the product has its own.
func childKey(sample []byte, numbers ...string) string {
	key := `decode(md5(:head::text), 'hex')`
	for _, n := range numbers {
		key += ` || int8send(:` + n + `)`
	}
	return key + ` || ` + literal(sample[md5Bytes+numberBytes*len(numbers):])
}

func literal(b []byte) string { return `'\x` + hex.EncodeToString(b) + `'::bytea` }

// commitID is an expression for an id that is ordered by time and has 10 random bytes.
const commitID = `encode(substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) || int8send(:x) || substring(int8send(:y) FROM 7), 'hex')::uuid`

func writeScript(path string, s rowSample) error {
	for _, row := range []pgRow{s.head, s.step, s.mark} {
		if len(row.key) < md5Bytes+2*numberBytes || len(row.sum) == 0 {
			return errors.New("a row of the product is not as it was when the script was written")
		}
	}
	script := fmt.Sprintf(pgbenchScript, headsPerClient-1, literal(s.head.sum), headKey(":head", s.head.key),
		childKey(s.step.key, "revision"), literal(s.step.sum), childKey(s.mark.key, "x", "y"), literal(s.mark.sum), commitID)
	return os.WriteFile(path, []byte(script), 0o600)
}

// measurePgbench runs pgbench on a database with as many heads as the product had.
func measurePgbench(o options, d *database, name string, s rowSample, p *durablePoint) (err error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	script := filepath.Join(dir, "decision.sql")
	if err := writeScript(script, s); err != nil {
		return err
	}
	heads := fmt.Sprintf(`INSERT INTO decision_gate.runs (tenant, namespace, revision, k, sha256, body)
		SELECT 1 + h %% $1, 1, h, %s, $2, $3 FROM generate_series(0, $4) AS h`, headKey("h", s.head.key))
	if err := d.exec(name, heads, p.Tenants, s.head.sum, s.head.body, p.Clients*headsPerClient-1); err != nil {
		return err
	}
	if err := d.exec(name, "CHECKPOINT"); err != nil {
		return err
	}
	run := func(first int, d2 time.Duration) (string, time.Duration, error) {
		return d.pgbench(name, script, dir, first, s, p, d2)
	}
	if _, _, err := run(0, warmUp); err != nil {
		return err
	}
	before, err := d.spending(name)
	if err != nil {
		return err
	}
	logs, cpu, err := run(1<<30, o.seconds)
	if err != nil {
		return err
	}
	after, err := d.spending(name)
	if err != nil {
		return err
	}
	took, began, ended, err := readLogs(logs)
	if err != nil {
		return err
	}
	p.Calls, p.Seconds = len(took), ended.Sub(began).Seconds()
	p.P50, p.P99, p.Max = milliseconds(took, 0.5), milliseconds(took, 0.99), milliseconds(took, 1)
	p.note(before, after)
	p.CPU[byPgbench] = float64(cpu.Microseconds()) / float64(p.Calls)
	return nil
}

// pgbench runs the script with numbers from first on. It answers where its logs are and the time that it has run itself.
func (d *database) pgbench(name, script, dir string, first int, s rowSample, p *durablePoint, length time.Duration) (logs string, cpu time.Duration, err error) {
	logs = filepath.Join(dir, fmt.Sprintf("log-%d", first))
	seconds := strconv.Itoa(max(1, int(length.Seconds()+0.5)))
	cmd := exec.Command(pgbenchProgram, "-n", "-M", "prepared", "-f", script, "-T", seconds, "-c", strconv.Itoa(p.Clients), "-j", strconv.Itoa(min(p.Clients, 2)),
		"-D", fmt.Sprint("n=", first), "-D", fmt.Sprint("clients=", p.Clients), "-D", fmt.Sprint("tenants=", p.Tenants),
		"-D", "head_body="+string(s.head.body), "-D", "step_body="+string(s.step.body), "-D", "mark_body="+string(s.mark.body),
		"-l", "--log-prefix", logs, "-h", d.dsn.Hostname(), "-p", d.dsn.Port(), "-U", d.dsn.User.Username(), name)
	password, _ := d.dsn.User.Password()
	cmd.Env = append(os.Environ(), "PGPASSWORD="+password)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", 0, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	return logs, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// readLogs reads what each transaction took, sorted, and when the first began and the last ended.
func readLogs(prefix string) (took []time.Duration, began, ended time.Time, err error) {
	paths, err := filepath.Glob(prefix + ".*")
	if err != nil {
		return nil, began, ended, err
	}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			return nil, began, ended, err
		}
		defer file.Close()
		// client, transaction, microseconds, script, and the time of the end in seconds and microseconds
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			var numbers [6]int64
			for i, field := range strings.Fields(lines.Text()) {
				if i < len(numbers) {
					if numbers[i], err = strconv.ParseInt(field, 10, 64); err != nil {
						return nil, began, ended, fmt.Errorf("pgbench's log: %w", err)
					}
				}
			}
			one := time.Duration(numbers[2]) * time.Microsecond
			end := time.Unix(numbers[4], numbers[5]*1000)
			if start := end.Add(-one); began.IsZero() || start.Before(began) {
				began = start
			}
			if end.After(ended) {
				ended = end
			}
			took = append(took, one)
		}
		if err := lines.Err(); err != nil {
			return nil, began, ended, err
		}
	}
	if len(took) == 0 {
		return nil, began, ended, errors.New("pgbench has logged no transaction")
	}
	slices.Sort(took)
	return took, began, ended, nil
}
