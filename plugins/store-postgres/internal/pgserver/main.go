// Command pgserver is a PostgreSQL server with a migrated database for tests of other modules, which do not link its client.
// It writes the connection string of the plugin's user, does what each line that it reads says, writes "ready" after each, or
// "pgserver: " and what went wrong, and ends when its input does. The lines:
//
//	crash      kill the server with all of its processes, and start it again; "crash 50ms" leaves that time in between
//	cut        end the sessions of the plugin's user
//	crowd      take every connection that the server has left; disperse gives them back
//	pooler     start PgBouncer in transaction mode, and write the connection string through it
//	vary NAME  give the database functions that differ from those of the plugin, see pgtest.Variant
//	sql TEXT   run statements in the database as the superuser, and write the rows before "ready"
package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "pgserver:", err)
		os.Exit(1)
	}
}

// cluster is the server, its database, and the connections that nobody else is to have. Arguments of the command are more
// of its settings.
type cluster struct {
	*pgtest.Server
	database string
	crowd    []*pgx.Conn
}

func serve() error {
	server, err := pgtest.Start(os.Args[1:]...)
	if err != nil {
		return err
	}
	defer server.Stop()
	c := &cluster{Server: server}
	if c.database, err = server.Database(); err != nil {
		return err
	}
	fmt.Println(server.DSN(pgtest.App, c.database))
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if err := c.do(lines.Text()); err != nil {
			fmt.Println("pgserver:", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("ready")
	}
	return lines.Err()
}

func (c *cluster) do(line string) error {
	command, rest, _ := strings.Cut(line, " ")
	switch command {
	case "crash":
		pause, err := time.ParseDuration(cmp.Or(rest, "0s"))
		if err != nil {
			return err
		}
		c.Kill()
		time.Sleep(pause)
		return c.Run()
	case "cut":
		return c.Exec("postgres", fmt.Sprintf("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%s'", pgtest.App))
	case "crowd":
		for {
			conn, err := pgx.Connect(context.Background(), c.DSN(pgtest.Reader, c.database))
			if err != nil {
				return nil // none is left
			}
			c.crowd = append(c.crowd, conn)
		}
	case "disperse":
		for _, conn := range c.crowd {
			conn.Close(context.Background())
		}
		c.crowd = nil
		return nil
	case "pooler":
		dsn, err := c.Pooler(c.database)
		if err == nil {
			fmt.Println(dsn)
		}
		return err
	case "vary":
		return c.Vary(c.database, pgtest.Variant(rest))
	case "sql":
		rows, err := c.Query(c.database, rest)
		fmt.Print(rows)
		return err
	}
	return fmt.Errorf("no command %q", command)
}
