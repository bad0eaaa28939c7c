package runpack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// TestExportAgain exports a run with verification and then without: the report of before is gone, other files stay.
func TestExportAgain(t *testing.T) {
	path := t.TempDir()
	d := create(t, path)
	in := goldenRun(t).input()
	for _, verify := range []bool{true, false, false, true} {
		in.Verify = verify
		if _, err := Build(t.Context(), in, d); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(path, ReportPath)); (err == nil) != verify {
			t.Errorf("with verification %t, the report: %v", verify, err)
		}
		report, err := Verify(t.Context(), d, DefaultManifest, Options{Replay: true})
		if err != nil {
			t.Fatal(err)
		}
		requirePass(t, report)
	}
	// What is not the host's own is not removed, not even behind a link in the place of the report.
	outside := filepath.Join(t.TempDir(), "outside")
	block(t, outside, false)
	block(t, filepath.Join(path, "artifacts", "mine"), false)
	in.Verify = false
	if _, err := Build(t.Context(), in, d); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(path, ReportPath)); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), in, d); err != nil {
		t.Fatal(err)
	}
	for file, stays := range map[string]bool{
		outside:                                  true,
		filepath.Join(path, "artifacts", "mine"): true,
		filepath.Join(path, ReportPath):          false,
	} {
		if _, err := os.Lstat(file); (err == nil) != stays {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestExportOverAnother exports to the directory of another record: that stays as it is.
func TestExportOverAnother(t *testing.T) {
	golden := goldenRun(t)
	another := map[string]func(in *Input){
		"tenant":    func(in *Input) { in.TenantID++ },
		"namespace": func(in *Input) { in.NamespaceID++ },
		"run":       func(in *Input) { in.RunID = "run-2" },
		"manifest":  func(in *Input) { in.RunID, in.ManifestPath = "run-2", "other.json" },
	}
	for name, change := range another {
		path := t.TempDir()
		d := create(t, path)
		if _, err := Build(t.Context(), golden.input(), d); err != nil {
			t.Fatal(err)
		}
		in := golden.input()
		change(&in)
		_, err := Build(t.Context(), in, d)
		if err == nil || err.Error() != "artifact error: the directory holds the runpack of another run, name another directory" {
			t.Errorf("another %s: %v", name, err)
		}
		report, err := Verify(t.Context(), d, DefaultManifest, Options{Replay: true})
		if err != nil {
			t.Fatal(err)
		}
		requirePass(t, report)
	}
	// Another scenario, whose hash is another, too.
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "m.json"), otherScenario(t, golden), 0o600); err != nil {
		t.Fatal(err)
	}
	in := golden.input()
	in.ManifestPath = "m.json"
	if _, err := Build(t.Context(), in, create(t, path)); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("another scenario: %v", err)
	}
	// What is no manifest is replaced.
	block(t, filepath.Join(path, "m.json"), false)
	if _, err := Build(t.Context(), in, create(t, path)); err != nil {
		t.Errorf("over a file that is no manifest: %v", err)
	}
}

func otherScenario(t *testing.T, r *rig) []byte {
	result, err := Build(t.Context(), r.input(), memory{})
	if err != nil {
		t.Fatal(err)
	}
	m := result.Manifest
	m.ScenarioID = gate.ScenarioID("another")
	return m.bytes()
}
