package opensource

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/signature"
)

// rules are what the open-source server refuses beside single values that are out of bounds, in its order (mcp contract
// §9.1).
var rules = []func(*source){
	(*source).transport, (*source).exposure, (*source).encryption, (*source).callers, (*source).auditFile, (*source).feedback, (*source).namespace, (*source).validation, (*source).policy,
	(*source).stores, (*source).anchors, (*source).documents, (*source).runpackStorage, (*source).providers,
}

func (s *source) stdio() bool { return s.text("server.transport", "stdio") == "stdio" }

// bind is the address that is listened on, and whether the option is one.
func (s *source) bind() (netip.AddrPort, bool) {
	address, err := netip.ParseAddrPort(s.text("server.bind", ""))
	return address, err == nil
}

func (s *source) transport() {
	address, ok := s.bind()
	switch {
	case s.stdio() && s.has("server.tls"):
		s.mistake("server.tls", "standard input and output have no TLS: remove it")
	case s.text("server.bind", "") == "" && !s.stdio():
		s.mistake("server.bind", `is missing: the transport needs an address, such as "127.0.0.1:4000"`)
	case s.text("server.bind", "") != "" && !ok:
		s.mistake("server.bind", `must be IP:port, such as "127.0.0.1:4000"`)
	case ok && !s.stdio() && !address.Addr().Unmap().IsLoopback() && s.text("server.auth.mode", "local_only") == "local_only":
		s.mistake("server.bind", "an address beyond loopback needs an auth mode")
	}
}

// exposure is what the open-source command refuses beyond loopback (mcp contract §10.3).
func (s *source) exposure() {
	address, ok := s.bind()
	if !ok || s.stdio() || address.Addr().Unmap().IsLoopback() {
		return
	}
	switch certificates := s.text("server.auth.mode", "") == "mtls" && s.has("server.tls"); {
	case !s.has("server.tls") && !s.upstream():
		s.mistake("server.bind", `an address beyond loopback needs server.tls, or tls_termination = "upstream" where a proxy in front ends TLS`)
	case certificates && !s.has("server.tls.client_ca_path"):
		s.mistake("server.tls", "mtls beyond loopback needs client_ca_path")
	case certificates && !s.flag("server.tls.require_client_cert", true):
		s.mistake("server.tls.require_client_cert", "must be true with mtls beyond loopback")
	}
}

// encryption reads the files of TLS, which the open-source server does last.
func (s *source) encryption() {
	const at = "server.tls"
	if !s.has(at) || s.stdio() {
		return
	}
	cert, certErr := s.pem(at + ".cert_path")
	key, keyErr := s.pem(at + ".key_path")
	if _, err := tls.X509KeyPair(cert, key); err != nil || certErr != nil || keyErr != nil {
		s.mistake(at, "cert_path and key_path must name PEM files of a certificate and its key, not encrypted, that can be read: relative paths begin in the folder where this command runs")
	}
	if ca := at + ".client_ca_path"; s.has(ca) {
		text, err := s.pem(ca)
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
			s.mistake(ca, "must name a PEM file of certificates that can be read")
		}
	}
}

// maxPEM is the size in bytes of the largest file of certificates that is read.
const maxPEM = 1 << 20

// pem reads a file that an option names. A device or pipe could have no end.
func (s *source) pem(at string) ([]byte, error) {
	path := s.inWorkDir(s.text(at, ""))
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, errors.New("not a file of certificates")
	}
	return os.ReadFile(path)
}

func (s *source) auditFile() {
	const at = "server.audit.path"
	if !s.has(at) || !s.flag("server.audit.enabled", true) {
		return
	}
	path := s.inWorkDir(s.text(at, ""))
	info, err := os.Stat(path)
	folder, folderErr := os.Stat(filepath.Dir(path))
	if err == nil && info.IsDir() || folderErr != nil || !folder.IsDir() {
		s.mistake(at, "must name a file in a folder that is there")
	}
}

func (s *source) callers() {
	switch mode := s.text("server.auth.mode", "local_only"); {
	case mode != "local_only" && s.stdio():
		s.mistake("server.auth.mode", "must be local_only on standard input and output")
	case mode == "bearer_token" && len(s.list("server.auth.bearer_tokens")) == 0:
		s.mistake("server.auth.mode", "bearer_token needs server.auth.bearer_tokens")
	case mode == "mtls" && len(s.list("server.auth.mtls_subjects")) == 0:
		s.mistake("server.auth.mode", "mtls needs server.auth.mtls_subjects")
	}
}

func (s *source) feedback() {
	const at = "server.feedback.scenario_next."
	rank := func(name, normal string) int {
		return slices.Index([]string{"summary", "trace", "evidence"}, s.text(at+name, normal))
	}
	for name, normal := range map[string]string{"default": "summary", "local_only_default": "trace"} {
		if rank(name, normal) > rank("max", "trace") {
			s.mistake(at+name, "exceeds %smax", at)
		}
	}
}

func (s *source) namespace() {
	const at = "namespace.authority"
	if s.flag("namespace.allow_default", false) && len(valueAt[[]any](s, "namespace.default_tenants")) == 0 {
		s.mistake("namespace.allow_default", "needs namespace.default_tenants")
	}
	asks := s.text(at+".mode", "none") == "assetcore_http"
	if asks != s.has(at+".assetcore") {
		s.mistake(at, "mode = \"assetcore_http\" and the table assetcore belong together")
	}
	if asks && s.permissive() {
		s.mistake(at+".mode", "dev.permissive is not allowed with assetcore_http")
	}
}

// permissive is the development mode, by either of its names.
func (s *source) permissive() bool {
	return s.flag("dev.permissive", false) || s.text("server.mode", "strict") == "dev_permissive"
}

func (s *source) validation() {
	if !s.flag("validation.strict", true) && !s.flag("validation.allow_permissive", false) {
		s.mistake("validation.strict", "false needs validation.allow_permissive = true")
	}
}

func (s *source) policy() {
	if (s.text("policy.engine", "permit_all") == "static") != s.has("policy.static") {
		s.mistake("policy", "engine = \"static\" and the table static belong together")
	}
	for _, at := range s.items("policy.static.rules") {
		criteria := 0
		for name, v := range valueAt[map[string]any](s, at) {
			if list, ok := v.([]any); ok && len(list) > 0 && name != "effect" {
				criteria++
			}
		}
		if criteria == 0 {
			s.mistake(at, "must have at least one criterion")
		}
		if s.text(at+".effect", "") == "error" && !s.has(at+".error_message") {
			s.mistake(at, `effect = "error" needs error_message`)
		}
		for _, target := range s.items(at + ".targets") {
			s.target(target)
		}
	}
}

func (s *source) target(at string) {
	external, place := s.text(at+".target_kind", "") == "external", s.has(at+".system") || s.has(at+".target")
	switch {
	case external && s.has(at+".target_id"):
		s.mistake(at, "an external target has no target_id")
	case external && !place:
		s.mistake(at, "an external target needs system or target")
	case !external && place:
		s.mistake(at, "only external targets have system and target")
	}
}

func (s *source) stores() {
	for _, at := range []string{"run_state_store", "schema_registry"} {
		path := at + ".path"
		sqlite := s.text(at+".type", "memory") == "sqlite"
		if sqlite != s.has(path) {
			s.mistake(path, `belongs to type = "sqlite", which needs it`)
		}
		if info, err := os.Stat(s.inWorkDir(s.text(path, "."))); sqlite && err == nil && info.IsDir() {
			s.mistake(path, "names a folder; it must be a file")
		}
		if sqlite && s.whole(at+".max_versions", 1) == 0 {
			s.mistake(at+".max_versions", "must be at least 1")
		}
	}
	if s.text("schema_registry.type", "memory") == "sqlite" && s.whole("schema_registry.max_schema_bytes", 1) > 1<<20 {
		s.mistake("schema_registry.max_schema_bytes", "must be at most 1048576 with sqlite")
	}
}

// inWorkDir is a path of the file, which begins where the open-source server was started.
func (s *source) inWorkDir(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.options.WorkDir, path)
}

func (s *source) anchors() {
	seen := map[string]bool{}
	for _, at := range s.items("anchors.providers") {
		provider := s.text(at+".provider_id", "")
		switch {
		case strings.TrimSpace(provider) != provider:
			s.mistake(at+".provider_id", "must not have space around it")
		case seen[provider]:
			s.mistake(at+".provider_id", "is there twice")
		}
		seen[provider] = true
		if len(trimmed(s.list(at+".required_fields"))) == 0 {
			s.mistake(at+".required_fields", "must name a field")
		}
	}
}

// trimmed are the texts as the open-source server takes them: without space around them and blank ones, each once, sorted.
func trimmed(texts []string) []string {
	var out []string
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (s *source) documents() {
	if !s.flag("docs.enabled", true) {
		return
	}
	for _, path := range s.list("docs.extra_paths") {
		if _, err := os.Stat(s.inWorkDir(path)); err != nil {
			s.mistake("docs.extra_paths", "names what cannot be read: a relative path begins in the folder where this command runs, as it began where the open-source server was started")
			return
		}
	}
}

func (s *source) runpackStorage() {
	const endpoint, prefix = "runpack_storage.endpoint", "runpack_storage.prefix"
	if address := s.text(endpoint, "https://"); !strings.HasPrefix(address, "https://") {
		if !strings.HasPrefix(address, "http://") || !s.flag("runpack_storage.allow_http", false) {
			s.mistake(endpoint, "must begin with https://, or with http:// when allow_http is set")
		}
	}
	folder := s.text(prefix, "a")
	parts := strings.Split(folder, "/")
	if len(folder) > 4096 || strings.HasPrefix(folder, "/") || strings.Contains(folder, `\`) || slices.Contains(parts, "..") ||
		slices.ContainsFunc(parts, func(part string) bool { return len(part) > 255 }) {
		s.mistake(prefix, "must be a relative path of at most 4096 bytes, with / between parts of at most 255, none of them \"..\"")
	}
}

var rootID = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// keys reads the public keys of a signature policy.
func (s *source) keys(at string) {
	for _, key := range s.keysOf(at) {
		if _, err := signature.LoadKey(s.inWorkDir(key)); err != nil {
			s.mistake(at, "the file of a key: %v; it must hold the 32 bytes of an Ed25519 public key, or these in base64", err)
		}
	}
}

func (s *source) providers() {
	s.keys("trust.default_policy")
	seen := map[string]bool{}
	for _, at := range s.items("providers") {
		name := s.text(at+".name", "")
		switch {
		case strings.TrimSpace(name) != name:
			s.mistake(at+".name", "must not have space around it")
		case seen[name]:
			s.mistake(at+".name", "is there twice")
		}
		seen[name] = true
		s.keys(at + ".trust")
		if s.whole(at+".timeouts.request_timeout_ms", 10_000) < s.whole(at+".timeouts.connect_timeout_ms", 2000) {
			s.mistake(at+".timeouts", "request_timeout_ms must be at least connect_timeout_ms")
		}
		if s.text(at+".type", "") == "builtin" {
			s.builtin(at, name)
		} else {
			s.external(at, name)
		}
	}
}

func (s *source) builtin(at, name string) {
	if builtins[name].kind.fits == nil || strings.Contains(name, ".") {
		s.mistake(at+".name", "there is no builtin provider of this name; there are time, env, json and http")
		return
	}
	for _, other := range []string{"url", "auth", "capabilities_path"} {
		if s.has(at + "." + other) {
			s.mistake(at+"."+other, "is for mcp providers")
		}
	}
	if len(s.list(at+".command")) > 0 || s.flag(at+".allow_insecure_http", false) {
		s.mistake(at, "command and allow_insecure_http are for mcp providers")
	}
	config := at + ".config"
	if s.has(config) {
		s.table(inBuiltins, config, name, valueAt[map[string]any](s, config))
	}
	switch name {
	case "json":
		s.jsonProvider(config)
	case "http":
		if !httpguts.ValidHeaderFieldValue(s.text(config+".user_agent", "")) {
			s.mistake(config+".user_agent", "must be the value of an HTTP header")
		}
	}
}

func (s *source) jsonProvider(at string) {
	if !s.has(at) {
		s.mistake(at, "is missing: the json provider needs root and root_id")
		return
	}
	if !rootID.MatchString(s.text(at+".root_id", "a")) {
		s.mistake(at+".root_id", "must have 1 to 64 of a-z, 0-9, _ and -")
	}
	root := s.text(at+".root", "")
	if root == "" {
		return // told
	}
	switch info, err := os.Stat(s.inWorkDir(root)); {
	case err != nil:
		s.mistake(at+".root", "the folder cannot be read: a relative path begins in the folder where this command runs, as it began where the open-source server was started. Change to that folder, or make the one that is missing")
	case !info.IsDir():
		s.mistake(at+".root", "must name a folder; this is a file")
	}
}

func (s *source) external(at, name string) {
	if _, reserved := builtins[name]; reserved && !strings.Contains(name, ".") {
		s.mistake(at+".name", "is the name of a builtin provider")
	}
	url := s.text(at+".url", "")
	switch {
	case url == "" && len(s.list(at+".command")) == 0:
		s.mistake(at, "an mcp provider needs command or url")
	case strings.HasPrefix(url, "http://") && !s.flag(at+".allow_insecure_http", false):
		s.mistake(at+".url", "http:// needs allow_insecure_http")
	}
	s.contract(at, name)
	if command := s.list(at + ".command"); len(command) > 0 && !s.runs(command[0]) {
		s.mistake(at+".command", "its program cannot be run: with a slash it begins in the folder where this command runs, otherwise it is looked up in PATH")
	}
	if s.has(at + ".config") {
		s.mistake(at+".config", "is for builtin providers")
	}
}

// contract reads what an mcp provider says of its checks (mcp contract §5.4).
func (s *source) contract(at, name string) {
	at += ".capabilities_path"
	if !s.has(at) {
		s.mistake(at, "is missing: an mcp provider needs it")
		return
	}
	path := s.inWorkDir(s.text(at, ""))
	if _, err := evidence.LoadContract(gate.ProviderID(name), path); err != nil {
		s.mistake(at, "the contract cannot be used: %s", strings.ReplaceAll(err.Error(), path, "the file"))
	}
}

// runs reports whether a program can be run from where the open-source server was started.
func (s *source) runs(name string) bool {
	if strings.ContainsRune(name, filepath.Separator) {
		name = s.inWorkDir(name)
	}
	_, err := exec.LookPath(name)
	return err == nil
}
