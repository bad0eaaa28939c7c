// Package config is the configuration of a host: one HCL file decoded into Go values, with every mistake reported at its
// line. An embedder may build a Config in Go instead, beginning with Default and ending with Validate.
//
// The package refuses to guess: an attribute or block that it does not know, a value of another type and a value out of
// bounds are errors. It opens no network connection and starts no process. What came from env() or file() is treated as
// secret and never appears in a diagnostic.
package config

import (
	"fmt"
	"net/netip"
	"time"
)

// Config is everything that an operator decides. The struct tags are the documentation: type, default, bounds and
// help of each attribute come from them, and Reference lists them.
type Config struct {
	Server    Server    `block:"server" help:"How clients reach the host."`
	Auth      Auth      `block:"auth" help:"Who may call, and with which roles."`
	Feedback  Feedback  `block:"feedback" help:"How much scenario_next tells of an evaluation."`
	PluginDir string    `hcl:"plugin_dir" path:"true" help:"Folder in which plugin commands without a slash are looked up; the folder of the host's own binary when absent."`
	Plugins   []*Plugin `block:"plugin" help:"A backend process. Exactly one store, at most one runpack, any number of evidence."`
	// PluginSignatures is nil on a host that asks for none.
	PluginSignatures *PluginSignatures `block:"plugin_signatures" help:"Who may have made plugins: each has a signature of minisign beside its program, in a file with .minisig after its name."`
	Evidence         Evidence          `block:"evidence" help:"An evidence provider, one that the host has built in or one outside of it; only those that are declared answer."`
	Trust            Trust             `block:"trust" help:"How far evidence is trusted."`
	Disclosure       Disclosure        `block:"disclosure" help:"Which evidence values evidence_query returns."`
	Namespace        Namespace         `block:"namespace" help:"Which namespaces may be used."`
	Validation       Validation        `block:"validation" help:"Comparators that a scenario may use. A string, list or object takes lex_* and deep_* only where its schema lists them, too."`
	Anchors          []*AnchorPolicy   `block:"anchors" help:"Anchor that evidence of a provider must carry."`
	Runpack          Runpack           `block:"runpack" help:"Export and verification of runpacks."`
	Schemas          Schemas           `block:"schemas" help:"The registry of data shapes."`
	Tools            Tools             `block:"tools" help:"Which tools clients may call."`
	Discovery        Discovery         `block:"discovery" help:"Which evidence providers clients may learn about."`
	Dispatch         *Dispatch         `block:"dispatch" help:"Which targets get packets."`
	Audit            *Audit            `block:"audit" help:"A record of every request, who sent it and what came of it. A request that cannot be recorded fails."`
	// Development is nil on a host that others rely on.
	Development *Development `block:"development" help:"What a host for trying things out accepts. Only on loopback, and never with namespace.authority."`
	Docs        Docs         `block:"docs" help:"The documentation that clients may search and read."`
	Log         Log          `block:"log" help:"The log of the host and of its plugins."`

	// Path is the file the configuration came from; empty when it was built in Go.
	Path string
	// Lock is the lock file beside it, nil when there is none. With one, only plugins that it pins are run.
	Lock *Lock

	origin origin
}

// String names the configuration without any of its values: some of them are secret.
func (c Config) String() string {
	return fmt.Sprintf("configuration %q with %d plugins", c.Path, len(c.Plugins))
}

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// Trust is how far evidence is trusted.
type Trust struct {
	MinLane string `hcl:"min_lane" default:"verified" oneof:"verified,asserted" help:"Weakest lane of evidence that a gate accepts unless its condition asks for more (mcp contract §4.4)."`

	MaxClockSkew time.Duration `hcl:"max_clock_skew" default:"0s" min:"0s" max:"24h" help:"Most that a caller's time in unix_millis may differ from the host's clock when a run is started, asked or handed something new; 0s is any. Logical times pass: evidence \"time\" { allow_logical = false } keeps them from conditions."`

	Signatures *Signatures `block:"signatures" help:"Signatures that evidence of every provider must have, unless its own block says otherwise. The built-in providers sign nothing."`
}

// Disclosure is which values evidence_query returns (mcp contract §4.13).
type Disclosure struct {
	RawValues            bool `hcl:"raw_values" default:"false" help:"Return evidence values, not only their hashes."`
	RequireProviderOptIn bool `hcl:"require_provider_opt_in" default:"true" help:"Return values only of providers that set allow_raw."`
}

// Namespace is who may use namespace 1 (mcp contract §3.9).
type Namespace struct {
	AllowDefault   bool     `hcl:"allow_default" default:"false" help:"Allow namespace 1, for the default_tenants only."`
	DefaultTenants []uint64 `hcl:"default_tenants" max:"1024" help:"Tenant ids, each at least 1, that may use namespace 1."`

	Authority *Authority `block:"authority" help:"A server that must know a namespace before a call is served in it."`
}

// Validation is which comparators scenarios may use (mcp contract §9.7).
type Validation struct {
	Strict          bool   `hcl:"strict" default:"true" help:"Refuse scenarios, and data shapes of precheck, whose comparators do not fit the type of what they compare. When false, all comparators are open."`
	AllowPermissive bool   `hcl:"allow_permissive" default:"false" help:"Confirm that strict may be false; alone it changes nothing."`
	Profile         string `hcl:"profile" default:"strict_core_v1" oneof:"strict_core_v1" help:"Rules of the strict checks."`
	Lexicographic   bool   `hcl:"lexicographic" default:"false" help:"Allow the lex_* comparators."`
	DeepEquals      bool   `hcl:"deep_equals" default:"false" help:"Allow the deep_* comparators."`
}

// AnchorPolicy is the anchor that evidence of one provider must carry (mcp contract §4.4).
type AnchorPolicy struct {
	Provider       string   `label:"provider" help:"Provider id."`
	Type           string   `hcl:"type" required:"true" min:"1" max:"255" help:"Anchor type that evidence must carry."`
	RequiredFields []string `hcl:"required_fields" required:"true" min:"1" max:"64" help:"Fields that the anchor's value must have."`
}

// Runpack is export and verification.
type Runpack struct {
	Dirs             []string `hcl:"dirs" path:"true" max:"64" help:"Folders inside which runpack_export may write and runpack_verify may read; none by default."`
	MaxArtifactBytes int64    `hcl:"max_artifact_bytes" default:"4294967296" min:"1" max:"1099511627776" unit:"bytes" help:"Largest artifact that is read or written."`
	Redact           bool     `hcl:"redact" default:"false" help:"Make runpack_export write the hash in place of each evidence value that disclosure does not let evidence_query tell, and mark the manifest. Verdicts on such values cannot be derived again from the runpack."`
}

// Schemas is the registry of data shapes (mcp contract §9.9).
type Schemas struct {
	MaxSchemaBytes int64 `hcl:"max_schema_bytes" default:"1048576" min:"1" max:"10485760" unit:"bytes" help:"Largest data shape."`
	MaxEntries     int64 `hcl:"max_entries" default:"0" min:"0" max:"1000000" unit:"data shapes" help:"Data shapes a namespace may hold; 0 means no limit."`

	ACL SchemaACL `block:"acl" help:"Who may use the registry of data shapes."`
}

// Tools is which tools clients may call (mcp contract §3.6).
type Tools struct {
	// Allow is nil when absent, which opens every tool; an empty list opens none.
	Allow []string `hcl:"allow" max:"64" help:"Tools that may be called; all when absent, none when empty."`
	Deny  []string `hcl:"deny" max:"64" help:"Tools that may not be called, whatever allow says."`
	List  string   `hcl:"list" default:"callable" oneof:"callable,all" help:"Tools that tools/list on /rpc names: those that may be called, or all."`
}

// Discovery is what clients may learn about providers (mcp contract §4.16). It does not say which of them may be asked.
type Discovery struct {
	// Allow is nil when absent, which shows every provider; an empty list shows none.
	Allow            []string `hcl:"allow" max:"1024" help:"Providers that are shown; all when absent, none when empty."`
	Deny             []string `hcl:"deny" max:"1024" help:"Providers that are not shown, whatever allow says."`
	MaxResponseBytes int64    `hcl:"max_response_bytes" default:"1048576" min:"1" max:"67108864" unit:"bytes" help:"Largest contract that is answered."`
}

// Docs is the documentation that clients are served (mcp contract §4.20, §9.10).
type Docs struct {
	Search        bool     `hcl:"search" default:"true" help:"Serve the tool decision_gate_docs_search."`
	Resources     bool     `hcl:"resources" default:"true" help:"Serve whole documents by resources/list and resources/read."`
	Own           bool     `hcl:"own" default:"true" help:"Serve the documents of the host."`
	ExtraPaths    []string `hcl:"extra_paths" path:"true" max:"64" help:"Files, and folders of .md files at any depth, to serve as well. Whoever can call the host can read them."`
	MaxDocBytes   int64    `hcl:"max_doc_bytes" default:"262144" min:"1" max:"1048576" unit:"bytes" help:"Largest document; larger ones of extra_paths are left out."`
	MaxTotalBytes int64    `hcl:"max_total_bytes" default:"1048576" min:"1" max:"8388608" unit:"bytes" help:"Size of all documents together."`
	MaxDocs       int64    `hcl:"max_docs" default:"32" min:"1" max:"256" unit:"documents" help:"Most documents."`
	MaxSections   int64    `hcl:"max_sections" default:"10" min:"1" max:"10" unit:"sections" help:"Most sections that a search answers."`
}

// Evidence is the providers; nil ones are not declared.
type Evidence struct {
	Time *TimeEvidence `name:"time"`
	Env  *EnvEvidence  `name:"env"`
	JSON *JSONEvidence `name:"json"`
	HTTP *HTTPEvidence `name:"http"`
	// MCP are the providers outside the host, each with an id of its own.
	MCP []*MCPEvidence `name:"mcp"`
	// Plugin are settings of providers that are evidence plugins.
	Plugin []*PluginEvidence `name:"plugin"`
}

// EvidencePolicy is what every provider may set.
type EvidencePolicy struct {
	AllowRaw bool   `hcl:"allow_raw" default:"false" help:"Let evidence_query return this provider's values when disclosure.raw_values is set."`
	MinLane  string `hcl:"min_lane" oneof:"verified,asserted" help:"Weakest lane for this provider; trust.min_lane when absent."`

	AcceptUnsigned bool        `hcl:"accept_unsigned" default:"false" help:"Accept evidence without a signature, whatever trust says."`
	Signatures     *Signatures `block:"signatures" help:"Signatures that evidence of this provider must have; those of trust when absent."`
}

// TimeEvidence compares the time of the trigger.
type TimeEvidence struct {
	EvidencePolicy
	AllowLogical bool `hcl:"allow_logical" default:"true" help:"Answer for triggers with a logical time."`
}

// EnvEvidence reads environment variables of the host.
type EnvEvidence struct {
	EvidencePolicy
	// Allow is nil when absent, which allows every name; an empty list allows none.
	Allow         []string `hcl:"allow" max:"1024" help:"Names that may be read; all when absent, none when empty."`
	Deny          []string `hcl:"deny" max:"1024" help:"Names that may not be read, whatever allow says."`
	MaxValueBytes int64    `hcl:"max_value_bytes" default:"65536" min:"1" max:"16777216" unit:"bytes" help:"Largest value."`
	MaxKeyBytes   int64    `hcl:"max_key_bytes" default:"255" min:"1" max:"65536" unit:"bytes" help:"Longest name."`
	// Values is nil when absent. When set, the process environment is never read. A name or value over its limit is no
	// mistake here: it answers as one of the environment would, with an error (contract §10.2).
	Values map[string]string `hcl:"values" max:"1024" help:"Names and values to answer with instead of the environment of the host."`
}

// JSONEvidence reads JSON and YAML files below a folder.
type JSONEvidence struct {
	EvidencePolicy
	Root      string `hcl:"root" required:"true" path:"true" min:"1" max:"4096" help:"Folder that holds the files."`
	RootID    string `hcl:"root_id" required:"true" help:"Name of the folder in anchors: 1 to 64 of a-z, 0-9, _ and -."`
	MaxBytes  int64  `hcl:"max_bytes" default:"1048576" min:"1" max:"67108864" unit:"bytes" help:"Largest file."`
	AllowYAML bool   `hcl:"allow_yaml" default:"true" help:"Read .yaml and .yml files as YAML."`
}

// HTTPEvidence asks web servers.
type HTTPEvidence struct {
	EvidencePolicy
	AllowHTTP        bool          `hcl:"allow_http" default:"false" help:"Allow URLs without TLS."`
	Timeout          time.Duration `hcl:"timeout" default:"5s" min:"1ms" max:"5m" help:"Time a whole request may take."`
	MaxResponseBytes int64         `hcl:"max_response_bytes" default:"1048576" min:"1" max:"67108864" unit:"bytes" help:"Largest response body."`
	// AllowedHosts is nil when absent, which allows every host; an empty list allows none.
	AllowedHosts []string `hcl:"allowed_hosts" max:"1024" help:"Hosts that may be asked, exactly as in the URL, IPv6 in brackets; all when absent, none when empty."`
	UserAgent    string   `hcl:"user_agent" default:"decision-gate/0.1" min:"1" max:"256" help:"User-Agent header."`
	// AllowPrivate are exceptions from the refusal of private addresses, which stops a scenario from reaching services
	// of the host's own network (F-06).
	AllowPrivate []netip.Prefix `hcl:"allow_private" max:"64" help:"Private address ranges (CIDR) that may be asked; none by default."`
}

// Default is the configuration of an empty file, except that it has no store plugin and so is not valid yet.
func Default() *Config {
	c := &Config{}
	setDefaults(c)
	c.Server.HTTP = &HTTP{}
	setDefaults(c.Server.HTTP)
	return c
}
