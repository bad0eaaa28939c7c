// Package storetest is the conformance kit for stores: every MUST of package store as a named check, run against a plugin
// in any language over the same launch path, transport and mutual TLS that the host uses. A plugin's author writes one line:
//
//	func TestStore(t *testing.T) {
//		storetest.Test(t, storetest.Plugin{Package: ".", Config: func(dir string) any {
//			return map[string]any{"path": filepath.Join(dir, "dg.db")}
//		}})
//	}
//
// Each check gets a data set and processes of its own, so one failure does not colour the next. With -short the checks
// repeat less. Nothing is ever skipped: a machine that cannot run a check fails it and says what is missing.
//
// The kit does not measure speed, and it does not look inside a store: what it asserts is what a host can observe, and for
// durability the system calls that the plugin makes, or for a store with a server (Plugin.Remote) what is left after its crash.
package storetest

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/conformance"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// Plugin says how to start the plugin under test. Exactly one of Package and Command is set.
type Plugin struct {
	// Package is the folder (or import path) of a Go main package; it is built once.
	Package string
	// Command is the program and its arguments, for a plugin in another language.
	Command []string
	// Config answers the plugin's config body, as a value for JSON. All processes that get the same dir work on the same
	// data; dir is an empty folder when the first of them starts.
	Config func(dir string) any
	// SingleProcess says that the store refuses a second process on the same data. The kit then asserts that it does,
	// instead of that two processes see each other's commits.
	SingleProcess bool
	// Remote is set for a store whose data is in a server, which goes on when the plugin dies.
	Remote *Remote
}

// Test runs every check as a subtest.
func Test(t *testing.T, p Plugin) {
	t.Helper()
	conformance.Test(t, Checks(t, p))
}

// Checks are the checks of a plugin, for whoever runs them without "go test". T outlives them.
func Checks(t launchtest.TB, p Plugin) []conformance.Check {
	t.Helper()
	command := p.Command
	if p.Package != "" {
		command = []string{launchtest.Build(t, p.Package)}
	}
	if len(command) == 0 || p.Config == nil {
		t.Fatalf("storetest: set Config, and one of Package and Command")
	}
	program, err := exec.LookPath(command[0])
	if err == nil {
		program, err = filepath.Abs(program)
	}
	if err != nil {
		t.Fatalf("storetest: %v", err)
	}
	command = append([]string{program}, command[1:]...)
	durability := syncChecks
	switch {
	case p.Remote != nil && p.Remote.Crash == nil:
		durability = nil
	case p.Remote != nil:
		durability = remoteChecks
	}
	var all []conformance.Check
	for _, check := range slices.Concat(checksFor(!p.SingleProcess), memoryChecks, durability) {
		all = append(all, conformance.Check{Name: check.name, Proves: check.proves, Run: func(t conformance.TB) {
			target := &pluginTarget{t: t, command: command, config: p.Config(t.TempDir()), scratch: t.TempDir(), server: p.Remote}
			runCheck(t, check, target, testing.Short())
		}})
	}
	return append(all, conformance.ProcessChecks(command)...)
}

// check is one rule of package store and the way to see it broken.
type check struct {
	name string
	// proves is the rule in words; it opens the report of a failure.
	proves string
	run    func(c *trial)
}

// checksFor answers the checks that need nothing but the store's interface.
func checksFor(shared bool) []check {
	processes := singleProcessChecks
	if shared {
		processes = sharedChecks
	}
	return slices.Concat(
		describeChecks, limitChecks, commitChecks, idChecks, counterChecks, bodyChecks, keyChecks, scanChecks, changeChecks,
		concurrencyChecks, processes, contextChecks, crashChecks, modelChecks)
}
