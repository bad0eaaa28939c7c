package metrics

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// writeProcess writes what is known of the host's own process, by the names that Prometheus's client libraries use.
func writeProcess(w io.Writer) {
	fmt.Fprintf(w, "# HELP go_goroutines Goroutines of the host.\n# TYPE go_goroutines gauge\ngo_goroutines %d\n", runtime.NumGoroutine())
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		fmt.Fprintf(w, "# HELP process_open_fds Files that the host has open.\n# TYPE process_open_fds gauge\nprocess_open_fds %d\n", len(files)-1) // the folder itself
	}
	if text, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 1 {
			pages, _ := strconv.ParseUint(fields[1], 10, 64)
			fmt.Fprintf(w, "# HELP process_resident_memory_bytes Memory of the host's process.\n# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes %d\n", pages*uint64(os.Getpagesize()))
		}
	}
}
