// Package chart draws a scenario: its stages, what their gates need, and where each stage leads; and, in it, where a run
// stands. A chart is written as SVG or as Mermaid.
//
// Scenarios are written by others. No text of theirs becomes markup, script or a reference: in SVG it is escaped text, in
// Mermaid every character that could be syntax is a character code. It reads no file and asks nobody.
package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/hold"
)

// MaxStages is how many stages are drawn: nobody reads a larger chart, and its size would be its author's to choose.
const MaxStages = 500

// Bounds of what is written in a stage; the rest is counted.
const (
	maxGates      = 40
	maxConditions = 20
	maxWords      = 400 // bytes of a requirement
)

// Chart is a scenario as it is drawn.
type Chart struct {
	Title  string  `member:"title"`
	Stages []Stage `member:"stages"`
	Edges  []Edge  `member:"edges"`
}

// Stage is one box.
type Stage struct {
	ID    gate.StageID `member:"stage_id"`
	Gates []Gate       `member:"gates"`
	// Omitted counts gates that are not in Gates.
	Omitted uint64 `member:"omitted"`
	// Notes say what else happens in the stage.
	Notes []string `member:"notes"`
	// Run is the status of the run that is in this stage; nil where there is none.
	Run *gate.RunStatus `member:"run" presence:"O"`
}

// Gate is a line or more in a box.
type Gate struct {
	ID    gate.GateID `member:"gate_id"`
	Needs string      `member:"needs"`
	// Status is what the run was last told; nil where nothing is known.
	Status *gate.Truth `member:"status" presence:"O"`
	// Unmet are conditions that are not as a gate wants them that is not true.
	Unmet       []gate.TraceEntry `member:"unmet"`
	requirement *gate.Requirement
}

// Edge is an arrow. To is nil for the end of the run.
type Edge struct {
	From  gate.StageID  `member:"from"`
	To    *gate.StageID `member:"to" presence:"O"`
	Label string        `member:"label"`
}

// Of makes the chart of a scenario.
func Of(scenario *gate.Scenario) (*Chart, error) {
	spec := scenario.Spec()
	if len(spec.Stages) > MaxStages {
		return nil, fmt.Errorf("the scenario has %d stages, and a drawing at most %d", len(spec.Stages), MaxStages)
	}
	c := &Chart{Title: string(spec.ScenarioID), Stages: make([]Stage, len(spec.Stages)), Edges: []Edge{}}
	for i := range spec.Stages {
		s := &spec.Stages[i]
		c.Stages[i] = stageOf(s)
		c.Edges = append(c.Edges, edgesOf(spec.Stages, i)...)
	}
	return c, nil
}

func stageOf(s *gate.StageSpec) Stage {
	stage := Stage{ID: s.StageID, Gates: []Gate{}, Notes: []string{}}
	for i := range s.Gates[:min(len(s.Gates), maxGates)] {
		g := &s.Gates[i]
		stage.Gates = append(stage.Gates, Gate{ID: g.GateID, Needs: Words(g.Requirement, maxWords), Unmet: []gate.TraceEntry{}, requirement: &g.Requirement})
	}
	stage.Omitted = uint64(len(s.Gates) - len(stage.Gates))
	switch n := len(s.EntryPackets); n {
	case 0:
	case 1:
		stage.Notes = append(stage.Notes, "issues 1 packet")
	default:
		stage.Notes = append(stage.Notes, fmt.Sprintf("issues %d packets", n))
	}
	if s.Timeout != nil {
		stage.Notes = append(stage.Notes, fmt.Sprintf("after %s %s", Period(s.Timeout.TimeoutMS), onTimeout[s.OnTimeout]))
	}
	return stage
}

// onTimeout is what a timeout does, in words.
var onTimeout = map[gate.TimeoutPolicy]string{
	gate.FailOnTimeout:   "the run fails",
	gate.AdvanceWithFlag: "it moves on, flagged",
	gate.AlternateBranch: "it moves on as if its gates were unknown",
}

// edgesOf are the arrows out of a stage. Rules that lead to the same stage share one.
func edgesOf(stages []gate.StageSpec, i int) []Edge {
	s := &stages[i]
	to := func(id gate.StageID, label string) Edge { return Edge{s.StageID, &id, label} }
	switch s.AdvanceTo.Kind {
	case gate.Linear:
		if i+1 < len(stages) {
			return []Edge{to(stages[i+1].StageID, "")}
		}
	case gate.Fixed:
		return []Edge{to(s.AdvanceTo.StageID, "")}
	case gate.Branch:
		var edges []Edge
		add := func(id gate.StageID, label string) {
			at := slices.IndexFunc(edges, func(e Edge) bool { return *e.To == id })
			if at < 0 {
				edges = append(edges, to(id, label))
				return
			}
			edges[at].Label += ", or " + label
		}
		for _, rule := range s.AdvanceTo.Branches {
			add(rule.NextStageID, fmt.Sprintf("%s is %s", rule.GateID, rule.Outcome))
		}
		if s.AdvanceTo.Default != nil {
			add(*s.AdvanceTo.Default, "otherwise")
		}
		return edges
	}
	return []Edge{{From: s.StageID}}
}

// Mark draws a run: the stage in which it is, and how the gates of that stage were when they were last asked, as far as that
// is known.
func (c *Chart) Mark(id gate.StageID, status gate.RunStatus, evals []gate.GateEvaluation) {
	at := slices.IndexFunc(c.Stages, func(s Stage) bool { return s.ID == id })
	if at < 0 {
		return
	}
	stage := &c.Stages[at]
	stage.Run = &status
	for i := range stage.Gates {
		g := &stage.Gates[i]
		e := slices.IndexFunc(evals, func(e gate.GateEvaluation) bool { return e.GateID == g.ID })
		if e < 0 {
			continue
		}
		g.Status = &evals[e].Status
		if *g.Status != gate.True {
			missing := hold.Missing(g.requirement, evals[e].Trace)
			g.Unmet = missing[:min(len(missing), maxConditions)]
		}
	}
}

// MarkUnmet draws a hold of which only the gates are known.
func (c *Chart) MarkUnmet(id gate.StageID, status gate.RunStatus, unmet []gate.GateID) {
	c.Mark(id, status, nil)
	for i := range c.Stages {
		if c.Stages[i].ID != id {
			continue
		}
		for j := range c.Stages[i].Gates {
			if g := &c.Stages[i].Gates[j]; slices.Contains(unmet, g.ID) {
				notTrue := gate.Unknown
				g.Status = &notTrue
			}
		}
	}
}

// Words are a requirement tree as one line, at most about limit bytes of it.
func Words(r gate.Requirement, limit int) string {
	var b strings.Builder
	w := words{&b, limit}
	w.tree(r, false)
	return b.String()
}

type words struct {
	*strings.Builder
	limit int
}

// tree stops when there is more than anybody reads.
func (w words) tree(r gate.Requirement, inner bool) {
	if w.Len() > w.limit {
		return
	}
	switch r.Kind {
	case gate.Condition:
		w.WriteString(string(r.Condition))
	case gate.Not:
		w.WriteString("not ")
		w.tree(r.Reqs[0], true)
	case gate.Group:
		fmt.Fprintf(w, "at least %d of (", r.Min)
		w.list(r.Reqs, ", ")
		w.WriteString(")")
	default:
		between := " and "
		if r.Kind == gate.Or {
			between = " or "
		}
		if inner || len(r.Reqs) == 0 {
			w.WriteString("(")
			defer w.WriteString(")")
		}
		w.list(r.Reqs, between)
	}
}

func (w words) list(reqs []gate.Requirement, between string) {
	for i, r := range reqs {
		if w.Len() > w.limit {
			return
		}
		if i > 0 {
			w.WriteString(between)
		}
		w.tree(r, true)
	}
}

// Period is a number of milliseconds as it reads best, such as 24h or 1m30s.
func Period(ms uint64) string {
	if ms > uint64(math.MaxInt64/time.Millisecond) {
		return fmt.Sprintf("%d ms", ms) // more than a Duration holds
	}
	text := (time.Duration(ms) * time.Millisecond).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// cells is how many columns of a monospaced font a character takes.
func cells(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks a text into at most so many lines of at most so many cells, at blanks where there are any. What does not show
// is replaced; what does not fit is left out, with a sign.
func wrap(text string, columns, most int) []string {
	var lines []string
	line, used, blank := []rune{}, 0, -1
	for _, r := range strings.ToValidUTF8(text, string(utf8.RuneError)) {
		if r != ' ' && !unicode.IsPrint(r) {
			r = utf8.RuneError
		}
		if used+cells(r) > columns {
			if len(lines) == most-1 {
				return append(lines, string(line)+"…")
			}
			rest := []rune{}
			if blank > 0 {
				line, rest = line[:blank], slices.Clone(line[blank+1:])
			}
			lines = append(lines, string(line))
			line, used, blank = rest, 0, -1
			for _, r := range rest {
				used += cells(r)
			}
		}
		if r == ' ' {
			if len(line) == 0 {
				continue
			}
			blank = len(line)
		}
		line, used = append(line, r), used+cells(r)
	}
	return append(lines, string(line))
}

// short is one line of a text.
func short(text string, columns int) string { return wrap(text, columns, 1)[0] }
