package storetest

import (
	"encoding/hex"
	"strings"
	"testing"
)

// hexed writes a text as strace -xx does.
func hexed(text string) string {
	var out strings.Builder
	for _, b := range []byte(text) {
		out.WriteString(`\x` + hex.EncodeToString([]byte{b}))
	}
	return out.String()
}

// TestUndurable reads traces in which only one thing differs: NAME, quoted or in angle brackets, stands for what strace
// writes in hexadecimal.
func TestUndurable(t *testing.T) {
	s := sent{marker: []byte("marker"), begin: 100, end: 101}
	for name, row := range map[string]struct {
		trace string
		why   string // A part of the answer, empty when durable.
	}{
		"write and sync": {`
1 100.100000 pwrite64(5</d/log>, "..marker..", 10, 0) = 10 <0.000010>
1 100.200000 fdatasync(5</d/log>) = 0 (DELAYED) <0.000300>`, ""},
		"fsync of another thread, interrupted": {`
1 100.100000 write(5</d/log>, "..marker..", 10 <unfinished ...>
22 100.100001 fsync(6</d/other> <unfinished ...>
1 100.100002 <... write resumed>) = 10 <0.000010>
22 100.100003 <... fsync resumed>) = 0 <0.000300>
22 100.200000 fsync(5</d/log>) = 0 <0.000300>`, ""},
		"marker over two parts of a vector": {`
1 100.100000 pwritev(5</d/log>, [{iov_base="..mar", iov_len=5}, {iov_base="ker..", iov_len=5}], 2, 0) = 10 <0.000010>
1 100.200000 fdatasync(5</d/log>) = 0 <0.000300>`, ""},
		"no sync":      {`1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>`, "no sync of that file"},
		"another file": {"1 100.100000 write(5</d/log>, \"marker\", 6) = 6 <0.000010>\n1 100.200000 fsync(6</d/other>) = 0 <0.000300>", "no sync of that file"},
		"sync began before the write ended": {`
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.100000>
2 100.150000 fsync(5</d/log>) = 0 <0.200000>`, "no sync of that file"},
		"answered before the sync ended": {`
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>
2 100.990000 fsync(5</d/log>) = 0 (DELAYED) <0.000300>`, "40.3 ms before the sync"},
		"a sync that began later ended sooner": {`
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>
2 100.200000 fsync(5</d/log>) = 0 <2.000000>
1 100.300000 fsync(5</d/log>) = 0 <0.000300>`, ""},
		"sync failed": {`
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>
1 100.200000 fsync(5</d/log>) = -1 EIO (Input/output error) (INJECTED) <0.000300>`, "failed"},
		"sync failed, then another succeeds": {`
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>
1 100.200000 fsync(5</d/log>) = -1 EIO (Input/output error) (INJECTED) <0.000300>
1 100.300000 fsync(5</d/log>) = 0 <0.000300>`, "failed"},
		"sync failed, written again": {`
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>
1 100.200000 fsync(5</d/log>) = -1 EIO (Input/output error) (INJECTED) <0.000300>
1 100.300000 write(6</d/log2>, "marker", 6) = 6 <0.000010>
1 100.400000 fsync(6</d/log2>) = 0 <0.000300>`, ""},
		"write failed": {`
1 100.100000 write(5</d/log>, "marker", 6) = -1 ENOSPC (No space left on device) <0.000010>
1 99.200000 fsync(5</d/log>) = 0 <0.000300>`, "no write"},
		"O_DSYNC": {`
1 99.000000 openat(AT_FDCWD</d>, "log", O_RDWR|O_DSYNC|O_CLOEXEC) = 5</d/log> <0.000010>
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>`, ""},
		"O_DSYNC of another descriptor": {`
1 99.000000 openat(AT_FDCWD</d>, "log", O_RDWR|O_DSYNC|O_CLOEXEC) = 5</d/log> <0.000010>
1 99.100000 openat(AT_FDCWD</d>, "log", O_RDWR|O_CLOEXEC) = 5</d/log> <0.000010>
1 100.100000 write(5</d/log>, "marker", 6) = 6 <0.000010>`, "no sync of that file"},
		"RWF_DSYNC":           {`1 100.100000 pwritev2(5</d/log>, [{iov_base="marker", iov_len=6}], 1, 0, RWF_DSYNC) = 6 <0.000010>`, ""},
		"marker on a socket":  {"1 100.100000 write(5<socket:[77]>, \"marker\", 6) = 6 <0.000010>", "no write"},
		"mapped and msynced":  {`1 100.200000 msync(0x7f0000000000, 4096, MS_SYNC) = 0 <0.000300>`, ""},
		"mapped, MS_ASYNC":    {`1 100.200000 msync(0x7f0000000000, 4096, MS_ASYNC) = 0 <0.000300>`, "no write"},
		"sync of all":         {"1 100.100000 write(5</d/log>, \"marker\", 6) = 6 <0.000010>\n1 100.200000 sync() = 0 <0.000300>", ""},
		"encoded, old sync":   {`1 99.900000 fsync(5</d/log>) = 0 <0.200000>`, "no write"},
		"encoded, late sync":  {`1 100.900000 fsync(5</d/log>) = 0 <0.200000>`, "no write"},
		"encoded, then sync":  {`1 100.200000 fsync(5</d/log>) = 0 <0.000300>`, ""},
		"nothing":             {"", "no write"},
		"unreadable lines":    {"+++ exited\n1\n1 x\n1 100 --- SIGURG {si_signo=SIGURG} ---\n1 100.1 <... write resumed>) = 1 <0.1>\n1 100.1 write(5", "no write"},
		"renamed, not synced": {renamed, "its file was renamed"},
		"renamed and synced":  {renamed + "\n1 100.400000 fsync(6</d>) = 0 <0.000300>", ""},
	} {
		events, err := parseTrace(strings.NewReader(hexTrace(strings.TrimPrefix(row.trace, "\n"))))
		if err != nil {
			t.Fatal(err)
		}
		why := undurable(events, s)
		if (why == "") != (row.why == "") || !strings.Contains(why, row.why) {
			t.Errorf("%s: got %q, want %q", name, why, row.why)
		}
	}
}

const renamed = `1 100.100000 write(5</d/temp>, "marker", 6) = 6 <0.000010>
1 100.200000 fsync(5</d/temp>) = 0 <0.000300>
1 100.300000 renameat(AT_FDCWD</d>, "/d/temp", AT_FDCWD</d>, "/d/log") = 0 <0.000010>`

// hexTrace writes strings and paths of files in hexadecimal.
func hexTrace(trace string) string {
	parts := strings.Split(trace, `"`)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = hexed(parts[i])
	}
	trace = strings.Join(parts, `"`)
	var out strings.Builder
	for {
		before, after, ok := strings.Cut(trace, "</")
		out.WriteString(before)
		if !ok {
			return out.String()
		}
		path, rest, _ := strings.Cut(after, ">")
		out.WriteString("<" + hexed("/"+path) + ">")
		trace = rest
	}
}

// FuzzTrace: file names and bytes in a trace are the plugin's, which may be hostile to the kit.
func FuzzTrace(f *testing.F) {
	f.Add("1 100.1 pwrite64(5<\\x2f>, \"\\x61\", 10, 0) = 10 <0.1>\n1 100.2 fdatasync(5<\\x2f>) = 0 <0.1>")
	f.Add("1 100.1 write(5<\\x2f>, \"\\x61\" <unfinished ...>\n1 100.2 <... write resumed>) = 10 <0.1>")
	f.Fuzz(func(t *testing.T, trace string) {
		events, err := parseTrace(strings.NewReader(trace))
		if err != nil {
			t.Fatal(err)
		}
		undurable(events, sent{marker: []byte("a"), begin: 100, end: 101})
	})
}
