// Command pgserver is a PostgreSQL server with a migrated database for tests of other modules, which do not link its client.
// It writes the connection string of the plugin's user, kills the server and starts it again for every line that it reads,
// writes "ready" after each, and ends when its input does.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "pgserver:", err)
		os.Exit(1)
	}
}

func serve() error {
	server, err := pgtest.Start()
	if err != nil {
		return err
	}
	defer server.Stop()
	name, err := server.Database()
	if err != nil {
		return err
	}
	fmt.Println(server.DSN(pgtest.App, name))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		server.Kill()
		if err := server.Run(); err != nil {
			return err
		}
		fmt.Println("ready")
	}
	return nil
}
