package host_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExportRedacts exports a run on evidence of a provider that is not opened: with runpack.redact its value is in no file, at
// neither place, the manifest is marked, and verification passes and says what it could not derive. Without it all is as before.
func TestExportRedacts(t *testing.T) {
	const value = "sesame-4711"
	for _, redact := range []bool{false, true} {
		text := strings.NewReplacer(
			`evidence "time" {}`, `evidence "time" { allow_raw = true }`,
			`DEPLOY_ENV = "production"`, `KEY = "`+value+`"`,
			`require_provider_opt_in = false`, `require_provider_opt_in = true`,
		).Replace(hcl)
		if redact {
			text = strings.Replace(text, `runpack { dirs = ["exports"] }`, "runpack {\n  dirs = [\"exports\"]\n  redact = true\n}", 1)
		}
		r := run{openWith(t, t.TempDir(), text), "s", "r", 1}
		r.must("scenario_define", json.RawMessage(strings.NewReplacer(
			`"gates":[{"gate_id":"ga","requirement":{"Condition":"past"}}]`, `"gates":[{"gate_id":"ga","requirement":{"And":[{"Condition":"past"},{"Condition":"key"}]}}]`,
			`"conditions":[`, `"conditions":[{"condition_id":"key","query":{"provider_id":"env","check_id":"get","params":{"key":"KEY"}},"comparator":"not_equals","expected":"x","policy_tags":[]},`,
		).Replace(string(twoStages("s", "1")))), nil)
		r.start(false)
		if d := r.trigger("t", "external_event", nil); d.Decision.Outcome.Kind != "advance" {
			t.Fatalf("%+v", d)
		}
		out := filepath.Join(r.Dir, "exports", "r")
		export := object{"scenario_id": "s", "tenant_id": 1, "namespace_id": 1, "run_id": "r", "generated_at": late, "include_verification": true}
		var stored struct {
			URI string `json:"storage_uri"`
		}
		r.must("runpack_export", export, &stored)
		export["output_dir"] = out
		r.must("runpack_export", export, nil)
		for _, dir := range []string{out, filepath.Join(r.Dir, "bundles")} {
			if got := holds(t, dir, value); got == redact {
				t.Errorf("redact %t: %s has the value: %t", redact, dir, got)
			}
			if !holds(t, dir, `"json":true`) && !holds(t, dir, `"value":true`) {
				t.Errorf("redact %t: %s has not the value of the provider that is opened", redact, dir)
			}
			if got := holds(t, dir, `"redacted":true`); got != redact {
				t.Errorf("redact %t: %s is marked: %t", redact, dir, got)
			}
		}
		for _, place := range []string{out, stored.URI} {
			var answer struct {
				Status string
				Report json.RawMessage
			}
			r.must("runpack_verify", object{"runpack_dir": place, "manifest_path": "manifest.json"}, &answer)
			if noted := strings.Contains(string(answer.Report), "the values of 1 of 2 evidence records are withheld"); answer.Status != "pass" || noted != redact {
				t.Errorf("redact %t: %s: %s %s", redact, place, answer.Status, answer.Report)
			}
		}
	}
}

// holds reports whether a file below a folder has a text.
func holds(t *testing.T, dir, text string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found = found || bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
