package config

import (
	"net/url"
	"time"
)

// Authority is a server that is asked whether a namespace exists before a call is served in it (mcp contract §3.9).
type Authority struct {
	URL            string        `hcl:"url" required:"true" min:"1" max:"8192" help:"Server, with the path below which /v1/write/namespaces is. Redirects are not followed, proxies of the environment not used."`
	AllowHTTP      bool          `hcl:"allow_http" default:"false" help:"Allow a url without TLS: whoever is between can admit namespaces, and reads the token."`
	Token          string        `hcl:"token" secret:"true" max:"8192" help:"Bearer token that the server is sent; read it with env() or file()."`
	ConnectTimeout time.Duration `hcl:"connect_timeout" default:"500ms" min:"100ms" max:"10s" help:"Time to connect to the server."`
	RequestTimeout time.Duration `hcl:"request_timeout" default:"2s" min:"500ms" max:"30s" help:"Time for the whole question. A server that takes longer has not admitted the namespace."`
}

func (c *checker) authority(cfg *Config) {
	a := cfg.Namespace.Authority
	if a == nil {
		return
	}
	const block = "namespace.authority"
	c.sent(&a.Token, "token", block)
	u, err := url.Parse(a.URL)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		c.problem(&a.URL, "Wrong URL", `url of namespace.authority must be that of a server, such as "https://assets.example.com", without query and fragment.`)
		return
	}
	c.reached(&a.URL, u, block, "token", "admit namespaces", a.AllowHTTP)
}
