package main

import (
	"path/filepath"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/store/storetest"
)

// TestJournal has the kit try the journal: what it promises, and that a second process is refused.
func TestJournal(t *testing.T) {
	storetest.Test(t, storetest.Plugin{
		Package:       ".",
		Config:        func(dir string) any { return map[string]any{"path": filepath.Join(dir, "runs.journal")} },
		SingleProcess: true,
	})
}
