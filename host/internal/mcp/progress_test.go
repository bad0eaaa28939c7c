package mcp

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestProgress tells a client that wants to know how far an export and a verification are, and nobody else.
func TestProgress(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, func(c *Config) { c.RunpackDirs = []string{dir} })
	r.startRun("s", "run")
	for i := range 3 {
		r.must("scenario_next", nextText("s", "run", fmt.Sprint("t", i), ""))
	}
	out := filepath.Join(dir, "bundle")
	for _, c := range []struct{ tool, arguments, what string }{
		{"runpack_export", fmt.Sprintf(`{"scenario_id":"s","tenant_id":1,"namespace_id":1,"run_id":"run","output_dir":%q,"generated_at":{"kind":"logical","value":1},"include_verification":false}`, out), "steps written"},
		{"runpack_verify", fmt.Sprintf(`{"runpack_dir":%q,"manifest_path":"manifest.json"}`, out), "bytes read; "},
	} {
		for _, meta := range []string{``, `"_meta":{"progressToken":"p"},`} {
			_, body := r.standardPost(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{` + meta + `"name":"` + c.tool + `","arguments":` + c.arguments + `}}`)
			if meta == "" {
				if !strings.HasPrefix(body, `{"jsonrpc":"2.0","id":1,"result":`) {
					t.Errorf("%s without a token: %.200s", c.tool, body)
				}
				continue
			}
			last, told := 0.0, ""
			for line := range strings.SplitSeq(body, "\n") {
				data, found := strings.CutPrefix(line, "data: ")
				if !found {
					continue
				}
				var m struct {
					Method string
					Params struct {
						ProgressToken string
						Progress      float64
						Message       string
					}
				}
				if err := json.Unmarshal([]byte(data), &m); err != nil {
					t.Fatalf("%v in %s", err, data)
				}
				if m.Method == "" {
					continue
				}
				if m.Params.ProgressToken != "p" || m.Params.Progress <= last {
					t.Errorf("%s: after %v comes %s", c.tool, last, data)
				}
				last, told = m.Params.Progress, m.Params.Message
			}
			if !strings.HasPrefix(told, c.what) {
				t.Errorf("%s tells %q at last, in %.300s", c.tool, told, body)
			}
		}
	}
}
