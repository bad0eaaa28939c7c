package launch

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLineWriter(t *testing.T) {
	var lines []string
	w := &lineWriter{line: func(line string) { lines = append(lines, line) }}
	for _, part := range []string{"a", "b\n\nc\nlo", strings.Repeat("n", 2*maxLine), "g\nlast"} {
		if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write = %d, %v", n, err)
		}
		if len(w.pending) > maxLine {
			t.Fatalf("%d bytes pending", len(w.pending))
		}
	}
	w.Flush()
	w.Flush()
	want := []string{"ab", "", "c", "lo" + strings.Repeat("n", maxLine-2), "last"}
	if !slices.Equal(lines, want) {
		t.Errorf("%d lines, want %d", len(lines), len(want))
	}
}

func TestParseLine(t *testing.T) {
	for line, want := range map[string]struct {
		level   slog.Level
		message string
		attrs   string
	}{
		`plain text`: {slog.LevelInfo, "plain text", ""},
		`{"@level":"warn","@message":"low","@timestamp":"now","b":1,"a":"x"}`: {slog.LevelWarn, "low", "[a=x b=1]"},
		`{"@level":"fatal","@message":"m"}`:                                   {slog.LevelInfo, "m", "[]"},
		`{"@level":"trace","@message":"m"}`:                                   {slog.LevelDebug - 4, "m", "[]"},
		`{"@level":7,"@message":"m"}`:                                         {slog.LevelInfo, "m", "[]"},
		`{"@message":7}`:                                                      {slog.LevelInfo, `{"@message":7}`, ""},
		`{"@message"`:                                                         {slog.LevelInfo, `{"@message"`, ""},
	} {
		level, message, attrs := parseLine(line)
		got := ""
		if attrs != nil {
			parts := make([]string, len(attrs))
			for i, attr := range attrs {
				parts[i] = attr.String()
			}
			got = "[" + strings.Join(parts, " ") + "]"
		}
		if level != want.level || message != want.message || got != want.attrs {
			t.Errorf("%s: %v %q %s", line, level, message, got)
		}
	}
}

// TestBudget floods a log with many lines and with long ones, and expects what is dropped to be counted.
func TestBudget(t *testing.T) {
	for name, line := range map[string]string{"lines": "x", "bytes": strings.Repeat("x", 32<<10)} {
		var b budget
		forwarded, told, now := 0, 0, time.Now()
		const total = 10_000
		for i := range total {
			forward, dropped := b.take(now.Add(time.Duration(i)*time.Microsecond), len(line))
			told += dropped
			if forward {
				forwarded++
			}
		}
		if want := min(budgetLines, budgetBytes/len(line)); forwarded != want || told != 1 {
			t.Errorf("%s: %d forwarded, want %d; %d told at once", name, forwarded, want, told)
		}
		forward, dropped := b.take(now.Add(2*budgetTime), 1)
		if told += dropped; !forward || forwarded+told != total {
			t.Errorf("%s: after the flood: forwarded %v, %d of %d lines accounted for", name, forward, forwarded+told, total)
		}
	}
}

// TestNothingIsForwardedBeforeTheHandshake floods before it: a plugin that is restarted for ever would fill the log.
func TestNothingIsForwardedBeforeTheHandshake(t *testing.T) {
	var out strings.Builder
	l := &logs{logger: slog.New(slog.NewTextHandler(&out, nil))}
	for i := range 3 * keptLines {
		l.add("early " + strconv.Itoa(i))
	}
	if out.Len() > 0 {
		t.Errorf("forwarded: %.200s", out.String())
	}
	l.forward()
	if n := strings.Count(out.String(), "early"); n != keptLines {
		t.Errorf("%d of the last %d lines were forwarded", n, keptLines)
	}
	for range 3 * budgetLines {
		l.add("late")
	}
	l.end()
	if n := strings.Count(out.String(), "late"); n < budgetLines || n == 3*budgetLines || !strings.Contains(out.String(), "dropped=1 ") {
		t.Errorf("%d lines were forwarded:\n%.2000s", n, out.String())
	}
}

func TestLogsKeepTheTellingLines(t *testing.T) {
	l := &logs{logger: slog.New(slog.DiscardHandler)}
	for i := range 3 * keptLines {
		l.add("line " + strconv.Itoa(i))
	}
	if last := l.last(); len(last) != keptLines || last[keptLines-1] != "line 149" {
		t.Errorf("kept %d lines, the last is %q", len(last), last[len(last)-1])
	}
	l.add("panic: why")
	for i := range 3 * keptLines {
		l.add("trace " + strconv.Itoa(i) + strings.Repeat("x", 2*keptLine))
	}
	if telling := l.telling(); !strings.HasPrefix(telling, `"panic: why", "trace 0`) {
		t.Errorf("telling lines: %.100s", telling)
	}
	for _, line := range l.last() {
		if len(line) > keptLine {
			t.Errorf("kept %d bytes of a line", len(line))
		}
	}
	l = &logs{logger: slog.New(slog.DiscardHandler)}
	for _, line := range []string{"/plugin.cjs:7", "    throw new TypeError('no such team');", "    ^", "", "TypeError: no such team"} {
		l.add(line)
	}
	for range 9 {
		l.add("    at Module.load (node:internal/modules)")
	}
	l.add("Node.js v20.19.2")
	if telling := l.telling(); !strings.HasPrefix(telling, `"TypeError: no such team", "    at `) {
		t.Errorf("telling lines of Node.js: %.100s", telling)
	}
}
