package main

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/pgtest"
	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest"
)

// server is for all tests of the package, which make a database each.
var server *pgtest.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if server, err = pgtest.Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	server.Stop()
	// Package launch starts plugins from one thread that lives as long as the process, so that no plugin ends with a thread.
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// config makes a database for a check of the kit.
func config(t *testing.T) func(dir string) any {
	return func(string) any {
		name, err := server.Database()
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"dsn": server.DSN(pgtest.App, name)}
	}
}

func TestStore(t *testing.T) {
	storetest.Test(t, storetest.Plugin{Package: ".", Config: config(t)})
}
