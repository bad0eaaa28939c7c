package config

// Auth is who may call (mcp contract §3.2, §9.3). Without local, bearer, mtls and an auth plugin it is local.
type Auth struct {
	Local  *LocalAuth  `block:"local" help:"Let callers on standard input and on loopback addresses in, without credentials."`
	Bearer *BearerAuth `block:"bearer" help:"Let callers in that send a token in the Authorization header. A request that has this header is judged by it alone."`
	MTLS   *MTLSAuth   `block:"mtls" help:"Let callers in by the subject of their certificate, which the host has verified."`

	Tenants      string       `hcl:"tenants" default:"any" oneof:"any,roles" help:"Which tenants a caller may name: any, or those that a role of the caller names. A role without tenant is for all of them, and for what they share. Shared hosts need roles."`
	AllowedTools []string     `hcl:"allowed_tools" max:"128" help:"Tools that callers may call; all when absent or empty. Others are listed, and refused."`
	Principals   []*Principal `block:"principal" help:"Roles of a caller. The label is local:loopback, local:stdio, token: and the SHA-256 of the token in hexadecimal, mtls: and a certificate's subject, oidc: with the issuer, a # and the subject of a token that an auth plugin takes, or embedder: and a name; the short names loopback and stdio, and a subject alone, are understood too."`
}

// LocalAuth lets the machine's own callers in.
type LocalAuth struct{}

// BearerAuth lets callers in that know a token.
type BearerAuth struct {
	Tokens []string `hcl:"tokens" required:"true" secret:"true" min:"1" max:"64" help:"Tokens, each 1 to 256 printable ASCII characters; read them with env() or file()."`
}

// MTLSAuth lets callers in that have a certificate.
type MTLSAuth struct {
	Subjects            []string             `hcl:"subjects" required:"true" min:"1" max:"64" help:"Subjects that are let in, each 1 to 512 bytes, compared exactly. A certificate's subject is written as RFC 4514 has it, the most specific name first: CN=alice,O=Example."`
	ClientSubjectHeader *ClientSubjectHeader `block:"client_subject_header" help:"Believe a proxy that names the client in the header x-decision-gate-client-subject. From anybody else the header is ignored."`
}

// ClientSubjectHeader says whose header is believed.
type ClientSubjectHeader struct {
	From string `hcl:"from" required:"true" min:"1" max:"512" help:"Subject of the proxy's certificate, or loopback for whatever connects from this machine. The proxy must replace the header of its clients."`
}

// Principal is what is known of one caller (mcp contract §3.3).
type Principal struct {
	Name        string  `label:"name" help:"Caller."`
	PolicyClass string  `hcl:"policy_class" oneof:"prod,project,scratch" help:"Class of the caller's work; as prod when absent. In other classes the role SchemaManager may register data shapes."`
	Roles       []*Role `block:"role" repeats:"true" help:"A role. The registry of data shapes knows TenantAdmin, NamespaceOwner, NamespaceAdmin, NamespaceWriter, NamespaceReader and SchemaManager; others are for rules and feedback."`
}

// Role is a role and where it applies.
type Role struct {
	Name      string `label:"name" help:"Role, as rules name it."`
	Tenant    uint64 `hcl:"tenant" min:"1" help:"Tenant id in which the caller has the role; in all when absent."`
	Namespace uint64 `hcl:"namespace" min:"1" help:"Namespace id in which the caller has the role; in all when absent."`
}

// Feedback is how much of an evaluation scenario_next tells (mcp contract §3.10).
type Feedback struct {
	Default      string `hcl:"default" default:"summary" oneof:"summary,trace,evidence" help:"Level for callers that ask for none."`
	LocalDefault string `hcl:"local_default" default:"trace" oneof:"summary,trace,evidence" help:"Level for local callers that ask for none."`
	Max          string `hcl:"max" default:"trace" oneof:"summary,trace,evidence" help:"Highest level, whoever asks. evidence has the values that disclosure and allow_raw let out."`
	// TraceSubjects is nil when absent, which are the local callers.
	TraceSubjects    []string `hcl:"trace_subjects" max:"1024" help:"Callers that are told which conditions were met, named as principals are; local:loopback and local:stdio when absent, none when empty."`
	TraceRoles       []string `hcl:"trace_roles" max:"1024" help:"Roles whose callers are told which conditions were met."`
	EvidenceSubjects []string `hcl:"evidence_subjects" max:"1024" help:"Callers that are told the evidence as well."`
	EvidenceRoles    []string `hcl:"evidence_roles" max:"1024" help:"Roles whose callers are told the evidence as well."`
}

// SchemaACL is who may use the registry of data shapes (mcp contract §3.4, §9.9). precheck needs get for the shape that it
// names.
type SchemaACL struct {
	Mode        string            `hcl:"mode" default:"builtin" oneof:"builtin,custom" help:"Decide by the built-in roles, or by the rules."`
	Default     string            `hcl:"default" default:"deny" oneof:"deny,allow" help:"What becomes of a request that no rule matches. Of no effect when mode is builtin."`
	AllowLocal  bool              `hcl:"allow_local" default:"false" help:"Let local callers do everything without a role. Of no effect when mode is custom."`
	Signing     string            `hcl:"signing" default:"none" oneof:"none,presence,ed25519" help:"What schemas_register asks of the signing member of a record: nothing, that it is there, or an Ed25519 signature by one of signing_keys."`
	SigningKeys map[string]string `hcl:"signing_keys" path:"true" max:"64" help:"Key ids and files with their Ed25519 public keys, 32 bytes or base64."`
	Rules       []*SchemaRule     `block:"rule" repeats:"true" help:"A rule, labelled allow or deny. The first that matches decides; a list that is absent or empty matches everything."`
}

// SchemaRule is one rule of the registry of data shapes.
type SchemaRule struct {
	Effect        string   `label:"effect" help:"allow or deny."`
	Actions       []string `hcl:"actions" max:"3" help:"Any of register, list and get."`
	Tenants       []uint64 `hcl:"tenants" max:"1024" help:"Tenant ids, each at least 1."`
	Namespaces    []uint64 `hcl:"namespaces" max:"1024" help:"Namespace ids, each at least 1."`
	Subjects      []string `hcl:"subjects" max:"1024" help:"Callers, named as principals are."`
	Roles         []string `hcl:"roles" max:"1024" help:"Roles, which count only where they apply."`
	PolicyClasses []string `hcl:"policy_classes" max:"3" help:"Any of prod, project and scratch. A caller without a class matches none."`
}
