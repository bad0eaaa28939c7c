// Package runpacktest is the conformance kit of runpack plugins. One line in a plugin's own tests runs it:
//
//	func TestConformance(t *testing.T) {
//		runpacktest.Test(t, runpacktest.Plugin{Package: ".", Config: func(dir string) any {
//			return map[string]any{"path": dir}
//		}})
//	}
//
// The kit launches the plugin as the host does, over gRPC with mutual TLS, kills it, traces its system calls, and asserts
// what package runpack says a sink MUST do. It does not measure speed, and it cannot damage a plugin's stored bytes: that
// a read finds such damage is for the plugin's own tests.
package runpacktest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/conformance"
	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// checkTimeout bounds every check, so that a hung plugin fails one instead of the whole run.
const checkTimeout = 2 * time.Minute

// Plugin is a plugin under test.
type Plugin struct {
	// Package is the folder of a Go main package, which the kit builds.
	Package string
	// Command starts a plugin of any language, instead of Package.
	Command []string
	// Config is the configuration for a plugin whose data live in dir, an empty directory.
	Config func(dir string) any
	// Remote says that the bundles are kept by another machine, so that a trace of the plugin's own system calls says
	// nothing about their durability.
	Remote bool
}

// T is the part of *testing.T that checks use. The kit's own tests put a recorder in its place.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Test runs every check against a plugin, each on data of its own.
func Test(t *testing.T, p Plugin) {
	t.Helper()
	conformance.Test(t, Checks(t, p))
}

// Checks are the checks of a plugin, for whoever runs them without "go test". T outlives them.
func Checks(t T, p Plugin) []conformance.Check {
	t.Helper()
	target := newProcesses(t, p)
	var all []conformance.Check
	for _, c := range checks {
		all = append(all, conformance.Check{Name: c.name, Proves: c.proves, Run: func(t conformance.TB) { c.on(t, target) }})
	}
	for _, c := range processChecks {
		if p.Remote && c.local {
			continue
		}
		all = append(all, conformance.Check{Name: c.name, Proves: c.proves, Run: func(t conformance.TB) { c.run(t, target) }})
	}
	return append(all, conformance.ProcessChecks(target.command)...)
}

// check is one promise of package runpack.
type check struct {
	name   string
	proves string
	run    func(*bench)
}

// processCheck is a promise that only a process can keep or break.
type processCheck struct {
	name   string
	proves string
	// local checks look at the files of this machine.
	local bool
	run   func(T, *processes)
}

// target opens sinks that a check may kill.
type target interface {
	// open starts a sink on the data in dir. Two may be open on the same data.
	open(t T, dir string) opened
}

// opened is a running sink.
type opened struct {
	sink runpack.Sink
	// conn leads to the same sink around the Go client, for messages that the client would never send.
	conn grpc.ClientConnInterface
	// kill ends the sink as SIGKILL does: nothing of it runs any more when kill returns.
	kill func()
}

// bench is what a check works with.
type bench struct {
	T
	opened
	target target
	ctx    context.Context
	// dir holds the plugin's data; outer holds dir and canary, and nothing else may ever appear there.
	outer, dir string
}

const canary = "canary"

// on runs the check on data of its own.
func (c check) on(t T, target target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	t.Cleanup(cancel)
	b := &bench{T: t, target: target, ctx: ctx, outer: t.TempDir()}
	b.dir = filepath.Join(b.outer, "data")
	if err := os.Mkdir(b.dir, 0o700); err != nil {
		t.Fatalf("%v", err)
	}
	if err := os.WriteFile(filepath.Join(b.outer, canary), []byte(canary), 0o600); err != nil {
		t.Fatalf("%v", err)
	}
	b.opened = target.open(t, b.dir)
	c.run(b)
	b.wantNothingOutside()
}

// reopen kills the sink and opens another on its data.
func (b *bench) reopen() {
	b.Helper()
	b.kill()
	b.opened = b.target.open(b.T, b.dir)
}

// wantNothingOutside fails when the sink wrote beside its directory, as path syntax in an id or a path makes it do.
func (b *bench) wantNothingOutside() {
	b.Helper()
	err := filepath.WalkDir(b.outer, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == b.dir:
			return fs.SkipDir
		case path != b.outer && path != filepath.Join(b.outer, canary):
			b.Errorf("the sink made %s outside of its directory", path)
		}
		return nil
	})
	if err != nil {
		b.Errorf("%v", err)
	}
	if got, err := os.ReadFile(filepath.Join(b.outer, canary)); err != nil || string(got) != canary {
		b.Errorf("the sink changed a file outside of its directory: %q, %v", got, err)
	}
}
