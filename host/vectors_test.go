package host_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// line is one line of a recording: a call with its answer, or a file that an export wrote.
type line struct {
	Tool      string
	Arguments json.RawMessage
	Status    int
	Result    json.RawMessage
	Error     *struct {
		Code    int
		Kind    string
		Message string
	}

	Run   string
	File  string
	Bytes string
}

func readLines(t *testing.T, path string, each func(n int, raw []byte)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 16<<20)
	n := 0
	for scanner.Scan() {
		n++
		each(n, scanner.Bytes())
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Fatalf("%s is empty", path)
	}
}

// canon is the canonical form of a JSON text, so that two may be compared.
func canon(t *testing.T, text []byte) string {
	t.Helper()
	v, err := canonical.ParseRecord(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return string(canonical.AppendValue(nil, v, canonical.Canonical))
}

// namedCode is the code and subject that a capability error begins with; what a JSON Schema validator adds is free.
var namedCode = regexp.MustCompile(`^[a-z_]+: [^:]+`)

// checkAnswer compares an answer with the recorded one: code, kind, status and result always, the message wherever the
// contract gives it.
func checkAnswer(t *testing.T, n int, want line, got reply) {
	t.Helper()
	if want.Error == nil {
		if got.Error != nil {
			t.Errorf("line %d: %s refused: %+v", n, want.Tool, got.Error)
		} else if w, g := canon(t, want.Result), canon(t, got.Result); w != g {
			t.Errorf("line %d: %s\n got %s\nwant %s", n, want.Tool, g, w)
		}
		return
	}
	if got.Error == nil {
		t.Errorf("line %d: %s accepted, want %+v", n, want.Tool, *want.Error)
		return
	}
	if got.Error.Code != want.Error.Code || got.Error.Data.Kind != want.Error.Kind || want.Status != 0 && got.Status != want.Status {
		t.Errorf("line %d: %s: got %d %+v, want %d %+v", n, want.Tool, got.Status, *got.Error, want.Status, *want.Error)
	}
	g, w := got.Error.Message, want.Error.Message
	if want.Error.Code == -32602 {
		w = namedCode.FindString(w)
		g = g[:min(len(g), len(w))]
	}
	if g != w {
		t.Errorf("line %d: %s: message %q, want %q", n, want.Tool, got.Error.Message, want.Error.Message)
	}
}

// TestRecordedCalls replays recorded calls over HTTP, host and plugins: every answer, and every exported file byte for byte.
func TestRecordedCalls(t *testing.T) {
	for _, name := range []string{"lifecycle", "define"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, t.TempDir())
			out := ""
			readLines(t, filepath.Join("gate", "testdata", name+".jsonl"), func(n int, raw []byte) {
				var l line
				if err := json.Unmarshal(raw, &l); err != nil {
					t.Fatalf("line %d: %v", n, err)
				}
				if l.Tool == "" {
					written, err := os.ReadFile(filepath.Join(out, l.File))
					if err != nil || string(written) != l.Bytes {
						t.Errorf("line %d: %s of %s differs (%v)\n got %s\nwant %s", n, l.File, l.Run, err, written, l.Bytes)
					}
					return
				}
				if l.Tool == "runpack_export" {
					out = filepath.Join(f.Dir, "exports", fmt.Sprint(n))
				}
				arguments := bytes.ReplaceAll(l.Arguments, []byte(`"$OUT"`), []byte(quote(out)))
				checkAnswer(t, n, l, f.call(l.Tool, json.RawMessage(arguments)))
			})
		})
	}
}

const anySchema = `{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"any","version":"v1","schema":{},"description":null,"created_at":{"kind":"logical","value":1}}}`

// permissive is the configuration of recordings that were made without strict validation.
var permissive = strings.Replace(hcl, "validation {", "validation {\n  strict = false\n  allow_permissive = true", 1)

// TestRecordedComparisons prechecks every recorded comparison over HTTP, refusals by capability included.
func TestRecordedComparisons(t *testing.T) {
	f := openWith(t, t.TempDir(), permissive)
	f.must("schemas_register", json.RawMessage(anySchema), nil)
	readLines(t, filepath.Join("gate", "testdata", "comparators.jsonl"), func(n int, raw []byte) {
		var row struct {
			line
			Comparator string
			Expected   json.RawMessage
			Value      json.RawMessage
			Outcome    string
		}
		if err := json.Unmarshal(raw, &row); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		condition := fmt.Sprintf(`"condition_id":"c","query":{"provider_id":"json","check_id":"path","params":{"file":"x"}},"comparator":%q,"policy_tags":[]`, row.Comparator)
		if row.Expected != nil {
			condition += `,"expected":` + string(row.Expected)
		}
		payload := "{}"
		if row.Value != nil {
			payload = `{"c":` + string(row.Value) + `}`
		}
		got := f.call("precheck", json.RawMessage(`{"tenant_id":1,"namespace_id":1,"data_shape":{"schema_id":"any","version":"v1"},"payload":`+payload+
			`,"spec":{"scenario_id":"s","namespace_id":1,"spec_version":"1","stages":[{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"Condition":"c"}}],`+
			`"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],"conditions":[{`+condition+`}],"policies":[],"schemas":[]}}`))
		if row.Error != nil {
			row.Tool = "precheck"
			checkAnswer(t, n, row.line, got)
			return
		}
		var answer struct {
			GateEvaluations []struct{ Status string } `json:"gate_evaluations"`
		}
		if got.Error != nil {
			t.Errorf("line %d: refused: %+v", n, got.Error)
		} else if err := json.Unmarshal(got.Result, &answer); err != nil || answer.GateEvaluations[0].Status != row.Outcome {
			t.Errorf("line %d: %s: got %s, want %s", n, raw, got.Result, row.Outcome)
		}
	})
}

// freeTail is where the words of a schema validator begin, which are free.
var freeTail = regexp.MustCompile(`^(condition after expected value invalid|payload does not match schema|invalid schema): `)

// TestRecordedShapes prechecks every recorded pair of a comparator and a schema over HTTP. A line that registers says whether
// the schema can be one of a data shape; those after it are prechecked against that shape.
func TestRecordedShapes(t *testing.T) {
	f := openWith(t, t.TempDir(), hcl)
	version := 0
	readLines(t, filepath.Join("internal", "strict", "testdata", "strict.jsonl"), func(n int, raw []byte) {
		var row struct {
			line
			Register   json.RawMessage
			Comparator string
			Expected   json.RawMessage
			Payload    json.RawMessage
			Outcome    string
		}
		if err := json.Unmarshal(raw, &row); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		var got reply
		if row.Register != nil {
			version++
			got = f.call("schemas_register", json.RawMessage(fmt.Sprintf(`{"record":{"tenant_id":1,"namespace_id":1,"schema_id":"s","version":"%d","created_at":{"kind":"logical","value":1},
			"schema":{"type":"object","properties":{"after":%s}}}}`, version, row.Register)))
		} else {
			expected := ""
			if row.Expected != nil {
				expected = `,"expected":` + string(row.Expected)
			}
			got = f.call("precheck", json.RawMessage(fmt.Sprintf(`{"tenant_id":1,"namespace_id":1,"data_shape":{"schema_id":"s","version":"%d"},"payload":{"after":%s},
			"spec":{"scenario_id":"s","namespace_id":1,"spec_version":"1","stages":[{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"Condition":"after"}}],
			"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],"conditions":[{"condition_id":"after","query":{"provider_id":"json","check_id":"path","params":{"file":"x"}},
			"comparator":%q,"policy_tags":[]%s}],"policies":[],"schemas":[]}}`, version, row.Payload, row.Comparator, expected)))
		}
		if row.Error == nil {
			var answer struct {
				GateEvaluations []struct{ Status string } `json:"gate_evaluations"`
			}
			if got.Error != nil {
				t.Errorf("line %d: %s: refused: %+v", n, raw, got.Error)
			} else if err := json.Unmarshal(got.Result, &answer); err != nil || row.Outcome != "" && answer.GateEvaluations[0].Status != row.Outcome {
				t.Errorf("line %d: %s: got %s", n, raw, got.Result)
			}
			return
		}
		want, message := row.Error.Message, ""
		if got.Error != nil {
			message = got.Error.Message
		}
		if free := freeTail.FindString(want); free != "" {
			want, message = free, message[:min(len(message), len(free))]
		}
		if got.Error == nil || got.Error.Code != row.Error.Code || got.Error.Data.Kind != row.Error.Kind || message != want {
			t.Errorf("line %d: %s: got %+v", n, raw, got.Error)
		}
	})
	if version == 0 {
		t.Error("no schema was registered")
	}
}

// TestRecordedEvidence asks every recorded question over HTTP.
func TestRecordedEvidence(t *testing.T) {
	f := open(t, t.TempDir())
	readLines(t, filepath.Join("internal", "evidence", "testdata", "evidence.jsonl"), func(n int, raw []byte) {
		var row struct {
			line
			InputFile   string          `json:"input_file"`
			Query       json.RawMessage `json:"query"`
			TriggerTime json.RawMessage `json:"trigger_time"`
		}
		if err := json.Unmarshal(raw, &row); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		if row.InputFile != "" {
			path := filepath.Join(f.Dir, "evidence", row.InputFile)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(row.Bytes), 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
		if row.TriggerTime == nil {
			row.TriggerTime = json.RawMessage(`{"kind":"unix_millis","value":1710000000000}`)
		}
		got := f.call("evidence_query", json.RawMessage(`{"query":`+string(row.Query)+`,"context":{"tenant_id":1,"namespace_id":1,"run_id":"r","scenario_id":"s","stage_id":"st","trigger_id":"t","trigger_time":`+string(row.TriggerTime)+`}}`))
		if row.Error == nil && got.Error == nil {
			var inner struct{ Result json.RawMessage }
			if err := json.Unmarshal(got.Result, &inner); err != nil {
				t.Fatal(err)
			}
			got.Result = inner.Result
		}
		row.Tool = "evidence_query " + strings.TrimSpace(string(row.Query))
		checkAnswer(t, n, row.line, got)
	})
}
