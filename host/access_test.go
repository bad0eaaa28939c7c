package host_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// callerRow is a token and the principal of its caller; without a role there is no principal.
type callerRow struct {
	token, class, role string
	tenant, namespace  int
}

// recordedCallers are those of the exchanges that were recorded with tokens. The classes PROD and production, which this host
// does not know, are prod: an unknown one must never open anything.
var recordedCallers = slices.Concat([]callerRow{{token: "plain"}, {token: "in ner"}}, bothClasses("TenantAdmin", "NamespaceOwner", "NamespaceAdmin",
	"NamespaceWriter", "NamespaceReader", "SchemaManager", "AgentSandbox", "tenantadmin"), []callerRow{
	{token: "SchemaManager-PROD", class: "prod", role: "SchemaManager"},
	{token: "SchemaManager-production", class: "prod", role: "SchemaManager"},
	{token: "SchemaManager-none", role: "SchemaManager"},
	{token: "scope-t1", class: "prod", role: "TenantAdmin", tenant: 1},
	{token: "scope-t1n2", class: "prod", role: "TenantAdmin", tenant: 1, namespace: 2},
	{token: "scope-n2", class: "prod", role: "NamespaceReader", namespace: 2},
	{token: "scope-t2", class: "prod", role: "TenantAdmin", tenant: 2},
})

func bothClasses(roles ...string) (rows []callerRow) {
	for _, role := range roles {
		for _, class := range []string{"prod", "scratch"} {
			rows = append(rows, callerRow{token: role + "-" + class, class: class, role: role})
		}
	}
	return rows
}

// bearerHCL is an auth block with the tokens and principals of rows.
func bearerHCL(rows []callerRow) string {
	var b strings.Builder
	b.WriteString("auth {\n  bearer {\n    tokens = [")
	for _, r := range rows {
		fmt.Fprintf(&b, "%q, ", r.token)
	}
	b.WriteString("]\n  }\n")
	for _, r := range rows {
		if r.role == "" {
			continue
		}
		fmt.Fprintf(&b, "  principal %q {\n", fmt.Sprintf("token:%x", sha256.Sum256([]byte(r.token))))
		if r.class != "" {
			fmt.Fprintf(&b, "    policy_class = %q\n", r.class)
		}
		fmt.Fprintf(&b, "    role %q {\n", r.role)
		for name, id := range map[string]int{"tenant": r.tenant, "namespace": r.namespace} {
			if id != 0 {
				fmt.Fprintf(&b, "      %s = %d\n", name, id)
			}
		}
		b.WriteString("    }\n  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// accessConfigs are the configurations of recorded exchanges about callers.
var accessConfigs = map[string]string{
	"bearer": bearerHCL(recordedCallers),
	"mtls": `
auth {
  mtls {
    subjects = ["CN=alice", "CN=bob", "loopback"]
    client_subject_header { from = "loopback" }
  }
  principal "CN=alice" {
    policy_class = "scratch"
    role "SchemaManager" {}
  }
  principal "loopback" {
    role "TenantAdmin" {}
  }
}`,
	"acl_custom": `
auth {
  principal "loopback" {
    policy_class = "prod"
    role "R1" { tenant = 1 }
  }
}
schemas {
  acl {
    mode        = "custom"
    allow_local = true
    rule "deny" {
      actions    = ["register"]
      namespaces = [3]
    }
    rule "allow" {
      actions = ["register"]
      roles   = ["R1"]
    }
    rule "allow" {
      actions        = ["list"]
      subjects       = ["loopback"]
      policy_classes = ["prod"]
    }
    rule "allow" {
      actions        = ["get"]
      policy_classes = ["scratch"]
    }
  }
}`,
	"acl_signing": `
schemas {
  acl {
    allow_local = true
    signing     = "presence"
  }
}`,
	"feedback": bearerHCL([]callerRow{{token: "low"}, {token: "tr", role: "Tracer", tenant: 1}, {token: "ev", role: "Auditor"}}) + `
feedback {
  max            = "evidence"
  trace_roles    = ["Tracer"]
  evidence_roles = ["Auditor"]
}`,
}
