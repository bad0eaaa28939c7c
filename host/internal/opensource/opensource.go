// Package opensource reads the configuration of the open-source Decision Gate, TOML or the same as JSON, and writes a host's
// configuration that means the same.
//
// It refuses to guess and to weaken: a key that it does not know and a value that the open-source server refuses are
// errors; what the host has nothing for is named, with its line and what to do, and never dropped in silence. No value of
// the file appears in what it says about the file, because some of them are secret. It writes no file and makes no folder.
package opensource

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// Options say where things are. The folders are absolute.
type Options struct {
	// Name is the name of the file, for its kind (.toml, .json) and for messages.
	Name string
	// WorkDir is the folder in which the open-source server was started: relative paths of the file begin there.
	WorkDir string
	// OutDir is the folder in which the new configuration will be: its relative paths begin there.
	OutDir string
	// Modified is when the file was last written: dev.permissive_ttl_days counts from then.
	Modified time.Time
	// DataDir is the folder for the database, and for runpacks where the file has an object store. The import does not make it.
	DataDir string
}

// Finding is what is to say about one option of the file.
type Finding struct {
	// Path is the option: "server.auth.mode", "providers[0].url".
	Path string `json:"path"`
	// Line is where it stands, from 1.
	Line   int    `json:"line"`
	Reason string `json:"reason"`
}

// Result is what became of a file.
type Result struct {
	// Text is the new configuration.
	Text []byte
	// Carried are the options of the file that the new configuration has.
	Carried []string
	// NotCarried are those that the host has nothing for, or not as much.
	NotCarried []Finding
	// Notes are what works differently from now on although nothing in the file was lost, and options that had no effect.
	Notes []Finding
}

// Error is a file that is wrong by the rules of the open-source server, or that has keys nobody knows.
type Error struct{ Findings []Finding }

func (e *Error) Error() string {
	return fmt.Sprintf("the configuration has %d mistakes, the first in line %d: %s: %s", len(e.Findings), e.Findings[0].Line, e.Findings[0].Path, e.Findings[0].Reason)
}

// Import translates a file. The error is an *Error when the text is at fault. The result is complete even when there are
// options that are not carried over: whether to use it then is the caller's to decide.
func Import(src []byte, o Options) (*Result, error) {
	doc, err := read(o.Name, src)
	var wrong *syntaxError
	if errors.As(err, &wrong) {
		return nil, &Error{[]Finding{{Line: wrong.line, Reason: wrong.message}}}
	}
	if err != nil {
		return nil, err
	}
	s := &source{document: doc, values: map[string]any{}, options: o}
	s.check()
	if len(s.wrong) > 0 {
		return nil, &Error{inOrder(s.wrong)}
	}
	t := &translation{source: s, cfg: config.Default()}
	t.translate()
	if len(s.wrong) > 0 {
		return nil, &Error{inOrder(s.wrong)}
	}
	isLost := func(at string) bool { return slices.ContainsFunc(t.lost, func(f Finding) bool { return f.Path == at }) }
	result := &Result{Carried: slices.DeleteFunc(t.carried, isLost), NotCarried: inOrder(t.lost), Notes: inOrder(t.notes)}
	slices.Sort(result.Carried)
	result.Carried = slices.Compact(result.Carried)
	result.Text = t.format(result)
	// What is written must start: a value that only the host refuses, and that the import did not foresee, is found here.
	if _, err := config.Parse(result.Text, "the imported configuration"); err != nil {
		return nil, fmt.Errorf("the configuration that came of it is refused by the host, so nothing is written; change the option it names: %w", err)
	}
	return result, nil
}

func inOrder(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Path, b.Path))
	})
	return slices.Compact(findings)
}
