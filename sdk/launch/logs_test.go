package launch

import (
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
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
}
