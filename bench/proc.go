package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stat is what /proc/PID/stat says of a process.
type stat struct {
	parent int
	// ran is the time that it has run, user and system together, and reaped that of its children that have ended.
	ran, reaped time.Duration
}

// tick is the unit of the times in /proc on every Linux.
const tick = 10 * time.Millisecond

func readStat(pid int) (s stat, err error) {
	path := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	// pid (name) state parent ...: the name may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 15 {
		return s, fmt.Errorf("%s: too short", path)
	}
	var numbers [5]int
	for i, field := range []int{1, 11, 12, 13, 14} { // parent, utime, stime, cutime, cstime
		if numbers[i], err = strconv.Atoi(fields[field]); err != nil {
			return s, fmt.Errorf("%s: %w", path, err)
		}
	}
	return stat{parent: numbers[0], ran: time.Duration(numbers[1]+numbers[2]) * tick, reaped: time.Duration(numbers[3]+numbers[4]) * tick}, nil
}

// family is the time that a process and all of its children have run, also of those that have ended.
func family(pid int) (time.Duration, error) {
	parent, err := readStat(pid)
	if err != nil {
		return 0, err
	}
	total := parent.ran + parent.reaped
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		// One that has ended since is in its parent's time, or the next measurement's.
		if s, err := readStat(child); err == nil && s.parent == pid {
			total += s.ran + s.reaped
		}
	}
	return total, err
}
