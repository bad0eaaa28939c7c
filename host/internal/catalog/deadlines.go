package catalog

import (
	"math/rand/v2"
	"time"
)

// Deadlines of the calls to a plugin. Those of a kind's calls cover waiting for a restart and trying again.
const (
	// getDeadline is below the time that a person waits, and above a restart.
	getDeadline = 5 * time.Second
	// commitDeadline leaves room for a restart in the middle: giving up a commit leaves its outcome unknown.
	commitDeadline = 10 * time.Second
	// pageDeadline is the longest silence of a stream: a scan's next page, a file's next chunk.
	pageDeadline = 10 * time.Second
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

// pace is how fast things are tried again. Tests have a faster one.
type pace struct {
	// restart is the pause before the first restart; it doubles with each in the window.
	restart time.Duration
	// slowRestart is the pause once the budget is spent.
	slowRestart time.Duration
	// retry and maxRetry are the first and longest pause between two tries of a call.
	retry, maxRetry time.Duration
	// hold is how long a call's DENIED or FULL keeps a plugin degraded, unless it happens again.
	hold time.Duration
	// health and shutdown are the deadlines of those calls.
	health, shutdown time.Duration
}

var defaultPace = pace{
	restart: 100 * time.Millisecond, slowRestart: 15 * time.Second,
	retry: 20 * time.Millisecond, maxRetry: 500 * time.Millisecond,
	hold: 10 * time.Second, health: healthDeadline, shutdown: shutdownDeadline,
}

// jitter spreads a pause over half to one and a half of itself, so that many waiters do not come at once.
func jitter(pause time.Duration) time.Duration {
	return pause/2 + rand.N(pause+1)
}
