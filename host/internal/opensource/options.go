package opensource

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// option is one key that the open-source server knows (mcp contract §9).
type option struct {
	kind kind
	// normal is the default, which there is nothing to say about; nil when it is to be absent or empty.
	normal any
	needed bool
	// to is the option of the host that takes the value.
	to string
	// note says why nothing takes a value that is another than normal, and nothing needs to.
	note string
	// lost says what is missing when the value is another than normal. Options without to, note and lost belong to the
	// table around them, or have a rule of their own.
	lost *loss
}

// loss is an option that the host has nothing for.
type loss struct {
	did, why, do string
	// weaker: without it the host allows what the open-source server refused, or shows what it hid.
	weaker bool
}

func (l *loss) reason() string {
	text := "it " + l.did + "; "
	if l.weaker {
		text += "THE NEW HOST IS LESS STRICT: "
	}
	text += l.why + "; " + l.do
	return text
}

var (
	feedbackLevels = oneOf("summary", "trace", "evidence")
	lanes          = oneOf("verified", "asserted")
)

// Why nothing takes some options.
const (
	versions = "is left out: the host keeps every step of a run"
	ownWay   = "is left out: the host's store always uses a write-ahead log and syncs before it answers. Keep it on a local disk"
)

// options are all keys, by their path; "[]" stands for each item of a list.
var options = map[string]option{
	"client": {kind: anything, note: "is left out: profiles of the open-source command line are not those of this one"},

	"server":                                           {kind: table},
	"server.transport":                                 {kind: oneOf("stdio", "http", "sse"), normal: "stdio", to: "server.http, server.stdio"},
	"server.mode":                                      {kind: oneOf("strict", "dev_permissive"), normal: "strict", to: "development"},
	"server.tls_termination":                           {kind: oneOf("server", "upstream"), normal: "server", to: "server.http.tls_upstream"},
	"server.bind":                                      {kind: text, to: "server.http.listen"},
	"server.max_body_bytes":                            {kind: size, normal: int64(1 << 20), to: "server.max_body_bytes"},
	"server.limits":                                    {kind: table},
	"server.limits.max_inflight":                       {kind: size, normal: int64(256), to: "server.max_inflight"},
	"server.limits.rate_limit":                         {kind: table, to: "server.rate_limit"},
	"server.limits.rate_limit.max_requests":            {kind: whole(1, 100_000)},
	"server.limits.rate_limit.window_ms":               {kind: whole(100, 60_000)},
	"server.limits.rate_limit.max_entries":             {kind: whole(1, 65_536)},
	"server.tls":                                       {kind: table, to: "server.http.tls"},
	"server.tls.cert_path":                             {kind: file, needed: true},
	"server.tls.key_path":                              {kind: file, needed: true},
	"server.tls.client_ca_path":                        {kind: file},
	"server.tls.require_client_cert":                   {kind: flag},
	"server.audit":                                     {kind: table},
	"server.audit.enabled":                             {kind: flag, normal: true, to: "audit"},
	"server.audit.path":                                {kind: file, to: "audit.path"},
	"server.audit.log_precheck_payloads":               {kind: flag, normal: false, to: "audit.precheck_payloads"},
	"server.tools":                                     {kind: table},
	"server.tools.mode":                                {kind: oneOf("filter", "passthrough"), normal: "filter", to: "tools.list"},
	"server.tools.allowlist":                           {kind: tools, to: "tools.allow"},
	"server.tools.denylist":                            {kind: tools, to: "tools.deny"},
	"server.feedback":                                  {kind: table},
	"server.feedback.scenario_next":                    {kind: table},
	"server.feedback.scenario_next.default":            {kind: feedbackLevels, normal: "summary", to: "feedback.default"},
	"server.feedback.scenario_next.max":                {kind: feedbackLevels, normal: "trace", to: "feedback.max"},
	"server.feedback.scenario_next.local_only_default": {kind: feedbackLevels, normal: "trace", to: "feedback.local_default"},
	"server.feedback.scenario_next.trace_subjects":     {kind: texts, normal: []any{"loopback", "stdio"}, to: "feedback.trace_subjects"},
	"server.feedback.scenario_next.trace_roles":        {kind: texts, to: "feedback.trace_roles"},
	"server.feedback.scenario_next.evidence_subjects":  {kind: texts, to: "feedback.evidence_subjects"},
	"server.feedback.scenario_next.evidence_roles":     {kind: texts, to: "feedback.evidence_roles"},

	"server.auth":                                   {kind: table},
	"server.auth.mode":                              {kind: oneOf("local_only", "bearer_token", "mtls"), normal: "local_only", to: "auth"},
	"server.auth.bearer_tokens":                     {kind: listOf(token, 64, "tokens, each "+token.what), to: "auth.bearer.tokens"},
	"server.auth.mtls_subjects":                     {kind: listOf(subject, 64, "subjects, each "+subject.what), to: "auth.mtls.subjects"},
	"server.auth.allowed_tools":                     {kind: tools, to: "auth.allowed_tools"},
	"server.auth.principals":                        {kind: tables(64)},
	"server.auth.principals[].subject":              {kind: filled, needed: true},
	"server.auth.principals[].policy_class":         {kind: filled},
	"server.auth.principals[].roles":                {kind: tables(128)},
	"server.auth.principals[].roles[].name":         {kind: filled, needed: true},
	"server.auth.principals[].roles[].tenant_id":    {kind: id},
	"server.auth.principals[].roles[].namespace_id": {kind: id},

	"dev":                             {kind: table},
	"dev.permissive":                  {kind: flag, normal: false, to: "development.accept_asserted"},
	"dev.permissive_scope":            {kind: oneOf("asserted_evidence_only")},
	"dev.permissive_ttl_days":         {kind: size, to: "development.until"},
	"dev.permissive_warn":             {kind: flag, normal: true, note: "is left out: the host always says in its log that it accepts asserted evidence"},
	"dev.permissive_exempt_providers": {kind: texts, normal: []any{"assetcore_read", "assetcore"}, to: "development.exempt_providers"},

	"namespace":                                        {kind: table},
	"namespace.allow_default":                          {kind: flag, normal: false, to: "namespace.allow_default"},
	"namespace.default_tenants":                        {kind: ids, to: "namespace.default_tenants"},
	"namespace.authority":                              {kind: table},
	"namespace.authority.mode":                         {kind: oneOf("none", "assetcore_http"), normal: "none", to: "namespace.authority"},
	"namespace.authority.assetcore":                    {kind: table},
	"namespace.authority.assetcore.base_url":           {kind: filled, needed: true},
	"namespace.authority.assetcore.auth_token":         {kind: filled},
	"namespace.authority.assetcore.connect_timeout_ms": {kind: whole(100, 10_000)},
	"namespace.authority.assetcore.request_timeout_ms": {kind: whole(500, 30_000)},

	"trust":                            {kind: table},
	"trust.default_policy":             {kind: signatures, normal: "audit", to: "trust.signatures"},
	"trust.min_lane":                   {kind: lanes, normal: "verified", to: "trust.min_lane"},
	"evidence":                         {kind: table},
	"evidence.allow_raw_values":        {kind: flag, normal: false, to: "disclosure.raw_values"},
	"evidence.require_provider_opt_in": {kind: flag, normal: true, to: "disclosure.require_provider_opt_in"},

	"anchors":                               {kind: table},
	"anchors.providers":                     {kind: tables(maxTables), to: "anchors"},
	"anchors.providers[].provider_id":       {kind: filled, needed: true},
	"anchors.providers[].anchor_type":       {kind: filled, needed: true},
	"anchors.providers[].required_fields":   {kind: texts, needed: true},
	"provider_discovery":                    {kind: table},
	"provider_discovery.allowlist":          {kind: blanks, to: "discovery.allow"},
	"provider_discovery.denylist":           {kind: blanks, to: "discovery.deny"},
	"provider_discovery.max_response_bytes": {kind: size, normal: int64(1 << 20), to: "discovery.max_response_bytes"},

	"validation":                      {kind: table},
	"validation.strict":               {kind: flag, normal: true, to: "validation.strict"},
	"validation.profile":              {kind: oneOf("strict_core_v1")},
	"validation.allow_permissive":     {kind: flag, to: "validation.allow_permissive"},
	"validation.enable_lexicographic": {kind: flag, normal: false, to: "validation.lexicographic"},
	"validation.enable_deep_equals":   {kind: flag, normal: false, to: "validation.deep_equals"},

	"run_state_store":                 {kind: table},
	"run_state_store.type":            {kind: oneOf("memory", "sqlite"), normal: "memory", to: `plugin "store"`},
	"run_state_store.path":            {kind: file},
	"run_state_store.busy_timeout_ms": {kind: amount, normal: int64(5000), to: `plugin "store" config.busy_timeout`},
	"run_state_store.journal_mode":    {kind: oneOf("wal", "delete"), normal: "wal", note: ownWay},
	"run_state_store.sync_mode":       {kind: oneOf("full", "normal"), normal: "full", note: ownWay},
	"run_state_store.max_versions":    {kind: amount, note: versions},

	"schema_registry":                      {kind: table},
	"schema_registry.type":                 {kind: oneOf("memory", "sqlite"), normal: "memory", to: `plugin "store"`},
	"schema_registry.path":                 {kind: file},
	"schema_registry.busy_timeout_ms":      {kind: amount, normal: int64(5000), note: ownWay},
	"schema_registry.journal_mode":         {kind: oneOf("wal", "delete"), normal: "wal", note: ownWay},
	"schema_registry.sync_mode":            {kind: oneOf("full", "normal"), normal: "full", note: ownWay},
	"schema_registry.max_versions":         {kind: amount, note: versions},
	"schema_registry.max_schema_bytes":     {kind: whole(1, 10<<20), normal: int64(1 << 20), to: "schemas.max_schema_bytes"},
	"schema_registry.max_entries":          {kind: size, to: "schemas.max_entries"},
	"schema_registry.acl":                  {kind: table},
	"schema_registry.acl.mode":             {kind: oneOf("builtin", "custom"), normal: "builtin", to: "schemas.acl.mode"},
	"schema_registry.acl.default":          {kind: oneOf("deny", "allow"), normal: "deny", to: "schemas.acl.default"},
	"schema_registry.acl.allow_local_only": {kind: flag, normal: false, to: "schemas.acl.allow_local"},
	"schema_registry.acl.require_signing":  {kind: flag, normal: false, to: "schemas.acl.signing"},
	"schema_registry.acl.rules":            {kind: tables(256), to: "schemas.acl.rule"},

	"schema_registry.acl.rules[].effect":         {kind: oneOf("allow", "deny"), needed: true},
	"schema_registry.acl.rules[].actions":        {kind: listOf(oneOf("register", "list", "get"), maxTables, "")},
	"schema_registry.acl.rules[].tenants":        {kind: ids},
	"schema_registry.acl.rules[].namespaces":     {kind: ids},
	"schema_registry.acl.rules[].subjects":       {kind: blanks},
	"schema_registry.acl.rules[].roles":          {kind: blanks},
	"schema_registry.acl.rules[].policy_classes": {kind: blanks},

	"docs":                      {kind: table},
	"docs.enabled":              {kind: flag, normal: true, to: "docs"},
	"docs.enable_search":        {kind: flag, normal: true, to: "docs.search"},
	"docs.enable_resources":     {kind: flag, normal: true, to: "docs.resources"},
	"docs.include_default_docs": {kind: flag, normal: true, to: "docs.own"},
	"docs.extra_paths":          {kind: listOf(file, 64, "paths, each "+file.what), to: "docs.extra_paths"},
	"docs.max_doc_bytes":        {kind: whole(1, 1<<20), normal: int64(256 << 10), to: "docs.max_doc_bytes"},
	"docs.max_total_bytes":      {kind: whole(1, 8<<20), normal: int64(1 << 20), to: "docs.max_total_bytes"},
	"docs.max_docs":             {kind: whole(1, 256), normal: int64(32), to: "docs.max_docs"},
	"docs.max_sections":         {kind: whole(1, 10), normal: int64(10), to: "docs.max_sections"},

	"runpack_storage":                  {kind: table, lost: &loss{did: "kept exported runpacks in an object store", why: "the host writes them to a folder", do: "copy that folder to the object store"}},
	"runpack_storage.type":             {kind: oneOf("object_store"), needed: true},
	"runpack_storage.provider":         {kind: oneOf("s3"), needed: true},
	"runpack_storage.bucket":           {kind: filled, needed: true},
	"runpack_storage.region":           {kind: text},
	"runpack_storage.endpoint":         {kind: text},
	"runpack_storage.prefix":           {kind: filled},
	"runpack_storage.force_path_style": {kind: flag},
	"runpack_storage.allow_http":       {kind: flag},

	"policy":                                      {kind: table},
	"policy.engine":                               {kind: oneOf("permit_all", "deny_all", "static"), normal: "permit_all", to: "dispatch"},
	"policy.static":                               {kind: table},
	"policy.static.default":                       {kind: oneOf("permit", "deny")},
	"policy.static.rules":                         {kind: tables(maxTables)},
	"policy.static.rules[].effect":                {kind: oneOf("permit", "deny", "error"), needed: true},
	"policy.static.rules[].error_message":         {kind: text},
	"policy.static.rules[].target_kinds":          {kind: listOf(targetKinds, maxTables, "")},
	"policy.static.rules[].targets":               {kind: tables(maxTables)},
	"policy.static.rules[].targets[].target_kind": {kind: targetKinds, needed: true},
	"policy.static.rules[].targets[].target_id":   {kind: text},
	"policy.static.rules[].targets[].system":      {kind: text},
	"policy.static.rules[].targets[].target":      {kind: text},
	"policy.static.rules[].require_labels":        {kind: texts},
	"policy.static.rules[].forbid_labels":         {kind: texts},
	"policy.static.rules[].require_policy_tags":   {kind: texts},
	"policy.static.rules[].forbid_policy_tags":    {kind: texts},
	"policy.static.rules[].content_types":         {kind: texts},
	"policy.static.rules[].schema_ids":            {kind: texts},
	"policy.static.rules[].packet_ids":            {kind: texts},
	"policy.static.rules[].stage_ids":             {kind: texts},
	"policy.static.rules[].scenario_ids":          {kind: texts},

	"providers":                               {kind: tables(maxTables)},
	"providers[].name":                        {kind: filled, needed: true},
	"providers[].type":                        {kind: oneOf("builtin", "mcp"), needed: true},
	"providers[].command":                     {kind: texts},
	"providers[].url":                         {kind: text},
	"providers[].allow_insecure_http":         {kind: flag},
	"providers[].capabilities_path":           {kind: file},
	"providers[].auth":                        {kind: table},
	"providers[].auth.bearer_token":           {kind: filled},
	"providers[].trust":                       {kind: signatures},
	"providers[].allow_raw":                   {kind: flag},
	"providers[].timeouts":                    {kind: table},
	"providers[].timeouts.connect_timeout_ms": {kind: whole(100, 10_000)},
	"providers[].timeouts.request_timeout_ms": {kind: whole(500, 30_000)},
	// What is in it depends on the provider: builtins.
	"providers[].config": {kind: table},
}

// maxTables is for lists that the open-source server does not bound.
const maxTables = math.MaxInt

var targetKinds = oneOf("agent", "session", "external", "channel")

// builtins are the options in the config table of each built-in provider (mcp contract §5.7).
var builtins = map[string]option{
	"time":               {kind: table},
	"time.allow_logical": {kind: flag, needed: true},

	"env":                 {kind: table},
	"env.allowlist":       {kind: texts},
	"env.denylist":        {kind: texts, needed: true},
	"env.max_value_bytes": {kind: amount, needed: true},
	"env.max_key_bytes":   {kind: amount, needed: true},
	"env.overrides":       {kind: textMap},

	"json":            {kind: table},
	"json.root":       {kind: file, needed: true},
	"json.root_id":    {kind: filled, needed: true},
	"json.max_bytes":  {kind: amount, needed: true},
	"json.allow_yaml": {kind: flag, needed: true},

	"http":                    {kind: table},
	"http.allow_http":         {kind: flag, needed: true},
	"http.timeout_ms":         {kind: amount, needed: true},
	"http.max_response_bytes": {kind: amount, needed: true},
	"http.allowed_hosts":      {kind: texts},
	"http.user_agent":         {kind: text, needed: true},
	"http.hash_algorithm":     {kind: oneOf("sha256"), needed: true},
}

// schema is options with the names that each table may hold.
type schema struct {
	options  map[string]option
	children map[string][]string
}

var (
	wholeFile  = newSchema(options)
	inBuiltins = newSchema(builtins)
)

func newSchema(options map[string]option) schema {
	s := schema{options, map[string][]string{}}
	for _, path := range slices.Sorted(maps.Keys(options)) {
		i := strings.LastIndex(path, ".")
		s.children[path[:max(i, 0)]] = append(s.children[path[:max(i, 0)]], path[i+1:])
	}
	return s
}
