// Command store-sqlite is a storage plugin that keeps everything in one SQLite file: durable, without a server, for one
// machine. For hosts on several machines use a store with a server.
//
// "store-sqlite adopt FILE" checks a database that another program has written or copied, and makes it fit for use again.
// "store-sqlite read-decision-gate FILE" writes the runs and data shapes of a database of the open-source Decision Gate as lines of
// JSON, for "decision-gate store import-decision-gate"; it changes nothing.
package main

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-sqlite/internal/opensource"
	"github.com/decision-gate-host/decision-gate-host/plugins/store-sqlite/internal/sqlite"
	"github.com/decision-gate-host/decision-gate-host/sdk"
)

// version is set by the linker.
var version = "0.1.0-dev"

func main() {
	// The driver creates the write-ahead log beside the database, readable for all unless the process forbids it; other
	// users of the machine could read there what every recent commit wrote.
	syscall.Umask(0o077)
	if len(os.Args) == 3 {
		if run, known := commands[os.Args[1]]; known {
			if err := run(context.Background(), os.Args[2]); err != nil {
				fmt.Fprintln(os.Stderr, "store-sqlite:", err)
				os.Exit(1)
			}
			return
		}
	}
	sdk.Serve(sqlite.Plugin(version, ""))
}

// commands are what the program does for people and for the host's own commands, each with a file.
var commands = map[string]func(ctx context.Context, path string) error{
	"adopt": sqlite.Adopt,
	"read-decision-gate": func(ctx context.Context, path string) error {
		return opensource.WriteStream(ctx, path, os.Stdout)
	},
}
