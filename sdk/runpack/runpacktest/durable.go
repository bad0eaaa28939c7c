package runpacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack"
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
	// Two bundles: the second finds directories that the first has made.
	finished := exportTraced(t, p, dataDir(t), "delay_exit="+syncDelay, 2)
	if finished < 2 {
		t.Errorf("%d of 2 bundles were finished", finished)
	}
}

// checkSyncError lets the first syncs of each thread pass and no other. Whatever Finish answers as stored must be durable
// all the same: a plugin may fail, or write again, but not ignore the error.
func checkSyncError(t T, p *processes) {
	for _, passing := range []int{1, 2, 3, 5, 8} {
		exportTraced(t, p, dataDir(t), fmt.Sprintf("error=EIO:when=%d+", passing), 6)
	}
}

// exportTraced exports bundles under strace, which does something to every sync, and asserts that those that were finished
// are durable. It answers how many were.
func exportTraced(t T, p *processes, dir, inject string, bundles int) (finished int) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("strace is needed to see whether bundles are synced: run apt-get install strace")
	}
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	traceFile := filepath.Join(t.TempDir(), "trace")
	sink, process, err := p.try(t, dir, strace, "-f", "-qq", "-ttt", "-T", "-y", "-s", "0", "-o", traceFile,
		"-e", "trace="+tracedCalls, "-e", "inject=fsync,fdatasync:"+inject, "--")
	if err != nil {
		return 0 // failing to open is an honest answer to a failing sync
	}
	var exports [][2]time.Time
	for i := range bundles {
		w := sample(1, 2, "scenario", "run", fmt.Sprint("durable ", i))
		w.files = append([]file{{"a/b/c", []byte(w.files[0].content)}}, w.files...)
		begun := time.Now()
		if err := exportTo(ctx, sink, w); err == nil {
			exports = append(exports, [2]time.Time{begun, time.Now()})
		}
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
	return len(exports)
}

func exportTo(ctx context.Context, sink runpack.Sink, w bundle) error {
	id, err := sink.Begin(ctx, w.key, w.tags)
	if err != nil {
		return err
	}
	for _, f := range w.files {
		if _, err := sink.Write(ctx, id, f.path, bytes.NewReader(f.content)); err != nil {
			return err
		}
	}
	_, err = sink.Finish(ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
	return err
}

// killGrace is the time that a plugin gets to end in order.
const killGrace = 5 * time.Second
