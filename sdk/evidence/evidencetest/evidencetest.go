// Package evidencetest is the conformance kit of evidence plugins. One line in a plugin's own tests runs it:
//
//	func TestConformance(t *testing.T) {
//		evidencetest.Test(t, evidencetest.Plugin{Package: ".", Config: func(dir string) any {
//			return map[string]any{"path": dir}
//		}})
//	}
//
// The kit launches the plugin as the host does, over gRPC with mutual TLS, and asserts what package evidence says a provider
// MUST do. What to ask it takes from the examples of the contract, so each check needs at least one. It cannot know whether
// an answer is true, it compiles no schema (a host does when it starts), and it does not measure speed.
package evidencetest

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/conformance"
	"github.com/decision-gate-host/decision-gate-host/sdk/evidence"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

const (
	// checkTimeout bounds every check, so that a hung plugin fails one instead of the whole run.
	checkTimeout = time.Minute
	// queryTimeout is what a host gives one question (its default for evidence plugins is as long).
	queryTimeout = 5 * time.Second
)

// Plugin is a plugin under test.
type Plugin struct {
	// Package is the folder of a Go main package, which the kit builds.
	Package string
	// Command starts a plugin of any language, instead of Package.
	Command []string
	// Config is the configuration for a plugin that may keep files in dir, an empty directory. It should make the examples
	// of the contract true.
	Config func(dir string) any
	// Time is that of the trigger with which the examples of time_dependent checks are true.
	Time evidence.Time
}

// T is the part of *testing.T that checks use. The kit's own tests put a recorder in its place.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Test runs every check against a plugin, each in a process of its own.
func Test(t *testing.T, p Plugin) {
	t.Helper()
	conformance.Test(t, Checks(t, p))
}

// Checks are the checks of a plugin, for whoever runs them without "go test". T outlives them.
func Checks(t T, p Plugin) []conformance.Check {
	t.Helper()
	target := newProcesses(t, p)
	all := make([]conformance.Check, 0, len(checks))
	for _, c := range checks {
		all = append(all, conformance.Check{Name: c.name, Proves: c.proves, Run: func(t conformance.TB) { c.on(t, target) }})
	}
	return append(all, conformance.ProcessChecks(target.command)...)
}

// check is one promise of package evidence.
type check struct {
	name   string
	proves string
	run    func(*bench)
}

// target opens providers.
type target interface {
	open(t T) opened
	// time is Plugin.Time.
	time() evidence.Time
}

// opened is a running provider.
type opened struct {
	provider evidence.Provider
	// conn leads to the same provider around the Go client, for messages that the client would never send.
	conn grpc.ClientConnInterface
}

// bench is what a check works with.
type bench struct {
	T
	opened
	target   target
	ctx      context.Context
	contract *contract
}

// on runs the check on a provider of its own.
func (c check) on(t T, target target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	t.Cleanup(cancel)
	b := &bench{T: t, opened: target.open(t), target: target, ctx: ctx}
	raw, err := b.provider.Contract(ctx)
	if err != nil {
		t.Fatalf("Contract: %v", err)
	}
	if b.contract, err = decodeContract(raw); err != nil {
		t.Fatalf("the contract: %v", err)
	}
	c.run(b)
}

// processes opens providers by launching the plugin.
type processes struct {
	command []string
	config  func(dir string) any
	at      evidence.Time
}

func newProcesses(t T, p Plugin) *processes {
	t.Helper()
	if p.Config == nil || (p.Package == "") == (len(p.Command) == 0) {
		t.Fatalf("evidencetest.Plugin needs Config and one of Package and Command")
	}
	command := p.Command
	if p.Package != "" {
		command = []string{launchtest.Build(t, p.Package)}
	}
	path, err := exec.LookPath(command[0])
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &processes{command: append([]string{path}, command[1:]...), config: p.Config, at: p.Time}
}

func (p *processes) open(t T) opened {
	t.Helper()
	process := launchtest.Start(t, launch.Spec{Name: filepath.Base(p.command[0]), Path: p.command[0], Args: p.command[1:]}, p.config(t.TempDir()))
	return opened{evidence.NewClient(process.Conn()), process.Conn()}
}

func (p *processes) time() evidence.Time { return p.at }
