package upkeep

import (
	"context"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

const (
	// outage is how long a store may be away before the work is given up: a restart or a failover fits in. What was done is
	// kept, and the same command goes on from there.
	outage = time.Minute
	// firstPause and longestPause are those between two tries.
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// patient makes a call again on errors that pass, until it has not succeeded for the time of an outage. The call says with
// moved that it got on.
func patient(ctx context.Context, call func(moved func()) error) error {
	deadline, pause := time.Now().Add(outage), firstPause
	moved := func() { deadline, pause = time.Now().Add(outage), firstPause }
	for {
		err := call(moved)
		if reason := fault.ReasonOf(err); reason != fault.Unavailable && reason != fault.Deadline || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}
