package opensource

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// listen is how clients reach the host.
func (t *translation) listen() {
	server := &t.cfg.Server
	t.rateLimit(server)
	if t.stdio() {
		server.HTTP, server.Stdio = nil, &config.Stdio{}
		return
	}
	address, _ := t.bind()
	server.HTTP.Listen = address.String()
	if t.text("server.transport", "") == "sse" {
		server.HTTP.RPCFormat = "sse"
	}
	server.HTTP.TLSUpstream = t.upstream()
	t.encryption()
	t.hosts(address)
}

// rateLimit holds on standard input as well.
func (t *translation) rateLimit(server *config.Server) {
	const at = "server.limits.rate_limit"
	if !t.has(at) {
		return
	}
	server.RateLimit = &config.RateLimit{
		MaxRequests: t.whole(at+".max_requests", 1000),
		Window:      time.Duration(t.whole(at+".window_ms", 1000)) * time.Millisecond,
		MaxEntries:  t.whole(at+".max_entries", 4096),
	}
	if !t.stdio() {
		t.note(at, "counts callers by who they are from now on, and all others by their address: made-up tokens were counted one by one")
	}
}

// upstream is that a proxy in front ends TLS.
func (s *source) upstream() bool { return s.text("server.tls_termination", "server") == "upstream" }

func (t *translation) encryption() {
	const at = "server.tls"
	if !t.has(at) {
		return
	}
	path := func(name string) string {
		if !t.has(at + "." + name) {
			return ""
		}
		return t.plain(at+"."+name, t.fromOut(t.inWorkDir(t.text(at+"."+name, ""))))
	}
	t.cfg.Server.HTTP.TLS = &config.TLS{
		Cert: path("cert_path"), Key: path("key_path"), ClientCA: path("client_ca_path"),
		RequireClientCert: t.flag(at+".require_client_cert", true),
	}
	if t.flag(at+".require_client_cert", false) && !t.has(at+".client_ca_path") {
		t.note(at+".require_client_cert", "had no effect in the open-source server without client_ca_path: no client was asked for a certificate. It is left out; set client_ca in the new file to require certificates")
	}
}

// hosts opens the check of the Host header where clients may use names that the old file does not have.
func (t *translation) hosts(address netip.AddrPort) {
	any := func(at string) {
		t.cfg.Server.HTTP.Hosts = []string{"*"}
		t.note(at, `clients may use any name for the host, as before: server.http.hosts is ["*"]. Name those that they use instead, so that no web page can reach it by another`)
	}
	switch {
	case !address.Addr().Unmap().IsLoopback():
		any("server.bind")
	case t.upstream() && !t.local():
		any("server.tls_termination")
	case t.upstream():
		// Without credentials the check is all that keeps web pages out (contract decisions, "loopback and browsers").
		t.note("server.tls_termination", "requests that the proxy passes on under another name than localhost are refused from now on: list that name in server.http.hosts")
	}
}

// auth is who may call.
func (t *translation) auth() {
	a := &t.cfg.Auth
	switch t.text("server.auth.mode", "local_only") {
	case "bearer_token":
		a.Bearer = &config.BearerAuth{Tokens: t.tokens()}
	case "mtls":
		a.MTLS = &config.MTLSAuth{Subjects: unique(t.sendable("server.auth.mtls_subjects")), ClientSubjectHeader: &config.ClientSubjectHeader{From: "loopback"}}
		t.note("server.auth.mode", "the header x-decision-gate-client-subject is believed from this machine only, where the open-source server believed everybody: "+
			"for a proxy on another machine, name the subject of its certificate in client_subject_header. Clients that connect themselves are known by their certificates, whose subjects are written as in CN=alice,O=Example")
	}
	a.AllowedTools = unique(t.list("server.auth.allowed_tools"))
	t.principals()
}

// tokens are those that a client can send (mcp contract §3.2): others let nobody in.
func (t *translation) tokens() []string {
	const at = "server.auth.bearer_tokens"
	t.note(at, `stand in the new file in clear, as in the old one; it can be read by its owner only. Better keep them elsewhere, and write env("NAME") for each`)
	return unique(t.sendable(at))
}

// sendable are the texts of a list that a header can carry as they are.
func (t *translation) sendable(at string) []string {
	all := t.list(at)
	kept := slices.DeleteFunc(slices.Clone(all), func(text string) bool {
		return strings.TrimSpace(text) != text || !printable(text)
	})
	switch {
	case len(kept) == 0 && len(all) > 0:
		t.mistake(at, "no header can carry any of these, so that nobody could call: each must be printable ASCII, without space around it")
	case len(kept) < len(all):
		t.note(at, "those that no header can carry let nobody in, and are left out")
	}
	return kept
}

// unique are the items of a list, each once, in their order; nil stays nil.
func unique(list []string) []string {
	var out []string
	for _, item := range list {
		if !slices.Contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}

// principals are the callers that have roles.
func (t *translation) principals() {
	last := map[string]string{} // of several for one subject the last one counts
	entries := t.items("server.auth.principals")
	for _, p := range entries {
		last[t.text(p+".subject", "")] = p
	}
	for _, p := range entries {
		subject := t.text(p+".subject", "")
		if last[subject] != p {
			t.note(p, "had no effect in the open-source server, and is left out: a later entry has the same subject")
			continue
		}
		name := t.caller(subject)
		if name == "" {
			t.note(p, "had no effect in the open-source server, and is left out: nobody has this subject with auth mode %s", t.text("server.auth.mode", "local_only"))
			continue
		}
		principal := &config.Principal{Name: name, PolicyClass: t.policyClass(p)}
		for _, r := range t.items(p + ".roles") {
			principal.Roles = append(principal.Roles, &config.Role{
				Name:      t.plain(r+".name", t.text(r+".name", "")),
				Tenant:    uint64(t.whole(r+".tenant_id", 0)),
				Namespace: uint64(t.whole(r+".namespace_id", 0)),
			})
		}
		t.cfg.Auth.Principals = append(t.cfg.Auth.Principals, principal)
		t.carried = append(t.carried, p)
	}
}

var tokenPrincipal = regexp.MustCompile(`^token:[0-9a-f]{64}$`)

// caller is the typed name of a subject, or nothing when nobody can have it: with one mode of authentication there are
// callers of one type only (contract decision 13).
func (s *source) caller(subject string) string {
	switch s.text("server.auth.mode", "local_only") {
	case "bearer_token":
		if tokenPrincipal.MatchString(subject) {
			return subject
		}
	case "mtls":
		if slices.Contains(s.list("server.auth.mtls_subjects"), subject) && printable(subject) {
			return "mtls:" + subject
		}
	default:
		self := "loopback"
		if s.stdio() {
			self = "stdio"
		}
		if subject == self {
			return "local:" + self
		}
	}
	return ""
}

func printable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// classes are the policy classes of the host.
var classes = []string{"prod", "project", "scratch"}

// policyClass is the class of a principal. The open-source server takes every class that is not "prod" for one in which more
// is allowed; the host takes one that it does not know for "prod" (contract decision 20).
func (t *translation) policyClass(principal string) string {
	at := principal + ".policy_class"
	class := t.text(at, "")
	switch {
	case slices.Contains(classes, class) || class == "":
		return class
	case strings.EqualFold(class, "prod") && t.builtinAccess():
		return "prod"
	}
	t.note(at, "is none of prod, project and scratch: the principal has no class from now on, and counts as prod. Where SchemaManager may register data shapes, write scratch or project")
	return ""
}

// callers are the names of a list of subjects; those that nobody has are left out.
func (t *translation) callers(at string) []string {
	subjects := t.list(at)
	if subjects == nil {
		return nil
	}
	names := []string{}
	for _, subject := range subjects {
		if name := t.caller(subject); name != "" {
			names = append(names, name)
		}
	}
	names = append([]string{}, unique(names)...)
	if len(names) < len(unique(subjects)) {
		t.note(at, "subjects that nobody has with auth mode %s are left out", t.text("server.auth.mode", "local_only"))
	}
	return names
}

// roles are names of roles; blank ones nobody has.
func (t *translation) roles(at string) []string {
	var names []string
	for _, name := range unique(t.list(at)) {
		if strings.TrimSpace(name) != "" {
			names = append(names, t.plain(at, name))
		}
	}
	return names
}

// feedback is how much scenario_next tells.
func (t *translation) feedback() {
	const at = "server.feedback.scenario_next."
	f := &t.cfg.Feedback
	f.Default = t.text(at+"default", f.Default)
	f.LocalDefault = t.text(at+"local_only_default", f.LocalDefault)
	f.Max = t.text(at+"max", f.Max)
	f.TraceSubjects = t.callers(at + "trace_subjects")
	f.TraceRoles = t.roles(at + "trace_roles")
	if f.EvidenceSubjects = t.callers(at + "evidence_subjects"); len(f.EvidenceSubjects) == 0 {
		f.EvidenceSubjects = nil // which is the default
	}
	f.EvidenceRoles = t.roles(at + "evidence_roles")
	for name, list := range map[string]*[]string{"trace_subjects": &f.TraceSubjects, "trace_roles": &f.TraceRoles, "evidence_subjects": &f.EvidenceSubjects, "evidence_roles": &f.EvidenceRoles} {
		t.atMost(at+name, list, "told callers more of an evaluation")
	}
}

// atMost cuts a list of those who may to what the host takes: those that are cut may not.
func (t *translation) atMost(at string, list *[]string, did string) {
	if len(*list) > maxListed {
		*list = (*list)[:maxListed]
		t.lose(at, loss{did: did, why: fmt.Sprintf("the host takes at most %d names, and the first are written", maxListed), do: "name fewer"})
	}
}

// tools are those that may be called.
func (t *translation) tools() {
	t.cfg.Tools.Allow = unique(t.list("server.tools.allowlist")) // an empty list opens all, as an absent one does
	t.cfg.Tools.Deny = unique(t.list("server.tools.denylist"))
	if t.text("server.tools.mode", "filter") == "passthrough" {
		t.cfg.Tools.List = "all"
	}
}
