package opensource

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// audit is the audit log, which the open-source server writes unless it is told not to.
func (t *translation) audit() {
	const at = "server.audit"
	if !t.flag(at+".enabled", true) {
		return
	}
	t.cfg.Audit = &config.Audit{PrecheckPayloads: t.flag(at+".log_precheck_payloads", false)}
	if path := at + ".path"; t.has(path) {
		t.cfg.Audit.Path = t.plain(path, t.fromOut(t.inWorkDir(t.text(path, ""))))
	}
}

// development is the mode in which gates accept what nobody has verified.
func (t *translation) development() {
	const exempt = "dev.permissive_exempt_providers"
	if !t.permissive() {
		return
	}
	at := "dev.permissive"
	if !t.flag(at, false) {
		at = "server.mode"
	}
	if address, ok := t.bind(); ok && !t.stdio() && !address.Addr().Unmap().IsLoopback() {
		t.lose(at, loss{did: "let gates accept asserted evidence during development", why: "the host does that on loopback only, where it was started to try things out", do: "listen on 127.0.0.1, or turn it off"})
		return
	}
	d := &config.Development{AcceptAsserted: true}
	for _, provider := range t.list(exempt) {
		if strings.TrimSpace(provider) != "" {
			d.ExemptProviders = append(d.ExemptProviders, t.plain(exempt, provider))
		}
	}
	if !t.has(exempt) {
		d.ExemptProviders = t.exemptByDefault()
	}
	if len(d.ExemptProviders) > maxListed {
		t.lose(exempt, loss{did: "kept providers strict", why: fmt.Sprintf("the host takes at most %d, and stays strict for all", maxListed), do: "name fewer"})
		return
	}
	if days := t.whole("dev.permissive_ttl_days", 0); days > 0 {
		t.until(d, days)
	}
	t.cfg.Development = d
}

// exemptByDefault are the providers that the open-source server keeps strict unasked, if there are any.
func (t *translation) exemptByDefault() []string {
	var declared []string
	for _, p := range t.items("providers") {
		if name := t.text(p+".name", ""); slices.Contains([]string{"assetcore_read", "assetcore"}, name) {
			declared = append(declared, name)
		}
	}
	return declared
}

// maxDays keeps the end of the development mode in years of four digits, which is how times are written.
const maxDays = 365 * 1000

// until counts from when the file was written, as the open-source server does, which only said so when it was over.
func (t *translation) until(d *config.Development, days int64) {
	const at = "dev.permissive_ttl_days"
	if days > maxDays {
		t.note(at, "is more than %d days, which is no end, and is left out", maxDays)
		return
	}
	d.Until = t.options.Modified.UTC().Truncate(time.Second).Add(time.Duration(days) * 24 * time.Hour).Format(time.RFC3339)
	t.note(at, "the development mode ends at development.until, %s, where the open-source server only warned: gates accept verified evidence only from then on", d.Until)
}

// authority is the server that knows which namespaces there are.
func (t *translation) authority() {
	const at = "namespace.authority.assetcore"
	if t.text("namespace.authority.mode", "none") == "none" {
		return
	}
	a := &config.Authority{
		URL: t.plain(at+".base_url", t.text(at+".base_url", "")), Token: t.plain(at+".auth_token", t.text(at+".auth_token", "")),
		ConnectTimeout: time.Duration(t.whole(at+".connect_timeout_ms", 500)) * time.Millisecond,
		RequestTimeout: time.Duration(t.whole(at+".request_timeout_ms", 2000)) * time.Millisecond,
	}
	t.cfg.Namespace.Authority = a
	switch u, ok := serverURL(a.URL); {
	case !ok:
		a.URL = "https://authority.invalid"
		t.lose(at+".base_url", loss{did: "is the server that admits namespaces", why: "it is not the URL of a server, without user, query and fragment, and one that admits nothing is written, as this one admitted nothing", do: "write its URL"})
	case strings.EqualFold(u.Scheme, "http"):
		a.AllowHTTP = true
		t.note(at+".base_url", "is without TLS: whoever is between can admit namespaces, and reads the token. allow_http opens it; use https")
	}
	if !printable(a.Token) {
		a.Token = ""
		t.lose(at+".auth_token", loss{did: "showed the authority who asks", why: "no header can carry it, so that every call failed, and none is written", do: "write the token that the authority knows"})
	}
	if a.Token != "" {
		t.note(at+".auth_token", `stands in the new file in clear, as in the old one. Better keep it elsewhere, and write env("NAME")`)
	}
	t.note("namespace.authority.mode", "redirects of the authority are not followed from now on, and proxies of the environment not used")
}

// serverURL is a URL that the host can ask.
func serverURL(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || len(text) > maxURL {
		return nil, false
	}
	return u, strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https")
}

// maxURL is the length in bytes of the longest URL that the host takes.
const maxURL = 8192

// dispatch is which packets are disclosed.
func (t *translation) dispatch() {
	const at = "policy.static"
	switch t.text("policy.engine", "permit_all") {
	case "permit_all":
		return
	case "deny_all":
		t.cfg.Dispatch = &config.Dispatch{Default: "deny"}
		return
	}
	t.cfg.Dispatch = &config.Dispatch{Default: t.text(at+".default", "deny")}
	for _, rule := range t.items(at + ".rules") {
		if !t.dispatchRule(rule) {
			// What the rule denies, a later one or the default could permit.
			t.cfg.Dispatch = &config.Dispatch{Default: "deny"}
			return
		}
	}
}

// dispatchRule adds a rule, unless it is larger than the host takes.
func (t *translation) dispatchRule(at string) bool {
	r := &config.DispatchRule{Effect: t.text(at+".effect", "")}
	lists := map[string]*[]string{
		"target_kinds": &r.TargetKinds, "require_labels": &r.RequireLabels, "forbid_labels": &r.ForbidLabels, "require_policy_tags": &r.RequirePolicyTags,
		"forbid_policy_tags": &r.ForbidPolicyTags, "content_types": &r.ContentTypes, "schema_ids": &r.SchemaIDs, "packet_ids": &r.PacketIDs,
		"stage_ids": &r.StageIDs, "scenario_ids": &r.ScenarioIDs,
	}
	beyond := false
	for name, list := range lists {
		*list = unique(t.list(at + "." + name))
		beyond = beyond || len(*list) > maxListed
		for _, text := range *list {
			t.plain(at+"."+name, text)
		}
	}
	for _, target := range t.items(at + ".targets") {
		text := func(name string) string { return t.plain(target+"."+name, t.text(target+"."+name, "")) }
		for _, name := range []string{"target_id", "system", "target"} {
			beyond = beyond || t.has(target+"."+name) && t.text(target+"."+name, "") == ""
		}
		one := &config.DispatchTarget{Kind: text("target_kind"), ID: text("target_id"), System: text("system"), Target: text("target")}
		r.Targets = append(r.Targets, one)
		beyond = beyond || max(len(one.ID), len(one.System), len(one.Target)) > maxSelector
	}
	if r.Effect == "error" {
		if r.Message = t.plain(at+".error_message", t.text(at+".error_message", "")); r.Message == "" {
			r.Message = " " // the host wants one, and the open-source server takes a blank one
		}
		beyond = beyond || len(r.Message) > maxMessage
	}
	if beyond {
		t.lose(at, loss{did: "decided which packets are disclosed", why: fmt.Sprintf("the host takes lists of at most %d, selectors of 1 to %d bytes and messages of %d; every packet is denied", maxListed, maxSelector, maxMessage), do: "change the rule"})
		return false
	}
	t.cfg.Dispatch.Rules = append(t.cfg.Dispatch.Rules, r)
	return true
}

// Lengths in bytes of the longest texts that rules of the host take.
const (
	maxSelector = 4096
	maxMessage  = 1024
)
