package storetest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var memoryChecks = []check{
	{"scan-memory", "a scan takes memory for a page, not for its range", scanMemory},
}

const (
	// scanRange is the size of the range that is scanned, far over what a page and a garbage collector need.
	scanRange = 128 << 20
	// scanRecord is the size of a record in it.
	scanRecord = 1 << 20
	// scanGrowth is what the process may grow by during the scan.
	scanGrowth = scanRange / 2
)

func scanMemory(c *trial) {
	p := c.open()
	body := randomBytes(scanRecord)
	for i := 0; i < scanRange/scanRecord; i += 8 {
		var ops []store.Op
		for j := range 8 {
			ops = append(ops, put(key("large", fmt.Sprintf("%04d", i+j)), body))
		}
		c.commit(p, ops...)
	}
	p.stop()
	p = c.open()
	before, err := resetPeak(p.pid)
	if err != nil {
		c.Fatalf("memory is measured on Linux, in /proc: %v", err)
	}
	seen := 0
	ctx, cancel := c.call()
	defer cancel()
	if err := p.Scan(ctx, everything(), func(store.Record) error {
		seen++
		return nil
	}); err != nil || seen != scanRange/scanRecord {
		c.Fatalf("Scan answers %d records and %v", seen, err)
	}
	after, err := peak(p.pid)
	if err != nil {
		c.Fatalf("read the memory of the process: %v", err)
	}
	if after > before+scanGrowth {
		c.Errorf("a scan of %d MiB took the process from %d to %d MiB", scanRange>>20, before>>20, after>>20)
	}
}

// resetPeak sets the peak of a process's memory to what it has now, and answers it.
func resetPeak(pid int) (bytes uint64, err error) {
	// 5 is "reset the peak resident set size", see proc(5).
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return 0, err
	}
	return peak(pid)
}

// peak is the largest resident set size that a process had, in bytes.
func peak(pid int) (uint64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kib, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmHWM in /proc/%d/status", pid)
}
