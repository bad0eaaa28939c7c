// Command store-sqlite is a storage plugin that keeps everything in one SQLite file: durable, without a server, for one
// machine. For hosts on several machines use a store with a server.
package main

import (
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-sqlite/internal/sqlite"
	"github.com/decision-gate-host/decision-gate-host/sdk"
)

// version is set by the linker.
var version = "0.1.0-dev"

func main() {
	// The driver creates the write-ahead log beside the database, readable for all unless the process forbids it; other
	// users of the machine could read there what every recent commit wrote.
	syscall.Umask(0o077)
	sdk.Serve(sqlite.Plugin(version, ""))
}
