package gate

import (
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// MaxRequirementDepth is the depth of the deepest node of a requirement that is evaluated; the root has depth 0 (contract §0.6).
const MaxRequirementDepth = 32

// RequirementKind is the kind of a node.
type RequirementKind string

// The kinds of nodes, as the contract spells them (§3.1).
const (
	And       RequirementKind = "And"
	Or        RequirementKind = "Or"
	Not       RequirementKind = "Not"
	Group     RequirementKind = "RequireGroup"
	Condition RequirementKind = "Condition"
)

var requirementKinds = []string{string(And), string(Or), string(Not), string(Group), string(Condition)}

// Requirement is a requirement tree (contract §3): what must be true of conditions for a gate to be.
type Requirement struct {
	Kind RequirementKind
	// Reqs are the children of And, Or and Group, the one child of Not.
	Reqs []Requirement
	// Min is how many of Reqs a Group needs.
	Min uint8
	// Condition is the id of a leaf.
	Condition ConditionID
}

// AppendJSON writes the externally tagged form.
func (r Requirement) AppendJSON(dst []byte, order canonical.Order) []byte {
	dst = append(append(append(dst, `{"`...), r.Kind...), `":`...)
	switch r.Kind {
	case Condition:
		dst = canonical.AppendString(dst, string(r.Condition))
	case Not:
		dst = r.Reqs[0].AppendJSON(dst, order)
	case Group:
		dst = strconv.AppendUint(append(dst, `{"min":`...), uint64(r.Min), 10)
		dst = append(appendRequirements(append(dst, `,"reqs":`...), r.Reqs, order), '}')
	default:
		dst = appendRequirements(dst, r.Reqs, order)
	}
	return append(dst, '}')
}

func appendRequirements(dst []byte, reqs []Requirement, order canonical.Order) []byte {
	dst = append(dst, '[')
	for i, r := range reqs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = r.AppendJSON(dst, order)
	}
	return append(dst, ']')
}

// DecodeJSON reads a node: an object with exactly one member.
func (r *Requirement) DecodeJSON(v canonical.Value) error {
	if v.Kind() != canonical.Object {
		return canonical.Mismatch(v, "a requirement: an object with one of And, Or, Not, RequireGroup, Condition")
	}
	if len(v.Members()) != 1 {
		return &canonical.DecodeError{Message: "expected value: a requirement has exactly one member"}
	}
	m := v.Members()[0]
	r.Kind = RequirementKind(m.Name)
	switch r.Kind {
	case And, Or:
		return canonical.Decode(m.Value, &r.Reqs)
	case Not:
		r.Reqs = make([]Requirement, 1)
		return canonical.Decode(m.Value, &r.Reqs[0])
	case Group:
		var group struct {
			Min  uint8         `member:"min"`
			Reqs []Requirement `member:"reqs"`
		}
		err := canonical.Decode(m.Value, &group)
		r.Min, r.Reqs = group.Min, group.Reqs
		return err
	case Condition:
		return canonical.Decode(m.Value, &r.Condition)
	default:
		return canonical.UnknownVariant(m.Name, requirementKinds)
	}
}

// Conditions appends the ids of the leaves, depth first, each at its first occurrence only (contract §3.5).
func (r Requirement) appendConditions(ids []ConditionID, seen map[ConditionID]bool) []ConditionID {
	if r.Kind == Condition && !seen[r.Condition] {
		seen[r.Condition] = true
		return append(ids, r.Condition)
	}
	for _, child := range r.Reqs {
		ids = child.appendConditions(ids, seen)
	}
	return ids
}

// Evaluate walks the tree depth first, left to right and without short-circuit, and traces each visit of a leaf
// (contract §3.4). A tree that is deeper than MaxRequirementDepth is Unknown, with the trace up to there ([P-17]).
func (r Requirement) Evaluate(status func(ConditionID) Truth) (Truth, []TraceEntry) {
	w := walk{status: status, trace: []TraceEntry{}}
	truth, ok := w.visit(r, 0)
	if !ok {
		return Unknown, w.trace
	}
	return truth, w.trace
}

type walk struct {
	status func(ConditionID) Truth
	trace  []TraceEntry
}

func (w *walk) visit(r Requirement, depth int) (truth Truth, ok bool) {
	if depth > MaxRequirementDepth {
		return Unknown, false
	}
	switch r.Kind {
	case Condition:
		truth = w.status(r.Condition)
		w.trace = append(w.trace, TraceEntry{r.Condition, truth})
		return truth, true
	case Not:
		truth, ok = w.visit(r.Reqs[0], depth+1)
		return truth.Not(), ok
	case And:
		return w.fold(r.Reqs, depth, True, Truth.And)
	case Or:
		return w.fold(r.Reqs, depth, False, Truth.Or)
	default:
		return w.group(r, depth)
	}
}

func (w *walk) fold(reqs []Requirement, depth int, truth Truth, combine func(Truth, Truth) Truth) (Truth, bool) {
	for _, child := range reqs {
		t, ok := w.visit(child, depth+1)
		if !ok {
			return Unknown, false
		}
		truth = combine(truth, t)
	}
	return truth, true
}

// group counts; the rule is the same in every logic ([P-18]).
func (w *walk) group(r Requirement, depth int) (Truth, bool) {
	satisfied, unknown := 0, 0
	for _, child := range r.Reqs {
		t, ok := w.visit(child, depth+1)
		switch {
		case !ok:
			return Unknown, false
		case t == True:
			satisfied++
		case t == Unknown:
			unknown++
		}
	}
	switch need := int(r.Min); {
	case satisfied >= need:
		return True, true
	case satisfied+unknown < need:
		return False, true
	default:
		return Unknown, true
	}
}
