package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-isatty"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// screen writes lines for people. Scenarios and runpacks are written by others: no text of theirs can move the cursor,
// change colours or turn the direction of writing, because every line is made printable before it is shown.
type screen struct {
	w      io.Writer
	colour bool
	err    error
}

// style is an SGR parameter.
type style string

const (
	bold   style = "1"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

func newScreen(w io.Writer) *screen {
	// https://no-color.org: any value that is not empty.
	return &screen{w: w, colour: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// line writes one line.
func (s *screen) line(format string, args ...any) { s.marked("", "", format, args...) }

// marked writes one line that begins with a label in a style.
func (s *screen) marked(with style, label, format string, args ...any) {
	if s.err != nil {
		return
	}
	if s.colour && with != "" && label != "" {
		label = "\x1b[" + string(with) + "m" + label + "\x1b[0m"
	}
	_, s.err = io.WriteString(s.w, label+printable(fmt.Sprintf(format, args...))+"\n")
}

// printable replaces what does not show: control and format characters, also those that are no valid text.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(text, string(utf8.RuneError)))
}

// clip shortens a text to a number of bytes.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// plural is a number with its noun.
func plural[N int | int64 | uint64](n N, noun string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// writeJSON writes a value that has encoding/json's tags, as one line.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// writeMembers writes a value that has the contract's tags, as one line.
func writeMembers(w io.Writer, v any) error {
	_, err := w.Write(append(canonical.Append(nil, v, canonical.Declared), '\n'))
	return err
}
