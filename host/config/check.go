package config

import (
	"cmp"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// checker finds values out of bounds and settings that do not go together. Places are empty for a configuration that was
// built in Go.
type checker struct {
	places map[any]place
	end    hcl.Range // where something that is missing would have to be written
	diags  hcl.Diagnostics
}

// problem reports the value that field points to; one that was not written has no place of its own.
func (c *checker) problem(field any, summary, format string, args ...any) {
	diag := problem(c.places[field].at, summary, format, args...)
	if c.places[field].secret {
		diag.Extra = hideSource{}
	}
	c.diags = c.diags.Append(diag)
}

func (c *checker) missing(summary, format string, args ...any) {
	c.diags = c.diags.Append(problem(c.end, summary, format, args...))
}

// quote is a value as a diagnostic may show it.
func (c *checker) quote(field *string) string {
	return shown(*field, c.places[field].hidden)
}

func (c *checker) config(cfg *Config) {
	c.bounds("", reflect.ValueOf(cfg).Elem())
	for _, rule := range []func(*Config){c.http, c.metrics, c.plugins, c.pluginFields, c.namespace, c.validation, c.anchors, c.jsonEvidence, c.mcpEvidence, c.signatures, c.runpackDirs, c.auth, c.feedback, c.schemaACL, c.discovery, c.docs, c.audit, c.dispatch, c.authority, c.development} {
		rule(cfg)
	}
}

// bounds checks what the tags say, in a block and all below it.
func (c *checker) bounds(path string, block reflect.Value) {
	for _, f := range attributesOf(block.Type()) {
		c.attribute(path+f.Tag.Get("hcl"), f.Tag, block.FieldByIndex(f.Index).Addr().Interface())
	}
	inner := append(blocksOf(block.Type()), tagged(block.Type(), "name")...)
	for _, f := range inner {
		value := block.FieldByIndex(f.Index)
		name := cmp.Or(f.Tag.Get("block"), strconv.Quote(f.Tag.Get("name")))
		values := []reflect.Value{value}
		if value.Kind() == reflect.Slice {
			values = nil
			for i := range value.Len() {
				values = append(values, value.Index(i))
			}
		}
		for _, v := range values {
			if v.Kind() == reflect.Pointer {
				v = v.Elem()
			}
			if v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Body]() {
				c.bounds(path+name+".", v)
			}
		}
	}
}

func (c *checker) attribute(name string, tag reflect.StructTag, field any) {
	switch v := field.(type) {
	case *int64:
		low, high := number(tag, "min"), number(tag, "max")
		if *v < low || *v > high {
			c.problem(field, "Value out of bounds", "%s must be %s to %s %s.", name, tag.Get("min"), tag.Get("max"), tag.Get("unit"))
		}
	case *time.Duration:
		low, _ := time.ParseDuration(tag.Get("min"))
		high, _ := time.ParseDuration(tag.Get("max"))
		if *v < low || *v > high {
			c.problem(field, "Value out of bounds", "%s must be %s to %s.", name, tag.Get("min"), tag.Get("max"))
		}
	case *Bytes:
		low, _ := parseBytes(tag.Get("min"))
		high, _ := parseBytes(tag.Get("max"))
		// 0 is an absent one.
		if *v != 0 && (*v < low || *v > high) {
			c.problem(field, "Value out of bounds", "%s must be %s to %s.", name, tag.Get("min"), tag.Get("max"))
		}
	case *string:
		if values := tag.Get("oneof"); values != "" {
			c.oneOf(name, strings.Split(values, ","), tag, v)
			return
		}
		c.length(name, "bytes", tag, field, len(*v))
	case *[]string:
		c.length(name, "items", tag, field, len(*v))
	case *[]uint64:
		c.length(name, "items", tag, field, len(*v))
	case *[]netip.Prefix:
		c.length(name, "items", tag, field, len(*v))
	case *map[string]string:
		c.length(name, "members", tag, field, len(*v))
	}
}

func number(tag reflect.StructTag, key string) int64 {
	n, _ := strconv.ParseInt(tag.Get(key), 10, 64)
	return n
}

func (c *checker) oneOf(name string, values []string, tag reflect.StructTag, field *string) {
	// An attribute without a default may be absent, which is the empty text.
	if slices.Contains(values, *field) || (*field == "" && tag.Get("default") == "" && c.places[field] == place{}) {
		return
	}
	hint := ""
	if !c.places[field].hidden {
		hint = suggestion(*field, values)
	}
	c.problem(field, "Unknown value", "%s must be one of %s; this is %s.%s", name, strings.Join(values, ", "), c.quote(field), hint)
}

func (c *checker) length(name, unit string, tag reflect.StructTag, field any, n int) {
	if tag.Get("max") == "" || (int64(n) >= number(tag, "min") && int64(n) <= number(tag, "max")) {
		return
	}
	c.problem(field, "Value out of bounds", "%s must have %d to %s %s; this has %d.", name, number(tag, "min"), tag.Get("max"), unit, n)
}

// Kinds are the kinds of plugins that this version knows.
var Kinds = []string{"store", "runpack", "evidence", "auth"}

// plannedKinds are kinds of the architecture that are not supported yet, so that the message is not "unknown".
var plannedKinds = []string{"telemetry"}

func (c *checker) plugins(cfg *Config) {
	byKind, strayKind := map[string][]*Plugin{}, false
	for _, p := range cfg.Plugins {
		byKind[p.Kind] = append(byKind[p.Kind], p)
		strayKind = strayKind || !slices.Contains(Kinds, p.Kind) && !slices.Contains(plannedKinds, p.Kind)
		switch {
		case slices.Contains(plannedKinds, p.Kind):
			c.problem(p, "Kind of plugin not supported yet", "This version of the host has no plugins of kind %q. Remove the block; supported are: %s.", p.Kind, strings.Join(Kinds, ", "))
		case !slices.Contains(Kinds, p.Kind):
			c.problem(p, "Unknown kind of plugin", "There is no kind %q.%s Supported are: %s.", p.Kind, suggestion(p.Kind, Kinds), strings.Join(Kinds, ", "))
		}
	}
	// A kind that is misspelled may be the store.
	if len(byKind["store"]) == 0 && !strayKind {
		c.missing("Missing store", `The host keeps everything in a store plugin. Add one, such as: plugin "store" "main" { command = "store-sqlite" }`)
	}
	for _, kind := range Kinds {
		if kind == "evidence" {
			// Each is a provider of its own, by its name.
			c.evidencePlugins(cfg, byKind[kind])
			continue
		}
		for _, extra := range byKind[kind][min(1, len(byKind[kind])):] {
			first := byKind[kind][0]
			where := ""
			if rng := c.places[first].at; rng.Filename != "" {
				where = " (" + at(rng) + ")"
			}
			c.problem(extra, "Two plugins of one kind", "Only one plugin of kind %s can be used; %q%s is declared too. Remove one of the two.", kind, first.Name, where)
		}
	}
}

// evidencePlugins refuses names that are the ids of other providers: a scenario would ask one and mean the other.
func (c *checker) evidencePlugins(cfg *Config, plugins []*Plugin) {
	for _, p := range plugins {
		if slices.Contains(builtinEvidence, p.Name) {
			c.problem(p, "Reserved provider id", `%q is the id of a provider that the host has built in. Give the plugin another name, such as: plugin "evidence" "my-%s".`, p.Name, p.Name)
		}
		for _, e := range cfg.Evidence.MCP {
			if e.ID == p.Name {
				c.problem(p, "Two providers of one id", `The block evidence "mcp" %q makes a provider of this id too. Give one of the two another name.`, e.ID)
			}
		}
	}
}

var (
	pluginName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)
	hexSum     = regexp.MustCompile(`^[0-9a-f]{64}$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	rootID     = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)
)

// reservedEnv are prefixes of variables that no configuration may hand to a plugin or a provider by name.
var reservedEnv = []string{"PLUGIN_", "DECISION_GATE_", "LD_", "DYLD_"}

func (c *checker) pluginFields(cfg *Config) {
	c.pluginSignatures(cfg)
	for _, p := range cfg.Plugins {
		if !pluginName.MatchString(p.Name) {
			c.problem(p, "Wrong name of plugin", "The name of a plugin has 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or digit; this is %q.", p.Name)
		}
		if len(p.Command) == 0 || p.Command[0] == "" {
			c.problem(&p.Command, "Missing command", `command must name the plugin's program, such as "store-sqlite" or ["python3", "plugin.py"].`)
		}
		if slices.ContainsFunc(p.Command, func(arg string) bool { return strings.ContainsRune(arg, 0) }) {
			c.problem(&p.Command, "Wrong command", "command holds a NUL character.")
		}
		if p.SHA256 != "" && !hexSum.MatchString(p.SHA256) {
			c.problem(&p.SHA256, "Not a SHA-256", `sha256 must be 64 lower-case hexadecimal digits, as "sha256sum" or "decision-gate plugin pin" print them; this has %d characters.`, len(p.SHA256))
		}
		c.environment("plugin", &p.Env)
		c.sandbox(p.Sandbox)
	}
}

// environment checks the names of variables that a program gets.
func (c *checker) environment(program string, names *[]string) {
	for _, name := range *names {
		// The handshake's variables are the host's to set, and the linker's change what is executed after its sum was checked.
		if !envName.MatchString(name) || slices.ContainsFunc(reservedEnv, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			c.problem(names, "Wrong name of variable", "env lists names of variables that the %s gets from the host, without values, and none beginning with %s; this is %s.",
				program, strings.Join(reservedEnv, ", "), shown(name, c.places[names].hidden))
		}
	}
}

func (c *checker) namespace(cfg *Config) {
	n := &cfg.Namespace
	if n.AllowDefault && len(n.DefaultTenants) == 0 {
		c.problem(&n.AllowDefault, "Missing tenants", "namespace.allow_default needs namespace.default_tenants, the tenants that may use namespace 1.")
	}
	if slices.Contains(n.DefaultTenants, 0) {
		c.problem(&n.DefaultTenants, "Wrong tenant", "Tenant ids in namespace.default_tenants begin at 1.")
	}
}

// validation wants it said twice that gates may be defined that never open, or open by mistake.
func (c *checker) validation(cfg *Config) {
	if v := &cfg.Validation; !v.Strict && !v.AllowPermissive {
		c.problem(&v.Strict, "Strict validation turned off", "validation.strict = false needs validation.allow_permissive = true beside it.")
	}
}

func (c *checker) anchors(cfg *Config) {
	for _, a := range cfg.Anchors {
		if a.Provider == "" || strings.TrimSpace(a.Provider) != a.Provider {
			c.problem(a, "Wrong provider", "The label of an anchors block is the id of a provider, without spaces around it; this is %q.", a.Provider)
		}
		seen := map[string]bool{}
		for _, field := range a.RequiredFields {
			if strings.TrimSpace(field) == "" || seen[field] {
				c.problem(&a.RequiredFields, "Wrong field", "required_fields of anchors %q must name different fields, none of them blank.", a.Provider)
				break
			}
			seen[field] = true
		}
	}
}

func (c *checker) jsonEvidence(cfg *Config) {
	if j := cfg.Evidence.JSON; j != nil && !rootID.MatchString(j.RootID) {
		c.problem(&j.RootID, "Wrong root_id", "root_id has 1 to 64 of a-z, 0-9, _ and -; this is %s.", c.quote(&j.RootID))
	}
}

func (c *checker) runpackDirs(cfg *Config) {
	if slices.Contains(cfg.Runpack.Dirs, "") {
		c.problem(&cfg.Runpack.Dirs, "Wrong folder", "runpack.dirs holds an empty path.")
	}
}

func (c *checker) docs(cfg *Config) {
	if slices.Contains(cfg.Docs.ExtraPaths, "") {
		c.problem(&cfg.Docs.ExtraPaths, "Wrong path", "docs.extra_paths holds an empty path.")
	}
}

// discovery refuses a name that can hide or show nothing: it is a mistake in a list that is there to hide something.
func (c *checker) discovery(cfg *Config) {
	for name, list := range map[string]*[]string{"allow": &cfg.Discovery.Allow, "deny": &cfg.Discovery.Deny} {
		if slices.ContainsFunc(*list, func(id string) bool { return strings.TrimSpace(id) == "" }) {
			c.problem(list, "Wrong provider", "discovery.%s holds an empty provider id.", name)
		}
	}
}
