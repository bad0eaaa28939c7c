package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	recordedPlugin = `
plugin "store" "sqlite" {
  command         = "store-sqlite"
  health_interval = "200ms"
  config { path = "gate.db" }
}
runpack { dirs = ["out"] }
`
	recordedProviders = `
evidence "time" {}
evidence "env" {
  allow           = ["A", "BIG", "NOPE", "LONGKEYLONGKEYLONGKEYLONGKEYLONGKEY", "SECRET"]
  deny            = ["SECRET"]
  max_value_bytes = 16
  max_key_bytes   = 20
  values          = { A = "alpha", BIG = "xxxxxxxxxxxxxxxxx", SECRET = "s", OTHER = "o" }
}
evidence "json" {
  root      = "ev"
  root_id   = "ev"
  max_bytes = 200
}
evidence "http" {
  allow_http         = true
  timeout            = "1s"
  max_response_bytes = 64
  allowed_hosts      = ["127.0.0.1"]
  user_agent         = "dg-test"
  allow_private      = ["127.0.0.0/8"]
}
`
	recordedNamespace = `
namespace {
  allow_default   = true
  default_tenants = [1]
}
`
	recordedCaller = `
auth {
  principal "loopback" {
    policy_class = "prod"
    role "TenantAdmin" {
      tenant    = 1
      namespace = 1
    }
  }
}
`
	recordedBase = recordedPlugin + recordedProviders + recordedNamespace + recordedCaller
	withRaw      = `
disclosure {
  raw_values              = true
  require_provider_opt_in = false
}
`
)

// rawTime lets the values of one provider out.
var rawTime = strings.Replace(recordedBase, `evidence "time" {}`, `evidence "time" { allow_raw = true }`, 1)

// recordedDocs are the documents of an operator.
const recordedDocs = `
docs {
  own         = false
  extra_paths = ["docs/a.md", "docs/b.md", "docs/sub/c.MD", "docs/x/a.md", "docs/n.txt", "docs/empty.md"]
`

// recordedConfigs are the configurations that sequences were recorded with.
var recordedConfigs = map[string]string{
	"base":             recordedBase,
	"asserted":         recordedBase + `trust { min_lane = "asserted" }`,
	"no_default":       recordedPlugin + recordedProviders + recordedCaller,
	"no_principals":    recordedPlugin + recordedProviders + recordedNamespace,
	"registry_signing": recordedBase + "schemas {\n  acl { signing = \"presence\" }\n}",
	"feedback_none":    recordedBase + "feedback {\n  trace_subjects = []\n  local_default = \"summary\"\n}",
	"feedback_evidence": rawTime + `disclosure { raw_values = true }
feedback {
  max               = "evidence"
  evidence_subjects = ["loopback"]
}`,
	"registry_limits":  recordedBase + "schemas {\n  max_schema_bytes = 40\n  max_entries = 2\n}",
	"raw_on_opt_in_on": rawTime + `disclosure { raw_values = true }`,
	"raw_on_no_opt_in": recordedBase + withRaw,
	"raw_off_opt_in":   rawTime + `disclosure { require_provider_opt_in = false }`,
	"sqlite":           recordedBase,
	"sqlite_limits":    recordedBase + `schemas { max_entries = 1 }`,
	"lexdeep": recordedBase + `
trust { min_lane = "asserted" }
validation {
  lexicographic = true
  deep_equals   = true
}`,
	"permissive": recordedBase + `
trust { min_lane = "asserted" }
validation {
  strict           = false
  allow_permissive = true
}`,
	"anchors": recordedBase + `
anchors "json" {
  type            = "file_path_rooted"
  required_fields = ["root_id", "path"]
}
anchors "time" {
  type            = "nope"
  required_fields = ["x"]
}`,
	"asserted_anchors": recordedBase + `
trust { min_lane = "asserted" }
anchors "time" {
  type            = "x"
  required_fields = ["a"]
}`,
	"discovery": recordedBase + `
discovery {
  allow              = ["env", "time"]
  deny               = ["env"]
  max_response_bytes = 900
}`,
	"policy_deny": recordedBase + `dispatch { default = "deny" }`,
	"policy_static": recordedBase + `
dispatch {
  default = "deny"
  rule "deny" { require_labels = ["secret"] }
  rule "error" {
    schema_ids = ["err"]
    message    = "boom"
  }
  rule "permit" { target_kinds = ["agent"] }
}`,
	"dev_permissive": recordedBase + `development { accept_asserted = true }`,
	"dev_permissive_exempt": recordedBase + `
development {
  accept_asserted  = true
  exempt_providers = ["time"]
}`,
	"docs_extra": recordedBase + recordedDocs + "}",
	"docs_limit": recordedBase + recordedDocs + "max_sections = 2\n}",
	"docs_none":  recordedBase + `docs { own = false }`,
	"docs_off":   recordedBase + `docs { search = false }`,
	"builtin_limits": recordedPlugin + recordedNamespace + recordedCaller + withRaw + `
evidence "time" { allow_logical = false }
evidence "env" {
  allow           = []
  max_value_bytes = 5
  max_key_bytes   = 5
}
evidence "json" {
  root       = "ev"
  root_id    = "ev"
  max_bytes  = 200
  allow_yaml = false
}`,
}

// decidedCall is a recorded call, by its place in the sequence, that this host answers otherwise, on purpose; code 0 is success.
type decidedCall struct {
	sequence string
	step     int
	status   int
	code     int
}

const (
	notFound         = -32004
	conflict         = -32009
	controlPlane     = -32030
	invalidArguments = -32602
	unauthorized     = -32003
)

// decidedCalls has the reason before each group.
var decidedCalls = []decidedCall{
	// A run is found through the scenario that it was started with only.
	{"status/through other scenario", 3, 200, controlPlane},
	{"status/through other scenario", 4, 200, controlPlane},
	{"status/through other scenario", 5, 200, notFound},
	{"export/spec hash mismatch via other scenario", 3, 200, notFound},

	// Files that a bundle does not list fail it; the compatible report beside the verdict still passes.
	{"verify/root hash of empty list", 2, 200, 0},

	// The registry is always a durable one, which goes on after an unknown cursor, as "sqlite/list cursors" has it.
	{"schemas_list/cursors", 8, 200, 0},
	{"schemas_list/cursors", 9, 200, 0},

	// Scenarios survive a restart, so that nothing else can be defined in their place; the last export holds the call of step 6.
	{"sqlite/restart", 6, 200, 0},
	{"sqlite/restart", 7, 200, 0},
	{"sqlite/restart", 14, 200, 0},
	{"sqlite/restart with another spec", 3, 200, conflict},
	{"sqlite/restart with another spec", 5, 200, 0},
	{"sqlite/restart with another spec", 6, 200, 0},
	{"sqlite/restart other spec same stage", 3, 200, conflict},
	{"sqlite/restart other spec same stage", 4, 200, 0},
	{"sqlite/restart other spec same stage", 5, 200, 0},
	{"memory/restart loses everything", 4, 200, 0},
	{"memory/restart loses everything", 6, 200, 0},
	{"memory/restart loses everything", 7, 200, 0},

	// Each tenant has its own scenario ids.
	{"start/tenant differs from default tenant", 1, 200, notFound},

	// Positional arguments are refused [P-22].
	{"positional array arguments", 0, 400, invalidArguments},
	{"providers_list", 3, 400, invalidArguments},

	// precheck needs read access to the data shape.
	{"precheck/no registry acl", 0, 403, unauthorized},

	// The list obeys what hides providers.
	{"discovery/allow and deny", 0, 200, 0},
}

// toolSequence is a line of the recording: the values that others name, the files and web pages of every sequence, or a sequence.
type toolSequence struct {
	Defs  map[string]any
	Files map[string]string
	Stub  map[string]webPage

	Name   string
	Config string
	Steps  []toolStep
}

// toolStep is a call with its answer, or what was done between two calls.
type toolStep struct {
	line
	MessageFree bool `json:"message_free"`
	// Ignore names members that are left out of the comparison, at every depth.
	Ignore      []string
	Restart     bool
	Write, Text string
	Mkdir       string
}

type webPage struct {
	Status  int
	Headers map[string]string
	Body    string
	Delay   float64 // seconds
}

// webServer serves the pages that the http provider asks for, on loopback.
func webServer(t *testing.T, pages map[string]webPage) string {
	mux := http.NewServeMux()
	for path, page := range pages {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(time.Duration(page.Delay * float64(time.Second))):
			case <-r.Context().Done():
			}
			for name, value := range page.Headers {
				w.Header().Set(name, value)
			}
			w.WriteHeader(page.Status)
			_, _ = w.Write([]byte(page.Body))
		})
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// expand puts a named value wherever its name stands, once the names are known.
func expand(v any, defs map[string]any) any {
	switch v := v.(type) {
	case string:
		if name, named := strings.CutPrefix(v, "$def:"); named && defs != nil {
			return expand(defs[name], defs)
		}
	case []any:
		for i := range v {
			v[i] = expand(v[i], defs)
		}
	case map[string]any:
		for name := range v {
			v[name] = expand(v[name], defs)
		}
	}
	return v
}

// exact decodes numbers as they are written: 1 and 1.0 are different answers.
func exact(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return v
}

// readSequences reads the recording, with every name expanded.
func readSequences(t *testing.T) (common toolSequence, sequences []toolSequence) {
	t.Helper()
	readLines(t, filepath.Join("testdata", "tools.jsonl"), func(n int, raw []byte) {
		text, err := json.Marshal(expand(exact(t, raw), common.Defs))
		if err != nil {
			t.Fatal(err)
		}
		var s toolSequence
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&s); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		switch {
		case s.Defs != nil:
			common.Defs = s.Defs
		case s.Files != nil:
			common.Files, common.Stub = s.Files, s.Stub
		default:
			sequences = append(sequences, s)
		}
	})
	return common, sequences
}

// TestRecordedSequences replays recorded sequences, each on a fresh host, restarts included: code, kind, status, message and result.
func TestRecordedSequences(t *testing.T) {
	common, sequences := readSequences(t)
	site := webServer(t, common.Stub)
	plugins(t) // before many ask at once
	decided := map[string]map[int]decidedCall{}
	for _, d := range decidedCalls {
		if decided[d.sequence] == nil {
			decided[d.sequence] = map[int]decidedCall{}
		}
		decided[d.sequence][d.step] = d
	}
	t.Run("all", func(t *testing.T) {
		for _, s := range sequences {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				newReplay(t, recordedConfigs[s.Config], site, common.Files).run(s.Steps, decided[s.Name])
			})
		}
	})
	for _, s := range sequences {
		delete(decided, s.Name)
	}
	if len(decided) > 0 {
		t.Errorf("no such sequences: %v", decided)
	}
}

// replay is a host that a sequence is played to.
type replay struct {
	*fixture
	t    *testing.T
	hcl  string
	fill *strings.Replacer
}

func newReplay(t *testing.T, hcl, site string, files map[string]string) *replay {
	if hcl == "" {
		t.Fatal("the configuration is not known")
	}
	dir := t.TempDir()
	r := &replay{t: t, hcl: hcl, fill: strings.NewReplacer("$STUB", site, "$OUT", filepath.Join(dir, "out"))}
	if err := os.Mkdir(filepath.Join(dir, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		r.write(filepath.Join(dir, name), text)
	}
	r.fixture = openWith(t, dir, hcl)
	return r
}

func (r *replay) write(path, text string) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replay) run(steps []toolStep, decided map[int]decidedCall) {
	for i, step := range steps {
		switch {
		case step.Restart:
			r.stop()
			r.fixture = openWith(r.t, r.Dir, r.hcl)
		case step.Write != "":
			r.write(r.fill.Replace(step.Write), r.fill.Replace(step.Text))
		case step.Mkdir != "":
			if err := os.MkdirAll(r.fill.Replace(step.Mkdir), 0o700); err != nil {
				r.t.Fatal(err)
			}
		default:
			got := r.call(step.Tool, json.RawMessage(r.fill.Replace(string(step.Arguments))))
			if got.Error == nil {
				if err := validated(step.Tool, got.Result); err != nil {
					r.t.Errorf("step %d: %s: the SDKs' validators refuse %.600s: %v", i, step.Tool, got.Result, err)
				}
			}
			if d, changed := decided[i]; changed {
				if got.Status != d.status || d.code == 0 && got.Error != nil || d.code != 0 && (got.Error == nil || got.Error.Code != d.code) {
					r.t.Errorf("step %d: %s: got %d %+v %.300s, want %d, code %d", i, step.Tool, got.Status, got.Error, got.Result, d.status, d.code)
				}
				continue
			}
			step.Result = json.RawMessage(r.fill.Replace(string(step.Result)))
			if problem := step.compare(r.t, got); problem != "" {
				r.t.Errorf("step %d: %s of %.300s: %s", i, step.Tool, step.Arguments, problem)
			}
		}
	}
}

// namedField is what must be told of a message whose other words are free.
var namedField = regexp.MustCompile("^missing field `[^`]+`|^condition [^ ]+ expected value invalid: |^allowed_comparators invalid: |^[a-z_]+: [^:]+: [^:]+")

// compare says how an answer differs from the recorded one, or nothing.
func (s *toolStep) compare(t *testing.T, got reply) string {
	t.Helper()
	if got.Status != s.Status {
		return fmt.Sprintf("status %d (%+v), want %d", got.Status, got.Error, s.Status)
	}
	if s.Error == nil {
		if got.Error != nil {
			return fmt.Sprintf("refused: %+v", got.Error)
		}
		answer := exact(t, got.Result)
		if want := exact(t, s.Result); !matches(want, without(compatible(answer), s.Ignore)) {
			return fmt.Sprintf("\n got %.1500s\nwant %.1500s", got.Result, s.Result)
		}
		return ""
	}
	if got.Error == nil {
		return fmt.Sprintf("accepted: %.300s, want %+v", got.Result, *s.Error)
	}
	want, message := s.Error.Message, got.Error.Message
	if s.MessageFree {
		want = namedField.FindString(want)
		message = message[:min(len(message), len(want))]
	}
	if before, after, free := strings.Cut(want, "$ANY"); free && strings.HasPrefix(message, before) && strings.HasSuffix(message, after) {
		message = want
	}
	if got.Error.Code != s.Error.Code || got.Error.Data.Kind != s.Error.Kind || message != want {
		return fmt.Sprintf("got %+v, want %+v", *got.Error, *s.Error)
	}
	return ""
}

// without leaves out members, at every depth.
func without(v any, names []string) any {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range names {
			delete(v, name)
		}
		for _, member := range v {
			without(member, names)
		}
	case []any:
		for _, item := range v {
			without(item, names)
		}
	}
	return v
}

// compatible leaves out what a verification says beyond the report that was recorded.
func compatible(answer any) any {
	object, _ := answer.(map[string]any)
	report, _ := object["report"].(map[string]any)
	delete(report, "decision_gate")
	return answer
}
