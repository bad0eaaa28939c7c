package main

import (
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestWithheldEvidence shows evidence without its value: only where the manifest says so was there one.
func TestWithheldEvidence(t *testing.T) {
	hash := canonical.HashDigest{Algorithm: canonical.SHA256, Value: "0abc"}
	for _, test := range []struct {
		result   gate.EvidenceResult
		redacted bool
		want     string
	}{
		{gate.EvidenceResult{EvidenceHash: &hash}, true, "value withheld, sha256 0abc"},
		{gate.EvidenceResult{EvidenceHash: &hash}, false, "no value"},
		{gate.EvidenceResult{}, true, "no value"},
		{gate.EvidenceResult{Error: &gate.EvidenceError{Code: "c", Message: "m"}}, true, "c: m"},
	} {
		if got := evidenceOf(&test.result, test.redacted); got != test.want {
			t.Errorf("redacted %t: %s, want %s", test.redacted, got, test.want)
		}
	}
}
