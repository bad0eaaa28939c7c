package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMCPEvidence reads providers outside the host, with their defaults (mcp contract §9.13).
func TestMCPEvidence(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", secret)
	got, err := Parse([]byte(`
evidence "mcp" "ci" {
  command      = ["./ci-provider", "-v"]
  dir          = "work"
  env          = []
  capabilities = "ci.json"
  allow_raw    = true
  signatures {
    keys          = ["keys/ci.pub", "/etc/ci.pub"]
    named_keys    = { "ci-2" = "ci2.pub" }
    require_bound = true
  }
}
evidence "mcp" "cd" {
  url             = "http://127.0.0.1:1/x?y"
  allow_http      = true
  bearer_token    = env("CONFIG_TEST_SECRET")
  capabilities    = "/etc/cd.json"
  connect_timeout = "100ms"
  request_timeout = "500ms"
  max_concurrent  = 256
  any_response_id = true
  min_lane        = "asserted"
  accept_unsigned = true
}
trust {
  signatures { keys = [] }
}
plugin "store" "x" { command = "y" }
`), "etc/c.hcl")
	if err != nil {
		t.Fatal(err)
	}
	want := []*MCPEvidence{{
		ID: "ci", Command: Command{"./ci-provider", "-v"}, Dir: "etc/work", Env: []string{}, Capabilities: "etc/ci.json",
		ConnectTimeout: 2 * time.Second, RequestTimeout: 10 * time.Second, MaxConcurrent: 16,
		EvidencePolicy: EvidencePolicy{AllowRaw: true, Signatures: &Signatures{
			// As they are written: signatures name keys by them.
			Keys: []string{"keys/ci.pub", "/etc/ci.pub"}, NamedKeys: map[string]string{"ci-2": "ci2.pub"}, RequireBound: true,
		}},
	}, {
		ID: "cd", URL: "http://127.0.0.1:1/x?y", AllowHTTP: true, BearerToken: secret, Capabilities: "/etc/cd.json",
		ConnectTimeout: 100 * time.Millisecond, RequestTimeout: 500 * time.Millisecond, MaxConcurrent: 256, AnyResponseID: true,
		EvidencePolicy: EvidencePolicy{MinLane: "asserted", AcceptUnsigned: true},
	}}
	if diff := cmp.Diff(want, got.Evidence.MCP); diff != "" {
		t.Error(diff)
	}
	if got.Trust.Signatures == nil || len(got.Trust.Signatures.Keys) != 0 {
		t.Errorf("signatures of trust: %+v", got.Trust.Signatures)
	}
	if err := got.Validate(); err != nil {
		t.Errorf("a loaded configuration is not valid: %v", err)
	}
}

// TestMCPReference: the reference page names the block with its labels.
func TestMCPReference(t *testing.T) {
	var rows []string
	for _, row := range Reference() {
		if strings.HasPrefix(row.Block, `evidence "mcp"`) {
			rows = append(rows, row.Block+" "+row.Name)
		}
	}
	if len(rows) == 0 || rows[0] != `evidence "mcp" "ID" ` || !strings.Contains(strings.Join(rows, "\n"), `evidence "mcp" "ID" signatures keys`) {
		t.Errorf("%q", rows)
	}
}
