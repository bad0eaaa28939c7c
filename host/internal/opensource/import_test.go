package opensource

import (
	"bufio"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pelletier/go-toml/v2"

	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// recorded is one configuration and whether the open-source server starts with it.
type recorded struct {
	Name   string
	Config map[string]any
	Files  map[string]string
	Starts bool
}

// readCases reads the recorded configurations, with a folder of their own for what they name.
func readCases(t *testing.T) []recorded {
	t.Helper()
	file, err := os.Open("testdata/config_cases.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var cases []recorded
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	lines.Scan() // the rules
	for lines.Scan() {
		root := t.TempDir()
		line := strings.NewReplacer("$ROOT", root, "$BIND", "127.0.0.1:4000").Replace(lines.Text())
		var c recorded
		dec := json.NewDecoder(strings.NewReader(line))
		dec.UseNumber()
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		for name, content := range c.Files {
			path := filepath.Join(root, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cases = append(cases, c)
	}
	if len(cases) != 427 {
		t.Fatalf("%d cases", len(cases))
	}
	return cases
}

// numbers makes of a decoded JSON value what a TOML encoder takes.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

func importIn(dir, name string, src []byte) (*Result, error) {
	return Import(src, optionsIn(dir, name))
}

func optionsIn(dir, name string) Options {
	return Options{Name: name, WorkDir: dir, OutDir: dir, DataDir: filepath.Join(dir, "data"), Modified: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
}

// prepared is a folder with what the files in testdata name.
func prepared(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	contract := `{"provider_id": "NAME", "name": "", "description": "", "transport": "mcp", "config_schema": {}, "checks": [], "notes": []}`
	for name, text := range map[string]string{
		"evidence/a.json": "{}",
		"cert.pem":        string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"key.pem":         string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
		"key.pub":         string(public),
		"ci.json":         strings.Replace(contract, "NAME", "ci", 1),
		"web.json":        strings.Replace(contract, "NAME", "web", 1),
		"ci":              "#!/bin/sh\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ignored are cases that the open-source server starts with because it ignores what it does not know.
var ignored = []string{"unknown top-level key ignored", "unknown nested key ignored", "providers/time config unknown key"}

// unread are cases that the import does not find wrong: the old database is not opened, which a note says, and what was
// missing is a flag of the command, which ours wants, too.
var unread = []string{"run_state_store/not a database", "server/non-loopback bearer upstream"}

// TestRecorded imports every recorded configuration. One that starts is carried over, or what is not carried over is named;
// one that does not start is refused, or names what is wrong among what is not carried over: where, refused.golden says for each.
func TestRecorded(t *testing.T) {
	refused, complete := 0, 0
	var named strings.Builder
	defer func() { sameAsGolden(t, "testdata/refused.golden", named.String()) }()
	for _, c := range readCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			dir := t.TempDir()
			asJSON, err := json.Marshal(c.Config)
			if err != nil {
				t.Fatal(err)
			}
			asTOML, err := toml.Marshal(numbers(c.Config))
			if err != nil {
				t.Fatal(err)
			}
			fromJSON, err := importIn(dir, "x.json", asJSON)
			fromTOML, tomlErr := importIn(dir, "x.toml", asTOML)
			if (err == nil) != (tomlErr == nil) {
				t.Fatalf("JSON: %v, TOML: %v\n%s", err, tomlErr, asTOML)
			}
			if err != nil {
				if c.Starts && !slices.Contains(ignored, c.Name) {
					t.Errorf("refused: %v", err)
				}
				refused++
				fmt.Fprintf(&named, "%s: %s\n", c.Name, strings.Join(paths(asError(t, err).Findings), " "))
				if a, b := paths(asError(t, err).Findings), paths(asError(t, tomlErr).Findings); !slices.Equal(a, b) {
					t.Errorf("JSON: %q, TOML: %q", a, b)
				}
				return
			}
			if !c.Starts {
				fmt.Fprintf(&named, "%s: not carried over: %s\n", c.Name, strings.Join(paths(fromJSON.NotCarried), " "))
			}
			if a, b := paths(fromJSON.NotCarried), paths(fromTOML.NotCarried); !slices.Equal(a, b) {
				t.Errorf("JSON: %q, TOML: %q", a, b)
			}
			if !c.Starts && len(fromTOML.NotCarried) == 0 && !slices.Contains(unread, c.Name) {
				t.Errorf("the open-source server refuses it, the import says nothing:\n%s", fromTOML.Text)
			}
			if len(fromTOML.NotCarried) == 0 {
				complete++
			}
			if _, err := config.Parse(fromTOML.Text, filepath.Join(dir, "x.hcl")); err != nil {
				t.Errorf("%v\n%s", err, fromTOML.Text)
			}
		})
	}
	// How the cases fall: a rule that refuses everything, or nothing, would show here.
	if refused != 275 || complete != 137 {
		t.Errorf("%d refused, %d carried over whole", refused, complete)
	}
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	var wrong *Error
	if !errors.As(err, &wrong) {
		t.Fatalf("%T: %v", err, err)
	}
	return wrong
}

func paths(findings []Finding) []string {
	var all []string
	for _, f := range findings {
		all = append(all, f.Path)
	}
	slices.Sort(all)
	return all
}

// told is a result as a golden file: the configuration, whose comments say what is not carried over, and what is.
func told(r *Result) string {
	return string(r.Text) + "\ncarried: " + strings.Join(r.Carried, " ") + "\n"
}

// sameAsGolden compares with a file; UPDATE=1 writes it anew.
func sameAsGolden(t *testing.T, golden, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// TestGolden imports files and compares all that comes of them with what is in testdata; UPDATE=1 writes it anew.
func TestGolden(t *testing.T) {
	for _, name := range []string{"full", "guarded", "mtls", "stdio", "lost", "authority", "http", "rest"} {
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile("testdata/" + name + ".toml")
			if err != nil {
				t.Fatal(err)
			}
			dir := prepared(t)
			result, err := importIn(dir, name+".toml", src)
			if err != nil {
				t.Fatal(err)
			}
			sameAsGolden(t, "testdata/"+name+".golden", told(result))
			if strings.Contains(fmt.Sprint(result.Carried, result.NotCarried, result.Notes), "s3cret") {
				t.Error("a secret is told")
			}
			again, err := importIn(dir, name+".toml", src)
			if err != nil || told(again) != told(result) {
				t.Errorf("not the same the second time: %v", err)
			}
		})
	}
}

// TestMeaning checks that the host reads the values that the file had.
func TestMeaning(t *testing.T) {
	src, err := os.ReadFile("testdata/full.toml")
	if err != nil {
		t.Fatal(err)
	}
	dir := prepared(t)
	result, err := importIn(dir, "full.toml", src)
	if err != nil {
		t.Fatal(err)
	}
	got, err := config.Parse(result.Text, filepath.Join(dir, "full.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Server.HTTP.Listen, want.Server.MaxBodyBytes, want.Server.MaxInflight = "127.0.0.1:4000", 2<<20, 64
	want.Server.RateLimit = &config.RateLimit{MaxRequests: 10, Window: time.Minute, MaxEntries: 4096}
	want.Audit = &config.Audit{Path: filepath.Join(dir, "audit.jsonl"), PrecheckPayloads: true}
	want.Tools = config.Tools{Allow: []string{"precheck", "schemas_get"}, Deny: []string{"schemas_get"}, List: "all"}
	want.Feedback = config.Feedback{Default: "trace", LocalDefault: "evidence", Max: "evidence", TraceSubjects: []string{}, EvidenceSubjects: []string{"local:loopback"}, EvidenceRoles: []string{"TenantAdmin"}}
	want.Auth.AllowedTools = []string{"precheck"}
	want.Auth.Principals = []*config.Principal{{Name: "local:loopback", PolicyClass: "prod", Roles: []*config.Role{{Name: "TenantAdmin", Tenant: 1, Namespace: 1}}}}
	want.Schemas.ACL.AllowLocal, want.Schemas.ACL.Signing = true, "presence"
	want.Development = &config.Development{AcceptAsserted: true, Until: "2026-11-23T12:00:00Z", ExemptProviders: []string{"ci"}}
	want.Dispatch = &config.Dispatch{Default: "permit", Rules: []*config.DispatchRule{
		{Effect: "error", Message: "not ${here}", TargetKinds: []string{"agent"}, RequireLabels: []string{"secret"}, Targets: []*config.DispatchTarget{{Kind: "external", System: "jira"}, {Kind: "channel", ID: "c"}}},
		{Effect: "deny", ScenarioIDs: []string{"s"}},
	}}
	want.Namespace = config.Namespace{AllowDefault: true, DefaultTenants: []uint64{1, 7}}
	want.Trust = config.Trust{MinLane: "asserted", Signatures: &config.Signatures{Keys: []string{"key.pub"}}}
	want.Disclosure = config.Disclosure{RawValues: true}
	want.Discovery.Deny, want.Discovery.MaxResponseBytes = []string{"json"}, 4096
	want.Docs = config.Docs{Resources: true, ExtraPaths: []string{filepath.Join(dir, "evidence")}, MaxDocBytes: 1, MaxTotalBytes: 2, MaxDocs: 3, MaxSections: 4}
	want.Validation.Lexicographic, want.Validation.DeepEquals = true, true
	want.Anchors = []*config.AnchorPolicy{{Provider: "json", Type: "file_path_rooted", RequiredFields: []string{"path", "root_id"}}}
	want.Schemas.MaxSchemaBytes, want.Schemas.MaxEntries = 4096, 100
	want.Runpack.Dirs = []string{"/"}
	want.Evidence = config.Evidence{
		Time: &config.TimeEvidence{EvidencePolicy: config.EvidencePolicy{AcceptUnsigned: true}},
		Env: &config.EnvEvidence{EvidencePolicy: config.EvidencePolicy{AllowRaw: true}, Allow: []string{}, Deny: []string{"HOME"}, MaxValueBytes: 100, MaxKeyBytes: 20,
			Values: map[string]string{"DEPLOY": "${no} \"template\"\n%{if}", "a b": ""}},
		JSON: &config.JSONEvidence{Root: filepath.Join(dir, "evidence"), RootID: "evidence-root", MaxBytes: 2048},
		HTTP: &config.HTTPEvidence{AllowHTTP: true, Timeout: 100 * time.Millisecond, MaxResponseBytes: 10, AllowedHosts: []string{"example.org", "10.1.2.3", "localhost"}, UserAgent: "gate",
			AllowPrivate: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/32"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}},
		MCP: []*config.MCPEvidence{
			{ID: "ci", Command: config.Command{"./ci", "--fast"}, InheritEnv: true, Capabilities: filepath.Join(dir, "ci.json"), ConnectTimeout: 2 * time.Second, RequestTimeout: 30 * time.Second, MaxConcurrent: 16, AnyResponseID: true},
			{ID: "web", EvidencePolicy: config.EvidencePolicy{Signatures: &config.Signatures{Keys: []string{}}}, URL: "http://127.0.0.1:9/evidence", AllowHTTP: true, BearerToken: "s3cret-provider",
				Capabilities: filepath.Join(dir, "web.json"), ConnectTimeout: 100 * time.Millisecond, RequestTimeout: 500 * time.Millisecond, MaxConcurrent: 16, AnyResponseID: true},
		},
	}
	diff := cmp.Diff(want, got, cmpopts.IgnoreFields(config.Config{}, "Plugins", "Path"), cmpopts.IgnoreUnexported(config.Config{}), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }))
	if diff != "" {
		t.Error(diff)
	}
}

// TestNotWeaker: what the host cannot take does not open what was closed; where it must, the words cannot be overlooked.
func TestNotWeaker(t *testing.T) {
	tests := map[string]struct{ text, path, has string }{
		"a rule of a class that the host has not": {"[server.auth]\nprincipals = [{ subject = \"stdio\", policy_class = \"c\" }]\n[schema_registry.acl]\nmode = \"custom\"\nrules = [{ effect = \"deny\", policy_classes = [\"c\"] }]", "schema_registry.acl.rules[0].policy_classes", ""},
		"an authority without a URL":              {"[namespace.authority]\nmode = \"assetcore_http\"\nassetcore = { base_url = \"a\" }", "namespace.authority.assetcore.base_url", `url = "https://authority.invalid"`},
		"a selector of nothing":                   {"[policy]\nengine = \"static\"\n[policy.static]\ndefault = \"permit\"\nrules = [{ effect = \"deny\", targets = [{ target_kind = \"agent\", target_id = \"\" }] }]", "policy.static.rules[0]", `default = "deny"`},
		"a limit of nothing":                      {"[[providers]]\nname = \"env\"\ntype = \"builtin\"\nconfig = { denylist = [], max_value_bytes = 0, max_key_bytes = 1 }", "providers[0].config.max_value_bytes", ""},
		"development beyond loopback":             {"[server]\ntransport = \"http\"\nbind = \"0.0.0.0:1\"\ntls_termination = \"upstream\"\nauth = { mode = \"bearer_token\", bearer_tokens = [\"t\"] }\n[dev]\npermissive = true", "dev.permissive", "tls_upstream"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result, err := importIn(t.TempDir(), "x.toml", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range result.NotCarried {
				if f.Path == test.path && strings.Contains(string(result.Text), test.has) && (test.has != "" || strings.Contains(f.Reason, "THE NEW HOST IS LESS STRICT")) {
					return
				}
			}
			t.Errorf("%+v\n%s", result.NotCarried, result.Text)
		})
	}
	// A list that is too long must not become no list, which allows everything.
	long := `{"providers": [{"name": "env", "type": "builtin", "config": {"denylist": ["A"` + strings.Repeat(`, "B"`, maxListed) + `], "max_value_bytes": 1, "max_key_bytes": 1}}]}`
	result, err := importIn(t.TempDir(), "x.json", []byte(long))
	if err != nil || strings.Contains(string(result.Text), `evidence "env"`) || len(result.NotCarried) != 1 {
		t.Errorf("a denylist that is too long is gone: %v", err)
	}
}

// TestMistakes checks where mistakes are found, and that no value is told with them.
func TestMistakes(t *testing.T) {
	tests := []struct {
		name, text, path string
		line             int
	}{
		{"x.toml", "[server]\nmax_body_byte = 1", "server.max_body_byte", 2},
		{"x.toml", "a = 1\n[server]\n\"server.bind\" = \"s3cret\"", "a", 1},
		{"x.toml", "\"server.bind\" = \"s3cret\"", "server.bind", 1},
		{"x.toml", "[[providers]]\nname = \"time\"\ntype = \"builtin\"\n[[providers]]\nname = \"env\"\ntype = \"s3cret\"", "providers[1].type", 6},
		{"x.toml", "providers = [\n  { name = \"time\", type = \"builtin\" },\n  { name = \"env\",\n type = \"s3cret\" },\n]", "providers[1].type", 4},
		{"x.toml", "[server.auth]\nbearer_tokens = [\" s3cret\"]", "server.auth.bearer_tokens", 2},
		{"x.toml", "[server]\n[server.auth]\nbearer_tokens = [\"s3cret]", "", 3},
		{"x.toml", "[server]\nauth.mode = \"s3cret\"", "server.auth.mode", 2},
		{"x.toml", "[server]\nbind = 1\nbind = 2", "", 3},
		{"x.toml", "a = [[[[", "", 1},
		{"x.toml", "\n\xff", "", 2},
		{"x.toml", "[policy]\nengine = \"static\"\n[policy.static]\n[[policy.static.rules]]\neffect = \"deny\"", "policy.static.rules[0]", 4},
		{"x.toml", "[[server.auth.principals]]\nsubject = \"a\"\n[[server.auth.principals.roles]]\nname = \"r\"\n[[server.auth.principals.roles]]\nname = \"\"", "server.auth.principals[0].roles[1].name", 6},
		{"x.toml", "[[providers]]\nname = \"json\"\ntype = \"builtin\"\n[providers.config]\nroot = \"s3cret\"\nroot_id = \"a\"\nmax_bytes = 1\nallow_yaml = true", "providers[0].config.root", 5},
		{"x.toml", "[[anchors.providers]]\nprovider_id = \"e\u0301\"\nanchor_type = \"t\"\nrequired_fields = [\"a\"]", "anchors.providers[0]", 1},
		{"x.json", "{\n  \"server\": {\n    \"max_body_bytes\": 1.5\n  }\n}", "server.max_body_bytes", 3},
		{"x.json", "{\n  \"server\": {\n    \"max_body_bytes\": 1,\n    \"max_body_bytes\": 2\n  }\n}", "", 4},
		{"x.json", "{} {}", "", 1},
		{"x.json", "[]", "", 1},
		{"x.json", "{\"server\": \"s3cret", "", 1},
		{"x.json", strings.Repeat(`{"a":`, 100_000), "", 1},
		// A file without end.
		{"x.toml", "[server]\ntransport = \"http\"\nbind = \"127.0.0.1:1\"\n[server.tls]\ncert_path = \"/dev/zero\"\nkey_path = \"/dev/zero\"", "server.tls", 4},
		{"x.toml", "[server]\ntransport = \"http\"\nbind = \"0.0.0.0:1\"\n[server.auth]\nmode = \"bearer_token\"\nbearer_tokens = [\"t\"]", "server.bind", 3},
		{"x.toml", "[server]\ntransport = \"http\"\nbind = \"0.0.0.0:1\"\ntls_termination = \"upstream\"", "server.bind", 3},
		{"x.toml", "[server.audit]\npath = \"s3cret/audit.jsonl\"", "server.audit.path", 2},
		{"x.toml", "[trust]\ndefault_policy = { require_signature = { keys = [\"s3cret\"] } }", "trust.default_policy", 2},
		{"x.toml", "[[providers]]\nname = \"x\"\ntype = \"mcp\"\ncommand = [\"s3cret/x\"]\ncapabilities_path = \"s3cret\"", "providers[0].command", 4},
		{"x", "{\"server\": {\"max_body_bytes\": 0}}", "server.max_body_bytes", 1},
		{"x", "[server]\nmax_body_bytes = 0", "server.max_body_bytes", 2},
		{"x", strings.Repeat("#", maxFileBytes+1), "", 1},
		{"x.toml", strings.Repeat("[a]\n", maxTOMLKeys+1), "", 1}, // told at once, not after minutes
		{"x.toml", strings.Repeat("a = 1\n", maxTOMLKeys+1), "", 1},
	}
	for _, test := range tests {
		_, err := importIn(t.TempDir(), test.name, []byte(test.text))
		if err == nil {
			t.Errorf("%.60q is accepted", test.text)
			continue
		}
		first := asError(t, err).Findings[0]
		if first.Path != test.path || first.Line != test.line {
			t.Errorf("%.60q: line %d, %s: %s", test.text, first.Line, first.Path, first.Reason)
		}
		if said := fmt.Sprint(err, asError(t, err).Findings); strings.Contains(said, "s3cret") {
			t.Errorf("%.60q: a value is told: %s", test.text, said)
		}
	}
}

// TestOptionsComplete compares the options with those that are published.
func TestOptionsComplete(t *testing.T) {
	text, err := os.ReadFile("testdata/config.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var published map[string]any
	if err := json.Unmarshal(text, &published); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{
		"client":                       true, // of the open-source command line, in the same file
		"schema_registry.max_versions": true, // taken, and not published
	}
	collect(names, "", published)
	for name := range names {
		if _, known := options[name]; !known {
			t.Errorf("%s is not known", name)
		}
	}
	for name := range options {
		if !names[name] {
			t.Errorf("%s is not published", name)
		}
	}
}

// TestDocumented: docs/moving-in.md says of every option what becomes of it.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../docs/moving-in.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range options {
		documented := strings.Contains(string(page), "`"+name+"`")
		for at := parent(name); at != "" && !documented; at = parent(at) {
			documented = strings.Contains(string(page), "`"+at+".*`")
		}
		if (o.to != "" || o.lost != nil) && !documented {
			t.Errorf("docs/moving-in.md does not say what becomes of %s", name)
		}
	}
}

// collect notes the paths of a JSON schema's properties.
func collect(names map[string]bool, at string, schema map[string]any) {
	if one, ok := schema["oneOf"].([]any); ok {
		for _, inner := range one {
			collect(names, at, inner.(map[string]any))
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		collect(names, at+"[]", items)
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, inner := range properties {
		if name == "require_signature" {
			continue // inside of one value
		}
		names[join(at, name)] = true
		collect(names, join(at, name), inner.(map[string]any))
	}
}

// FuzzImport: whatever the file, the import neither panics nor writes what the host refuses, and takes the same from the
// same bytes.
func FuzzImport(f *testing.F) {
	for _, name := range []string{"full", "guarded", "mtls", "lost", "authority", "http", "rest"} {
		src, err := os.ReadFile("testdata/" + name + ".toml")
		if err != nil {
			f.Fatal(err)
		}
		// In parts: the fuzzer makes each find as small as it can before it goes on.
		for part := range strings.SplitSeq(strings.ReplaceAll(string(src), "\n[", "\n\n["), "\n\n") {
			f.Add([]byte(part), false)
		}
	}
	f.Add([]byte(`{"server": {"transport": "http", "bind": "[::1]:1"}, "providers": [{"name": "env", "type": "builtin"}]}`), true)
	f.Add([]byte("[[anchors.providers]]\nprovider_id = \"${a}\"\nanchor_type = \"\\u0000\"\nrequired_fields = [\"%{a\"]"), false)
	dir := prepared(f)
	f.Fuzz(func(t *testing.T, src []byte, asJSON bool) {
		name := "x.toml"
		if asJSON {
			name = "x.json"
		}
		result, err := importIn(dir, name, src)
		if err != nil {
			asError(t, err)
			return
		}
		if _, err := config.Parse(result.Text, filepath.Join(dir, "x.hcl")); err != nil {
			t.Fatalf("%v\n%s", err, result.Text)
		}
		again, err := importIn(dir, name, src)
		if err != nil || told(again) != told(result) {
			t.Fatalf("not the same the second time: %v", err)
		}
	})
}
