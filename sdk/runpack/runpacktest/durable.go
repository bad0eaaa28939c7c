package runpacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// syncDelay holds every sync up, so that an answer that does not wait for it is early by more than clocks disagree.
const syncDelay = "30000" // microseconds

// tracedCalls are the system calls by which bytes and directory entries come to be, and by which they become durable.
const tracedCalls = "?open,?creat,openat,write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,splice," +
	"?rename,renameat,renameat2,?link,linkat,?mkdir,mkdirat,fsync,fdatasync,sync,syncfs"

// checkDurable exports a bundle under strace and asserts that each file's last write is followed by a sync of the file,
// and each new directory entry by a sync of its directory, which ended before Finish was answered. Killing a process does
// not test that: the kernel keeps what a killed process wrote.
func checkDurable(t T, p *processes) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("strace is needed to see whether bundles are synced: run apt-get install strace")
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	dir := dataDir(t)
	traceFile := filepath.Join(t.TempDir(), "trace")
	o, process := p.start(t, dir, strace, "-f", "-qq", "-ttt", "-T", "-y", "-s", "0", "-o", traceFile,
		"-e", "trace="+tracedCalls, "-e", "inject=fsync,fdatasync:delay_exit="+syncDelay, "--")
	var exports [][2]time.Time
	// Two bundles: the second finds directories that the first has made.
	for _, content := range []string{"durable", "durable too"} {
		w := sample(1, 2, "scenario", "run", content)
		w.files = append([]file{{"a/b/c", []byte(content)}}, w.files...)
		begun := time.Now()
		id, err := o.sink.Begin(ctx, w.key, w.tags)
		if err != nil {
			t.Fatalf("Begin: %v", err)
		}
		for _, f := range w.files {
			if _, err := o.sink.Write(ctx, id, f.path, bytes.NewReader(f.content)); err != nil {
				t.Fatalf("Write: %v", err)
			}
		}
		if _, err := o.sink.Finish(ctx, id, manifestPath, sha256.Sum256(w.manifest().content)); err != nil {
			t.Fatalf("Finish: %v", err)
		}
		exports = append(exports, [2]time.Time{begun, time.Now()})
	}
	process.Kill(killGrace) // strace writes its last lines when the plugin ends.
	text, err := os.ReadFile(traceFile)
	if err != nil {
		t.Fatalf("%v", err)
	}
	events, err := parseTrace(string(text))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, x := range exports {
		for _, problem := range unsynced(events, dir, x[0], x[1]) {
			t.Errorf("%s", problem)
		}
	}
}

// killGrace is the time that a plugin gets to end in order.
const killGrace = 5 * time.Second
