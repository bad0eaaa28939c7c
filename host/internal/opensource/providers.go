package opensource

import (
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// maxListed is how many names the lists of a provider may have in the host's configuration.
const maxListed = 1024

// evidence takes over the providers.
func (t *translation) evidence() {
	t.cfg.Trust.Signatures = t.signatures("trust.default_policy")
	for _, at := range t.items("providers") {
		name, policy := t.text(at+".name", ""), t.evidencePolicy(at)
		if t.text(at+".type", "") == "mcp" {
			t.outside(at, name, policy)
			continue
		}
		if len(valueAt[map[string]any](t.source, at+".timeouts")) > 0 {
			t.note(at+".timeouts", "had no effect on a built-in provider, and is left out")
		}
		if t.provider(at+".config", name, policy) {
			t.carried = append(t.carried, at)
		}
	}
}

func (t *translation) evidencePolicy(at string) config.EvidencePolicy {
	policy := config.EvidencePolicy{AllowRaw: t.flag(at+".allow_raw", false), Signatures: t.signatures(at + ".trust")}
	policy.AcceptUnsigned = t.values[at+".trust"] == "audit" && t.cfg.Trust.Signatures != nil
	return policy
}

// keysOf are the key files of a signature policy, nil when it asks for no signatures.
func (s *source) keysOf(at string) []string {
	outer, _ := s.values[at].(map[string]any)
	inner, asks := outer["require_signature"].(map[string]any)
	if !asks {
		return nil
	}
	keys := []string{}
	for _, key := range inner["keys"].([]any) {
		keys = append(keys, key.(string))
	}
	return keys
}

// signatures are those that evidence must have. A signature names its key by the path as it was written.
func (t *translation) signatures(at string) *config.Signatures {
	keys := t.keysOf(at)
	if keys == nil {
		return nil
	}
	keys = append([]string{}, unique(keys)...)
	if len(keys) > maxKeys {
		keys = keys[:maxKeys]
		t.lose(at, loss{did: "named the keys whose signatures are accepted", why: fmt.Sprintf("the host takes at most %d, and the first are written", maxKeys), do: "name fewer"})
	}
	s, named := &config.Signatures{Keys: []string{}}, map[string]string{}
	for _, key := range keys {
		t.plain(at, key)
		if filepath.IsAbs(key) || t.options.OutDir == t.options.WorkDir {
			s.Keys = append(s.Keys, key)
		} else {
			named[key] = t.fromOut(t.inWorkDir(key))
		}
	}
	if len(named) > 0 {
		s.NamedKeys = named
	}
	return s
}

// maxKeys is how many keys a block of the host takes.
const maxKeys = 64

// outside takes over a provider that is a program or a server.
func (t *translation) outside(at, name string, policy config.EvidencePolicy) {
	e := &config.MCPEvidence{
		ID: t.plain(at+".name", name), EvidencePolicy: policy, MaxConcurrent: 16, AnyResponseID: true,
		Capabilities:   t.plain(at+".capabilities_path", t.fromOut(t.inWorkDir(t.text(at+".capabilities_path", "")))),
		ConnectTimeout: time.Duration(t.whole(at+".timeouts.connect_timeout_ms", 2000)) * time.Millisecond,
		RequestTimeout: time.Duration(t.whole(at+".timeouts.request_timeout_ms", 10_000)) * time.Millisecond,
	}
	if len(t.list(at+".command")) > 0 {
		t.program(at, e)
	} else {
		t.server(at, e)
	}
	t.note(at, "answers are taken whatever their JSON-RPC id, as before: any_response_id is true. Remove it if the provider sends back the id that it was asked with")
	t.cfg.Evidence.MCP = append(t.cfg.Evidence.MCP, e)
	t.carried = append(t.carried, at)
}

// program runs where the open-source server was started, with the environment and the patience that it had there.
func (t *translation) program(at string, e *config.MCPEvidence) {
	command := t.list(at + ".command")
	for _, arg := range command {
		t.plain(at+".command", arg)
	}
	if strings.ContainsRune(command[0], filepath.Separator) {
		if command[0] = t.fromOut(t.inWorkDir(command[0])); !strings.ContainsRune(command[0], filepath.Separator) {
			command[0] = "./" + command[0]
		}
	}
	e.Command, e.InheritEnv = command, true
	if e.Dir = t.plain(at+".command", t.fromOut(t.options.WorkDir)); e.Dir == "." {
		e.Dir = ""
	}
	e.ConnectTimeout, e.RequestTimeout = 2*time.Second, maxRequestTimeout
	t.note(at+".command", "the program gets the whole environment of the host, as before: inherit_env is true. List what it needs in env instead")
	t.note(at+".command", "an answer that takes longer than %v is given up from now on, and the program started again; the open-source server waited without end, whatever timeouts said", maxRequestTimeout)
	for _, idle := range []string{"url", "auth"} {
		if t.has(at + "." + idle) {
			t.note(at+"."+idle, "had no effect beside command, and is left out")
		}
	}
}

// maxRequestTimeout is the longest that the host waits for a provider.
const maxRequestTimeout = 30 * time.Second

func (t *translation) server(at string, e *config.MCPEvidence) {
	e.URL, e.BearerToken = t.plain(at+".url", t.text(at+".url", "")), t.plain(at+".auth", t.text(at+".auth.bearer_token", ""))
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || u.User != nil || len(e.URL) > maxURL || !(strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https")) {
		t.lose(at+".url", loss{did: "is the server to ask for evidence", why: "it is not a URL of http or https without user and password, and one that never answers is written", do: "write its URL, and credentials in auth.bearer_token"})
		e.URL, e.BearerToken = nobody, ""
		return
	}
	if !printable(e.BearerToken) {
		t.lose(at+".auth.bearer_token", loss{did: "showed the provider who asks", why: "no header can carry it, so that every question failed, and a url that never answers is written", do: "write the token that the provider knows"})
		e.URL, e.BearerToken = nobody, ""
		return
	}
	e.AllowHTTP = t.flag(at+".allow_insecure_http", false)
	if strings.EqualFold(u.Scheme, "http") && !e.AllowHTTP {
		e.AllowHTTP = true
		t.note(at+".url", "is without TLS, which its capitals hid from the open-source server: allow_http opens it; use https")
	}
	if e.BearerToken != "" {
		t.note(at+".auth.bearer_token", `stands in the new file in clear, as in the old one. Better keep it elsewhere, and write env("NAME")`)
	}
	t.note(at+".url", "redirects are not followed from now on, and proxies of the environment not used")
}

// nobody is a server that never answers (RFC 2606): scenarios that ask the provider stay as they are, and hold.
const nobody = "https://provider.invalid"

// provider fills one built-in provider, unless a list of what it may do is too long to keep.
func (t *translation) provider(at, name string, policy config.EvidencePolicy) bool {
	for _, list := range []string{"allowlist", "denylist", "allowed_hosts", "overrides"} {
		if len(t.list(at+"."+list)) > maxListed || len(valueAt[map[string]any](t.source, at+"."+list)) > maxListed {
			t.lose(at+"."+list, loss{did: "said what the provider may read", why: fmt.Sprintf("the host takes at most %d; the provider is left out, because without the list it would read more", maxListed), do: "shorten the list"})
			return false
		}
		for _, text := range t.list(at + "." + list) {
			t.plain(at+"."+list, text)
		}
	}
	switch name {
	case "time":
		t.cfg.Evidence.Time = &config.TimeEvidence{EvidencePolicy: policy, AllowLogical: t.flag(at+".allow_logical", true)}
	case "env":
		t.cfg.Evidence.Env = t.env(at, policy)
	case "json":
		t.cfg.Evidence.JSON = t.files(at, policy)
	default:
		t.cfg.Evidence.HTTP = t.web(at, policy)
	}
	return true
}

func (t *translation) env(at string, policy config.EvidencePolicy) *config.EnvEvidence {
	e := &config.EnvEvidence{
		EvidencePolicy: policy,
		Allow:          t.list(at + ".allowlist"),
		Deny:           unique(t.list(at + ".denylist")),
		MaxValueBytes:  t.bounded(at+".max_value_bytes", 65536, 1, 16<<20),
		MaxKeyBytes:    t.bounded(at+".max_key_bytes", 255, 1, 65536),
	}
	if overrides, ok := t.values[at+".overrides"].(map[string]any); ok {
		e.Values = map[string]string{}
		for name, v := range overrides {
			e.Values[t.plain(at+".overrides", name)] = t.plain(at+".overrides", v.(string))
		}
	}
	return e
}

func (t *translation) files(at string, policy config.EvidencePolicy) *config.JSONEvidence {
	root := t.text(at+".root", "")
	if !filepath.IsAbs(root) {
		t.note(at+".root", "is relative to where the open-source server was started, which is taken to be where this command runs")
	}
	return &config.JSONEvidence{
		EvidencePolicy: policy,
		Root:           t.plain(at+".root", t.fromOut(t.inWorkDir(root))),
		RootID:         t.text(at+".root_id", ""),
		MaxBytes:       t.bounded(at+".max_bytes", 1<<20, 1, 64<<20),
		AllowYAML:      t.flag(at+".allow_yaml", true),
	}
}

func (t *translation) web(at string, policy config.EvidencePolicy) *config.HTTPEvidence {
	e := &config.HTTPEvidence{
		EvidencePolicy:   policy,
		AllowHTTP:        t.flag(at+".allow_http", false),
		Timeout:          time.Duration(t.bounded(at+".timeout_ms", 5000, 1, 300_000)) * time.Millisecond,
		MaxResponseBytes: t.bounded(at+".max_response_bytes", 1<<20, 1, 64<<20),
		AllowedHosts:     t.list(at + ".allowed_hosts"),
		UserAgent:        t.plain(at+".user_agent", t.text(at+".user_agent", "decision-gate/0.1")),
	}
	if n := len(e.UserAgent); n < 1 || n > 256 {
		t.lose(at+".user_agent", loss{did: "named the program to web servers", why: "the host takes 1 to 256 bytes, and its default is used", do: "choose a name between these"})
		e.UserAgent = "decision-gate/0.1"
	}
	for _, host := range e.AllowedHosts {
		e.AllowPrivate = append(e.AllowPrivate, private(host)...)
	}
	slices.SortFunc(e.AllowPrivate, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	e.AllowPrivate = slices.Compact(e.AllowPrivate)
	if len(e.AllowPrivate) > 64 {
		e.AllowPrivate = e.AllowPrivate[:64]
		t.lose(at+".allowed_hosts", loss{did: "names more than 64 private addresses", why: "the host takes at most 64 private ranges", do: "write wider ranges into allow_private"})
	}
	if len(e.AllowPrivate) > 0 {
		t.note(at+".allowed_hosts", "names private addresses: allow_private opens them, and no others")
	} else {
		t.note(at, "addresses of private networks are refused from now on, whatever name leads to them; list those that you need in allow_private")
	}
	return e
}

// private are the address ranges behind a host of a URL that are plainly not on the public internet (F-06).
func private(host string) []netip.Prefix {
	if strings.EqualFold(host, "localhost") {
		return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil || address.Zone() != "" || !(address.IsPrivate() || address.IsLoopback() || address.IsLinkLocalUnicast()) {
		return nil
	}
	return []netip.Prefix{netip.PrefixFrom(address, address.BitLen())}
}
