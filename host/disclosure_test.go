package host_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host"
)

// TestDisclosure is the matrix of mcp contract §4.13: a value is told only where the host tells values and, unless it asks for
// no opt-in, its provider does; hash, reference and anchor always are. It holds at both surfaces, and for what scenario_next
// tells of evidence.
func TestDisclosure(t *testing.T) {
	const query = `{"query":{"provider_id":"env","check_id":"get","params":{"key":"K"}},"context":{"tenant_id":1,"namespace_id":2,"run_id":"r","scenario_id":"s","stage_id":"a","trigger_id":"t","trigger_time":{"kind":"logical","value":1}}}`
	for _, raw := range []bool{false, true} {
		for _, optIn := range []bool{false, true} {
			for _, allow := range []bool{false, true} {
				t.Run(fmt.Sprintf("raw %t, opt-in %t, provider %t", raw, optIn, allow), func(t *testing.T) {
					h := openAccess(t, t.TempDir(), fmt.Sprintf(`
evidence "env" {
  allow_raw = %t
  values    = { K = "sesame" }
}
disclosure {
  raw_values              = %t
  require_provider_opt_in = %t
}
feedback {
  max               = "evidence"
  evidence_subjects = ["local:loopback"]
}`, allow, raw, optIn), func(*host.Config) {})
					server := httptest.NewServer(h.Handler())
					defer server.Close()
					r := run{&fixture{t: t, URL: server.URL}, "s", "r", 1}
					in2 := func(text string) []byte {
						return []byte(strings.ReplaceAll(text, `"namespace_id":1`, `"namespace_id":2`))
					}
					r.must("scenario_define", json.RawMessage(in2(strings.ReplaceAll(string(twoStages("s", "1")), `{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true`,
						`{"provider_id":"env","check_id":"get","params":{"key":"K"}},"comparator":"equals","expected":"sesame"`))), nil)
					r.must("scenario_start", json.RawMessage(in2(`{"scenario_id":"s","started_at":{"kind":"logical","value":1},"issue_entry_packets":false,"run_config":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","dispatch_targets":[],"policy_tags":[]}}`)), nil)
					next := in2(`{"scenario_id":"s","feedback":"evidence","request":{"run_id":"r","tenant_id":1,"namespace_id":1,"trigger_id":"t","agent_id":"a","time":{"kind":"logical","value":2}}}`)
					c := newStandardClient(t, server.URL)
					answers := map[string]string{
						"evidence_query at /rpc": string(r.call("evidence_query", json.RawMessage(query)).Result),
						"evidence_query at /mcp": string(c.call("evidence_query", json.RawMessage(query), 200, 0).Result),
						"scenario_next at /rpc":  string(r.call("scenario_next", json.RawMessage(next)).Result),
						"scenario_next at /mcp":  string(c.call("scenario_next", json.RawMessage(next), 200, 0).Result),
					}
					for where, answer := range answers {
						told := raw && (!optIn || allow)
						if got := strings.Contains(answer, "sesame"); got != told {
							t.Errorf("%s tells the value: %t, want %t: %s", where, got, told, answer)
						}
						if got := strings.Contains(answer, `"content_type":"text/plain"`); got != told {
							t.Errorf("%s tells the content type: %t, want %t", where, got, told)
						}
						if !strings.Contains(answer, `"evidence_hash":{"algorithm":"sha256"`) || !strings.Contains(answer, `"anchor_type":"env"`) {
							t.Errorf("%s: no hash or anchor: %s", where, answer)
						}
					}
				})
			}
		}
	}
}
