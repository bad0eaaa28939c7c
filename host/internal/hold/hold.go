// Package hold says of a stage that did not pass what is missing, and what would open it: the smallest sets of conditions
// that, were they as wanted, would make every gate true. It reads outcomes that a caller may see already, and asks nobody.
package hold

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Hold is why a stage holds.
type Hold struct {
	StageID gate.StageID `member:"stage_id"`
	// Unmet are the gates that are not true. Without a trace only their ids are known.
	Unmet []Gate `member:"unmet"`
	// OpensWith are the ways to open the stage, smallest first; each is a set of conditions that must all be as it says. It
	// is nil where the trace is not known or the requirement is too large, and empty where there is no way.
	OpensWith *[][]Need `member:"opens_with" presence:"OS"`
	// Note is why conditions may be unknown although something was handed in for them; nil where it does not apply.
	Note *string `member:"note" presence:"OS"`
}

// assertedNote is why values of a precheck count for nothing (decisions of the contract on quirk 41).
const assertedNote = "What is handed in is asserted, and verified evidence is asked for unless the scenario or the host's trust.min_lane says otherwise."

// AssertedNote is the note on a precheck that holds; empty where a condition came to a verdict, so that asserted values count.
func AssertedNote(evals []gate.GateEvaluation) string {
	for i := range evals {
		for _, t := range evals[i].Trace {
			if t.Status != gate.Unknown {
				return ""
			}
		}
	}
	return assertedNote
}

// Gate is a gate that is not true.
type Gate struct {
	GateID     gate.GateID        `member:"gate_id"`
	Status     *gate.Truth        `member:"status" presence:"OS"`
	Conditions *[]gate.TraceEntry `member:"conditions" presence:"OS"`
	// missing are those of them that are not as the gate would have them.
	missing []gate.TraceEntry
}

// Need is a condition and what it must be.
type Need struct {
	ConditionID gate.ConditionID `member:"condition_id"`
	MustBe      gate.Truth       `member:"must_be"`
}

// Summary is the hold of a stage of which only the unmet gates are told.
func Summary(stage gate.StageID, unmet []gate.GateID) *Hold {
	h := &Hold{StageID: stage, Unmet: make([]Gate, len(unmet))}
	for i, id := range unmet {
		h.Unmet[i].GateID = id
	}
	return h
}

// Explain is the hold of a stage whose evaluation is told.
func Explain(stage *gate.StageSpec, evals []gate.GateEvaluation) *Hold {
	h := &Hold{StageID: stage.StageID, Unmet: []Gate{}}
	x := explorer{left: maxWork}
	open := []way{{}}
	for i := range evals {
		e := &evals[i]
		g := slices.IndexFunc(stage.Gates, func(g gate.GateSpec) bool { return g.GateID == e.GateID })
		if e.Status != gate.True {
			unmet := Gate{GateID: e.GateID, Status: &e.Status, Conditions: &e.Trace}
			if g >= 0 {
				unmet.missing = Missing(&stage.Gates[g].Requirement, e.Trace)
			}
			h.Unmet = append(h.Unmet, unmet)
		}
		if g < 0 {
			x.left = 0 // not of this stage: nothing can be said of it
			continue
		}
		open = x.all(open, x.ways(&stage.Gates[g].Requirement, gate.True, statuses(e.Trace), 0))
	}
	if x.left > 0 {
		told := tell(open)
		h.OpensWith = &told
	}
	return h
}

// tell leaves out of sorted ways those that need all of another and more.
func tell(open []way) [][]Need {
	told := [][]Need{}
	for _, w := range open {
		needs := w.needs()
		more := slices.ContainsFunc(told, func(less []Need) bool {
			return !slices.ContainsFunc(less, func(n Need) bool { return !slices.Contains(needs, n) })
		})
		if !more && len(told) < maxTold {
			told = append(told, needs)
		}
	}
	return told
}

// Missing are the conditions of an evaluated gate that are not as its requirement would have them, each once, in the order of
// the tree: under a Not, that is those that are not false.
func Missing(r *gate.Requirement, trace []gate.TraceEntry) []gate.TraceEntry {
	missing := []gate.TraceEntry{}
	seen := map[gate.ConditionID]bool{}
	is := statuses(trace)
	var look func(r *gate.Requirement, want gate.Truth, depth int)
	look = func(r *gate.Requirement, want gate.Truth, depth int) {
		switch {
		case depth > gate.MaxRequirementDepth:
		case r.Kind == gate.Not:
			look(&r.Reqs[0], want.Not(), depth+1)
		case r.Kind == gate.Condition:
			if status, told := is[r.Condition]; told && status != want && !seen[r.Condition] {
				seen[r.Condition] = true
				missing = append(missing, gate.TraceEntry{ConditionID: r.Condition, Status: status})
			}
		default:
			for i := range r.Reqs {
				look(&r.Reqs[i], want, depth+1)
			}
		}
	}
	look(r, gate.True, 0)
	return missing
}

func statuses(trace []gate.TraceEntry) map[gate.ConditionID]gate.Truth {
	of := make(map[gate.ConditionID]gate.Truth, len(trace))
	for _, t := range trace {
		of[t.ConditionID] = t.Status
	}
	return of
}

// Bounds: a requirement can have more ways than there is memory, and it may be a client's. Those that need least are kept.
const (
	// maxWays are followed at a time.
	maxWays = 16
	// maxTold are told.
	maxTold = 8
	// maxWork is how many literals are looked at, some tens of milliseconds; a requirement that takes more is not explained.
	maxWork = 4 << 20
)

// explorer counts the work down.
type explorer struct{ left int }

// literal is a condition that a way relies on.
type literal struct {
	id gate.ConditionID
	be gate.Truth
	// holds says that it is so already.
	holds bool
}

// way is a set of literals, by id.
type way []literal

// changes is how many conditions a way needs to be otherwise than they are.
func (w way) changes() (n int) {
	for _, l := range w {
		if !l.holds {
			n++
		}
	}
	return n
}

func (w way) needs() []Need {
	needs := []Need{}
	for _, l := range w {
		if !l.holds {
			needs = append(needs, Need{l.id, l.be})
		}
	}
	return needs
}

// with is the union of two ways; ok is false when they want a condition to be two things.
func (w way) with(o way) (_ way, ok bool) {
	union := slices.Clone(w)
	for _, l := range o {
		at, found := slices.BinarySearchFunc(union, l, byID)
		switch {
		case !found:
			union = slices.Insert(union, at, l)
		case union[at].be != l.be:
			return nil, false
		default:
			// What one gate trusts, another may not.
			union[at].holds = union[at].holds && l.holds
		}
	}
	return union, true
}

func byID(a, b literal) int { return cmp.Compare(a.id, b.id) }

// ways are those in which a requirement comes to be want, True or False.
func (x *explorer) ways(r *gate.Requirement, want gate.Truth, is map[gate.ConditionID]gate.Truth, depth int) []way {
	if depth > gate.MaxRequirementDepth || x.left <= 0 {
		return nil // such a tree is unknown, whatever its conditions are
	}
	need := len(r.Reqs) // how many children must be want
	switch r.Kind {
	case gate.Condition:
		return []way{{{r.Condition, want, is[r.Condition] == want}}}
	case gate.Not:
		return x.ways(&r.Reqs[0], want.Not(), is, depth+1)
	case gate.And:
		if want == gate.False {
			need = 1
		}
	case gate.Or:
		if want == gate.True {
			need = 1
		}
	case gate.Group:
		if need = int(r.Min); want == gate.False {
			need = len(r.Reqs) - int(r.Min) + 1
		}
	}
	return x.choose(r.Reqs, need, want, is, depth)
}

// choose are the ways in which at least need of some requirements come to be want. chosen[n] are those in which n of the
// requirements so far do.
func (x *explorer) choose(reqs []gate.Requirement, need int, want gate.Truth, is map[gate.ConditionID]gate.Truth, depth int) []way {
	if need <= 0 {
		return []way{{}}
	}
	if need > len(reqs) {
		return nil
	}
	chosen := make([][]way, need+1)
	chosen[0] = []way{{}}
	for i := range reqs {
		child := x.ways(&reqs[i], want, is, depth+1)
		// Fewer than these would not come to need with all of the rest.
		least := max(1, need-(len(reqs)-i-1))
		for n := min(need, i+1); n >= least; n-- {
			chosen[n] = x.fewest(append(slices.Clone(chosen[n]), x.all(chosen[n-1], child)...))
		}
	}
	return chosen[need]
}

// all are the ways that take one of each.
func (x *explorer) all(a, b []way) []way {
	var out []way
	for _, v := range a {
		for _, w := range b {
			if x.left -= len(v) + len(w) + 1; x.left <= 0 {
				return nil
			}
			if union, ok := v.with(w); ok {
				out = append(out, union)
			}
		}
	}
	return x.fewest(out)
}

// fewest sorts ways, drops those that rely on all that another does and more, and keeps those that need least.
func (x *explorer) fewest(all []way) []way {
	slices.SortStableFunc(all, func(a, b way) int { return cmp.Compare(a.changes(), b.changes()) })
	var kept []way
	for _, w := range all {
		if len(kept) == maxWays {
			break
		}
		if !slices.ContainsFunc(kept, func(k way) bool { return x.within(k, w) }) {
			kept = append(kept, w)
		}
	}
	return kept
}

// within reports whether k relies on nothing that w does not: then k stands wherever w does.
func (x *explorer) within(k, w way) bool {
	for _, l := range k {
		x.left--
		if at, found := slices.BinarySearchFunc(w, l, byID); !found || w[at].be != l.be {
			return false
		}
	}
	return true
}

// Text says it in words, for a model or a person.
func (h *Hold) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hold: the run stays at stage %q.", h.StageID)
	for _, g := range h.Unmet {
		fmt.Fprintf(&b, "\n- Gate %q is not met", g.GateID)
		if len(g.missing) == 0 {
			b.WriteByte('.') // its conditions are not told, or none of them could make it so
			continue
		}
		var parts []string
		for _, c := range g.missing {
			parts = append(parts, fmt.Sprintf("condition %q is %s", c.ConditionID, strings.ToLower(string(c.Status))))
		}
		fmt.Fprintf(&b, ": %s.", strings.Join(parts, ", "))
	}
	switch {
	case h.OpensWith == nil && len(h.Unmet) > 0 && h.Unmet[0].Conditions != nil:
		b.WriteString("\nWhat would open it is too much to tell.")
	case h.OpensWith == nil:
		b.WriteString("\nAsk with feedback \"trace\" to be told, where you may be, what would open it.")
	case len(*h.OpensWith) == 0:
		b.WriteString("\nNo outcome of its conditions opens it: the scenario asks for a contradiction.")
	default:
		b.WriteString("\nIt opens when ")
		for i, needs := range *h.OpensWith {
			if i > 0 {
				b.WriteString(", or when ")
			}
			for j, n := range needs {
				if j > 0 {
					b.WriteString(" and ")
				}
				fmt.Fprintf(&b, "%q is %s", n.ConditionID, strings.ToLower(string(n.MustBe)))
			}
		}
		b.WriteByte('.')
	}
	if h.Note != nil {
		b.WriteString("\n" + *h.Note)
	}
	return b.String()
}
