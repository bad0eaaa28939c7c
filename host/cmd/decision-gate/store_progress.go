package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/upkeep"
)

// tellInterval is the time between two lines of progress in a log.
const tellInterval = 10 * time.Second

// storeProgress says on the error stream how far the work on a store is: a line that changes on a terminal, else a line every
// now and then.
type storeProgress struct {
	std    streams
	line   *progress
	told   time.Time
	began  time.Time
	doing  string
	offset upkeep.Progress
}

func newStoreProgress(std streams) *storeProgress {
	return &storeProgress{std: std, line: newProgress(std), told: time.Now()}
}

func (p *storeProgress) show(at upkeep.Progress) {
	if at.Doing != p.doing { // rates are of what is done now
		p.doing, p.began, p.offset = at.Doing, time.Now(), at
	}
	if p.line != nil {
		p.line.show(func() string { return p.text(at) })
		return
	}
	if time.Since(p.told) >= tellInterval {
		p.told = time.Now()
		fmt.Fprintln(p.std.err, p.text(at))
	}
}

func (p *storeProgress) end() { p.line.end() }

func (p *storeProgress) text(at upkeep.Progress) string {
	parts := []string{at.Doing}
	if at.End > 0 {
		parts = append(parts, fmt.Sprintf("%d %%", 100*min(at.Position, at.End)/at.End))
	}
	parts = append(parts, plural(at.Records, "record"), byteSize(at.Bytes))
	if passed := time.Since(p.began).Seconds(); passed > 0 && at.Records > p.offset.Records {
		parts = append(parts, fmt.Sprintf("%.0f records/s", float64(at.Records-p.offset.Records)/passed), byteSize(uint64(float64(at.Bytes-p.offset.Bytes)/passed))+"/s")
	}
	return strings.Join(parts, "  ")
}

// byteSize is a number of bytes for people.
func byteSize(n uint64) string {
	const step = 1024
	if n < step {
		return plural(n, "byte")
	}
	value, unit := float64(n)/step, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if value < step {
			break
		}
		value, unit = value/step, next
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
