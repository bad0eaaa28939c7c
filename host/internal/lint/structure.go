package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// structureRules are what the engine refuses (contract §2.9), all of it at once and each at its place, and what it takes
// without a question.
var structureRules = []Rule{
	{
		Code: "no-stage", Severity: Error, Fix: "Add a stage.",
		find: func(s *subject, found report) {
			if len(s.spec.Stages) == 0 {
				found("stages", "a scenario needs at least one stage")
			}
		},
	},
	{Code: "duplicate-id", Severity: Error, Fix: "Give each its own id; ids of gates and packets are unique across all stages.", find: findDuplicates},
	{
		Code: "blank-query", Severity: Error, Fix: "Name the provider and its check.",
		find: func(s *subject, found report) {
			s.eachCondition(func(path string, c *gate.ConditionSpec) {
				for member, text := range map[string]string{"provider_id": string(c.Query.ProviderID), "check_id": c.Query.CheckID} {
					if strings.TrimSpace(text) == "" {
						found(path+".query."+member, "%s of condition `%s` is empty", member, clip(string(c.ConditionID)))
					}
				}
			})
		},
	},
	{
		Code: "undefined-condition", Severity: Error, Fix: "Define the condition, or name one that is defined.",
		find: func(s *subject, found report) {
			known := slices.Sorted(maps.Keys(s.conditions))
			s.eachNode(func(path string, _ int, r gate.Requirement) {
				if r.Kind == gate.Condition && !s.conditions[r.Condition] {
					found(path+".Condition", "there is no condition `%s`%s", clip(string(r.Condition)), suggest(r.Condition, known))
				}
			})
		},
	},
	{Code: "unknown-stage", Severity: Error, Fix: "Name a stage of this scenario.", find: findUnknownStages},
	{Code: "odd-id", Severity: Warning, Fix: "Use printable ids of at most 255 bytes without blanks around them: they are compared byte by byte.", find: findOddIDs},
	{
		Code: "id-in-path", Severity: Note, Fix: "Avoid slashes in it when runpacks go to an object store, whose keys hold it.",
		find: func(s *subject, found report) {
			if strings.ContainsAny(string(s.spec.ScenarioID), `/\`) {
				found("scenario_id", "the scenario id holds a slash")
			}
		},
	},
	{
		Code: "default-namespace", Severity: Warning, Fix: "Use another namespace, or set default_tenant_id and allow it in the host's namespace block.",
		find: func(s *subject, found report) {
			if s.spec.NamespaceID == 1 && s.spec.DefaultTenantID == nil {
				found("namespace_id", "namespace 1 is for tenants that the host allows it to, and a scenario without default_tenant_id has none")
			}
		},
	},
	{
		// mcp contract §3.9
		Code: "namespace-needs-setting", Severity: Note, Fix: "Use another namespace, or allow it in the host's namespace block.",
		find: func(s *subject, found report) {
			if s.spec.NamespaceID == 1 && s.spec.DefaultTenantID != nil {
				found("namespace_id", "a host refuses namespace 1 unless namespace.allow_default and default_tenants name tenant %d", *s.spec.DefaultTenantID)
			}
		},
	},
}

// place is an id and where it stands.
type place struct{ path, id string }

// ids are the ids of the scenario by kind, in document order.
func (s *subject) ids() map[string][]place {
	ids := map[string][]place{}
	s.eachStage(func(path string, _ int, stage *gate.StageSpec) {
		ids["stage"] = append(ids["stage"], place{path + ".stage_id", string(stage.StageID)})
	})
	s.eachGate(func(path string, g *gate.GateSpec) {
		ids["gate"] = append(ids["gate"], place{path + ".gate_id", string(g.GateID)})
	})
	s.eachPacket(func(path string, p *gate.PacketSpec) {
		ids["packet"] = append(ids["packet"], place{path + ".packet_id", string(p.PacketID)})
	})
	s.eachCondition(func(path string, c *gate.ConditionSpec) {
		ids["condition"] = append(ids["condition"], place{path + ".condition_id", string(c.ConditionID)})
	})
	return ids
}

func findDuplicates(s *subject, found report) {
	for kind, places := range s.ids() {
		first := map[string]string{}
		for _, p := range places {
			if earlier, twin := first[p.id]; twin {
				found(p.path, "another %s has the id `%s`: %s", kind, clip(p.id), earlier)
				continue
			}
			first[p.id] = p.path
		}
	}
}

// maxID is the length in bytes of ids that every backend can put into a key as they are.
const maxID = 255

func findOddIDs(s *subject, found report) {
	all := s.ids()
	all["scenario"] = []place{{"scenario_id", string(s.spec.ScenarioID)}}
	for kind, places := range all {
		for _, p := range places {
			if what := oddity(p.id); what != "" {
				found(p.path, "the id of the %s %s", kind, what)
			}
		}
	}
}

func oddity(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > maxID:
		return fmt.Sprintf("is over %d bytes", maxID)
	case strings.TrimSpace(id) != id:
		return "begins or ends with white space"
	case strings.ContainsFunc(id, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "holds characters that cannot be seen"
	default:
		return ""
	}
}

func findUnknownStages(s *subject, found report) {
	known := slices.Sorted(maps.Keys(s.stages))
	check := func(path string, id gate.StageID) {
		if _, ok := s.stages[id]; !ok {
			found(path, "there is no stage `%s`%s", clip(string(id)), suggest(id, known))
		}
	}
	s.eachStage(func(path string, _ int, stage *gate.StageSpec) {
		to := &stage.AdvanceTo
		switch to.Kind {
		case gate.Fixed:
			check(path+".advance_to.stage_id", to.StageID)
		case gate.Branch:
			for i, rule := range to.Branches {
				check(fmt.Sprintf("%s.advance_to.branches[%d].next_stage_id", path, i), rule.NextStageID)
			}
			if to.Default != nil {
				check(path+".advance_to.default", *to.Default)
			}
		}
	})
}
