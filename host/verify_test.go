package host_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestVerifyAsksWhose shows that a bundle tells nothing to those who may not use its namespace, wherever it is kept.
func TestVerifyAsksWhose(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	defineLoop(f, "r")
	out := filepath.Join(dir, "exports", "r")
	export := map[string]any{
		"scenario_id": "loop", "tenant_id": 1, "namespace_id": 1, "run_id": "r",
		"generated_at": map[string]any{"kind": "logical", "value": 1}, "include_verification": false,
	}
	var stored struct {
		URI string `json:"storage_uri"`
	}
	f.must("runpack_export", export, &stored)
	export["output_dir"] = out
	f.must("runpack_export", export, nil)
	places := []string{out, stored.URI}
	for _, place := range places {
		var answer struct{ Status string }
		f.must("runpack_verify", map[string]any{"runpack_dir": place, "manifest_path": "manifest.json"}, &answer)
		if answer.Status != "pass" {
			t.Errorf("%s: %+v", place, answer)
		}
	}
	r := f.call("runpack_verify", map[string]any{"runpack_dir": stored.URI + "0", "manifest_path": "manifest.json"})
	if r.Error == nil || r.Error.Code != -32004 {
		t.Errorf("a bundle that is not there: %+v", r.Error)
	}
	f.stop()

	f = openWith(t, dir, strings.Replace(hcl, "allow_default   = true", "allow_default   = false", 1))
	for _, place := range places {
		r := f.call("runpack_verify", map[string]any{"runpack_dir": place, "manifest_path": "manifest.json"})
		if r.Error == nil || r.Error.Code != -32003 {
			t.Errorf("%s: %+v %s", place, r.Error, r.Result)
		}
	}
}
