package host

import (
	"crypto/ed25519"
	"fmt"
	"maps"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// accessOptions are the rules of a configuration about callers. The error names what is no caller, tool or key.
func accessOptions(c *config.Config) (access.Options, error) {
	r := &accessReader{config: c}
	o := access.Options{
		Local:         c.Auth.Local != nil || !c.Authenticates(),
		Tools:         c.Auth.AllowedTools,
		TenantsByRole: c.Auth.Tenants == "roles",
		Schemas:       r.schemas(),
		Feedback:      r.feedback(),
	}
	if b := c.Auth.Bearer; b != nil {
		o.Tokens = b.Tokens
	}
	if m := c.Auth.MTLS; m != nil {
		o.Subjects = m.Subjects
		if h := m.ClientSubjectHeader; h != nil {
			o.Proxy = h.From
		}
	}
	o.Principals = r.principals()
	return o, config.Join(r.errs...)
}

// checkAccess finds what accessOptions would refuse.
func checkAccess(c *config.Config) error {
	_, err := accessOptions(c)
	return err
}

// accessReader collects what is wrong.
type accessReader struct {
	config *config.Config
	errs   []error
}

func (r *accessReader) refuse(field any, summary, format string, args ...any) {
	r.errs = append(r.errs, r.config.Refuse(field, summary, format, args...))
}

func (r *accessReader) principals() (entries []access.Entry) {
	first := map[string]string{}
	for _, p := range r.config.Auth.Principals {
		id, err := access.ParseName(p.Name)
		if err != nil {
			r.refuse(p, "Wrong principal", "The label of a principal block names a caller, such as local:loopback or CN=alice; this is %q: %s.", p.Name, err)
			continue
		}
		if earlier, twice := first[id]; twice {
			r.refuse(p, "Duplicate principal", "%q and %q name one caller. Put the roles of both into one block.", earlier, p.Name)
		}
		first[id] = p.Name
		entry := access.Entry{ID: id, PolicyClass: p.PolicyClass}
		for _, role := range p.Roles {
			entry.Roles = append(entry.Roles, access.Role{Name: role.Name, Tenant: gate.TenantID(role.Tenant), Namespace: gate.NamespaceID(role.Namespace)})
		}
		entries = append(entries, entry)
	}
	return entries
}

// names are the ids of callers in a list.
func (r *accessReader) names(what string, list *[]string) (ids []string) {
	for _, name := range *list {
		id, err := access.ParseName(name)
		if err != nil {
			r.refuse(list, "Wrong caller", "%s names callers, such as local:loopback or CN=alice; this is %s: %s.", what, r.config.Shown(list, name), err)
		}
		ids = append(ids, id)
	}
	return ids
}

func (r *accessReader) feedback() access.FeedbackRules {
	f := &r.config.Feedback
	rules := access.FeedbackRules{
		Default: access.Level(f.Default), LocalDefault: access.Level(f.LocalDefault), Max: access.Level(f.Max),
		Trace:    access.Audience{Principals: r.names("feedback.trace_subjects", &f.TraceSubjects), Roles: f.TraceRoles},
		Evidence: access.Audience{Principals: r.names("feedback.evidence_subjects", &f.EvidenceSubjects), Roles: f.EvidenceRoles},
	}
	if f.TraceSubjects == nil {
		rules.Trace.Principals = []string{"local:loopback", "local:stdio"}
	}
	return rules
}

func (r *accessReader) schemas() access.SchemaRules {
	acl := &r.config.Schemas.ACL
	rules := access.SchemaRules{
		Custom: acl.Mode == "custom", DefaultAllow: acl.Default == "allow", AllowLocal: acl.AllowLocal,
		Signing: access.Signing{Required: acl.Signing != "none", Keys: r.keys(acl)},
	}
	for i, written := range acl.Rules {
		rule := access.SchemaRule{
			Allow: written.Effect == "allow", Roles: written.Roles, PolicyClasses: written.PolicyClasses,
			Principals: r.names(fmt.Sprintf("subjects of rule %d of schemas.acl", i+1), &written.Subjects),
		}
		for _, action := range written.Actions {
			rule.Actions = append(rule.Actions, access.Action(action))
		}
		for _, tenant := range written.Tenants {
			rule.Tenants = append(rule.Tenants, gate.TenantID(tenant))
		}
		for _, namespace := range written.Namespaces {
			rule.Namespaces = append(rule.Namespaces, gate.NamespaceID(namespace))
		}
		rules.Rules = append(rules.Rules, rule)
	}
	return rules
}

// keys are those that records must be signed with; nil when signatures are not verified.
func (r *accessReader) keys(acl *config.SchemaACL) map[string]ed25519.PublicKey {
	if acl.Signing != "ed25519" {
		return nil
	}
	keys := map[string]ed25519.PublicKey{}
	for _, id := range slices.Sorted(maps.Keys(acl.SigningKeys)) {
		key, err := publicKey(r.config, &acl.SigningKeys, acl.SigningKeys[id])
		if err != nil {
			r.errs = append(r.errs, err)
		}
		keys[id] = key
	}
	return keys
}
