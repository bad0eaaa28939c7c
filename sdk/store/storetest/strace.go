package storetest

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a plugin does to its files is only seen in its system calls: after a crash of the process alone the kernel still
// has every write, synced or not. strace also slows syncs down, and makes them fail.

const (
	// syncDelay is added to every sync, so that an answer that does not wait for its sync comes unmistakably early.
	syncDelay = 50 * time.Millisecond
	// traceBytes is how much of one write is kept in the trace: more than the stores of the kit's small records write.
	traceBytes = 1 << 20
)

// syncCalls are what strace delays or makes fail.
const syncCalls = "fsync,fdatasync,msync,syncfs"

// tracedCalls are all that the trace needs.
const tracedCalls = "open,openat,openat2,write,pwrite64,writev,pwritev,pwritev2,sync,rename,renameat,renameat2," + syncCalls

// straceCommand answers the command line that goes before a plugin's.
func straceCommand(trace string, inject []string) ([]string, error) {
	program, err := exec.LookPath("strace")
	if err != nil {
		return nil, errors.New("durability is proved by a trace of system calls, and strace is not installed: install it (Debian, Ubuntu: apt-get install strace) on Linux and run the test again")
	}
	command := []string{program, "-f", "--seccomp-bpf", "-ttt", "-T", "-y", "-xx", "-a", "1", "-s", strconv.Itoa(traceBytes), "-o", trace, "-e", "trace=" + tracedCalls}
	for _, rule := range inject {
		command = append(command, "-e", "inject="+syncCalls+":"+rule)
	}
	return append(command, "--"), nil
}

// delaySyncs is the injection that delays every sync after the kernel has done it.
func delaySyncs() string { return fmt.Sprintf("delay_exit=%d", syncDelay.Microseconds()) }

// failSyncs is the injection that lets the first n-1 syncs of each thread pass and no other.
func failSyncs(n int) string { return fmt.Sprintf("error=EIO:when=%d+", n) }

// event is one system call that matters for durability.
type event struct {
	kind       eventKind
	begin, end float64 // Unix time in seconds, as strace prints it
	// file is the path of the file, empty for sync and for msync, which reach more than one.
	file string
	// to is the new path of a renamed file.
	to   string
	data []byte
	// failed says that the kernel answered an error.
	failed bool
}

type eventKind int

const (
	writeEvent eventKind = iota + 1
	// syncedWriteEvent is a write to a file opened with O_SYNC or O_DSYNC, durable by itself.
	syncedWriteEvent
	syncEvent
	renameEvent
)

// readTrace reads the events of a trace, ordered by their begin.
func readTrace(path string) ([]event, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseTrace(file)
}

// tracer collects what lines of a trace say.
type tracer struct {
	events []event
	// unfinished is the first half of a call that another thread's call interrupts in the trace.
	unfinished map[string]string
	// synced are the descriptors, as number and path, that were opened with O_SYNC or O_DSYNC.
	synced map[string]bool
}

func parseTrace(r io.Reader) ([]event, error) {
	t := tracer{unfinished: map[string]string{}, synced: map[string]bool{}}
	reader := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := reader.ReadString('\n')
		t.line(strings.TrimSuffix(line, "\n"))
		if errors.Is(err, io.EOF) {
			slices.SortStableFunc(t.events, func(a, b event) int { return int(math.Copysign(1, a.begin-b.begin)) })
			return t.events, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

const unfinishedMark = " <unfinished ...>"

// line reads one line, such as:
//
//	4711 1795469013.510326 fdatasync(4</data/dg.db>) = 0 (DELAYED) <0.000305>
//	4711 1795469013.510326 fdatasync(4</data/dg.db> <unfinished ...>
//	4711 1795469013.560841 <... fdatasync resumed>) = 0 (DELAYED) <0.000305>
func (t *tracer) line(line string) {
	thread, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimLeft(rest, " ")
	stamp, call, ok := strings.Cut(rest, " ")
	if !ok {
		return
	}
	if first, ok := strings.CutSuffix(call, unfinishedMark); ok {
		t.unfinished[thread] = stamp + " " + first
		return
	}
	if strings.HasPrefix(call, "<... ") {
		_, second, found := strings.Cut(call, " resumed>")
		first, begun := t.unfinished[thread]
		if !found || !begun {
			return
		}
		delete(t.unfinished, thread)
		stamp, call, _ = strings.Cut(first+second, " ")
	}
	begin, err := strconv.ParseFloat(stamp, 64)
	if err != nil {
		return
	}
	name, args, ok := strings.Cut(call, "(")
	if !ok {
		return
	}
	t.call(name, args, begin)
}

// call reads the arguments, result and duration of a call.
func (t *tracer) call(name, args string, begin float64) {
	at := strings.LastIndex(args, ") = ")
	if at < 0 {
		return
	}
	args, result := args[:at], args[at+len(") = "):]
	e := event{begin: begin, end: begin + duration(result), failed: strings.HasPrefix(result, "-") || strings.HasPrefix(result, "?")}
	descriptor, path := fileOf(args)
	switch name {
	case "open", "openat", "openat2":
		// A number is used again for other files, so the last open says how it writes.
		opened, path := fileOf(result)
		t.synced[opened+path] = strings.Contains(args, "O_SYNC") || strings.Contains(args, "O_DSYNC")
		return
	case "fsync", "fdatasync":
		e.kind, e.file = syncEvent, path
	case "sync", "syncfs":
		e.kind = syncEvent
	case "msync":
		if !strings.Contains(args, "MS_SYNC") {
			return
		}
		e.kind = syncEvent
	case "rename", "renameat", "renameat2":
		names := quoted(args)
		if len(names) != 2 || e.failed {
			return
		}
		e.kind, e.file, e.to = renameEvent, string(names[0]), string(names[1])
	default:
		if !strings.HasPrefix(path, "/") || e.failed {
			return
		}
		e.kind, e.file, e.data = writeEvent, path, bytes.Join(quoted(args), nil)
		if t.synced[descriptor+path] || strings.Contains(args, "RWF_DSYNC") || strings.Contains(args, "RWF_SYNC") {
			e.kind = syncedWriteEvent
		}
	}
	t.events = append(t.events, e)
}

// duration reads "0 (DELAYED) <0.000305>": strace does not count the delay that it adds.
func duration(result string) float64 {
	open, end := strings.LastIndexByte(result, '<'), strings.LastIndexByte(result, '>')
	if open < 0 || end < open {
		return 0
	}
	seconds, err := strconv.ParseFloat(result[open+1:end], 64)
	if err != nil {
		return 0
	}
	if strings.Contains(result, "(DELAYED)") {
		seconds += syncDelay.Seconds()
	}
	return seconds
}

// fileOf reads a descriptor with its path, "4<\x2f\x61>", at the start of a text.
func fileOf(text string) (descriptor, path string) {
	descriptor, rest, ok := strings.Cut(text, "<")
	if !ok {
		return "", ""
	}
	path, _, ok = strings.Cut(rest, ">")
	if !ok {
		return "", ""
	}
	return descriptor, string(unhex(path))
}

// quoted answers the bytes of every string of an argument list.
func quoted(args string) (all [][]byte) {
	// With -xx strace writes every byte as \xNN, so no string holds a quote.
	parts := strings.Split(args, `"`)
	for i := 1; i < len(parts); i += 2 {
		all = append(all, unhex(parts[i]))
	}
	return all
}

func unhex(text string) []byte {
	decoded, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		// Not written as \xNN: a socket's or a pipe's name.
		return []byte(text)
	}
	return decoded
}

// sent is a commit of one record with a marker in its body, as the kit saw it.
type sent struct {
	marker []byte
	// begin is when it was sent and end when its answer had come, in Unix seconds.
	begin, end float64
}

// undurable answers why a trace does not show that a commit was durable before it was answered; "" when it does.
func undurable(events []event, s sent) string {
	written := false
	var why string
	for i, write := range events {
		if write.kind > syncedWriteEvent || write.begin < s.begin || write.end > s.end || !bytes.Contains(write.data, s.marker) {
			continue
		}
		if written = true; write.kind == syncedWriteEvent {
			return ""
		}
		if why = unsynced(events, i, s.end); why == "" {
			return ""
		}
	}
	if written {
		return why
	}
	return nothingSynced(events, s)
}

// unsynced answers why the i-th event, a write, was not durable at a time.
func unsynced(events []event, i int, by float64) string {
	write, file := events[i], events[i].file
	for _, e := range events {
		if e.begin < write.end {
			continue
		}
		if e.kind == renameEvent && e.file == file && e.end <= by {
			// The bytes go by another name, which is durable only with its directory.
			if why := synced(events, e, filepath.Dir(e.to), by); why != "" {
				return "its file was renamed: " + why
			}
			file = e.to
		}
	}
	// A renamed file may be synced under either name.
	if synced(events, write, write.file, by) == "" {
		return ""
	}
	return synced(events, write, file, by)
}

// synced answers why a file was not synced between an event and a time.
func synced(events []event, after event, file string, by float64) string {
	why := fmt.Sprintf("it was written to %s, and no sync of that file followed", file)
	for _, e := range events {
		if e.kind != syncEvent || e.begin < after.end || e.file != "" && e.file != file {
			continue
		}
		switch {
		case e.failed:
			// The kernel drops what it could not write, and calls the next sync a success.
			return fmt.Sprintf("the sync of %s that followed its write failed, and a later one proves nothing: the bytes must be written again", file)
		case e.end > by:
			// One that began later may have ended sooner.
			why = fmt.Sprintf("it was answered %.1f ms before the sync of %s that followed its write ended", (e.end-by)*1000, file)
		default:
			return ""
		}
	}
	return why
}

// nothingSynced is the weaker rule for a store that writes through a mapping, or encodes what it writes.
func nothingSynced(events []event, s sent) string {
	for _, e := range events {
		if (e.kind == syncEvent || e.kind == syncedWriteEvent) && !e.failed && e.begin >= s.begin && e.end <= s.end {
			return ""
		}
	}
	return "its bytes are in no write, and no sync began after it was sent and ended before it was answered"
}
