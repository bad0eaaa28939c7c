package gate_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// The checklist of the contract (appendix E) and the tests that answer it; 10 to 12 are other packages' work.
//
//	1  classifier, canonical writer         canonical: TestNumberKinds, TestCanonicalVectors; TestSpecHashes, TestHashes
//	2  presence                             TestPresence, TestHashes
//	3  strict decoding                      TestRefused, TestDefine; canonical: TestSyntax, TestDecodeRefuses
//	4  comparators                          TestComparators, TestComparisons, TestTemporal
//	5  requirement trees                    TestTrees, TestTruthTables, TestP17OverDeepTreeIsUnknown
//	6  evidence pipeline                    TestEvidenceRecords, TestAnchors, TestTrustMatrix, TestP14ProviderHashSurvives
//	7  inactive before idempotency          TestP05FinishedRunAnswersItsLastDecision
//	8  one save, nothing after an error     TestP15FailureLeavesNoTrace, TestProvidersMissing, TestGoldenRun (call-6)
//	9  golden run                           TestGoldenRun, TestLifecycle
//	13 deterministic reasons                TestIssueFailures
//	14 per-run serialisation                the caller's: a Transition is a pure function of the head, TestDeterministic

// lines parses a file of testdata, one JSON object a line.
func lines(t testing.TB, file string) []canonical.Value {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var out []canonical.Value
	for line := range bytes.Lines(data) {
		out = append(out, parse(t, string(line)))
	}
	if len(out) == 0 {
		t.Fatalf("%s is empty", file)
	}
	return out
}

// rows runs check on each line of a file; a failure shows the line.
func rows(t *testing.T, file string, check func(t *testing.T, row canonical.Value)) {
	t.Helper()
	for i, row := range lines(t, file) {
		if !t.Run("", func(t *testing.T) { check(t, row) }) {
			t.Errorf("%s:%d: %.400s", file, i+1, declared(row))
		}
	}
}

func parse(t testing.TB, document string) canonical.Value {
	t.Helper()
	v, err := canonical.Parse([]byte(document))
	if err != nil {
		t.Fatalf("parse %.200q: %v", document, err)
	}
	return v
}

// into decodes a document.
func into[T any](t testing.TB, document string) T {
	t.Helper()
	return decode[T](t, parse(t, document))
}

func decode[T any](t testing.TB, v canonical.Value) T {
	t.Helper()
	var out T
	if err := canonical.Decode(v, &out); err != nil {
		t.Fatalf("decode %T from %.400s: %v", out, declared(v), err)
	}
	return out
}

func get(v canonical.Value, path ...string) canonical.Value {
	for _, name := range path {
		v, _ = v.Member(name)
	}
	return v
}

func text(v canonical.Value, path ...string) string {
	s, _ := get(v, path...).Text()
	return s
}

func declared(v any) string { return string(canonical.Append(nil, v, canonical.Declared)) }

func canon(v any) string { return string(canonical.Append(nil, v, canonical.Canonical)) }

func ptr[T any](v T) *T { return &v }

func same(t testing.TB, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s\n got %.3000s\nwant %.3000s", what, got, want)
	}
}

// refused checks the text of an error, whole.
func refused(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}
}

func compile(t testing.TB, document string) *gate.Scenario {
	t.Helper()
	s, err := gate.Compile(into[gate.ScenarioSpec](t, document))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// spec is the document of a scenario "s" with the given stages and conditions.
func spec(stages, conditions string) string {
	return `{"scenario_id":"s","namespace_id":1,"spec_version":"1","stages":[` + stages + `],"conditions":[` + conditions + `],"policies":[],"schemas":[]}`
}

// stage is the document of a stage; extra members come last and win.
func stage(id, gates, advance string, extra ...string) string {
	s := `{"stage_id":"` + id + `","entry_packets":[],"gates":[` + gates + `],"advance_to":` + advance + `,"on_timeout":"fail"`
	for _, e := range extra {
		s += "," + e
	}
	return s + "}"
}

func gateOf(id, requirement string) string {
	return `{"gate_id":"` + id + `","requirement":` + requirement + `}`
}

// is is the document of conditions that hold when the provider "p" answers true.
func is(ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, `{"condition_id":"`+id+`","query":{"provider_id":"p","check_id":"k"},"comparator":"equals","expected":true,"policy_tags":[]}`)
	}
	return strings.Join(list, ",")
}

const (
	linear   = `{"kind":"linear"}`
	terminal = `{"kind":"terminal"}`
)

func jsonAnswer(t testing.TB, literal string) gate.Answer {
	return gate.Answer{Result: gate.EvidenceResult{Lane: gate.Verified, Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: parse(t, literal)}}}
}
