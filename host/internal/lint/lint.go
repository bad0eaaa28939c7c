// Package lint reads a scenario the way a host does, and says what a host would refuse, and what it would accept although
// its author can hardly have meant it: a branch that can never be taken, a member whose name is misspelled, a number that
// equals no answer.
//
// Nothing is asked and nothing is changed: no provider, no store, no network. It gives no advice on style; each rule stands
// for a decision that comes out other than it reads. The codes of the rules are stable, so that a pipeline may name them.
//
// One file holds one group of rules, as a table: members.go, decode.go, structure.go, requirements.go, routes.go, comparisons.go,
// queries.go, payloads.go, inert.go.
package lint

import (
	"errors"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
)

// MaxSize is the size in bytes of the largest document that is read (contract §0.6, authoring input).
const MaxSize = 16 << 20

// maxFindings is how many findings are listed: nobody reads on, and a document of a million mistakes must not become a
// report of the same size.
const maxFindings = 1000

// Severity says what a finding means for a run.
type Severity string

// The severities, worst first.
const (
	// Error: the host refuses the definition.
	Error Severity = "error"
	// Warning: the host accepts it, and it does not do what it says.
	Warning Severity = "warning"
	// Note: it works, and depends on something that the scenario does not say.
	Note Severity = "note"
)

// Finding is one thing that is wrong, and where.
type Finding struct {
	Severity Severity `member:"severity"`
	// Code names the rule.
	Code string `member:"code"`
	// Path leads to the place in the document, such as stages[0].gates[1].trust; empty for the document itself.
	Path string `member:"path"`
	// Line and Column count from 1, the column in bytes.
	Line    uint64 `member:"line"`
	Column  uint64 `member:"column"`
	Message string `member:"message"`
	// Fix is what to do.
	Fix string `member:"fix"`
}

// Report is what was found, in the order of the document.
type Report struct {
	Findings []Finding `member:"findings"`
	// Omitted counts findings that are not listed.
	Omitted  uint64 `member:"omitted"`
	Errors   uint64 `member:"errors"`
	Warnings uint64 `member:"warnings"`
	// ScenarioID and SpecHash are there when the host would accept the scenario.
	ScenarioID *gate.ScenarioID      `member:"scenario_id" presence:"O"`
	SpecHash   *canonical.HashDigest `member:"spec_hash" presence:"O"`
}

// Rule is one thing that is looked for.
type Rule struct {
	Code     string
	Severity Severity
	// Fix is what to do about a finding.
	Fix  string
	find func(*subject, report)
}

// report adds a finding of a rule.
type report func(path, format string, args ...any)

// subject is a decoded scenario with what the rules look up in it.
type subject struct {
	spec       *gate.ScenarioSpec
	providers  *evidence.Registry
	stages     map[gate.StageID]int
	conditions map[gate.ConditionID]bool
	// homes are the stages of the gates.
	homes map[gate.GateID]gate.StageID
}

// Rules are all rules that look at a decoded scenario, by group.
func Rules() []Rule {
	return slices.Concat(structureRules, requirementRules, routeRules, comparisonRules, queryRules, payloadRules, inertRules)
}

// Check examines a document. The providers are those whose contracts are known; a provider that is not among them may exist
// all the same.
func Check(document []byte, providers *evidence.Registry) *Report {
	l := &linter{report: &Report{Findings: []Finding{}}}
	l.check(document, providers)
	l.locate(document)
	return l.report
}

type linter struct{ report *Report }

func (l *linter) add(f Finding) {
	switch f.Severity {
	case Error:
		l.report.Errors++
	case Warning:
		l.report.Warnings++
	}
	if len(l.report.Findings) >= maxFindings {
		l.report.Omitted++
		return
	}
	l.report.Findings = append(l.report.Findings, f)
}

// The findings of documents that cannot be read as scenarios.
var (
	syntaxRule = Rule{Code: "syntax", Severity: Error, Fix: "Correct the JSON there."}
	sizeRule   = Rule{Code: "size", Severity: Error, Fix: "Move large payloads out of the scenario, as external content."}
	specRule   = Rule{Code: "spec", Severity: Error, Fix: "Correct the scenario; the host answers with this message."}
)

func (l *linter) reporter(r Rule) report {
	return func(path, format string, args ...any) {
		l.add(Finding{Severity: r.Severity, Code: r.Code, Path: path, Message: fmt.Sprintf(format, args...), Fix: r.Fix})
	}
}

func (l *linter) check(document []byte, providers *evidence.Registry) {
	if len(document) > MaxSize {
		l.reporter(sizeRule)("", "the document is over %d bytes", MaxSize)
		return
	}
	v, err := canonical.Parse(document)
	var syntax *canonical.SyntaxError
	if errors.As(err, &syntax) {
		l.add(Finding{
			Severity: Error, Code: syntaxRule.Code, Line: uint64(syntax.Line), Column: uint64(syntax.Column), Message: syntax.Message, Fix: syntaxRule.Fix,
		})
		return
	}
	unknownMembers(v, l.reporter(memberRule))
	var spec gate.ScenarioSpec
	if err := canonical.Decode(v, &spec); err != nil {
		l.refuse(err)
		return
	}
	s := newSubject(&spec, providers)
	for _, r := range Rules() {
		r.find(s, l.reporter(r))
	}
	l.compile(spec)
}

// compile has the engine's own word: whatever the rules miss, nothing that the host refuses passes.
func (l *linter) compile(spec gate.ScenarioSpec) {
	scenario, err := gate.Compile(spec)
	switch {
	case err != nil && l.report.Errors == 0:
		l.reporter(specRule)("", "%v", err)
	case l.report.Errors == 0:
		hash := scenario.Hash()
		l.report.ScenarioID, l.report.SpecHash = &spec.ScenarioID, &hash
	}
}

func newSubject(spec *gate.ScenarioSpec, providers *evidence.Registry) *subject {
	s := &subject{
		spec: spec, providers: providers,
		stages: map[gate.StageID]int{}, conditions: map[gate.ConditionID]bool{}, homes: map[gate.GateID]gate.StageID{},
	}
	for i := range spec.Stages {
		stage := &spec.Stages[i]
		if _, twin := s.stages[stage.StageID]; !twin {
			s.stages[stage.StageID] = i
		}
		for _, g := range stage.Gates {
			s.homes[g.GateID] = stage.StageID
		}
	}
	for _, c := range spec.Conditions {
		s.conditions[c.ConditionID] = true
	}
	return s
}

// eachStage, eachGate, eachNode, eachPacket and eachCondition visit parts of the scenario with their paths.
func (s *subject) eachStage(visit func(path string, i int, stage *gate.StageSpec)) {
	for i := range s.spec.Stages {
		visit(fmt.Sprintf("stages[%d]", i), i, &s.spec.Stages[i])
	}
}

func (s *subject) eachGate(visit func(path string, g *gate.GateSpec)) {
	s.eachStage(func(path string, _ int, stage *gate.StageSpec) {
		for i := range stage.Gates {
			visit(fmt.Sprintf("%s.gates[%d]", path, i), &stage.Gates[i])
		}
	})
}

// eachNode visits the nodes of all requirement trees, a node before its children.
func (s *subject) eachNode(visit func(path string, depth int, r gate.Requirement)) {
	s.eachGate(func(path string, g *gate.GateSpec) { walk(path+".requirement", 0, g.Requirement, visit) })
}

func walk(path string, depth int, r gate.Requirement, visit func(string, int, gate.Requirement)) {
	visit(path, depth, r)
	path += "." + string(r.Kind)
	switch r.Kind {
	case gate.Not:
		walk(path, depth+1, r.Reqs[0], visit)
		return
	case gate.Group:
		path += ".reqs"
	}
	for i, child := range r.Reqs {
		walk(fmt.Sprintf("%s[%d]", path, i), depth+1, child, visit)
	}
}

func (s *subject) eachPacket(visit func(path string, p *gate.PacketSpec)) {
	s.eachStage(func(path string, _ int, stage *gate.StageSpec) {
		for i := range stage.EntryPackets {
			visit(fmt.Sprintf("%s.entry_packets[%d]", path, i), &stage.EntryPackets[i])
		}
	})
}

func (s *subject) eachCondition(visit func(path string, c *gate.ConditionSpec)) {
	for i := range s.spec.Conditions {
		visit(fmt.Sprintf("conditions[%d]", i), &s.spec.Conditions[i])
	}
}
