package opensource

import (
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// builtinAccess is that roles decide who may use the registry of data shapes, and not rules.
func (s *source) builtinAccess() bool {
	return s.text("schema_registry.acl.mode", "builtin") == "builtin"
}

// registryAccess is who may use the registry of data shapes.
func (t *translation) registryAccess() {
	const at = "schema_registry.acl"
	acl := &t.cfg.Schemas.ACL
	if t.flag(at+".require_signing", false) {
		acl.Signing = "presence"
		t.note(at+".require_signing", `signatures are not verified, as before: schemas.acl.signing is "presence". To verify them write "ed25519", and signing_keys`)
	}
	if t.builtinAccess() {
		acl.AllowLocal = t.flag(at+".allow_local_only", false)
		if !acl.AllowLocal || !t.local() {
			t.precheckAsks(at)
		}
		return
	}
	t.precheckAsks(at + ".mode")
	acl.Mode, acl.Default = "custom", t.text(at+".default", "deny")
	for _, rule := range t.items(at + ".rules") {
		t.registryRule(rule)
	}
}

// precheckAsks tells those whom the change can keep out (contract decision 15).
func (t *translation) precheckAsks(at string) {
	t.note(at, "precheck needs leave to get the data shape from now on; the open-source server asked for none")
}

func (t *translation) registryRule(at string) {
	effect := t.text(at+".effect", "")
	rule := &config.SchemaRule{
		Effect:        effect,
		Actions:       unique(t.list(at + ".actions")),
		Tenants:       t.ids(at + ".tenants"),
		Namespaces:    t.ids(at + ".namespaces"),
		Subjects:      t.callers(at + ".subjects"),
		Roles:         t.roles(at + ".roles"),
		PolicyClasses: t.ruleClasses(at, effect),
	}
	for _, long := range []int{len(rule.Tenants), len(rule.Namespaces), len(rule.Subjects), len(rule.Roles)} {
		if long > maxListed {
			t.lose(at, loss{did: "decided who may use the registry of data shapes", why: fmt.Sprintf("the host takes at most %d items in a list", maxListed), do: "split the rule", weaker: effect == "deny"})
			return
		}
	}
	// A list that has lost every item would match everybody, where the rule matched nobody.
	for name, left := range map[string]int{"subjects": len(rule.Subjects), "policy_classes": len(rule.PolicyClasses)} {
		if left == 0 && len(t.list(at+"."+name)) > 0 {
			t.note(at, "matches nobody, because nobody has one of its %s, and is left out", name)
			return
		}
	}
	t.cfg.Schemas.ACL.Rules = append(t.cfg.Schemas.ACL.Rules, rule)
}

// ruleClasses are the policy classes of a rule that callers of the host can have.
func (t *translation) ruleClasses(rule, effect string) []string {
	var known []string
	for _, class := range unique(t.list(rule + ".policy_classes")) {
		if slices.Contains(classes, class) {
			known = append(known, class)
			continue
		}
		for _, p := range t.items("server.auth.principals") {
			if t.text(p+".policy_class", "") == class {
				t.lose(rule+".policy_classes", loss{did: "named a policy class of yours", why: "the host knows " + strings.Join(classes, ", ") + " and no other", do: "give the principals one of these in the old file", weaker: effect == "deny"})
			}
		}
	}
	return known
}

// ids are tenants or namespaces.
func (t *translation) ids(at string) []uint64 {
	var ids []uint64
	for _, v := range valueAt[[]any](t.source, at) {
		ids = append(ids, uint64(v.(int64)))
	}
	return ids
}
