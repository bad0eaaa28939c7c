// Package authtest is the conformance kit of auth plugins. One call in a plugin's own tests runs it:
//
//	func TestConformance(t *testing.T) {
//		authtest.Test(t, authtest.Plugin{Package: ".", Fixture: fixture})
//	}
//
// The kit launches the plugin as the host does, over gRPC with mutual TLS, and asserts what package auth says an authenticator
// MUST do. The tokens, good ones and those of attacks, are the test's to make: only it knows how its issuer signs. The kit
// cannot know of attacks that it is given no token for, and it does not measure speed.
package authtest

import (
	"bytes"
	"context"
	"log/slog"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/conformance"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

const (
	// checkTimeout bounds every check, so that a hung plugin fails one instead of the whole run.
	checkTimeout = time.Minute
	// answerTimeout is what a host gives one answer.
	answerTimeout = 5 * time.Second
	// killTimeout is the time that a plugin has to end, before its log is read.
	killTimeout = 5 * time.Second
)

// Plugin is a plugin under test.
type Plugin struct {
	// Package is the folder of a Go main package, which the kit builds.
	Package string
	// Command starts a plugin of any language, instead of Package.
	Command []string
	// Fixture makes the tokens for a plugin that may keep files in dir, an empty directory, and the plugin's configuration.
	Fixture func(t T, dir string) Fixture
	// Lacks are attacks that credentials of this kind do not know, each with the reason. Every other needs a token.
	Lacks map[Attack]string
}

// Fixture is what one process of a plugin is tested with.
type Fixture struct {
	// Config is the configuration.
	Config any
	// Good are tokens that let somebody in: at least two, of different subjects, and one with a role.
	Good []Good
	// Bad has a token for each attack.
	Bad map[Attack]string
}

// Good is a token that lets somebody in.
type Good struct {
	Token string
	// Want is whose it is, with the roles in any order. Expires is the latest expiry that may be answered.
	Want auth.Principal
}

// Attack names a token that must let nobody in.
type Attack string

// The attacks.
const (
	// Expired: use a token that was stolen long ago.
	Expired Attack = "a token that has expired"
	// NotYetValid: use a token before its time.
	NotYetValid Attack = "a token that is not valid yet"
	// NoExpiry: use a token for ever.
	NoExpiry Attack = "a token that never expires"
	// OtherAudience: use a token that another service was given.
	OtherAudience Attack = "a token for another audience"
	// NoAudience: use a token that was given for no service.
	NoAudience Attack = "a token for no audience"
	// OtherIssuer: use a token of an issuer that nobody trusts here, signed with the right key.
	OtherIssuer Attack = "a token of another issuer"
	// OtherKey: sign a token with a key of one's own.
	OtherKey Attack = "a token that another key has signed"
	// SameKeyID: the same, under the id of the right key.
	SameKeyID Attack = "a token that another key has signed under the id of the right one"
	// Unsigned: say that a token needs no signature.
	Unsigned Attack = "a token that says that it is not signed"
	// PublicKeyAsSecret: sign with the public key, which everybody knows, as if it were a shared secret.
	PublicKeyAsSecret Attack = "a token signed with the public key as a shared secret"
	// OwnKey: send the key along that the token is to be checked with.
	OwnKey Attack = "a token that brings its own key"
	// Tampered: alter what a good token says.
	Tampered Attack = "a token whose claims were altered"
	// NoSubject: be nobody.
	NoSubject Attack = "a token without subject"
)

// Attacks are all of them.
var Attacks = []Attack{
	Expired, NotYetValid, NoExpiry, OtherAudience, NoAudience, OtherIssuer, OtherKey, SameKeyID, Unsigned, PublicKeyAsSecret, OwnKey, Tampered, NoSubject,
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
	var all []conformance.Check
	for _, c := range checks {
		all = append(all, conformance.Check{Name: c.name, Proves: c.proves, Run: func(t conformance.TB) { c.on(t, target) }})
	}
	return append(all, conformance.ProcessChecks(target.command)...)
}

// check is one promise of package auth.
type check struct {
	name   string
	proves string
	run    func(*bench)
}

// target opens authenticators.
type target interface {
	open(t T) opened
	// lacks is Plugin.Lacks.
	lacks() map[Attack]string
}

// opened is a running authenticator with its tokens.
type opened struct {
	authenticator auth.Authenticator
	// conn leads to the same authenticator around the Go client, for messages that the client would never send.
	conn    grpc.ClientConnInterface
	fixture Fixture
	// end ends the authenticator and returns everything that it has logged.
	end func() string
}

// bench is what a check works with.
type bench struct {
	T
	opened
	target target
	ctx    context.Context
}

// on runs the check on an authenticator of its own.
func (c check) on(t T, target target) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	t.Cleanup(cancel)
	b := &bench{T: t, opened: target.open(t), target: target, ctx: ctx}
	b.checkFixture()
	c.run(b)
}

// checkFixture refuses tokens that would prove nothing.
func (b *bench) checkFixture() {
	b.Helper()
	subjects, roles := map[string]bool{}, 0
	for _, g := range b.fixture.Good {
		subjects[g.Want.Subject] = true
		roles += len(g.Want.Roles)
	}
	if len(subjects) < 2 || roles == 0 {
		b.Fatalf("authtest.Fixture needs good tokens of two subjects, and one with a role")
	}
	for _, attack := range Attacks {
		_, there := b.fixture.Bad[attack]
		if why := b.target.lacks()[attack]; there == (why != "") {
			b.Fatalf("authtest.Fixture needs %s, or a reason in Plugin.Lacks, and not both", attack)
		}
	}
}

// processes opens authenticators by launching the plugin.
type processes struct {
	command []string
	plugin  Plugin
}

func newProcesses(t T, p Plugin) *processes {
	t.Helper()
	if p.Fixture == nil || (p.Package == "") == (len(p.Command) == 0) {
		t.Fatalf("authtest.Plugin needs Fixture and one of Package and Command")
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
	return &processes{command: append([]string{path}, command[1:]...), plugin: p}
}

func (p *processes) open(t T) opened {
	t.Helper()
	fixture, log := p.plugin.Fixture(t, t.TempDir()), &lines{}
	process := launchtest.Start(t, launch.Spec{
		Name: filepath.Base(p.command[0]), Path: p.command[0], Args: p.command[1:], Logger: log.logger(),
	}, fixture.Config)
	return opened{auth.NewClient(process.Conn()), process.Conn(), fixture, func() string {
		process.Kill(killTimeout)
		<-process.Exited() // and its last lines are read
		return log.text()
	}}
}

func (p *processes) lacks() map[Attack]string { return p.plugin.Lacks }

// lines keeps a log.
type lines struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *lines) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}
