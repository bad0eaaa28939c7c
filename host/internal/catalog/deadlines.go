package catalog

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// Deadlines of the calls to a plugin. Those of a kind's calls cover waiting for a restart and trying again.
const (
	// getDeadline is below the time that a person waits, and above a restart.
	getDeadline = 5 * time.Second
	// commitDeadline leaves room for a restart in the middle: giving up a commit leaves its outcome unknown.
	commitDeadline = 10 * time.Second
	// pageDeadline is the longest silence of a stream: a scan's next page, a file's next chunk.
	pageDeadline = 10 * time.Second
	// authDeadline is for judging a token, which may take fetching the keys that it was signed with.
	authDeadline = 5 * time.Second
	// bundleDeadline is for calls that move or sync a whole bundle.
	bundleDeadline = time.Minute
	// manifestDeadline is for a call that reads nothing.
	manifestDeadline = 5 * time.Second
	// configureDeadline is for opening a database, with migrations.
	configureDeadline = 10 * time.Second
	// healthDeadline is twice what the protocol gives a plugin to answer.
	healthDeadline = 2 * time.Second
	// drainDeadline is for the calls in flight when the host stops.
	drainDeadline = 10 * time.Second
	// retireDeadline is for the calls that a process has when another takes its place: exports may take minutes.
	retireDeadline = 10 * time.Minute
	// shutdownDeadline is for closing the backend; then the process is killed.
	shutdownDeadline = 5 * time.Second
)

const (
	// maxMissedHealth is the number of health checks in a row that a plugin may leave unanswered. One alone may be a busy
	// machine, and killing a plugin for it makes the machine busier.
	maxMissedHealth = 2
	// maxRestarts in restartWindow are made quickly; then the plugin is degraded and tried at slowRestart.
	maxRestarts   = 5
	restartWindow = time.Minute
)

// pace is how long a plugin is waited for, and how fast things are tried again.
type pace struct {
	// restart is the pause before the first restart; it doubles with each of maxRestarts in restartWindow.
	restart       time.Duration
	maxRestarts   int
	restartWindow time.Duration
	// slowRestart is the pause once the budget is spent.
	slowRestart time.Duration
	// retry and maxRetry are the first and longest pause between two tries of a call.
	retry, maxRetry time.Duration
	// hold is how long a call's DENIED or FULL keeps a plugin degraded, unless it happens again.
	hold time.Duration
	// Deadlines of calls, as the constants above have them.
	configure, health, get, commit, silence, bundle, query, auth, drain, shutdown time.Duration
}

var defaultPace = pace{
	restart: 100 * time.Millisecond, maxRestarts: maxRestarts, restartWindow: restartWindow, slowRestart: 15 * time.Second,
	retry: 20 * time.Millisecond, maxRetry: 500 * time.Millisecond, hold: 10 * time.Second,
	configure: configureDeadline, health: healthDeadline, get: getDeadline, commit: commitDeadline, silence: pageDeadline,
	bundle: bundleDeadline, query: maxQuery, auth: authDeadline, drain: drainDeadline, shutdown: shutdownDeadline,
}

// of is the pace of one plugin: what its block says, and this one for the rest.
func (p pace) of(plugin *config.Plugin) *pace {
	if d := plugin.Deadlines; d != nil {
		for _, f := range []struct {
			at   *time.Duration
			said time.Duration
		}{
			{&p.configure, d.Configure}, {&p.health, d.Health}, {&p.get, d.Read}, {&p.commit, d.Write}, {&p.silence, d.Silence},
			{&p.bundle, d.Bundle}, {&p.query, d.Query}, {&p.auth, d.Authenticate}, {&p.drain, d.Drain}, {&p.shutdown, d.Shutdown},
		} {
			*f.at = cmp.Or(f.said, *f.at)
		}
	}
	if r := plugin.Restart; r != nil {
		p.restart, p.slowRestart = cmp.Or(r.Pause, p.restart), cmp.Or(r.Slow, p.slowRestart)
		p.maxRestarts, p.restartWindow = cmp.Or(int(r.Budget), p.maxRestarts), cmp.Or(r.Window, p.restartWindow)
	}
	return &p
}

// jitter spreads a pause over half to one and a half of itself, so that many waiters do not come at once.
func jitter(pause time.Duration) time.Duration {
	return pause/2 + rand.N(pause+1)
}
