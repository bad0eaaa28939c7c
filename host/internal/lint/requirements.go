package lint

import (
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// requirementRules find trees whose outcome does not depend on what they ask ([F-11]).
var requirementRules = []Rule{
	{
		Code: "group-never", Severity: Warning, Fix: "Lower min, or add members: with more asked for than there are, the group is always false.",
		find: func(s *subject, found report) {
			s.eachNode(func(path string, _ int, r gate.Requirement) {
				if r.Kind == gate.Group && int(r.Min) > len(r.Reqs) {
					found(path+".RequireGroup.min", "min is %d, of %d", r.Min, len(r.Reqs))
				}
			})
		},
	},
	{
		Code: "group-always", Severity: Warning, Fix: "Set min to 1 or more: with 0 the group is true whatever its members say.",
		find: func(s *subject, found report) {
			s.eachNode(func(path string, _ int, r gate.Requirement) {
				if r.Kind == gate.Group && r.Min == 0 {
					found(path+".RequireGroup.min", "min is 0")
				}
			})
		},
	},
	{
		Code: "group-counts-twice", Severity: Warning, Fix: "Name each condition once: one answer counts as often as it is named.",
		find: func(s *subject, found report) {
			s.eachNode(func(path string, _ int, r gate.Requirement) {
				if r.Kind != gate.Group {
					return
				}
				seen := map[gate.ConditionID]bool{}
				for i, child := range r.Reqs {
					if child.Kind == gate.Condition && seen[child.Condition] {
						found(fmt.Sprintf("%s.RequireGroup.reqs[%d]", path, i), "the group counts `%s` more than once", clip(string(child.Condition)))
					}
					seen[child.Condition] = true
				}
			})
		},
	},
	{
		Code: "empty-requirement", Severity: Warning, Fix: "Add conditions, or remove it: an empty And is always true, an empty Or always false.",
		find: func(s *subject, found report) {
			s.eachNode(func(path string, _ int, r gate.Requirement) {
				if (r.Kind == gate.And || r.Kind == gate.Or) && len(r.Reqs) == 0 {
					found(path, "%s has no members", r.Kind)
				}
			})
		},
	},
	{
		Code: "requirement-depth", Severity: Warning, Fix: "Flatten the tree: a gate whose tree is deeper is always unknown, and never passes.",
		find: func(s *subject, found report) {
			s.eachNode(func(path string, depth int, _ gate.Requirement) {
				if depth == gate.MaxRequirementDepth+1 {
					found(path, "the tree is deeper than %d levels", gate.MaxRequirementDepth)
				}
			})
		},
	},
	{
		Code: "no-condition", Severity: Warning, Fix: "Ask for a condition: this gate has the same outcome whatever happens.",
		find: func(s *subject, found report) {
			s.eachGate(func(path string, g *gate.GateSpec) {
				leaves := 0
				walk("", 0, g.Requirement, func(_ string, _ int, r gate.Requirement) {
					if r.Kind == gate.Condition {
						leaves++
					}
				})
				if leaves == 0 {
					found(path+".requirement", "no condition decides gate `%s`", clip(string(g.GateID)))
				}
			})
		},
	},
}
