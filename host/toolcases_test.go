package host_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// recordedPlugin and recordedNamespace are what hosts without providers of their own are configured with.
const (
	recordedPlugin = `
plugin "store" "sqlite" {
  command         = "store-sqlite"
  health_interval = "200ms"
  config { path = "gate.db" }
}
runpack { dirs = ["out"] }
`
	recordedNamespace = `
namespace {
  allow_default   = true
  default_tenants = [1]
}
`
)

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

	// No redirect of a provider is followed.
	{"external/every reply", 26, 200, 0},
	{"external/every reply", 27, 200, 0},
}

// toolSequence is a line of the recording: the values that others name, or a sequence.
type toolSequence struct {
	Defs map[string]any

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

// readSequences reads the recorded sequences and the configurations that they were recorded with, with every name expanded.
func readSequences(t *testing.T) (setups map[string]*recordedSetup, sequences []toolSequence) {
	t.Helper()
	setups = map[string]*recordedSetup{}
	var defs map[string]any
	readLines(t, filepath.Join("testdata", "tool_cases.jsonl"), func(n int, raw []byte) {
		text, err := json.Marshal(expand(exact(t, raw), defs))
		if err != nil {
			t.Fatal(err)
		}
		var setup recordedSetup
		var s toolSequence
		if err := json.Unmarshal(text, &setup); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if setup.ConfigName != "" {
			setups[setup.ConfigName] = &setup
			return
		}
		if err := json.Unmarshal(text, &s); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		switch {
		case s.Defs != nil:
			defs = exact(t, raw).(map[string]any)["defs"].(map[string]any)
		case s.Steps != nil:
			sequences = append(sequences, s)
		}
	})
	return setups, sequences
}

// decisions are the decided calls of each sequence, by their places.
func decisions() map[string]map[int]decidedCall {
	all := map[string]map[int]decidedCall{}
	for _, d := range decidedCalls {
		if all[d.sequence] == nil {
			all[d.sequence] = map[int]decidedCall{}
		}
		all[d.sequence][d.step] = d
	}
	return all
}

// TestRecordedSequences replays recorded sequences, each on a fresh host whose configuration was imported, restarts included:
// code, kind, status, message and result.
func TestRecordedSequences(t *testing.T) {
	setups, sequences := readSequences(t)
	plugins(t) // before many ask at once
	decided := decisions()
	calls := 0
	for _, s := range sequences {
		for _, step := range s.Steps {
			if step.Tool != "" {
				calls++
			}
		}
	}
	if len(sequences) != 317 || calls != 1410 {
		t.Errorf("%d sequences of %d calls are played", len(sequences), calls)
	}
	t.Run("all", func(t *testing.T) {
		for _, s := range sequences {
			t.Run(s.Name, func(t *testing.T) {
				t.Parallel()
				r := newReplay(t, setups[s.Config])
				r.fixture = openWith(t, r.dir, r.hcl)
				r.run(s.Steps, decided[s.Name])
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
	dir  string
	hcl  string
	fill *strings.Replacer
}

// newReplay prepares a folder, and a server for what is asked of others. The host is the caller's to start.
func newReplay(t *testing.T, setup *recordedSetup) *replay {
	dir := t.TempDir()
	stub := stubServer(t, setup.Stub, strings.NewReplacer("$ROOT", dir).Replace)
	r := &replay{t: t, dir: dir, fill: strings.NewReplacer("$ROOT", dir, "$STUB", stub, "$OUT", filepath.Join(dir, "out"), "$BIND", "127.0.0.1:0")}
	if err := os.Mkdir(filepath.Join(dir, "ev"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range setup.Files {
		r.write(filepath.Join(dir, name), r.fill.Replace(text))
	}
	r.hcl = imported(t, dir, []byte(r.fill.Replace(string(setup.Config))))
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
