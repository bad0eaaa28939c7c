package runpacktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

const (
	// bigFile is the size in bytes of a file that no plugin may hold in memory.
	bigFile = 64 << 20
	// maxGrowth is the growth in bytes that such a file may cause: buffers of the transport and garbage, not the file.
	maxGrowth = 40 << 20
)

// checkMemory streams a big file in and out and reads the largest resident size that the process ever had.
func checkMemory(t T, p *processes) {
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	o, process := p.start(t, dataDir(t))
	w := sample(1, 2, "scenario", "run", "memory")
	id, err := o.sink.Begin(ctx, w.key, w.tags)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	before := peakMemory(t, process.PID())
	if _, err := o.sink.Write(ctx, id, "big", io.LimitReader(zeros{}, bigFile)); err != nil {
		t.Fatalf("Write of %d bytes: %v", bigFile, err)
	}
	if _, err := o.sink.Write(ctx, id, manifestPath, bytes.NewReader(w.manifest().content)); err != nil {
		t.Fatalf("Write: %v", err)
	}
	uri, err := o.sink.Finish(ctx, id, manifestPath, sha256.Sum256(w.manifest().content))
	if err != nil {
		t.Fatalf("Finish: %v", err)
	}
	wantGrowth(t, "Write", before, peakMemory(t, process.PID()))
	before = peakMemory(t, process.PID())
	r, err := o.sink.Open(ctx, uri, "big")
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n != bigFile || err != nil {
		t.Errorf("Open answered %d of %d bytes, %v", n, bigFile, err)
	}
	wantGrowth(t, "Open", before, peakMemory(t, process.PID()))
}

func wantGrowth(t T, call string, before, after int) {
	t.Helper()
	if grown := after - before; grown > maxGrowth {
		t.Errorf("%s of a file of %d MiB made the plugin's memory grow by %d MiB, want at most %d: is the file held in memory?",
			call, bigFile>>20, grown>>20, maxGrowth>>20)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// peakMemory is the largest resident size of a process so far, in bytes.
func peakMemory(t T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatalf("the memory of a plugin is measured on Linux only: %v", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err == nil {
				return kib << 10
			}
		}
	}
	t.Fatalf("/proc/%d/status has no VmHWM", pid)
	return 0
}
