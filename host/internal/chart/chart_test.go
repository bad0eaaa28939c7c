package chart_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
)

func leaf(id gate.ConditionID) gate.Requirement {
	return gate.Requirement{Kind: gate.Condition, Condition: id}
}

// compile makes a scenario of stages, and the conditions that they need.
func compile(t interface{ Fatal(...any) }, id gate.ScenarioID, stages ...gate.StageSpec) *gate.Scenario {
	spec := gate.ScenarioSpec{ScenarioID: id, NamespaceID: 1, SpecVersion: "1", Stages: stages}
	seen := map[gate.ConditionID]bool{}
	var collect func(r gate.Requirement)
	collect = func(r gate.Requirement) {
		if r.Kind == gate.Condition && !seen[r.Condition] {
			seen[r.Condition] = true
			spec.Conditions = append(spec.Conditions, gate.ConditionSpec{ConditionID: r.Condition, Query: gate.EvidenceQuery{ProviderID: "env", CheckID: "get"}, Comparator: gate.Exists})
		}
		for _, child := range r.Reqs {
			collect(child)
		}
	}
	for _, s := range stages {
		for _, g := range s.Gates {
			collect(g.Requirement)
		}
	}
	scenario, err := gate.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return scenario
}

func chartOf(t interface{ Fatal(...any) }, scenario *gate.Scenario) *chart.Chart {
	c, err := chart.Of(scenario)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// release has every kind of arrow.
func release(t *testing.T) *gate.Scenario {
	shared := gate.StageID("checks")
	return compile(t, "release",
		gate.StageSpec{StageID: "checks", AdvanceTo: gate.AdvanceTo{Kind: gate.Linear}, OnTimeout: gate.FailOnTimeout, Timeout: &gate.TimeoutSpec{TimeoutMS: 86_400_000}, Gates: []gate.GateSpec{
			{GateID: "tests", Requirement: gate.Requirement{Kind: gate.And, Reqs: []gate.Requirement{leaf("pass"), {Kind: gate.Not, Reqs: []gate.Requirement{leaf("frozen")}}}}},
			{GateID: "people", Requirement: gate.Requirement{Kind: gate.Group, Min: 2, Reqs: []gate.Requirement{leaf("ana"), leaf("ben"), leaf("cleo")}}},
		}},
		gate.StageSpec{StageID: "review", EntryPackets: []gate.PacketSpec{{PacketID: "p"}}, OnTimeout: gate.AlternateBranch, Gates: []gate.GateSpec{{GateID: "ok", Requirement: leaf("reviewed")}},
			AdvanceTo: gate.AdvanceTo{Kind: gate.Branch, Default: &shared, Branches: []gate.BranchRule{
				{GateID: "ok", Outcome: "true", NextStageID: "deploy"}, {GateID: "ok", Outcome: "unknown", NextStageID: "checks"}, {GateID: "ok", Outcome: "false", NextStageID: "over"},
			}}},
		gate.StageSpec{StageID: "deploy", AdvanceTo: gate.AdvanceTo{Kind: gate.Terminal}, OnTimeout: gate.FailOnTimeout},
		gate.StageSpec{StageID: "over", AdvanceTo: gate.AdvanceTo{Kind: gate.Fixed, StageID: "checks"}, OnTimeout: gate.FailOnTimeout},
	)
}

func held(t *testing.T) *chart.Chart {
	c := chartOf(t, release(t))
	c.Mark("checks", gate.Active, []gate.GateEvaluation{
		{GateID: "tests", Status: gate.Unknown, Trace: []gate.TraceEntry{{ConditionID: "pass", Status: gate.Unknown}, {ConditionID: "frozen", Status: gate.False}}},
		{GateID: "people", Status: gate.False, Trace: []gate.TraceEntry{{ConditionID: "ana", Status: gate.True}, {ConditionID: "ben", Status: gate.False}, {ConditionID: "cleo", Status: gate.False}}},
	})
	return c
}

// TestGolden compares with drawings that were looked at. UPDATE=1 writes them anew: look at them.
func TestGolden(t *testing.T) {
	for name, got := range map[string]string{
		"release.svg": chartOf(t, release(t)).SVG(), "release.mmd": chartOf(t, release(t)).Mermaid(), "held.svg": held(t).SVG(), "held.mmd": held(t).Mermaid(),
		"held.json": string(canonical.Append(nil, *held(t), canonical.Declared)) + "\n",
	} {
		path := filepath.Join("testdata", name)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || got != string(want) {
			t.Errorf("%s differs from what is drawn (%v):\n%s", path, err, got)
		}
	}
}

// What a Not wants false, and is, is not missing.
func TestUnmet(t *testing.T) {
	var got []string
	for _, g := range held(t).Stages[0].Gates {
		for _, u := range g.Unmet {
			got = append(got, fmt.Sprintf("%s %s %s", g.ID, u.ConditionID, u.Status))
		}
	}
	if want := []string{"tests pass Unknown", "people ben False", "people cleo False"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c := chartOf(t, release(t))
	c.MarkUnmet("checks", gate.Active, []gate.GateID{"people"})
	if gates := c.Stages[0].Gates; gates[0].Status != nil || *gates[1].Status != gate.Unknown {
		t.Errorf("got %+v", gates)
	}
	c.Mark("no such stage", gate.Active, nil)
}

// attacks are texts that mean something to one of the two formats, or to a terminal.
var attacks = []string{
	`<script>alert(1)</script>`, `"/><svg onload="alert(1)`, `]]><b>`, `&lt;&#0;`, `--> s0 & click s0 call alert()`, `"] click s0 "javascript:alert(1)"`,
	"%%{init: {\"securityLevel\": \"loose\"}}%%", "a\nb\r\nclick s0", "\x00\x1b[31m\u202e\u0085\ufeff", "`markdown`", "#quot;", "end", "", " ", strings.Repeat("long ", 10_000), strings.Repeat("W", 10_000), "日本語の条件",
}

// elements are those of a drawing: no script, no link, no picture from elsewhere.
var elements = []string{"svg", "title", "style", "defs", "marker", "path", "rect", "text", "g"}

var attributes = []string{
	"xmlns", "role", "aria-labelledby", "viewBox", "width", "height", "id", "refX", "refY", "markerWidth", "markerHeight", "orient", "class", "d", "x", "y", "rx",
	"marker-end", "text-anchor",
}

// checkSVG parses a drawing strictly, and allows nothing but what a drawing needs.
func checkSVG(t interface{ Fatalf(string, ...any) }, svg string) {
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if !slices.Contains(elements, token.Name.Local) {
				t.Fatalf("element %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				if !slices.Contains(attributes, a.Name.Local) || strings.Contains(a.Value, "url(") && a.Value != "url(#tip)" {
					t.Fatalf("attribute %s=%q of %s", a.Name.Local, a.Value, token.Name.Local)
				}
			}
		case xml.CharData:
			if strings.ContainsFunc(string(token), func(r rune) bool { return r != '\n' && r != ' ' && !unicode.IsPrint(r) }) {
				t.Fatalf("text %q", token)
			}
		case xml.EndElement:
		default:
			t.Fatalf("%T", token)
		}
	}
}

// mermaidLine is all that a line can be.
var mermaidLine = regexp.MustCompile(`^(flowchart TB|  (s\d+\["(<b>|</b>|<br/>|<i>|</i>|[a-zA-Z0-9 _.,:-]|#\d+;)*"\]|complete\(\["complete"\]\)|s\d+ -->(\|"([a-zA-Z0-9 _.,-]|#\d+;)+"\|)? (s\d+|complete)|classDef here stroke-width:4px|class s\d+ here))$`)

func checkMermaid(t interface{ Fatalf(string, ...any) }, text string) {
	for line := range strings.Lines(text) {
		if !mermaidLine.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Fatalf("line %q", line)
		}
	}
}

// Attack: a scenario whose ids are markup, script or directives.
func TestAttacks(t *testing.T) {
	for i, a := range attacks {
		next := gate.StageID(a + " next")
		scenario := compile(t, gate.ScenarioID(a),
			gate.StageSpec{StageID: gate.StageID(a), OnTimeout: gate.FailOnTimeout, Gates: []gate.GateSpec{{GateID: gate.GateID(a), Requirement: leaf(gate.ConditionID(a))}},
				AdvanceTo: gate.AdvanceTo{Kind: gate.Branch, Branches: []gate.BranchRule{{GateID: gate.GateID(a), Outcome: "true", NextStageID: gate.StageID(a)}}, Default: &next}},
			gate.StageSpec{StageID: next, OnTimeout: gate.FailOnTimeout, AdvanceTo: gate.AdvanceTo{Kind: gate.Terminal}})
		c := chartOf(t, scenario)
		c.Mark(gate.StageID(a), gate.Failed, []gate.GateEvaluation{{GateID: gate.GateID(a), Status: gate.False, Trace: []gate.TraceEntry{{ConditionID: gate.ConditionID(a), Status: gate.False}}}})
		svg, mermaid := c.SVG(), c.Mermaid()
		checkSVG(t, svg)
		checkMermaid(t, mermaid)
		if len(svg) > 20_000 || len(mermaid) > 20_000 {
			t.Errorf("attack %d: %d and %d bytes", i, len(svg), len(mermaid))
		}
	}
}

// TestAny draws scenarios of any shape.
func TestAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "stages")
		id := func(i int) gate.StageID { return gate.StageID(fmt.Sprintf("s %d", i)) }
		anyStage := rapid.Custom(func(t *rapid.T) gate.StageID { return id(rapid.IntRange(0, n-1).Draw(t, "target")) })
		stages := make([]gate.StageSpec, n)
		for i := range stages {
			s := &stages[i]
			s.StageID, s.OnTimeout = id(i), gate.FailOnTimeout
			for g := range rapid.IntRange(0, 4).Draw(t, "gates") {
				s.Gates = append(s.Gates, gate.GateSpec{GateID: gate.GateID(fmt.Sprintf("g %d %d", i, g)), Requirement: leaf(gate.ConditionID(rapid.String().Draw(t, "condition")))})
			}
			s.AdvanceTo.Kind = gate.AdvanceKind(rapid.SampledFrom(gate.AdvanceKind("").Names()).Draw(t, "kind"))
			switch s.AdvanceTo.Kind {
			case gate.Fixed:
				s.AdvanceTo.StageID = anyStage.Draw(t, "to")
			case gate.Branch:
				for range rapid.IntRange(0, 5).Draw(t, "rules") {
					s.AdvanceTo.Branches = append(s.AdvanceTo.Branches, gate.BranchRule{GateID: gate.GateID(rapid.String().Draw(t, "gate")), Outcome: "true", NextStageID: anyStage.Draw(t, "to")})
				}
			}
		}
		c := chartOf(t, compile(t, gate.ScenarioID(rapid.String().Draw(t, "scenario")), stages...))
		svg := c.SVG()
		checkSVG(t, svg)
		checkMermaid(t, c.Mermaid())
		for i := range stages {
			if !strings.Contains(svg, fmt.Sprintf(">s %d</text>", i)) {
				t.Fatalf("stage %d is not drawn", i)
			}
		}
		if !strings.Contains(svg, "</svg>") || strings.Contains(svg, "NaN") {
			t.Fatalf("drawn: %s", svg)
		}
	})
}

func TestTooManyStages(t *testing.T) {
	stages := make([]gate.StageSpec, chart.MaxStages+1)
	for i := range stages {
		stages[i] = gate.StageSpec{StageID: gate.StageID(fmt.Sprint(i)), AdvanceTo: gate.AdvanceTo{Kind: gate.Linear}, OnTimeout: gate.FailOnTimeout}
	}
	if _, err := chart.Of(compile(t, "large", stages...)); err == nil || !strings.Contains(err.Error(), "501 stages") {
		t.Errorf("got %v", err)
	}
	if _, err := chart.Of(compile(t, "large", stages[1:]...)); err != nil {
		t.Error(err)
	}
}

// A stage with more gates than anybody reads is cut, and says so.
func TestManyGates(t *testing.T) {
	stage := gate.StageSpec{StageID: "s", AdvanceTo: gate.AdvanceTo{Kind: gate.Terminal}, OnTimeout: gate.FailOnTimeout}
	for i := range 1000 {
		stage.Gates = append(stage.Gates, gate.GateSpec{GateID: gate.GateID(fmt.Sprint("g", i)), Requirement: leaf("c")})
	}
	c := chartOf(t, compile(t, "many", stage))
	if svg := c.SVG(); !strings.Contains(svg, "and 960 more gates") || !strings.Contains(c.Mermaid(), "and 960 more gates") {
		t.Errorf("got %s", svg)
	}
}
