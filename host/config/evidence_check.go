package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// builtinEvidence are ids that only the providers of the host itself have.
var builtinEvidence = []string{"time", "env", "json", "http"}

// mcpEvidence finds what is wrong with providers outside the host (mcp contract §9.13).
func (c *checker) mcpEvidence(cfg *Config) {
	for _, e := range cfg.Evidence.MCP {
		block := fmt.Sprintf(`evidence "mcp" %q`, e.ID)
		switch {
		case strings.TrimSpace(e.ID) == "" || strings.TrimSpace(e.ID) != e.ID:
			c.problem(e, "Wrong provider id", "The second label of the block is the id of the provider, without spaces around it; this is %q.", e.ID)
		case slices.Contains(builtinEvidence, e.ID):
			c.problem(e, "Reserved provider id", "%q is the id of a provider that the host has built in. Name this one otherwise.", e.ID)
		}
		if len(e.Command) == 0 && e.URL == "" {
			c.problem(e, "Missing command or url", "%s needs the program to run (command) or the server to ask (url).", block)
		}
		if len(e.Command) > 0 && e.Command[0] == "" || slices.ContainsFunc(e.Command, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
			c.problem(&e.Command, "Wrong command", "command of %s must name a program, and hold no NUL character.", block)
		}
		c.environment("program", &e.Env)
		c.url(block, e)
		c.sent(&e.BearerToken, "bearer_token", block)
		if e.RequestTimeout < e.ConnectTimeout {
			c.problem(&e.RequestTimeout, "Value out of bounds", "request_timeout of %s is %s, less than its connect_timeout of %s. Make it at least that.", block, e.RequestTimeout, e.ConnectTimeout)
		}
	}
}

// url refuses one that is not worth its name also where command wins: whoever takes the command away would not know.
func (c *checker) url(block string, e *MCPEvidence) {
	if e.URL == "" {
		return
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" {
		c.problem(&e.URL, "Wrong URL", `url of %s must be that of a server, such as "https://ci.example.com/evidence".`, block)
		return
	}
	c.reached(&e.URL, u, block, "bearer_token", "answer in place of the server", e.AllowHTTP)
}

// signatures finds settings of signatures that contradict one another.
func (c *checker) signatures(cfg *Config) {
	c.keys("trust", cfg.Trust.Signatures)
	for id, policy := range cfg.Evidence.Policies() {
		block := fmt.Sprintf("provider %q", id)
		if policy.AcceptUnsigned && policy.Signatures != nil {
			c.problem(policy.Signatures, "Two rules for signatures", "%s has both accept_unsigned and a signatures block. Remove one of the two.", block)
		}
		c.keys(block, policy.Signatures)
	}
}

func (c *checker) keys(block string, s *Signatures) {
	if s == nil {
		return
	}
	if s.Keys == nil && s.NamedKeys == nil {
		// With an empty list it is said on purpose that no evidence is accepted.
		c.problem(s, "Missing keys", "signatures of %s needs keys, the files of the public keys whose signatures are accepted; with an empty list none is.", block)
	}
	for _, key := range s.Keys {
		if _, twice := s.NamedKeys[key]; twice || key == "" {
			c.problem(&s.Keys, "Wrong key", "keys of %s must be paths of files, none of them empty or also a name in named_keys.", block)
			return
		}
	}
	for id, path := range s.NamedKeys {
		if id == "" || path == "" {
			c.problem(&s.NamedKeys, "Wrong key", "named_keys of %s must hold ids and paths of files, none of them empty.", block)
			return
		}
	}
}
