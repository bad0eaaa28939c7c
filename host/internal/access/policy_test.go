package access

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

func TestParseName(t *testing.T) {
	digest := strings.Repeat("0a", 32)
	for name, want := range map[string]string{
		"loopback":                   "local:loopback",
		"stdio":                      "local:stdio",
		"local:loopback":             "local:loopback",
		"local:stdio":                "local:stdio",
		"token:" + digest:            "token:" + digest,
		"mtls:CN=alice":              "mtls:CN=alice",
		"CN=alice":                   "mtls:CN=alice",
		"alice":                      "mtls:alice",
		"Loopback":                   "mtls:Loopback",
		"mtls:loopback":              "mtls:loopback",
		"mtls:key:x":                 "mtls:key:x",
		"embedder:alice":             "embedder:alice",
		"":                           "",
		"  ":                         "",
		"local:other":                "",
		"local:":                     "",
		"token:":                     "",
		"token:" + digest[1:]:        "",
		"token:secret":               "",
		"token:" + "0A" + digest[2:]: "",
		"mtls:":                      "",
		"embedder:":                  "",
		"key:x":                      "",
		"oidc:x":                     "",
		"oidc:#alice":                "",
		"oidc:https://a#":            "",
		"oidc:https://a#alice#b":     "oidc:https://a#alice#b",
	} {
		got, err := ParseName(name)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestAllowTool(t *testing.T) {
	for _, test := range []struct {
		tools []string
		tool  string
		want  bool
	}{
		{nil, "precheck", true},
		{[]string{}, "precheck", true},
		{[]string{"precheck"}, "precheck", true},
		{[]string{"precheck"}, "scenario_define", false},
	} {
		denial := New(Options{Tools: test.tools}).AllowTool(test.tool)
		if (denial == nil) != test.want || denial != nil && denial.Error() != "unauthorized: tool not authorized" {
			t.Errorf("%v: %s: %v", test.tools, test.tool, denial)
		}
	}
}

// TestBuiltinSchemas is the matrix of mcp contract §3.4, for each method: only local callers have a way of their own.
func TestBuiltinSchemas(t *testing.T) {
	const none, read, managed, write = 0, 1, 2, 3 // managed: register outside of production
	for role, may := range map[string]int{
		"TenantAdmin": write, "NamespaceOwner": write, "NamespaceAdmin": write, "SchemaManager": managed,
		"NamespaceWriter": read, "NamespaceReader": read, "AgentSandbox": none, "NamespaceDeleteAdmin": none, "tenantadmin": none, "": none,
	} {
		for _, class := range []string{"", "prod", "project", "scratch", "PROD", "production", "Scratch"} {
			for _, method := range []Method{Local, Bearer, MTLS, Embedder} {
				for _, allowLocal := range []bool{false, true} {
					who := &Principal{Method: method, PolicyClass: class, Roles: []Role{{Name: role, Tenant: 1, Namespace: 2}}}
					p := New(Options{Schemas: SchemaRules{AllowLocal: allowLocal}})
					name := fmt.Sprintf("%s of class %q, %s, allow local %t", role, class, method, allowLocal)
					for _, action := range []Action{Register, List, Get} {
						want := Decision{Action: action}
						allowed := may >= read
						kind := "read"
						if action == Register {
							kind = "write"
							allowed = may == write || may == managed && (class == "project" || class == "scratch")
						}
						switch {
						case allowLocal && method == Local:
							want.Allowed, want.Reason = true, "builtin_allow_local_only"
						case allowed:
							want.Allowed, want.Reason = true, "builtin_allow_"+kind
						default:
							want.Reason = "builtin_deny_" + kind
						}
						if got := p.Schemas(who, action, 1, 2); got != want {
							t.Errorf("%s: %+v, want %+v", name, got, want)
						}
						// Out of scope nothing is left but what local callers may.
						want.Allowed, want.Reason = false, "builtin_deny_"+kind
						if allowLocal && method == Local {
							want.Allowed, want.Reason = true, "builtin_allow_local_only"
						}
						for _, scope := range [][2]uint64{{2, 2}, {1, 1}} {
							if got := p.Schemas(who, action, gate.TenantID(scope[0]), gate.NamespaceID(scope[1])); got != want {
								t.Errorf("%s in %v: %+v, want %+v", name, scope, got, want)
							}
						}
					}
				}
			}
		}
	}
}

func TestScopes(t *testing.T) {
	for _, test := range []struct {
		role Role
		want string // of tenant.namespace 1.1 1.2 2.1 2.2
	}{
		{Role{Name: "TenantAdmin"}, "1111"},
		{Role{Name: "TenantAdmin", Tenant: 1}, "1100"},
		{Role{Name: "TenantAdmin", Namespace: 2}, "0101"},
		{Role{Name: "TenantAdmin", Tenant: 2, Namespace: 1}, "0010"},
	} {
		p, got := New(Options{}), ""
		for _, tenant := range []gate.TenantID{1, 2} {
			for _, namespace := range []gate.NamespaceID{1, 2} {
				decision := p.Schemas(&Principal{Roles: []Role{test.role}}, Get, tenant, namespace)
				got += map[bool]string{true: "1", false: "0"}[decision.Allowed]
			}
		}
		if got != test.want {
			t.Errorf("%+v: %s, want %s", test.role, got, test.want)
		}
	}
}

func TestCustomSchemas(t *testing.T) {
	who := &Principal{ID: "mtls:CN=a", Method: MTLS, PolicyClass: "scratch", Roles: []Role{{Name: "R", Tenant: 1}, {Name: "S"}}}
	allow := SchemaRule{Allow: true}
	for name, test := range map[string]struct {
		rules        []SchemaRule
		defaultAllow bool
		want         string
	}{
		"no rule":             {nil, false, "default_deny"},
		"no rule, allow":      {nil, true, "default_allow"},
		"everything":          {[]SchemaRule{allow}, false, "custom_allow"},
		"the first decides":   {[]SchemaRule{{}, allow}, true, "custom_deny"},
		"action":              {[]SchemaRule{{Actions: []Action{List}}, {Allow: true, Actions: []Action{List, Get}}}, false, "custom_allow"},
		"tenant":              {[]SchemaRule{{Tenants: []gate.TenantID{2}}, {Allow: true, Tenants: []gate.TenantID{1}}}, false, "custom_allow"},
		"namespace":           {[]SchemaRule{{Namespaces: []gate.NamespaceID{2}}, {Allow: true, Namespaces: []gate.NamespaceID{1}}}, false, "custom_allow"},
		"principal":           {[]SchemaRule{{Principals: []string{"local:CN=a"}}, {Allow: true, Principals: []string{"mtls:CN=a"}}}, false, "custom_allow"},
		"role":                {[]SchemaRule{{Roles: []string{"T"}}, {Allow: true, Roles: []string{"T", "R"}}}, false, "custom_allow"},
		"class":               {[]SchemaRule{{PolicyClasses: []string{"prod", "SCRATCH"}}, {Allow: true, PolicyClasses: []string{"scratch"}}}, false, "custom_allow"},
		"every list matches":  {[]SchemaRule{{Allow: true, Actions: []Action{Get}, Roles: []string{"nobody"}}}, false, "default_deny"},
		"built-in role names": {[]SchemaRule{{Allow: true, Roles: []string{"TenantAdmin"}}}, false, "default_deny"},
	} {
		p := New(Options{Schemas: SchemaRules{Custom: true, Rules: test.rules, DefaultAllow: test.defaultAllow}})
		got := p.Schemas(who, Get, 1, 1)
		if want := (Decision{Get, strings.HasSuffix(test.want, "allow"), test.want}); got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		if denial := got.Denial(); (denial == nil) != got.Allowed {
			t.Errorf("%s: %v", name, denial)
		}
	}
	// A role out of scope matches no rule, and local callers have no way of their own.
	p := New(Options{Schemas: SchemaRules{Custom: true, AllowLocal: true, Rules: []SchemaRule{{Allow: true, Roles: []string{"R"}}}}})
	for _, who := range []*Principal{who, {ID: "local:loopback", Method: Local}} {
		if got := p.Schemas(who, Get, 2, 1); got.Allowed {
			t.Errorf("%s: %+v", who.ID, got)
		}
	}
	// A caller without a class matches no rule for classes.
	p = New(Options{Schemas: SchemaRules{Custom: true, Rules: []SchemaRule{{Allow: true, PolicyClasses: []string{"prod"}}}}})
	if got := p.Schemas(&Principal{}, Get, 1, 1); got.Allowed {
		t.Errorf("no class: %+v", got)
	}
}

func TestSigning(t *testing.T) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	other := ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize)))
	message := []byte(`{"schema_id":"s"}`)
	sign := func(key ed25519.PrivateKey) string {
		return base64.StdEncoding.EncodeToString(ed25519.Sign(key, message))
	}
	algorithm := func(name string) *string { return &name }
	good := sign(private)
	keys := map[string]ed25519.PublicKey{"release": private.Public().(ed25519.PublicKey), "other": other.Public().(ed25519.PublicKey)}
	const required, invalid, unknown, unsupported, wrong = "schema signing metadata required", "schema signing metadata invalid", "schema signing key unknown", "schema signing algorithm not supported", "schema signature does not verify"
	for name, test := range map[string]struct {
		signature      *Signature
		presence, real string // the details; empty is allowed
	}{
		"none":              {nil, required, required},
		"good":              {&Signature{KeyID: "release", Signature: good}, "", ""},
		"good, named":       {&Signature{KeyID: "release", Signature: good, Algorithm: algorithm("ed25519")}, "", ""},
		"other algorithm":   {&Signature{KeyID: "release", Signature: good, Algorithm: algorithm("none")}, "", unsupported},
		"empty algorithm":   {&Signature{KeyID: "release", Signature: good, Algorithm: algorithm("")}, "", unsupported},
		"blank key":         {&Signature{KeyID: " ", Signature: good}, invalid, invalid},
		"blank signature":   {&Signature{KeyID: "release", Signature: "\t"}, invalid, invalid},
		"unknown key":       {&Signature{KeyID: "Release", Signature: good}, "", unknown},
		"another key's":     {&Signature{KeyID: "other", Signature: good}, "", wrong},
		"by another key":    {&Signature{KeyID: "release", Signature: sign(other)}, "", wrong},
		"not base64":        {&Signature{KeyID: "release", Signature: "s"}, "", wrong},
		"too short":         {&Signature{KeyID: "release", Signature: good[:40]}, "", wrong},
		"spaces around it":  {&Signature{KeyID: "release", Signature: good + "\n "}, "", wrong},
		"without padding":   {&Signature{KeyID: "release", Signature: strings.TrimRight(good, "=")}, "", wrong},
		"other last digits": {&Signature{KeyID: "release", Signature: good[:85] + string(good[85]+1) + "=="}, "", wrong},
	} {
		for mode, m := range map[string]struct {
			rule Signing
			want string
		}{"none": {Signing{}, ""}, "presence": {Signing{Required: true}, test.presence}, "ed25519": {Signing{Required: true, Keys: keys}, test.real}} {
			denial := New(Options{Schemas: SchemaRules{Signing: m.rule}}).CheckSigning(test.signature, func() []byte { return message })
			got := ""
			if denial != nil {
				got = denial.Detail
			}
			if got != m.want || denial != nil && !denial.Authenticated {
				t.Errorf("%s, %s: %v, want %q", name, mode, denial, m.want)
			}
		}
	}
	if New(Options{Schemas: SchemaRules{Signing: Signing{Keys: keys}}}).CheckSigning(&Signature{KeyID: "release", Signature: good}, func() []byte { return []byte("other") }) == nil {
		t.Error("a signature of another record passes")
	}
}

func TestFeedback(t *testing.T) {
	local := &Principal{ID: "local:loopback", Method: Local}
	stranger := &Principal{ID: "token:0", Method: Bearer}
	scoped := &Principal{ID: "token:1", Method: Bearer, Roles: []Role{{Name: "Tracer", Tenant: 1}, {Name: "Auditor", Namespace: 1}}}
	standard := FeedbackRules{Default: Summary, LocalDefault: Trace, Max: Trace, Trace: Audience{Principals: []string{"local:loopback", "local:stdio"}}}
	open := FeedbackRules{Default: Trace, LocalDefault: Evidence, Max: Evidence, Trace: Audience{Roles: []string{"Tracer"}}, Evidence: Audience{Principals: []string{"local:loopback"}, Roles: []string{"Auditor"}}}
	for name, test := range map[string]struct {
		rules             FeedbackRules
		who               *Principal
		asked             Level // empty: none
		tenant, namespace uint64
		want              string // wanted>told
	}{
		"no rules":                         {FeedbackRules{}, local, "", 1, 1, "summary>summary"},
		"no rules, asked":                  {FeedbackRules{}, local, Evidence, 1, 1, "evidence>summary"},
		"local by default":                 {standard, local, "", 1, 1, "trace>trace"},
		"local asks for less":              {standard, local, Summary, 1, 1, "summary>summary"},
		"local asks for more":              {standard, local, Evidence, 1, 1, "evidence>trace"},
		"stranger by default":              {standard, stranger, "", 1, 1, "summary>summary"},
		"stranger asks":                    {standard, stranger, Trace, 1, 1, "trace>summary"},
		"evidence needs no trace":          {open, local, "", 1, 1, "evidence>evidence"},
		"without evidence nor trace":       {open, local, Trace, 1, 1, "trace>summary"},
		"stranger by a high default":       {open, stranger, "", 1, 1, "trace>summary"},
		"both roles":                       {open, scoped, Evidence, 1, 1, "evidence>evidence"},
		"one role, the other out of scope": {open, scoped, Evidence, 1, 2, "evidence>trace"},
		"the other one":                    {open, scoped, Evidence, 2, 1, "evidence>evidence"},
		"trace out of scope":               {open, scoped, Trace, 2, 1, "trace>summary"},
		"both out of scope":                {open, scoped, Evidence, 2, 2, "evidence>summary"},
	} {
		var asked *Level
		if test.asked != "" {
			asked = &test.asked
		}
		wanted, told := New(Options{Feedback: test.rules}).Feedback(test.who, asked, gate.TenantID(test.tenant), gate.NamespaceID(test.namespace))
		if got := string(wanted + ">" + told); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}
