package opensource

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
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
	t.lost = append(t.lost, Finding{at, t.line(at), l.reason()})
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
		case o.note != "" && !t.isNormal(at):
			t.note(at, "%s", o.note)
		case o.lost != nil && !t.isNormal(at):
			t.lose(at, *o.lost)
		}
	}
	t.listen()
	t.limits()
	t.auth()
	t.tools()
	t.feedback()
	t.registryAccess()
	t.audit()
	t.development()
	t.namespaces()
	t.authority()
	t.dispatch()
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
	"server.bind":                     (*source).stdio,
	"server.audit.path":               func(s *source) bool { return !s.flag("server.audit.enabled", true) },
	"server.auth.bearer_tokens":       notMode("bearer_token"),
	"server.auth.mtls_subjects":       notMode("mtls"),
	"dev.permissive_ttl_days":         func(s *source) bool { return !s.permissive() },
	"dev.permissive_warn":             func(s *source) bool { return !s.permissive() },
	"dev.permissive_exempt_providers": func(s *source) bool { return !s.permissive() },
	"run_state_store.busy_timeout_ms": inMemory("run_state_store"),
	"run_state_store.journal_mode":    inMemory("run_state_store"),
	"run_state_store.sync_mode":       inMemory("run_state_store"),
	"run_state_store.max_versions":    inMemory("run_state_store"),
	"schema_registry.busy_timeout_ms": inMemory("schema_registry"),
	"schema_registry.journal_mode":    inMemory("schema_registry"),
	"schema_registry.sync_mode":       inMemory("schema_registry"),
	"schema_registry.max_versions":    inMemory("schema_registry"),
	"schema_registry.acl.default":     (*source).builtinAccess,
	"schema_registry.acl.rules":       (*source).builtinAccess,
}

func inMemory(table string) func(*source) bool {
	return func(s *source) bool { return s.text(table+".type", "memory") == "memory" }
}

func notMode(mode string) func(*source) bool {
	return func(s *source) bool { return s.text("server.auth.mode", "local_only") != mode }
}

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

func (t *translation) limits() {
	t.cfg.Server.MaxBodyBytes = t.bounded("server.max_body_bytes", 1<<20, 1, 64<<20)
	t.cfg.Server.MaxInflight = t.bounded("server.limits.max_inflight", 256, 1, 65536)
	t.cfg.Schemas.MaxSchemaBytes = t.bounded("schema_registry.max_schema_bytes", 1<<20, 1, 10<<20)
	if t.has("schema_registry.max_entries") {
		t.cfg.Schemas.MaxEntries = t.bounded("schema_registry.max_entries", 0, 1, 1_000_000)
	}
}

func (t *translation) namespaces() {
	const at = "namespace.default_tenants"
	tenants := valueAt[[]any](t.source, at)
	if len(tenants) > 1024 {
		t.lose(at, loss{did: "named the tenants that may use namespace 1", why: "the host takes at most 1024; the namespace stays closed", do: "name fewer"})
		return
	}
	t.cfg.Namespace.AllowDefault = t.flag("namespace.allow_default", false)
	t.cfg.Namespace.DefaultTenants = t.ids(at)
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

// Milliseconds that the store plugin takes for its busy_timeout.
const minBusy, maxBusy = 100, 60_000

func (t *translation) store() {
	const busy = "run_state_store.busy_timeout_ms"
	if t.text("run_state_store.type", "memory") == "sqlite" {
		t.note("run_state_store.path", "the new host begins with an empty database: 'decision-gate store import-decision-gate' takes the runs of this one over")
		if t.has(busy) {
			// Longer or shorter, it shows in nothing but how long somebody waits.
			wait := min(max(t.whole(busy, 5000), minBusy), maxBusy)
			if t.busyTimeout = time.Duration(wait) * time.Millisecond; wait != t.whole(busy, 5000) {
				t.note(busy, "is %v from now on: the store takes 100 ms to 60 s", t.busyTimeout)
			}
		}
	}
	if t.text("schema_registry.type", "memory") == "sqlite" {
		t.note("schema_registry.path", "the new host keeps data shapes in its one database: 'decision-gate store import-decision-gate' takes those of this one over")
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
