package lint

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
)

func offline(t testing.TB) *evidence.Registry {
	t.Helper()
	r, err := evidence.NewOffline()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func good(t testing.TB) string {
	t.Helper()
	document, err := os.ReadFile("testdata/good.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// The parts of good.json that the cases change.
const (
	branches    = `"branches": [{"gate_id": "ready", "outcome": "true", "next_stage_id": "ship"}]`
	requirement = `{"RequireGroup": {"min": 1, "reqs": [{"Condition": "tests"}, {"Condition": "late"}]}}`
	testsQuery  = `"query": {"provider_id": "json", "check_id": "path", "params": {"file": "report.json", "jsonpath": "$.failed"}}`
	ownQuery    = `"query": {"provider_id": "ours", "check_id": "list"}`
	expectZero  = `"comparator": "equals", "expected": 0`
	noTimeout   = "\"timeout\": null,\n      \"on_timeout\": \"fail\""
	terminal    = "\"advance_to\": {\"kind\": \"terminal\"},\n      \"on_timeout\": \"fail\""
	jsonPayload = `"payload": {"kind": "json", "value": {"text": "go"}}`
)

func timeout(ms, policy string) string {
	return `"timeout": {"timeout_ms": ` + ms + `, "policy_tags": []}, "on_timeout": "` + policy + `"`
}

func deep(levels int) string {
	return strings.Repeat(`{"Not": `, levels) + `{"Condition": "tests"}` + strings.Repeat("}", levels)
}

// cases are mistakes: what replaces what in good.json, and the finding, as CODE PATH, that must come of it.
var cases = []struct{ name, old, new, want string }{
	{"a typo drops a member", `"on_timeout": "fail"
    },`, `"on_timeout": "fail", "on_timeuot": "fail"
    },`, "unknown-member stages[0].on_timeuot"},
	{"a member of another kind", `"branches"`, `"stage_id": "ship", "branches"`, "unknown-member stages[0].advance_to.stage_id"},
	{"a member of a group", `"min": 1`, `"minimum": 2, "min": 1`, "unknown-member stages[0].gates[0].requirement.RequireGroup.minimum"},
	{"the same member twice", `"spec_version": "1"`, `"spec_version": "0", "spec_version": "1"`, "duplicate-member spec_version"},
	{"a required member missing", `"spec_version": "1",`, ``, "decode "},
	{"a value of the wrong type", `"spec_version": "1"`, `"spec_version": 1`, "decode spec_version"},
	{"the same gate twice", `"gates": [],`, `"gates": [{"gate_id": "ready", "requirement": {"Condition": "late"}}],`, "duplicate-id stages[1].gates[0].gate_id"},
	{"the same stage twice", `"stage_id": "ship",`, `"stage_id": "review",`, "duplicate-id stages[1].stage_id"},
	{"the same condition twice", `"condition_id": "late"`, `"condition_id": "tests"`, "duplicate-id conditions[1].condition_id"},
	{"no provider", `"provider_id": "time"`, `"provider_id": "  "`, "blank-query conditions[1].query.provider_id"},
	{"a condition that is not defined", `{"Condition": "tests"}`, `{"Condition": "test"}`, "undefined-condition stages[0].gates[0].requirement.RequireGroup.reqs[0].Condition"},
	{"a stage that is not there", `"next_stage_id": "ship"`, `"next_stage_id": "shipp"`, "unknown-stage stages[0].advance_to.branches[0].next_stage_id"},
	{"a default that is not there", branches, branches + `, "default": "nowhere"`, "unknown-stage stages[0].advance_to.default"},
	{"a required member misspelled", `"on_timeout": "fail"
    },`, `"on_timeuot": "fail"
    },`, "decode stages[0].on_timeuot"},
	{"an id with a blank", `"scenario_id": "release"`, `"scenario_id": "release "`, "odd-id scenario_id"},
	{"an id that cannot be seen", `"packet_id": "notes"`, `"packet_id": "no\u0000tes"`, "odd-id stages[1].entry_packets[0].packet_id"},
	{"an id with a slash", `"scenario_id": "release"`, `"scenario_id": "a/b"`, "id-in-path scenario_id"},
	{"the default namespace", "\"namespace_id\": 2,\n  \"spec_version\": \"1\",\n  \"default_tenant_id\": 7", "\"namespace_id\": 1,\n  \"spec_version\": \"1\"", "default-namespace namespace_id"},
	{"the default namespace of a tenant", `"namespace_id": 2`, `"namespace_id": 1`, "namespace-needs-setting namespace_id"},
	{"F-11: more than there are", `"min": 1`, `"min": 3`, "group-never stages[0].gates[0].requirement.RequireGroup.min"},
	{"F-11: none of them", `"min": 1`, `"min": 0`, "group-always stages[0].gates[0].requirement.RequireGroup.min"},
	{"one answer counted twice", `[{"Condition": "tests"}, {"Condition": "late"}]`, `[{"Condition": "tests"}, {"Condition": "late"}, {"Condition": "late"}]`, "group-counts-twice stages[0].gates[0].requirement.RequireGroup.reqs[2]"},
	{"an empty And", requirement, `{"And": []}`, "empty-requirement stages[0].gates[0].requirement"},
	{"a gate that asks nothing", requirement, `{"Not": {"Or": []}}`, "no-condition stages[0].gates[0].requirement"},
	{"F-11: too deep", requirement, deep(33), "requirement-depth stages[0].gates[0].requirement" + strings.Repeat(".Not", 33)},
	{"F-12: a gate of another name", `{"gate_id": "ready", "outcome"`, `{"gate_id": "raedy", "outcome"`, "branch-unknown-gate stages[0].advance_to.branches[0].gate_id"},
	{"P-09: a false gate", branches, strings.Replace(branches, `[{`, `[{"gate_id": "ready", "outcome": "false", "next_stage_id": "review"}, {`, 1), "branch-never stages[0].advance_to.branches[0]"},
	{"P-09: an unknown gate", branches, strings.Replace(branches, `[{`, `[{"gate_id": "ready", "outcome": "unknown", "next_stage_id": "review"}, {`, 1), "branch-never stages[0].advance_to.branches[0]"},
	{"P-09: a rule in the shadow of another", branches, strings.Replace(branches, `}]`, `}, {"gate_id": "ready", "outcome": "true", "next_stage_id": "review"}]`, 1), "branch-never stages[0].advance_to.branches[1]"},
	{"P-09: a default in the shadow of a rule", branches, branches + `, "default": "review"`, "branch-never stages[0].advance_to.default"},
	{"no rule matches", `"outcome": "true"`, `"outcome": "false"`, "branch-no-match stages[0].advance_to"},
	{"a stage that nothing leads to", `"kind": "branch", ` + branches, `"kind": "terminal"`, "unreachable-stage stages[1]"},
	{"no way out", terminal, `"advance_to": {"kind": "fixed", "stage_id": "review"}, "on_timeout": "fail"`, "no-exit stages"},
	{"a stage that anything leaves", `{"gate_id": "ready", "requirement": ` + requirement + `}`, ``, "stage-without-gates stages[0].gates"},
	{"on_timeout alone", terminal, strings.Replace(terminal, `"fail"`, `"advance_with_flag"`, 1), "timeout-absent stages[1].on_timeout"},
	{"a timeout instead of evidence", noTimeout, timeout("1000", "advance_with_flag"), "timeout-passes-gates stages[0].on_timeout"},
	{"P-11: a timeout that completes", terminal, `"advance_to": {"kind": "terminal"}, ` + timeout("1000", "advance_with_flag"), "timeout-completes stages[1].on_timeout"},
	{"P-10: no branch to alternate", terminal, `"advance_to": {"kind": "terminal"}, ` + timeout("1000", "alternate_branch"), "timeout-no-branch stages[1].on_timeout"},
	{"a timeout of nothing", noTimeout, timeout("0", "fail"), "timeout-out-of-range stages[0].timeout.timeout_ms"},
	{"a timeout beyond time", noTimeout, timeout("9223372036854775808", "fail"), "timeout-out-of-range stages[0].timeout.timeout_ms"},
	{"a timeout without ticks", noTimeout, timeout("1000", "fail"), "timeout-needs-ticks stages[0].timeout"},
	{"P-08: packets of the first stage", `"entry_packets": [],`, `"entry_packets": [{"packet_id": "p", "schema_id": "s", "content_type": "text/plain", "visibility_labels": [], "policy_tags": [], "payload": {"kind": "bytes", "bytes": [1]}}],`, "reserved-trigger stages[0].entry_packets"},
	{"P-03: nothing expected", testsQuery + ", " + expectZero, ownQuery + `, "comparator": "equals", "expected": null`, "expected-absent conditions[0]"},
	{"exists looks at nothing", testsQuery + ", " + expectZero, ownQuery + `, "comparator": "exists", "expected": true`, "expected-ignored conditions[0].expected"},
	{"no order among booleans", expectZero, `"comparator": "greater_than", "expected": true`, "never-comparable conditions[0].expected"},
	{"no set", testsQuery + ", " + expectZero, ownQuery + `, "comparator": "in_set", "expected": 1`, "never-comparable conditions[0].expected"},
	{"an empty set", expectZero, `"comparator": "in_set", "expected": []`, "empty-set conditions[0].expected"},
	{"an empty list", expectZero, `"comparator": "contains", "expected": []`, "empty-set conditions[0].expected"},
	{"F-09: 1.0 in a list", expectZero, `"comparator": "in_set", "expected": [0, 1.0]`, "number-kind conditions[0].expected[1]"},
	{"F-09: 1.0 in an object", testsQuery + ", " + expectZero, ownQuery + `, "comparator": "deep_equals", "expected": {"n": [1e0]}`, "number-kind conditions[0].expected.n[0]"},
	{"a comparator that must be allowed", testsQuery + ", " + expectZero, ownQuery + `, "comparator": "lex_less_than", "expected": "b"`, "comparator-needs-setting conditions[0].comparator"},
	{"a check that is not there", `"check_id": "after"`, `"check_id": "aftr"`, "query conditions[1].query.check_id"},
	{"parameters that are not there", `, "params": {"timestamp": "2024-12-31T00:00:00Z"}`, ``, "query conditions[1].query"},
	{"parameters that are wrong", `"timestamp": "2024-12-31T00:00:00Z"`, `"timestamp": true`, "query conditions[1].query.params"},
	{"an answer that cannot be", `"expected": false`, `"expected": "no"`, "query conditions[1].expected"},
	{"a comparator that is not allowed", `"comparator": "equals", "expected": false`, `"comparator": "greater_than", "expected": false`, "query conditions[1].comparator"},
	{"an absolute file", `"report.json"`, `"/srv/report.json"`, "unanswerable-query conditions[0].query.params.file"},
	{"a file outside of the root", `"report.json"`, `"a/../../report.json"`, "unanswerable-query conditions[0].query.params.file"},
	{"no file", `"report.json"`, `""`, "unanswerable-query conditions[0].query.params.file"},
	{"a path that cannot be read", `"$.failed"`, `"$.[failed"`, "unanswerable-query conditions[0].query.params.jsonpath"},
	{"a provider that is not built in", testsQuery, strings.Replace(testsQuery, `"json"`, `"jsn"`, 1), "unknown-provider conditions[0].query.provider_id"},
	{"P-28: a condition that nobody asks for", `, {"Condition": "late"}`, ``, "unused-condition conditions[1]"},
	{"P-04: the weakest lane", `{"gate_id": "ready", "requirement"`, `{"gate_id": "ready", "trust": {"min_lane": "asserted"}, "requirement"`, "trust-no-effect stages[0].gates[0].trust"},
	{"a payload that is too large", jsonPayload, `"payload": {"kind": "json", "value": "` + strings.Repeat("x", gate.MaxPayload) + `"}`, "payload-too-large stages[1].entry_packets[0].payload"},
	{"F-28: no digest", jsonPayload, `"payload": {"kind": "external", "content_ref": {"uri": "x:y", "content_hash": {"algorithm": "sha256", "value": "ABC"}}}`, "content-hash-format stages[1].entry_packets[0].payload.content_ref.content_hash.value"},
	{"another content type", `"content_type": "application/json"`, `"content_type": "text/plain"`, "content-type stages[1].entry_packets[0].content_type"},
	{"F-22: an expiry", `"expiry": null`, `"expiry": {"kind": "unix_millis", "value": 1}`, "expiry-not-enforced stages[1].entry_packets[0].expiry"},
	{"P-12: policies", `"policies": []`, `"policies": [{"policy_id": "p"}]`, "inert-references policies"},
	{"P-12: tags of a condition", `"expected": false, "policy_tags": []`, `"expected": false, "policy_tags": ["x"]`, "inert-policy-tags conditions[1].policy_tags"},
	{"P-12: tags of a timeout", noTimeout, strings.Replace(timeout("1000", "fail"), `[]`, `["x"]`, 1), "inert-policy-tags stages[0].timeout.policy_tags"},
}

func TestMistakes(t *testing.T) {
	providers := offline(t)
	hit := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			document := strings.Replace(good(t), c.old, c.new, 1)
			if document == good(t) {
				t.Fatal("the case changes nothing")
			}
			report := Check([]byte(document), providers)
			var got []string
			for _, f := range report.Findings {
				got = append(got, f.Code+" "+f.Path)
			}
			if !slices.Contains(got, c.want) {
				t.Fatalf("got %q, want %q", got, c.want)
			}
			code, path, _ := strings.Cut(c.want, " ")
			hit[code] = true
			f := report.Findings[slices.Index(got, c.want)]
			checkPlace(t, document, path, f)
			if f.Fix == "" || f.Message == "" {
				t.Errorf("the finding says too little: %+v", f)
			}
			if (report.Errors == 0) != (report.SpecHash != nil) {
				t.Errorf("%d errors and hash %v", report.Errors, report.SpecHash)
			}
		})
	}
	for _, r := range append(Rules(), memberRule, duplicateRule, decodeRule) {
		if !hit[r.Code] && r.Code != "no-stage" {
			t.Errorf("no case for rule %s", r.Code)
		}
	}
}

// checkPlace sees that line and column point at the last step of the path.
func checkPlace(t *testing.T, document, path string, f Finding) {
	t.Helper()
	lines := strings.Split(document, "\n")
	if f.Line == 0 || int(f.Line) > len(lines) || int(f.Column) > len(lines[f.Line-1])+1 {
		t.Fatalf("the finding is at %d:%d, outside of the document", f.Line, f.Column)
	}
	rest := lines[f.Line-1][f.Column-1:]
	step := path[strings.LastIndex(path, ".")+1:]
	if path != "" && !strings.HasSuffix(step, "]") && !strings.HasPrefix(rest, `"`+step+`"`) {
		t.Errorf("%d:%d is not at %s, but at %.40s", f.Line, f.Column, step, rest)
	}
	if strings.HasSuffix(step, "]") && strings.IndexByte("{1", rest[0]) < 0 {
		t.Errorf("%d:%d is not at %s, but at %.40s", f.Line, f.Column, step, rest)
	}
}

func TestGood(t *testing.T) {
	report := Check([]byte(good(t)), offline(t))
	if len(report.Findings) > 0 {
		t.Fatalf("findings in a good scenario: %+v", report.Findings)
	}
	var spec gate.ScenarioSpec
	v, err := canonical.Parse([]byte(good(t)))
	if err == nil {
		err = canonical.Decode(v, &spec)
	}
	if err != nil || report.SpecHash == nil || *report.SpecHash != canonical.Hash(spec) {
		t.Fatalf("hash %v, error %v", report.SpecHash, err)
	}
}

func TestUnreadable(t *testing.T) {
	for _, c := range []struct{ document, want string }{
		{"", "syntax 1:1 EOF while parsing a value"},
		{"{\n  \"a\": 1,\n}", "syntax 3:1 trailing comma"},
		{"[]", "decode 1:1 invalid type: sequence, expected a map"},
		{`{"scenario_id": "s", "stages": []}`, "decode 1:1 missing field `namespace_id`"},
		{strings.Repeat("[", canonical.MaxDepth+1), "syntax 1:128 recursion limit exceeded"},
		{strings.Repeat(" ", MaxSize+1), fmt.Sprintf("size 0:0 the document is over %d bytes", MaxSize)},
		{`{"scenario_id":"s","namespace_id":2,"spec_version":"1","stages":[],"conditions":[],"policies":[],"schemas":[]}`, "no-stage 1:56 a scenario needs at least one stage"},
	} {
		report := Check([]byte(c.document), offline(t))
		if len(report.Findings) != 1 || report.SpecHash != nil {
			t.Fatalf("%.40q: %+v", c.document, report)
		}
		f := report.Findings[0]
		if got := fmt.Sprintf("%s %d:%d %s", f.Code, f.Line, f.Column, f.Message); got != c.want {
			t.Errorf("%.40q: got %q, want %q", c.document, got, c.want)
		}
	}
}

// The advice on a document that is no scenario fits the mistake, and one mistake is one finding.
func TestDecodeAdvice(t *testing.T) {
	for _, c := range []struct{ old, new, message, fix string }{
		{`"spec_version": "1",`, ``, "missing field `spec_version`", "Add the member."},
		{`"spec_version": "1",`, `"spec_vershion": "1",`, "missing field `spec_version`: `spec_vershion` stands in its place", "Rename the member."},
		{"\"timeout\": null,\n      \"on_timeout\"", "\"timeout\": null,\n      \"on_timout\"", "missing field `on_timeout`: `on_timout` stands in its place", "Rename the member."},
		{`"equals"`, `"equal"`, "unknown variant `equal`, expected one of ", "Use one of those."},
		{`"spec_version": "1"`, `"spec_version": 1`, "invalid type: integer `1`, expected a string", decodeRule.Fix},
	} {
		report := Check([]byte(strings.Replace(good(t), c.old, c.new, 1)), offline(t))
		if len(report.Findings) != 1 || report.Errors != 1 || report.Warnings != 0 {
			t.Errorf("%s: %+v", c.new, report)
			continue
		}
		if f := report.Findings[0]; !strings.HasPrefix(f.Message, c.message) || f.Fix != c.fix {
			t.Errorf("%s: %q, %q", c.new, f.Message, f.Fix)
		}
	}
}

// What is suggested must be near, and never the name itself.
func TestSuggestions(t *testing.T) {
	known := []string{"advance_to", "gates", "min", "ok"}
	for given, want := range map[string]string{
		"advance_too": "; did you mean `advance_to`?", "gate": "; did you mean `gates`?", "gates": "", "something": "", "xy": "", "": "",
	} {
		if got := suggest(given, known); got != want {
			t.Errorf("suggest(%q) = %q, want %q", given, got, want)
		}
	}
}

// A document of a million mistakes makes a report that can be read, with all of them counted.
func TestMany(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&b, `"x%d": 1, `, i)
	}
	report := Check([]byte(strings.Replace(good(t), `{`, `{`+b.String(), 1)), offline(t))
	if len(report.Findings) != maxFindings || report.Warnings != 5000 || report.Omitted != 5000-maxFindings {
		t.Fatalf("%d findings, %d warnings, %d omitted", len(report.Findings), report.Warnings, report.Omitted)
	}
}

func eachLine(t *testing.T, name string, visit func(v canonical.Value)) {
	t.Helper()
	content, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		v, err := canonical.Parse(lines.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		visit(v)
	}
}

func at(v canonical.Value, path ...string) canonical.Value {
	for _, name := range path {
		v, _ = v.Member(name)
	}
	return v
}

// What the open-source Decision Gate refused is an error here, and what it accepted is none.
func TestRecordedDefinitions(t *testing.T) {
	providers := offline(t)
	n := 0
	eachLine(t, "define.jsonl", func(v canonical.Value) {
		message, _ := at(v, "error", "message").Text()
		if message == "unauthorized" {
			return
		}
		n++
		spec := at(v, "arguments", "spec")
		report := Check(canonical.AppendValue(nil, spec, canonical.Declared), providers)
		// A provider that is not built in may be there on another host.
		refused := message != "" && !strings.HasPrefix(message, "provider_missing")
		if refused != (report.Errors > 0) {
			t.Errorf("refused with %q, and lint says %+v", message, report.Findings)
		}
		want, _ := at(v, "result", "spec_hash", "value").Text()
		if !refused && message == "" && (report.SpecHash == nil || report.SpecHash.Value != want) {
			t.Errorf("hash %v, want %s", report.SpecHash, want)
		}
	})
	if n < 100 {
		t.Fatalf("only %d definitions were checked", n)
	}
}

// Hashes are those of the open-source Decision Gate, awkward numbers and texts included.
func TestRecordedHashes(t *testing.T) {
	providers := offline(t)
	eachLine(t, "spec_hash.jsonl", func(v canonical.Value) {
		want, _ := at(v, "spec_hash").Text()
		report := Check(canonical.AppendValue(nil, at(v, "spec"), canonical.Declared), providers)
		if report.SpecHash == nil || report.SpecHash.Value != want {
			t.Errorf("hash %v, want %s: %+v", report.SpecHash, want, report.Findings)
		}
	})
}

// Whatever is done to a document, lint finds errors in it if the engine refuses it, and points into it.
func TestAgreesWithEngine(t *testing.T) {
	providers, document := offline(t), good(t)
	var words []string
	for word := range strings.FieldsFuncSeq(document, func(r rune) bool { return strings.ContainsRune(" \n,:{}[]", r) }) {
		words = append(words, word)
	}
	rapid.Check(t, func(t *rapid.T) {
		changed := document
		for range rapid.IntRange(0, 4).Draw(t, "changes") {
			from := rapid.SampledFrom(words).Draw(t, "from")
			changed = strings.Replace(changed, from, rapid.SampledFrom(words).Draw(t, "to"), rapid.IntRange(-1, 2).Draw(t, "times"))
		}
		report := Check([]byte(changed), providers)
		if got, want := report.Errors > 0, !engineAccepts(changed, providers); got != want {
			t.Fatalf("errors: %t, refused: %t: %+v\n%s", got, want, report.Findings, changed)
		}
		for _, f := range report.Findings {
			if f.Line == 0 || f.Line > uint64(1+strings.Count(changed, "\n")) {
				t.Fatalf("finding outside of the document: %+v", f)
			}
		}
	})
}

// engineAccepts is what a host does with a definition, for providers that it knows.
func engineAccepts(document string, providers *evidence.Registry) bool {
	v, err := canonical.Parse([]byte(document))
	if err != nil {
		return false
	}
	var spec gate.ScenarioSpec
	if canonical.Decode(v, &spec) != nil {
		return false
	}
	for _, c := range spec.Conditions {
		if _, known := providers.Contract(c.Query.ProviderID); known && providers.ValidateCondition(c) != nil {
			return false
		}
	}
	_, err = gate.Compile(spec)
	return err == nil
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(good(f)))
	f.Add([]byte(`{"stages":[{"gates":[{"requirement":{"Not":{"RequireGroup":{}}}}]}]}`))
	providers := offline(f)
	f.Fuzz(func(t *testing.T, document []byte) {
		report := Check(document, providers)
		if (report.Errors > 0) == engineAccepts(string(document), providers) {
			t.Fatalf("%+v", report)
		}
	})
}
