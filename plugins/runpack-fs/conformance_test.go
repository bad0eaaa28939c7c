package main

import (
	"testing"

	"github.com/decision-gate-host/decision-gate-host/sdk/runpack/runpacktest"
)

func TestConformance(t *testing.T) {
	runpacktest.Test(t, runpacktest.Plugin{Package: ".", Config: func(dir string) any {
		return map[string]any{"path": dir}
	}})
}
