package launch

import (
	"log/slog"
	"time"
)

// A plugin that logs in a loop would fill the operator's disk and bury every other line. This much of it is forwarded in
// each second, which is above what a plugin says that logs every call, and below what hurts.
const (
	budgetLines = 200
	budgetBytes = 256 << 10
	budgetTime  = time.Second
)

// budget counts what was forwarded since it began anew.
type budget struct {
	began        time.Time
	lines, bytes int
	// dropped counts the lines that were not forwarded and not told yet.
	dropped int
}

// take says whether a line may be forwarded now, and how many lines were dropped that nobody was told of. The first line
// that is dropped is told at once: after a burst there may be no other line for days.
func (b *budget) take(now time.Time, size int) (forward bool, told int) {
	if now.Sub(b.began) >= budgetTime {
		told = b.dropped
		*b = budget{began: now}
	}
	if b.lines < budgetLines && b.bytes+size <= budgetBytes {
		b.lines++
		b.bytes += size
		return true, told
	}
	if b.lines <= budgetLines {
		b.lines = budgetLines + 1 // from here on nothing fits
		return false, told + 1
	}
	b.dropped++
	return false, told
}

// tellDropped writes how many lines were dropped.
func (l *logs) tellDropped(n int) {
	if n > 0 {
		l.logger.Warn("plugin logs too much: lines were dropped", slog.Int("dropped", n),
			slog.Int("lines_per_second", budgetLines), slog.Int("bytes_per_second", budgetBytes))
	}
}
