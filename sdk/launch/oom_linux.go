package launch

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
)

// machineOOMKills is how many processes the kernel of this machine has killed for lack of memory since it was started;
// not known before Linux 4.13, and where /proc is not there.
func machineOOMKills() (kills uint64, known bool) {
	text, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0, false
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if count, ok := bytes.CutPrefix(lines.Bytes(), []byte("oom_kill ")); ok {
			kills, err = strconv.ParseUint(string(count), 10, 64)
			return kills, err == nil
		}
	}
	return 0, false
}
