// Command store-postgres is a storage plugin that keeps everything in a PostgreSQL database, for any number of hosts.
//
// "store-postgres migrate status" says which version the database's schema has, "store-postgres migrate up" brings it to the
// newest. Both take the connection string from the environment, STORE_POSTGRES_DSN, because arguments are seen by every user
// of the machine.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"syscall"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
	"github.com/decision-gate-host/decision-gate-host/sdk"
)

// version is set by the linker.
var version = "0.1.0-dev"

// dsnVariable holds the connection string of a member of decision_gate_owner.
const dsnVariable = "STORE_POSTGRES_DSN"

// ballastBytes are allocated and never touched, so they take no memory. They count as part of the heap, though: the garbage
// collector, which starts when the heap has doubled, runs after so many bytes of garbage and not after each few megabytes
// (docs/performance.md).
const ballastBytes = 8 << 20

func main() {
	if len(os.Args) > 1 {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := command(ctx, os.Args[1:], os.Getenv(dsnVariable), os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "store-postgres:", err)
			os.Exit(1)
		}
		return
	}
	ballast := make([]byte, ballastBytes)
	defer runtime.KeepAlive(ballast)
	sdk.Serve(postgres.Plugin(version))
}

// command runs what an operator asks for.
func command(ctx context.Context, args []string, dsn string, out io.Writer) error {
	status := slices.Equal(args, []string{"migrate", "status"})
	if !status && !slices.Equal(args, []string{"migrate", "up"}) {
		return fmt.Errorf("usage: store-postgres migrate status|up, with the connection string of a member of decision_gate_owner in %s", dsnVariable)
	}
	if dsn == "" {
		return fmt.Errorf("%s is not set: it holds the connection string of a member of decision_gate_owner", dsnVariable)
	}
	if status {
		state, err := postgres.Status(ctx, dsn)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "schema version %d, newest %d\n", state.Version, state.Newest)
		return err
	}
	from, to, err := postgres.Up(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "schema version %d, was %d\n", to, from)
	return err
}
