package config

import "time"

// MCPEvidence is a provider outside the host that is asked by JSON-RPC (mcp contract §5): a program over its standard input
// and output, or a server over HTTP.
type MCPEvidence struct {
	ID string `label:"id" help:"Provider id, as scenarios name it."`
	EvidencePolicy
	// Command is the program and its arguments; it wins over URL when both are set.
	Command        Command       `hcl:"command" help:"Program to run and its arguments. With a slash it is relative to the folder of the file, otherwise looked up in PATH. Wins over url."`
	URL            string        `hcl:"url" max:"8192" help:"Server to ask over HTTP. Redirects are not followed, proxies of the environment not used."`
	AllowHTTP      bool          `hcl:"allow_http" default:"false" help:"Allow a url without TLS: whoever is between can answer in place of the server."`
	Dir            string        `hcl:"dir" path:"true" max:"4096" help:"Folder in which the program runs; the folder of the file when absent."`
	Env            []string      `hcl:"env" max:"256" help:"Names of variables that the program gets from the environment of the host; PATH, HOME, LANG, TZ and TMPDIR when absent."`
	InheritEnv     bool          `hcl:"inherit_env" default:"false" help:"Give the program the whole environment of the host, secrets in it included."`
	BearerToken    string        `hcl:"bearer_token" secret:"true" max:"8192" help:"Token that the server is sent; read it with env() or file()."`
	Capabilities   string        `hcl:"capabilities" required:"true" path:"true" min:"1" max:"4096" help:"File with the provider's contract, JSON: its checks, their schemas and comparators."`
	ConnectTimeout time.Duration `hcl:"connect_timeout" default:"2s" min:"100ms" max:"10s" help:"Time to connect to the server."`
	RequestTimeout time.Duration `hcl:"request_timeout" default:"10s" min:"500ms" max:"30s" help:"Time for an answer, at least connect_timeout. A program that takes longer is ended and started again."`
	MaxConcurrent  int64         `hcl:"max_concurrent" default:"16" min:"1" max:"256" unit:"questions" help:"Questions that a server is asked at the same time; more wait. A program is asked one at a time."`
	AnyResponseID  bool          `hcl:"any_response_id" default:"false" help:"Take answers whose JSON-RPC id is not that of the question, for providers that do not send it back."`
}

// Signatures is whose signatures the evidence of a provider must have (mcp contract §5.5).
type Signatures struct {
	// Keys are paths as they are written: a signature names its key by them.
	Keys         []string          `hcl:"keys" max:"64" help:"Files with Ed25519 public keys, 32 bytes or base64. A signature must name its key by the path as it is written here."`
	NamedKeys    map[string]string `hcl:"named_keys" max:"64" help:"Ids by which signatures name keys, and the files of these keys."`
	RequireBound bool              `hcl:"require_bound" default:"false" help:"Refuse signatures that are over the value only, and so good for any question and time."`
}

// Policies are what each declared provider may set, by its id.
func (e *Evidence) Policies() map[string]*EvidencePolicy {
	declared := map[string]*EvidencePolicy{}
	if e.Time != nil {
		declared["time"] = &e.Time.EvidencePolicy
	}
	if e.Env != nil {
		declared["env"] = &e.Env.EvidencePolicy
	}
	if e.JSON != nil {
		declared["json"] = &e.JSON.EvidencePolicy
	}
	if e.HTTP != nil {
		declared["http"] = &e.HTTP.EvidencePolicy
	}
	for _, mcp := range e.MCP {
		declared[mcp.ID] = &mcp.EvidencePolicy
	}
	for _, plugin := range e.Plugin {
		declared[plugin.ID] = &plugin.EvidencePolicy
	}
	return declared
}
