package catalog

import (
	"context"
	"time"
)

// budget counts quick restarts.
type budget struct {
	times []time.Time
}

// next is the pause before the next start, and whether it is a quick one.
func (b *budget) next(now time.Time, pace *pace) (pause time.Duration, quick bool) {
	for len(b.times) > 0 && now.Sub(b.times[0]) > pace.restartWindow {
		b.times = b.times[1:]
	}
	if len(b.times) >= pace.maxRestarts {
		return jitter(pace.slowRestart), false
	}
	pause = min(pace.restart<<len(b.times), max(pace.restart, pace.slowRestart))
	b.times = append(b.times, now)
	return jitter(pause), true
}

// sleep pauses, and says whether the context is still alive.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
