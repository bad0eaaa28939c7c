package config

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAccess loads every attribute about callers: roles and rules repeat, and keep their order.
func TestAccess(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", secret)
	dir := t.TempDir()
	path := filepath.Join(dir, "host.hcl")
	write(t, path, `
plugin "store" "main" { command = "store-sqlite" }
auth {
  local {}
  bearer { tokens = [env("CONFIG_TEST_SECRET"), "in ner"] }
  mtls {
    subjects = ["CN=alice"]
    client_subject_header { from = "CN=proxy" }
  }
  tenants       = "roles"
  allowed_tools = ["precheck"]
  principal "CN=alice" {
    policy_class = "scratch"
    role "SchemaManager" { tenant = 1 }
    role "NamespaceReader" {}
    role "SchemaManager" {
      tenant    = 18446744073709551615
      namespace = 2
    }
  }
  principal "loopback" {}
}
feedback {
  default           = "trace"
  local_default     = "evidence"
  max               = "evidence"
  trace_subjects    = []
  trace_roles       = ["A"]
  evidence_subjects = ["stdio"]
  evidence_roles    = ["B"]
}
schemas {
  acl {
    mode         = "custom"
    default      = "allow"
    allow_local  = true
    signing      = "ed25519"
    signing_keys = { release = "keys/release.pub" }
    rule "deny" { actions = ["register"] }
    rule "allow" { tenants = [1] }
    rule "deny" {
      namespaces     = [2]
      subjects       = ["CN=alice"]
      roles          = ["A"]
      policy_classes = ["prod"]
    }
  }
}
`)
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Auth = Auth{
		Local: &LocalAuth{}, Bearer: &BearerAuth{Tokens: []string{secret, "in ner"}},
		MTLS:         &MTLSAuth{Subjects: []string{"CN=alice"}, ClientSubjectHeader: &ClientSubjectHeader{From: "CN=proxy"}},
		Tenants:      "roles",
		AllowedTools: []string{"precheck"},
		Principals: []*Principal{
			{Name: "CN=alice", PolicyClass: "scratch", Roles: []*Role{{Name: "SchemaManager", Tenant: 1}, {Name: "NamespaceReader"}, {Name: "SchemaManager", Tenant: 1<<64 - 1, Namespace: 2}}},
			{Name: "loopback"},
		},
	}
	want.Feedback = Feedback{
		Default: "trace", LocalDefault: "evidence", Max: "evidence",
		TraceSubjects: []string{}, TraceRoles: []string{"A"}, EvidenceSubjects: []string{"stdio"}, EvidenceRoles: []string{"B"},
	}
	want.Schemas.ACL = SchemaACL{
		Mode: "custom", Default: "allow", AllowLocal: true, Signing: "ed25519", SigningKeys: map[string]string{"release": filepath.Join(dir, "keys/release.pub")},
		Rules: []*SchemaRule{
			{Effect: "deny", Actions: []string{"register"}},
			{Effect: "allow", Tenants: []uint64{1}},
			{Effect: "deny", Namespaces: []uint64{2}, Subjects: []string{"CN=alice"}, Roles: []string{"A"}, PolicyClasses: []string{"prod"}},
		},
	}
	for _, diff := range []string{cmp.Diff(want.Auth, got.Auth), cmp.Diff(want.Feedback, got.Feedback), cmp.Diff(want.Schemas, got.Schemas)} {
		if diff != "" {
			t.Error(diff)
		}
	}
	if err := got.Validate(); err != nil {
		t.Errorf("a loaded configuration is not valid: %v", err)
	}
}
