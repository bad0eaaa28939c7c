package opensource

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/guide"
)

// translation is a file on its way to a host's configuration.
type translation struct {
	*source
	cfg *config.Config
	// busyTimeout is the store plugin's own setting, 0 for its default.
	busyTimeout time.Duration

	carried     []string
	lost, notes []Finding
}

func (t *translation) lose(at string, l loss) {
	t.lost = append(t.lost, Finding{at, t.line(at), l.reason(t.values[at])})
}

func (t *translation) note(at, format string, args ...any) {
	t.notes = append(t.notes, Finding{at, t.line(at), fmt.Sprintf(format, args...)})
}

func (t *translation) translate() {
	for _, at := range slices.Sorted(maps.Keys(t.values)) {
		o := t.found[at]
		switch idle := inert[at]; {
		case idle != nil && idle(t.source) && !t.isNormal(at):
			t.note(at, "had no effect in the open-source server, and is left out")
		case o.to != "":
			t.carried = append(t.carried, at)
		case o.lost != nil && !t.isNormal(at):
			t.lose(at, *o.lost)
		}
	}
	t.listen()
	t.limits()
	t.access()
	t.namespaces()
	t.trust()
	t.comparators()
	t.discovery()
	t.documents()
	t.store()
	t.anchorPolicies()
	t.evidence()
	t.runpacks()
}

// inert are options that have no effect in some files.
var inert = map[string]func(*source) bool{
	"server.bind":                           (*source).stdio,
	"server.audit.path":                     func(s *source) bool { return !s.flag("server.audit.enabled", true) },
	"server.auth.bearer_tokens":             notMode("bearer_token"),
	"server.auth.mtls_subjects":             notMode("mtls"),
	"server.feedback.scenario_next.default": func(s *source) bool { return s.local() },
	"dev.permissive_ttl_days":               func(s *source) bool { return !s.permissive() },
	"dev.permissive_warn":                   func(s *source) bool { return !s.permissive() },
	"dev.permissive_exempt_providers":       func(s *source) bool { return !s.permissive() },
	"run_state_store.busy_timeout_ms":       inMemory("run_state_store"),
	"run_state_store.journal_mode":          inMemory("run_state_store"),
	"run_state_store.sync_mode":             inMemory("run_state_store"),
	"run_state_store.max_versions":          inMemory("run_state_store"),
	"schema_registry.busy_timeout_ms":       inMemory("schema_registry"),
	"schema_registry.journal_mode":          inMemory("schema_registry"),
	"schema_registry.sync_mode":             inMemory("schema_registry"),
	"schema_registry.max_versions":          inMemory("schema_registry"),
	"schema_registry.acl.default":           builtinAccess,
	"schema_registry.acl.rules":             builtinAccess,
}

func inMemory(table string) func(*source) bool {
	return func(s *source) bool { return s.text(table+".type", "memory") == "memory" }
}

func notMode(mode string) func(*source) bool {
	return func(s *source) bool { return s.text("server.auth.mode", "local_only") != mode }
}

func builtinAccess(s *source) bool { return s.text("schema_registry.acl.mode", "builtin") == "builtin" }

// local reports whether only the machine itself could call.
func (s *source) local() bool { return s.text("server.auth.mode", "local_only") == "local_only" }

// plain is a text that the new file can hold: HCL brings text to Unicode's composed form, and a name that it changed would
// be the name of another file or variable.
func (t *translation) plain(at, text string) string {
	if cty.StringVal(text).AsString() != text {
		t.mistake(at, "is not in Unicode's composed form (NFC), which the new file would change: write it composed")
	}
	return text
}

// bounded is a number within the bounds that the host has. A size of 0 that becomes 1 lets something through.
func (t *translation) bounded(at string, normal, low, high int64) int64 {
	n := t.whole(at, normal)
	taken := min(max(n, low), high)
	if taken != n {
		t.lose(at, loss{did: "set a limit", why: fmt.Sprintf("the host takes %d to %d, and %d is written", low, high, taken), do: "choose a value between these", weaker: n < low && low == 1})
	}
	return taken
}

func (t *translation) listen() {
	server := &t.cfg.Server
	if t.stdio() {
		server.HTTP, server.Stdio = nil, &config.Stdio{}
		t.carried = append(t.carried, "server.transport")
		return
	}
	address, _ := t.bind()
	if !address.Addr().Unmap().IsLoopback() {
		t.lose("server.bind", loss{did: "let other machines connect", why: noCallers + "; 127.0.0.1 is written", do: "put a proxy that authenticates in front, on the same machine"})
		address = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port())
	}
	server.HTTP.Listen = address.String()
	if t.text("server.transport", "") == "sse" {
		t.lose("server.transport", loss{did: "answered with server-sent events", why: nothing + " and answers JSON-RPC on /rpc", do: "let clients post to /rpc"})
		return
	}
	t.carried = append(t.carried, "server.transport")
}

func (t *translation) limits() {
	t.cfg.Server.MaxBodyBytes = t.bounded("server.max_body_bytes", 1<<20, 1, 64<<20)
	t.cfg.Server.MaxInflight = t.bounded("server.limits.max_inflight", 256, 1, 65536)
	t.cfg.Schemas.MaxSchemaBytes = t.bounded("schema_registry.max_schema_bytes", 1<<20, 1, 10<<20)
	if t.has("schema_registry.max_entries") {
		t.cfg.Schemas.MaxEntries = t.bounded("schema_registry.max_entries", 0, 1, 1_000_000)
	}
}

// writers are the roles that let local callers do with the registry what every local caller of the host may
// (mcp contract §3.4).
var writers = []string{"TenantAdmin", "NamespaceOwner", "NamespaceAdmin"}

// access tells what becomes of the principals. The host's registry of data shapes is open to every local caller, so all
// that a role can be is carried over, wider, or a restriction that is lost.
func (t *translation) access() {
	const at = "server.auth.principals"
	principals := t.items(at)
	self := "loopback"
	if t.stdio() {
		self = "stdio"
	}
	known := "" // the last one wins
	for _, p := range principals {
		if t.local() && t.text(p+".subject", "") == self {
			known = p
		}
	}
	for _, p := range principals {
		if p != known && t.local() {
			t.note(p, "had no effect in the open-source server, and is left out: with auth mode local_only, callers here have the subject %q", self)
		} else if p != known {
			t.lose(p, loss{did: "gave roles to a caller", why: noCallers, do: keepOut})
		}
	}
	switch {
	case !builtinAccess(t.source) || t.flag("schema_registry.acl.allow_local_only", false):
	case known == "":
		t.note("schema_registry.acl", "LESS STRICT: the open-source server refused the registry of data shapes (schemas_*) to callers without a role; this host opens it to every local caller")
	default:
		t.localRoles(known)
	}
	if known != "" {
		t.carried = append(t.carried, known)
	}
	if t.has("schema_registry.acl.allow_local_only") {
		t.carried = append(t.carried, "schema_registry.acl.allow_local_only")
	}
}

func (t *translation) localRoles(principal string) {
	scoped := false
	for _, role := range t.items(principal + ".roles") {
		if !slices.Contains(writers, t.text(role+".name", "")) {
			continue
		}
		if !t.has(role+".tenant_id") && !t.has(role+".namespace_id") {
			return
		}
		scoped = true
	}
	if scoped {
		t.note(principal, "LESS STRICT: its roles were for single tenants or namespaces; this host opens the registry of data shapes to every local caller, for all of them")
		return
	}
	t.lose(principal, loss{did: "kept local callers from registering data shapes", why: noCallers, do: keepOut, weaker: true})
}

func (t *translation) namespaces() {
	const at = "namespace.default_tenants"
	tenants := valueAt[[]any](t.source, at)
	if len(tenants) > 1024 {
		t.lose(at, loss{did: "named the tenants that may use namespace 1", why: "the host takes at most 1024; the namespace stays closed", do: "name fewer"})
		return
	}
	t.cfg.Namespace.AllowDefault = t.flag("namespace.allow_default", false)
	for _, tenant := range tenants {
		t.cfg.Namespace.DefaultTenants = append(t.cfg.Namespace.DefaultTenants, uint64(tenant.(int64)))
	}
}

func (t *translation) trust() {
	t.cfg.Trust.MinLane = t.text("trust.min_lane", "verified")
	t.cfg.Disclosure.RawValues = t.flag("evidence.allow_raw_values", false)
	t.cfg.Disclosure.RequireProviderOptIn = t.flag("evidence.require_provider_opt_in", true)
}

func (t *translation) comparators() {
	v := &t.cfg.Validation
	v.Strict = t.flag("validation.strict", true)
	v.AllowPermissive = t.flag("validation.allow_permissive", false)
	v.Lexicographic = t.flag("validation.enable_lexicographic", false)
	v.DeepEquals = t.flag("validation.enable_deep_equals", false)
}

// discovery takes over what clients may learn about providers.
func (t *translation) discovery() {
	for at, list := range map[string]*[]string{"provider_discovery.allowlist": &t.cfg.Discovery.Allow, "provider_discovery.denylist": &t.cfg.Discovery.Deny} {
		names := t.list(at)
		if len(names) > maxListed {
			t.lose(at, loss{did: "kept contracts of providers from callers", why: fmt.Sprintf("the host takes at most %d names", maxListed), do: "name fewer", weaker: true})
			continue
		}
		for _, name := range names {
			t.plain(at, name)
		}
		// An empty list hides nothing in the open-source server, and everything here.
		if len(names) > 0 {
			*list = names
		}
	}
	t.cfg.Discovery.MaxResponseBytes = t.bounded("provider_discovery.max_response_bytes", 1<<20, 1, 64<<20)
}

// documents takes over the documents that clients may read.
func (t *translation) documents() {
	d := &t.cfg.Docs
	on := t.flag("docs.enabled", true)
	d.Search, d.Resources = on && t.flag("docs.enable_search", true), on && t.flag("docs.enable_resources", true)
	d.Own = t.flag("docs.include_default_docs", true)
	for _, path := range t.list("docs.extra_paths") {
		d.ExtraPaths = append(d.ExtraPaths, t.plain("docs.extra_paths", t.fromOut(t.inWorkDir(path))))
	}
	d.MaxDocBytes = t.whole("docs.max_doc_bytes", d.MaxDocBytes)
	d.MaxTotalBytes = t.whole("docs.max_total_bytes", d.MaxTotalBytes)
	d.MaxDocs = t.whole("docs.max_docs", d.MaxDocs)
	d.MaxSections = t.whole("docs.max_sections", d.MaxSections)
	if d.Own && (d.Search || d.Resources) {
		t.roomForOwn()
	}
}

// roomForOwn raises limits that the documents of the host do not keep, with which it would not start.
func (t *translation) roomForOwn() {
	d, normal := &t.cfg.Docs, config.Default().Docs
	limits := map[string]struct{ now, normal *int64 }{
		"max_doc_bytes": {&d.MaxDocBytes, &normal.MaxDocBytes}, "max_total_bytes": {&d.MaxTotalBytes, &normal.MaxTotalBytes}, "max_docs": {&d.MaxDocs, &normal.MaxDocs},
	}
	for range limits {
		_, err := guide.New(guide.Options{Own: true, MaxDocBytes: d.MaxDocBytes, MaxTotalBytes: d.MaxTotalBytes, MaxDocs: int(d.MaxDocs), MaxSections: int(d.MaxSections), Logger: slog.New(slog.DiscardHandler)})
		var small *guide.OptionError
		if !errors.As(err, &small) {
			return
		}
		*limits[small.Option].now = *limits[small.Option].normal
		t.lose("docs."+small.Option, loss{did: "set a limit", why: "the documents of this host do not keep it, and the default is written", do: "set include_default_docs = false to serve only yours"})
	}
}

func (t *translation) store() {
	const busy = "run_state_store.busy_timeout_ms"
	if t.text("run_state_store.type", "memory") == "sqlite" {
		t.note("run_state_store.path", "the runs in this database are not moved: finish or export them with the open-source server. The new host begins with an empty database")
		if t.has(busy) {
			t.busyTimeout = time.Duration(t.bounded(busy, 5000, 100, 60_000)) * time.Millisecond
		}
	}
	if t.text("schema_registry.type", "memory") == "sqlite" {
		t.note("schema_registry.path", "the data shapes in this database are not moved: register them again. The new host keeps them in its one database")
	}
}

func (t *translation) anchorPolicies() {
	const at = "anchors.providers"
	for _, p := range t.items(at) {
		policy := &config.AnchorPolicy{
			Provider:       t.plain(p, t.text(p+".provider_id", "")),
			Type:           t.plain(p, t.text(p+".anchor_type", "")),
			RequiredFields: trimmed(t.list(p + ".required_fields")),
		}
		for _, field := range policy.RequiredFields {
			t.plain(p, field)
		}
		if len(policy.RequiredFields) > 64 || len(policy.Type) > 255 {
			t.lose(p, loss{did: "refused evidence without a certain anchor", why: "the host takes at most 64 fields, and 255 bytes of anchor_type", do: "name fewer fields", weaker: true})
			continue
		}
		t.cfg.Anchors = append(t.cfg.Anchors, policy)
	}
}

func (t *translation) runpacks() {
	t.cfg.Runpack.Dirs = []string{string(filepath.Separator)}
	t.note("", `runpack_export and runpack_verify may use any folder, as before: runpack.dirs is ["/"]. Name the folders that clients use instead`)
	for _, name := range []string{database, bundles} {
		t.plain("", t.inDataDir(name))
	}
}

// inDataDir is a path below the data folder as the new file has it.
func (t *translation) inDataDir(name string) string {
	return t.fromOut(filepath.Join(t.options.DataDir, name))
}

// fromOut is a path relative to the folder of the new file when it is inside of it, so that the two can move together.
func (t *translation) fromOut(path string) string {
	if rel, err := filepath.Rel(t.options.OutDir, path); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

// maxListed is how many names the lists of a provider may have in the host's configuration.
const maxListed = 1024

// evidence takes over the built-in providers.
func (t *translation) evidence() {
	for _, at := range t.items("providers") {
		name := t.text(at+".name", "")
		if t.text(at+".type", "") == "mcp" {
			t.lose(at, loss{did: "asked a program or server of yours for evidence", why: "the host asks only the providers it has built in yet; credentials in the file are not copied", do: "scenarios that ask this provider are refused until then"})
			continue
		}
		if len(valueAt[map[string]any](t.source, at+".timeouts")) > 0 {
			t.note(at+".timeouts", "had no effect on a built-in provider, and is left out")
		}
		policy, ok := t.values[at+".trust"]
		if !ok {
			policy, ok = t.values["trust.default_policy"]
		}
		// Without signatures the provider would begin to answer, where none of its evidence was accepted before.
		if ok && policy != "audit" {
			t.lose(at, loss{did: "had to sign its evidence, which no built-in provider does, so that none was accepted", why: "the host cannot ask for signatures yet, and the provider is left out so that its evidence stays refused", do: `set trust = "audit" for the provider if unsigned evidence is what you want`})
			continue
		}
		if t.provider(at+".config", name, config.EvidencePolicy{AllowRaw: t.flag(at+".allow_raw", false)}) {
			t.carried = append(t.carried, at)
		}
	}
}

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
		Deny:           t.list(at + ".denylist"),
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
