package main

import (
	"fmt"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// progress is a line on the terminal that says how far a command is.
type progress struct {
	out   streams
	shown time.Time
	ever  bool
}

// progressInterval is the time between two changes of the line: fast enough to see that it moves.
const progressInterval = 200 * time.Millisecond

// newProgress is nil when nobody is looking.
func newProgress(std streams) *progress {
	if !isTerminal(std.err) {
		return nil
	}
	return &progress{out: std, shown: time.Now()}
}

// show changes the line, unless it has just been changed.
func (p *progress) show(text func() string) {
	if time.Since(p.shown) < progressInterval {
		return
	}
	p.shown, p.ever = time.Now(), true
	fmt.Fprint(p.out.err, "\r\x1b[K"+printable(text()))
}

// bundle shows how far the reading of a runpack is.
func (p *progress) bundle(at runpack.Progress) {
	p.show(func() string { return fmt.Sprintf("%d MiB, %s", at.Bytes>>20, plural(at.Decisions, "decision")) })
}

// end takes the line away.
func (p *progress) end() {
	if p != nil && p.ever {
		fmt.Fprint(p.out.err, "\r\x1b[K")
	}
}
