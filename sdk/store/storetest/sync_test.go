package storetest

import (
	"slices"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch/launchtest"
)

// TestSyncs runs stores that are durable, each in its own way, and stores that are not.
func TestSyncs(t *testing.T) {
	command := []string{launchtest.Build(t, "./testdata/filestore")}
	all := []string{"sync-before-answer", "sync-many-writers", "sync-error"}
	for mode, caught := range map[string][]string{
		"fdatasync": nil,
		"fsync":     nil,
		"O_DSYNC":   nil,
		"encoded":   nil,
		"rename":    nil,

		"no sync":                      all,
		"encoded, no sync":             all,
		"sync after answer":            all,
		"sync before write":            all,
		"sync of another file":         all,
		"rename, directory not synced": all,
		"sync error ignored":           {"sync-error"},
		"sync tried again":             {"sync-error"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // They mostly wait for delayed syncs.
			for _, ck := range syncChecks {
				config := map[string]any{"dir": t.TempDir(), "mode": mode}
				failed, report := record(t, ck, &pluginTarget{t: t, command: command, config: config, scratch: t.TempDir()})
				if failed != slices.Contains(caught, ck.name) {
					t.Errorf("%s: failed %v\n%s", ck.name, failed, report)
				}
			}
		})
	}
}

// TestMemory runs a store that reads a whole range before it answers the first record, and one that does not.
func TestMemory(t *testing.T) {
	command := []string{launchtest.Build(t, "./testdata/filestore")}
	for mode, want := range map[string]bool{"fdatasync": false, "range in memory": true} {
		config := map[string]any{"dir": t.TempDir(), "mode": mode}
		failed, report := record(t, memoryChecks[0], &pluginTarget{t: t, command: command, config: config, scratch: t.TempDir()})
		if failed != want {
			t.Errorf("%s: failed %v\n%s", mode, failed, report)
		}
	}
}

// TestWithoutStrace: a machine that cannot prove durability fails and says what to install.
func TestWithoutStrace(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	failed, report := record(t, syncChecks[0], &pluginTarget{t: t, command: []string{"nothing"}, scratch: t.TempDir()})
	if !failed || !strings.Contains(report, "apt-get install strace") {
		t.Errorf("failed %v: %s", failed, report)
	}
}
