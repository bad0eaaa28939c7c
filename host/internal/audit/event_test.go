package audit

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

func text(s string) *string { return &s }

// TestLines compares the line of each event, with everything set and with everything absent.
func TestLines(t *testing.T) {
	code := int64(-32602)
	digest := canonical.HashDigest{Algorithm: "sha256", Value: "ab"}
	for _, test := range []struct {
		event Event
		want  string
	}{
		{ToolAuthz{Decision: Allow, Action: "precheck", Transport: "http", PeerIP: text("127.0.0.1"), AuthMethod: text("bearer_token"), Subject: text("s"), TokenFingerprint: text("f"), Reason: text("r"), RequestID: text("1"), ClientCorrelationID: text("c"), ServerCorrelationID: "dg-1"},
			`{"event":"mcp_tool_authz","decision":"allow","action":"precheck","transport":"http","peer_ip":"127.0.0.1","auth_method":"bearer_token","subject":"s","token_fingerprint":"f","reason":"r","request_id":"1","unsafe_client_correlation_id":"c","server_correlation_id":"dg-1"}`},
		{ToolAuthz{Decision: Deny, Action: "tools/list", Transport: "stdio", ServerCorrelationID: Missing},
			`{"event":"mcp_tool_authz","decision":"deny","action":"tools/list","transport":"stdio","peer_ip":null,"auth_method":null,"subject":null,"token_fingerprint":null,"reason":null,"request_id":null,"unsafe_client_correlation_id":null,"server_correlation_id":"missing"}`},
		{Request{TimestampMS: 5, RequestID: text(`"q"`), ClientCorrelationID: text("c"), ServerCorrelationID: "dg-1", Transport: "sse", PeerIP: text("::1"), Method: ToolsCall, Tool: text("precheck"), Outcome: Failed, ErrorCode: &code, ErrorKind: text("invalid_params"), RequestBytes: 10, ResponseBytes: 20, ClientSubject: text("CN=alice"), Redaction: Full},
			`{"event":"mcp_request","timestamp_ms":5,"request_id":"\"q\"","unsafe_client_correlation_id":"c","server_correlation_id":"dg-1","transport":"sse","peer_ip":"::1","method":"ToolsCall","tool":"precheck","outcome":"Error","error_code":-32602,"error_kind":"invalid_params","request_bytes":10,"response_bytes":20,"client_subject":"CN=alice","redaction":"full"}`},
		{Request{TimestampMS: 5, ServerCorrelationID: "dg-1", Transport: "stdio", Method: Other, Outcome: OK, Redaction: Evidence},
			`{"event":"mcp_request","timestamp_ms":5,"request_id":null,"unsafe_client_correlation_id":null,"server_correlation_id":"dg-1","transport":"stdio","peer_ip":null,"method":"Other","tool":null,"outcome":"Ok","error_code":null,"error_kind":null,"request_bytes":0,"response_bytes":0,"client_subject":null,"redaction":"evidence"}`},
		{Precheck{TimestampMS: 5, ClientCorrelationID: text("c"), ServerCorrelationID: "dg-1", TenantID: "1", NamespaceID: "2", ScenarioID: text("s"), StageID: text("st"), SchemaID: "sc", SchemaVersion: "1", RequestHash: digest, ResponseHash: digest, Request: canonical.NewBool(true), Response: canonical.NewObject(nil), Redaction: Payload},
			`{"event":"precheck_audit","timestamp_ms":5,"unsafe_client_correlation_id":"c","server_correlation_id":"dg-1","tenant_id":"1","namespace_id":"2","scenario_id":"s","stage_id":"st","schema_id":"sc","schema_version":"1","request_hash":{"algorithm":"sha256","value":"ab"},"response_hash":{"algorithm":"sha256","value":"ab"},"request":true,"response":{},"redaction":"payload"}`},
		{Precheck{TimestampMS: 5, ServerCorrelationID: "dg-1", TenantID: "1", NamespaceID: "2", SchemaID: "sc", SchemaVersion: "1", RequestHash: digest, ResponseHash: digest, Redaction: HashOnly},
			`{"event":"precheck_audit","timestamp_ms":5,"unsafe_client_correlation_id":null,"server_correlation_id":"dg-1","tenant_id":"1","namespace_id":"2","scenario_id":null,"stage_id":null,"schema_id":"sc","schema_version":"1","request_hash":{"algorithm":"sha256","value":"ab"},"response_hash":{"algorithm":"sha256","value":"ab"},"request":null,"response":null,"redaction":"hash_only"}`},
		{Registry{TimestampMS: 5, RequestID: text("1"), ClientCorrelationID: text("c"), ServerCorrelationID: "dg-1", TenantID: "1", NamespaceID: "2", Action: "get", Allowed: true, Reason: "builtin_allow_read", PrincipalID: "token:ab", Roles: []string{"A", "A"}, PolicyClass: text("prod"), SchemaID: text("s"), SchemaVersion: text("1")},
			`{"event":"registry_audit","timestamp_ms":5,"request_id":"1","unsafe_client_correlation_id":"c","server_correlation_id":"dg-1","tenant_id":"1","namespace_id":"2","action":"get","allowed":true,"reason":"builtin_allow_read","principal_id":"token:ab","roles":["A","A"],"policy_class":"prod","schema_id":"s","schema_version":"1"}`},
		{Registry{TimestampMS: 5, ServerCorrelationID: "dg-1", TenantID: "1", NamespaceID: "2", Action: "list", Reason: "builtin_deny_read", PrincipalID: "local:stdio"},
			`{"event":"registry_audit","timestamp_ms":5,"request_id":null,"unsafe_client_correlation_id":null,"server_correlation_id":"dg-1","tenant_id":"1","namespace_id":"2","action":"list","allowed":false,"reason":"builtin_deny_read","principal_id":"local:stdio","roles":[],"policy_class":null,"schema_id":null,"schema_version":null}`},
		{Tenant{TimestampMS: 5, RequestID: text("1"), ServerCorrelationID: "dg-1", Tool: "scenario_define", Allowed: true, Reason: "noop_allow", PrincipalID: "local:stdio", TenantID: text("1"), NamespaceID: text("2")},
			`{"event":"tenant_authz","timestamp_ms":5,"request_id":"1","unsafe_client_correlation_id":null,"server_correlation_id":"dg-1","tool":"scenario_define","allowed":true,"reason":"noop_allow","principal_id":"local:stdio","tenant_id":"1","namespace_id":"2"}`},
		{Usage{TimestampMS: 5, RequestID: text("1"), ServerCorrelationID: "dg-1", Tool: "schemas_register", PrincipalID: "local:stdio", Metric: "storage_bytes", Units: 18446744073709551615, Allowed: true, Reason: "noop_allow"},
			`{"event":"usage_audit","timestamp_ms":5,"request_id":"1","unsafe_client_correlation_id":null,"server_correlation_id":"dg-1","tool":"schemas_register","tenant_id":null,"namespace_id":null,"principal_id":"local:stdio","metric":"storage_bytes","units":18446744073709551615,"allowed":true,"reason":"noop_allow"}`},
		{Security{TimestampMS: 5, Kind: DevelopmentEnabled, DevPermissive: true, NamespaceAuthority: "dg_registry"},
			`{"event":"security_audit","timestamp_ms":5,"unsafe_client_correlation_id":null,"server_correlation_id":null,"kind":"dev_permissive_enabled","message":null,"dev_permissive":true,"namespace_authority":"dg_registry"}`},
	} {
		got := AppendLine([]byte("before\n"), test.event)
		if want := "before\n" + test.want + "\n"; string(got) != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// TestForgedLine: a line break in an id would let a client write lines of its own.
func TestForgedLine(t *testing.T) {
	for _, id := range []string{"a\n{\"event\":\"mcp_request\"}", "a\r\nb", "a\u2028b\u0085c\x00\x1b[2J"} {
		line := AppendLine(nil, Precheck{ScenarioID: &id, SchemaID: id})
		if bytes.Count(line, []byte("\n")) != 1 || bytes.ContainsAny(line, "\r\x00\x1b") {
			t.Errorf("%q: %q", id, line)
		}
		var got struct {
			SchemaID string `json:"schema_id"`
		}
		if err := json.Unmarshal(line, &got); err != nil || got.SchemaID != id {
			t.Errorf("%q: %q, %v", id, got.SchemaID, err)
		}
	}
}
