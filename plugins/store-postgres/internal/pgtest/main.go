package pgtest

import (
	"fmt"
	"os"

	"go.uber.org/goleak"
)

// Main runs the tests of a package with a server, which use is told of, and fails when they leave goroutines behind.
func Main(m interface{ Run() int }, use func(*Server), settings ...string) int {
	server, err := Start(settings...)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	use(server)
	code := m.Run()
	server.Stop()
	// Package launch starts plugins from one thread that lives as long as the process, so that no plugin ends with a thread.
	if err := goleak.Find(goleak.IgnoreTopFunction("github.com/decision-gate-host/decision-gate-host/sdk/launch.launcherThread")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
