package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// A plugin must not be able to fill the host's memory or flood a log with one line.
const (
	// maxLine is the length in bytes at which a line is cut off.
	maxLine = 64 << 10
	// keptLines and keptLine are the number of lines that are kept for a post-mortem, and the bytes of each.
	keptLines = 50
	keptLine  = 1 << 10
	// toldLines is the number of lines that an error shows.
	toldLines = 8
	// maxLogAttrs is the number of attributes of a line that are forwarded.
	maxLogAttrs = 32
)

// lineWriter cuts a stream into lines; of a line that is too long it keeps the beginning.
type lineWriter struct {
	line    func(string)
	pending []byte
}

func (w *lineWriter) Write(data []byte) (int, error) {
	total := len(data)
	for len(data) > 0 {
		part, rest, ended := bytes.Cut(data, []byte{'\n'})
		w.pending = append(w.pending, part[:min(len(part), maxLine-len(w.pending))]...)
		if ended {
			w.line(string(w.pending))
			w.pending = w.pending[:0]
		}
		data = rest
	}
	return total, nil
}

// Flush hands over a last line without an end.
func (w *lineWriter) Flush() {
	if len(w.pending) > 0 {
		w.line(string(w.pending))
		w.pending = nil
	}
}

// logs forwards a plugin's lines and keeps the last ones.
type logs struct {
	logger *slog.Logger

	mu      sync.Mutex
	kept    []string
	crashed bool // a crash was seen: all that follows is its trace
	// forwarding is false until the handshake: until then the lines are kept, for the error or for forward.
	forwarding bool
	budget     budget
}

func (l *logs) add(line string) {
	level, message, attrs := parseLine(line)
	l.mu.Lock()
	if len(l.kept) == keptLines {
		// The first lines of a crash say what happened, the last ones only where: keep the beginning.
		at := 0
		if crashLine(l.kept[0]) {
			at = keptLines - 1
		}
		l.kept = slices.Delete(l.kept, at, at+1)
	}
	l.kept = append(l.kept, line[:min(len(line), keptLine)])
	if attrs == nil && crashLine(line) {
		l.crashed = true
	}
	if l.crashed && attrs == nil {
		level = slog.LevelError
	}
	forward, dropped := false, 0
	if l.forwarding && l.logger.Enabled(context.Background(), level) {
		forward, dropped = l.budget.take(time.Now(), len(line))
	}
	l.mu.Unlock()
	l.tellDropped(dropped)
	if forward {
		l.logger.LogAttrs(context.Background(), level, message, attrs...)
	}
}

// forward begins to forward lines, with those that were kept so far.
func (l *logs) forward() {
	l.mu.Lock()
	l.forwarding = true
	before := slices.Clone(l.kept)
	l.mu.Unlock()
	for _, line := range before {
		level, message, attrs := parseLine(line)
		l.logger.LogAttrs(context.Background(), level, message, attrs...)
	}
}

// end tells of the lines that were dropped last.
func (l *logs) end() {
	l.mu.Lock()
	dropped := l.budget.dropped
	l.budget.dropped = 0
	l.mu.Unlock()
	l.tellDropped(dropped)
}

// levels are those of hclog; trace is finer than any that slog names.
var levels = map[string]slog.Level{
	"trace": slog.LevelDebug - 4, "debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// parseLine reads hclog's JSON; any other line is a message by itself, and its attributes are nil.
func parseLine(line string) (slog.Level, string, []slog.Attr) {
	var members map[string]any
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &members) != nil {
		return slog.LevelInfo, line, nil
	}
	message, isText := members["@message"].(string)
	if !isText {
		return slog.LevelInfo, line, nil
	}
	name, _ := members["@level"].(string)
	level, known := levels[name]
	if !known {
		level = slog.LevelInfo
	}
	attrs := []slog.Attr{}
	for _, key := range slices.Sorted(maps.Keys(members)) {
		switch key {
		case "@message", "@level", "@timestamp":
			continue
		}
		if len(attrs) == maxLogAttrs {
			break
		}
		attrs = append(attrs, slog.Any(key, members[key]))
	}
	return level, message, attrs
}

func (l *logs) last() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.kept)
}

// telling are the lines that say most about an end: from the crash on, or the last ones.
func (l *logs) telling() string {
	lines := l.last()
	at := slices.IndexFunc(lines, crashLine)
	if at < 0 && len(lines) > 0 && strings.HasPrefix(lines[len(lines)-1], nodeEnd) {
		at = slices.IndexFunc(lines, nodeError)
	}
	if at >= 0 {
		lines = lines[at:min(at+toldLines, len(lines))]
	} else {
		lines = lines[max(0, len(lines)-toldLines):]
	}
	quoted := make([]string, len(lines))
	for i, line := range lines {
		quoted[i] = quote(line)
	}
	return strings.Join(quoted, ", ")
}
