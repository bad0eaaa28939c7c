package runpacktest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// eventKind is what a system call did, as far as durability is concerned.
type eventKind string

const (
	wrote   eventKind = "wrote"   // bytes of the file at path
	entered eventKind = "entered" // a directory entry at path came to be
	moved   eventKind = "moved"   // the entry at from became path
	synced  eventKind = "synced"  // the file or directory at path
	syncAll eventKind = "syncAll" // everything
)

// event is a system call that succeeded.
type event struct {
	kind       eventKind
	path, from string
	start, end time.Time
}

// unsynced answers what of the entries beneath dir, made between begun and answered and still there, was not durable
// when the answer came. The directories above them count whenever they were made: an export that failed may have left one
// whose own entry is not durable, and with it everything in it.
func unsynced(events []event, dir string, begun, answered time.Time) []string {
	// A path is where an entry was at the time; what counts is where it is in the end.
	final := func(i int, path string) string {
		for _, later := range events[i+1:] {
			if later.kind == moved && (path == later.from || strings.HasPrefix(path, later.from+"/")) {
				path = later.path + strings.TrimPrefix(path, later.from)
			}
		}
		return path
	}
	during := func(e event) bool { return !e.end.Before(begun) && !e.start.After(answered) }
	above := map[string]bool{}
	for i, e := range events {
		if e.kind == synced || e.kind == syncAll || !during(e) {
			continue
		}
		for path := filepath.Dir(final(i, e.path)); strings.HasPrefix(path, dir+"/"); path = filepath.Dir(path) {
			above[path] = true
		}
	}
	type need struct {
		since time.Time
		what  string
	}
	needs := map[string]need{} // by what must be synced
	seen := 0
	for i, e := range events {
		path := final(i, e.path)
		if e.kind == synced || e.kind == syncAll || !strings.HasPrefix(path, dir+"/") {
			continue
		}
		if !during(e) && (e.kind == wrote || e.start.After(answered) || !above[path]) {
			continue
		}
		if _, err := os.Lstat(path); err != nil {
			continue // Temporary.
		}
		seen++
		if e.kind == wrote {
			if e.end.After(needs[path].since) {
				needs[path] = need{e.end, "the bytes of " + path}
			}
		} else if parent := filepath.Dir(path); e.end.After(needs[parent].since) {
			needs[parent] = need{e.end, "the entry of " + path}
		}
	}
	if seen == 0 {
		return []string{"the trace has no write beneath " + dir + ": if bundles are kept elsewhere, set Remote"}
	}
	var problems []string
	for path, n := range needs {
		ok := false
		for i, e := range events {
			match := e.kind == syncAll || e.kind == synced && final(i, e.path) == path
			ok = ok || match && !e.start.Before(n.since) && !e.end.After(answered)
		}
		if !ok {
			problems = append(problems, n.what+" was not synced when Finish answered")
		}
	}
	slices.Sort(problems)
	return problems
}

var (
	callLine    = regexp.MustCompile(`^(\d+)\s+(\d+\.\d+) (\w+)\((.*)$`)
	resumedLine = regexp.MustCompile(`^(\d+)\s+(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)$`)
	// An annotated descriptor, as strace -y prints it.
	descriptor = regexp.MustCompile(`^(?:\d+|AT_FDCWD)<([^>]*)>`)
	resultTail = regexp.MustCompile(`\)\s+= (-?\d+)(?:<([^>]*)>)?.*<(\d+\.\d+)>$`)
)

// parseTrace reads what strace -f -ttt -T -y wrote. Calls are in the order in which they ended.
func parseTrace(text string) ([]event, error) {
	type pending struct {
		start time.Time
		text  string
	}
	open := map[string]pending{}
	var events []event
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		var pid, name, rest string
		var start time.Time
		var err error
		if m := resumedLine.FindStringSubmatch(line); m != nil {
			pid, name = m[1], m[3]
			p := open[pid]
			start, rest = p.start, p.text+m[4]
		} else if m := callLine.FindStringSubmatch(line); m != nil {
			pid, name, rest = m[1], m[3], m[4]
			if start, err = parseTime(m[2]); err != nil {
				return nil, err
			}
			if before, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
				open[pid] = pending{start, before}
				continue
			}
		} else {
			continue // Signals and exits.
		}
		if e, ok := parseCall(name, rest, start); ok {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.end.Compare(b.end) })
	return events, nil
}

func parseTime(s string) (time.Time, error) {
	seconds, micros, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("strace printed the time %q", s)
	}
	usec, err := strconv.ParseInt(micros, 10, 64)
	return time.Unix(sec, usec*1000), err
}

// parseCall makes an event of a call that succeeded.
func parseCall(name, rest string, start time.Time) (event, bool) {
	m := resultTail.FindStringSubmatch(rest)
	if m == nil || strings.HasPrefix(m[1], "-") {
		return event{}, false
	}
	took, err := strconv.ParseFloat(m[3], 64)
	if err != nil {
		return event{}, false
	}
	e := event{start: start, end: start.Add(time.Duration(took * float64(time.Second)))}
	args := splitArgs(rest[:strings.LastIndex(rest, m[0])])
	switch name {
	case "fsync", "fdatasync":
		e.kind, e.path = synced, descriptorPath(args, 0)
	case "sync", "syncfs":
		e.kind = syncAll
	case "write", "pwrite64", "writev", "pwritev", "pwritev2":
		e.kind, e.path = wrote, descriptorPath(args, 0)
	case "sendfile":
		e.kind, e.path = wrote, descriptorPath(args, 0)
	case "copy_file_range", "splice":
		e.kind, e.path = wrote, descriptorPath(args, 2)
	case "open", "creat", "openat":
		if name != "creat" && !strings.Contains(rest, "O_CREAT") {
			return event{}, false
		}
		e.kind, e.path = entered, unescape(m[2])
	case "mkdir":
		e.kind, e.path = entered, unquote(args, 0)
	case "mkdirat":
		e.kind, e.path = entered, join(args, 0)
	case "link":
		e.kind, e.path = entered, unquote(args, 1)
	case "linkat":
		e.kind, e.path = entered, join(args, 2)
	case "rename":
		e.kind, e.from, e.path = moved, unquote(args, 0), unquote(args, 1)
	case "renameat", "renameat2":
		e.kind, e.from, e.path = moved, join(args, 0), join(args, 2)
	}
	return e, e.kind == syncAll || filepath.IsAbs(e.path)
}

// argument is a string, a descriptor with its path, or anything without a comma. Paths may have commas, in quotes and in
// brackets; what would end them is escaped.
var argument = regexp.MustCompile(`(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^",<])+`)

func splitArgs(s string) []string { return argument.FindAllString(s, -1) }

func descriptorPath(args []string, i int) string {
	if i >= len(args) {
		return ""
	}
	if m := descriptor.FindStringSubmatch(strings.TrimSpace(args[i])); m != nil {
		return unescape(m[1])
	}
	return ""
}

func unquote(args []string, i int) string {
	if i >= len(args) {
		return ""
	}
	arg := strings.TrimSpace(args[i])
	return unescape(strings.TrimSuffix(strings.TrimPrefix(arg, `"`), `"`))
}

// escaped is a byte as strace prints one that is not plain text: in octal, or behind a backslash.
var escaped = regexp.MustCompile(`\\(?:[0-7]{1,3}|.)`)

func unescape(s string) string {
	return escaped.ReplaceAllStringFunc(s, func(e string) string {
		if code, err := strconv.ParseUint(e[1:], 8, 8); err == nil {
			return string([]byte{byte(code)})
		}
		return e[1:]
	})
}

// join resolves a name against the directory that the argument before it holds open.
func join(args []string, i int) string {
	name := unquote(args, i+1)
	if filepath.IsAbs(name) {
		return filepath.Clean(name)
	}
	dir := descriptorPath(args, i)
	if dir == "" || name == "" {
		return ""
	}
	return filepath.Join(dir, name)
}
