package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// serverSettings are those of the server for both sides. The buffers hold everything, as on a machine of its own, and no
// checkpoint falls into a measurement: one is made before each.
var serverSettings = []string{"shared_buffers=512MB", "max_wal_size=8GB", "checkpoint_timeout=30min"}

// migrated is the database with the newest schema that pgserver copies too.
const migrated = "migrated"

// admin is the superuser of pgserver.
const admin = "admin"

// databaseTimeout bounds one statement of the benchmark's own; a VACUUM of what it has written takes the longest.
const databaseTimeout = 2 * time.Minute

// database is a PostgreSQL server that the benchmark has started, on loopback.
type database struct {
	cmd   *exec.Cmd
	input io.Closer
	// dsn is the connection string of the plugin's user.
	dsn *url.URL
	// pid is that of the server's first process.
	pid   int
	names int
}

func startDatabase(bin string) (d *database, err error) {
	cmd := exec.Command(filepath.Join(bin, "pgserver"), serverSettings...)
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w; \"make bench\" makes it", err)
	}
	d = &database{cmd: cmd, input: input}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.end())
		}
	}()
	lines := bufio.NewScanner(output)
	if !lines.Scan() {
		return nil, errors.Join(errors.New("the database server did not start"), lines.Err())
	}
	if d.dsn, err = url.Parse(lines.Text()); err != nil {
		return nil, err
	}
	return d, d.findServer()
}

func (d *database) end() error {
	_ = d.input.Close() // which it takes for the end
	return d.cmd.Wait()
}

// as is the connection string of a user for a database.
func (d *database) as(user, name string) string {
	u := *d.dsn
	password, _ := u.User.Password()
	u.User, u.Path = url.UserPassword(user, password), "/"+name
	return u.String()
}

// store is the block of a configuration that keeps everything in a database.
func (d *database) store(name string) string {
	return fmt.Sprintf("plugin \"store\" \"postgres\" {\n  command = \"store-postgres\"\n  config { dsn = %q }\n}", d.as(d.dsn.User.Username(), name))
}

// on runs f on a connection of the superuser.
func (d *database) on(name string, f func(ctx context.Context, c *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	c, err := pgx.Connect(ctx, d.as(admin, name))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	return f(ctx, c)
}

func (d *database) exec(name, sql string, args ...any) error {
	return d.on(name, func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, sql, args...)
		return err
	})
}

// query reads one row.
func (d *database) query(name, sql string, into ...any) error {
	return d.on(name, func(ctx context.Context, c *pgx.Conn) error { return c.QueryRow(ctx, sql).Scan(into...) })
}

// create makes a new database with the schema.
func (d *database) create() (name string, err error) {
	d.names++
	name = "bench_" + strconv.Itoa(d.names)
	return name, d.exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+migrated)
}

func (d *database) drop(name string) error {
	return d.exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)")
}

func (d *database) cpu() (time.Duration, error) { return family(d.pid) }

// size is where the server's log ends, and the size of a database, in bytes.
func (d *database) size(name string) (wal, stored int64, err error) {
	err = d.query(name, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, pg_database_size(current_database())`, &wal, &stored)
	return wal, stored, err
}

// spending is what the server alone has used.
func (d *database) spending(name string) (s spending, err error) {
	if s.wal, s.stored, err = d.size(name); err != nil {
		return s, err
	}
	cpu, err := d.cpu()
	s.cpu = map[string]time.Duration{"postgres": cpu}
	return s, err
}

// findServer finds the first process: it is the parent of all others.
func (d *database) findServer() error {
	var writer int
	if err := d.query(migrated, `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'`, &writer); err != nil {
		return err
	}
	s, err := readStat(writer)
	d.pid = s.parent
	return err
}
