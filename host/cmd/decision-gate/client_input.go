package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/lint"
)

// maxInput is the size in bytes of the largest document that is sent: a host reads 64 MiB at most, and 1 MiB by default.
const maxInput = lint.MaxSize

// readFile reads a file, or standard input when it is named "-" and there is one, up to a size.
func readFile(path string, std streams, limit int64) ([]byte, error) {
	in := std.in
	if path != "-" || in == nil {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s", path)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	content, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	case int64(len(content)) > limit:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return content, nil
}

// readJSON reads a JSON document. What is wrong has its line.
func readJSON(path string, std streams) (canonical.Value, []byte, error) {
	content, err := readFile(path, std, maxInput)
	if err != nil {
		return canonical.Value{}, nil, err
	}
	v, err := canonical.Parse(content)
	if err != nil {
		return canonical.Value{}, nil, atLine(path, err)
	}
	return v, content, nil
}

// atLine names the place in a file at which it stops being JSON.
func atLine(path string, err error) error {
	var syntax *canonical.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s:%d:%d: %s", path, syntax.Line, syntax.Column, printable(syntax.Message))
	}
	return fmt.Errorf("%s: %w", path, err)
}

// scenarioFile is a scenario that was read from a file.
type scenarioFile struct {
	path     string
	content  []byte
	scenario *gate.Scenario
}

// readScenario reads a scenario as a host would; mistakes are listed with their lines.
func readScenario(path string, std streams) (*scenarioFile, error) {
	content, err := readFile(path, std, maxInput)
	if err != nil {
		return nil, err
	}
	return parseScenario(path, content)
}

func parseScenario(path string, content []byte) (*scenarioFile, error) {
	f := &scenarioFile{path: path, content: content}
	v, err := canonical.Parse(content)
	if err != nil {
		return nil, atLine(path, err)
	}
	var spec gate.ScenarioSpec
	if err = canonical.Decode(v, &spec); err == nil {
		f.scenario, err = gate.Compile(spec)
	}
	if err != nil {
		return nil, f.explain(err)
	}
	return f, nil
}

// explain adds to an error what is wrong in the file, line by line, if that can be found.
func (f *scenarioFile) explain(err error) error {
	text := printable(err.Error())
	providers, failed := evidence.NewOffline()
	if failed != nil {
		return errors.Join(err, failed)
	}
	found := 0
	for _, finding := range lint.Check(f.content, providers).Findings {
		if finding.Severity != lint.Error {
			continue
		}
		if found++; found > maxList {
			break
		}
		text += fmt.Sprintf("\n  %s:%d:%d: %s\n    %s", f.path, finding.Line, finding.Column, printable(finding.Message), printable(finding.Fix))
	}
	if found == 0 {
		text = f.path + ": " + text
	}
	return errors.New(text)
}

// newID makes an id that nobody else has, with what it is for in front.
func newID(what string) string { return what + "-" + strings.ToLower(rand.Text()) }

// moment is the time that a call names, now unless it is given: the host has no clock of its own that decides.
type moment struct{ given *gate.Timestamp }

const (
	logicalPrefix = "logical:"
	// momentHelp is the help of a flag that holds a moment.
	momentHelp = "Time of the call: RFC 3339, milliseconds since 1970, or logical:N in a run on logical time (now)."
)

// UnmarshalText reads the three forms.
func (m *moment) UnmarshalText(text []byte) error {
	if tick, found := strings.CutPrefix(string(text), logicalPrefix); found {
		if n, err := strconv.ParseUint(tick, 10, 64); err == nil {
			m.given = &gate.Timestamp{Kind: gate.Logical, Tick: n}
			return nil
		}
	}
	if millis, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		m.given = &gate.Timestamp{Kind: gate.UnixMillis, Millis: millis}
		return nil
	}
	if t, err := time.Parse(time.RFC3339, string(text)); err == nil {
		m.given = &gate.Timestamp{Kind: gate.UnixMillis, Millis: t.UnixMilli()}
		return nil
	}
	return errors.New("not a time: write 2026-01-02T15:04:05Z, milliseconds since 1970, or logical:7")
}

func (m *moment) stamp() gate.Timestamp {
	if m.given != nil {
		return *m.given
	}
	return gate.Timestamp{Kind: gate.UnixMillis, Millis: time.Now().UnixMilli()}
}

// given is nil for a flag that was not.
func given[T ~string](text string) *T {
	if text == "" {
		return nil
	}
	value := T(text)
	return &value
}
