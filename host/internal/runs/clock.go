package runs

import (
	"fmt"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// ClockSkewError refuses a time of a caller's that is too far from the host's. Whoever may date a trigger back or forth could
// open a gate that waits for a time, and have the record say that it was then.
type ClockSkewError struct {
	// Member is what holds the time.
	Member string
	Max    time.Duration
}

func (e *ClockSkewError) Error() string {
	return fmt.Sprintf("%s is more than %s from the host's clock: send the time of now", e.Member, e.Max)
}

// checkClock refuses a time in milliseconds that is further from the host's clock than the settings allow. A logical time is
// no time of day, and passes.
func (r *Runs) checkClock(member string, at gate.Timestamp) error {
	if r.MaxClockSkew <= 0 || at.Kind != gate.UnixMillis {
		return nil
	}
	now, most := r.now().UnixMilli(), r.MaxClockSkew.Milliseconds()
	if at.Millis < now-most || at.Millis > now+most {
		return &ClockSkewError{member, r.MaxClockSkew}
	}
	return nil
}
