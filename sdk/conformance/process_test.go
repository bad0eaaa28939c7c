package conformance

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestProcessChecks breaks each promise of a process alone, and sees the check that is named for it fail.
func TestProcessChecks(t *testing.T) {
	endTimeout = 3 * time.Second
	program := filepath.Join(t.TempDir(), "wrong")
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/wrong").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct{ broken, check, want string }{
		{"nothing", "", ""},
		{"no certificate", "MutualTLS", "serves a caller without a client certificate"},
		{"any certificate", "MutualTLS", "serves a caller with another client certificate"},
		{"plaintext", "MutualTLS", "the host itself is refused"},
		{"serves anybody", "StartedByHand", "has not ended"},
		{"answers too soon", "Unconfigured", "a call before Configure"},
		{"ready too soon", "Unconfigured", "Health before Configure"},
		{"takes any settings", "WrongConfig", "want INVALID"},
		{"does not end", "Shutdown", "after Shutdown"},
		{"keeps on", "Shutdown", "after the Shutdown of go-plugin's controller"},
		{"stays", "HostGone", "after the end of the control descriptor"},
	} {
		t.Run(test.broken, func(t *testing.T) {
			t.Parallel()
			checks := ProcessChecks([]string{program, test.broken})
			for _, c := range checks {
				if test.check != "" && c.Name != test.check {
					continue
				}
				r := Run(c)
				if said := strings.Join(r.Messages, "\n"); r.Failed != (test.check != "") || !strings.Contains(said, test.want) {
					t.Errorf("%s: failed %t: %s; want %s", c.Name, r.Failed, said, test.want)
				}
			}
			if test.check != "" && !slices.ContainsFunc(checks, func(c Check) bool { return c.Name == test.check }) {
				t.Errorf("there is no check %s", test.check)
			}
		})
	}
}
