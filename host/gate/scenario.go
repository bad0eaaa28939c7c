package gate

import (
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Scenario is a spec that has been validated and can decide. It is never changed and safe for concurrent use.
type Scenario struct {
	spec       ScenarioSpec
	hash       canonical.HashDigest
	stages     map[StageID]int
	conditions map[ConditionID]int
}

// Compile validates a spec (contract §2.9) and hashes it (§2.12). The error is an *Error with reason InvalidSpec.
func Compile(spec ScenarioSpec) (*Scenario, error) {
	s := &Scenario{
		spec:       spec,
		stages:     make(map[StageID]int, len(spec.Stages)),
		conditions: make(map[ConditionID]int, len(spec.Conditions)),
	}
	if text := s.validate(); text != "" {
		return nil, Refuse(InvalidSpec, text)
	}
	s.hash = canonical.Hash(spec)
	return s, nil
}

// Spec returns the spec; it must not be changed.
func (s *Scenario) Spec() *ScenarioSpec { return &s.spec }

// Hash returns the hash of the spec's canonical form.
func (s *Scenario) Hash() canonical.HashDigest { return s.hash }

// Stage returns a stage of the spec.
func (s *Scenario) Stage(id StageID) (*StageSpec, bool) {
	i, ok := s.stages[id]
	if !ok {
		return nil, false
	}
	return &s.spec.Stages[i], true
}

// Condition returns a condition of the spec.
func (s *Scenario) Condition(id ConditionID) (*ConditionSpec, bool) {
	i, ok := s.conditions[id]
	if !ok {
		return nil, false
	}
	return &s.spec.Conditions[i], true
}

// Conditions returns the conditions of a stage in the order in which they are asked (contract §3.5).
func (s *Scenario) Conditions(stage *StageSpec) []ConditionSpec {
	var ids []ConditionID
	seen := map[ConditionID]bool{}
	for i := range stage.Gates {
		ids = stage.Gates[i].Requirement.appendConditions(ids, seen)
	}
	conditions := make([]ConditionSpec, len(ids))
	for i, id := range ids {
		conditions[i] = s.spec.Conditions[s.conditions[id]]
	}
	return conditions
}

// validate fills the indexes and returns the text of the first rule that is broken; the order is normative.
func (s *Scenario) validate() string {
	if len(s.spec.Stages) == 0 {
		return "scenario spec must define at least one stage"
	}
	for _, rule := range []func() string{
		s.uniqueStages, s.uniqueGates, s.uniquePackets, s.uniqueConditions, s.queriesNamed, s.conditionsDefined, s.targetsDefined,
	} {
		if text := rule(); text != "" {
			return text
		}
	}
	return ""
}

// firstWithTwin returns the first of the ids that occurs again.
func firstWithTwin[ID comparable](n int, id func(int) ID) (twin ID, found bool) {
	count := make(map[ID]int, n)
	for i := range n {
		count[id(i)]++
	}
	for i := range n {
		if count[id(i)] > 1 {
			return id(i), true
		}
	}
	return twin, false
}

func (s *Scenario) uniqueStages() string {
	if id, found := firstWithTwin(len(s.spec.Stages), func(i int) StageID { return s.spec.Stages[i].StageID }); found {
		return fmt.Sprintf("duplicate stage identifier: %s", id)
	}
	for i := range s.spec.Stages {
		s.stages[s.spec.Stages[i].StageID] = i
	}
	return ""
}

func (s *Scenario) uniqueGates() string {
	seen := map[GateID]bool{}
	for i := range s.spec.Stages {
		for _, g := range s.spec.Stages[i].Gates {
			if seen[g.GateID] {
				return fmt.Sprintf("duplicate gate identifier: %s", g.GateID)
			}
			seen[g.GateID] = true
		}
	}
	return ""
}

func (s *Scenario) uniquePackets() string {
	seen := map[PacketID]bool{}
	for i := range s.spec.Stages {
		for _, p := range s.spec.Stages[i].EntryPackets {
			if seen[p.PacketID] {
				return fmt.Sprintf("duplicate packet identifier: %s", p.PacketID)
			}
			seen[p.PacketID] = true
		}
	}
	return ""
}

func (s *Scenario) uniqueConditions() string {
	if id, found := firstWithTwin(len(s.spec.Conditions), func(i int) ConditionID { return s.spec.Conditions[i].ConditionID }); found {
		return fmt.Sprintf("duplicate condition id: %s", id)
	}
	for i := range s.spec.Conditions {
		s.conditions[s.spec.Conditions[i].ConditionID] = i
	}
	return ""
}

func (s *Scenario) queriesNamed() string {
	for _, c := range s.spec.Conditions {
		switch {
		case strings.TrimSpace(string(c.Query.ProviderID)) == "":
			return fmt.Sprintf("invalid evidence query for condition %s: provider_id is empty", c.ConditionID)
		case strings.TrimSpace(c.Query.CheckID) == "":
			return fmt.Sprintf("invalid evidence query for condition %s: check_id is empty", c.ConditionID)
		}
	}
	return ""
}

func (s *Scenario) conditionsDefined() string {
	for i := range s.spec.Stages {
		for _, g := range s.spec.Stages[i].Gates {
			for _, id := range g.Requirement.appendConditions(nil, map[ConditionID]bool{}) {
				if _, ok := s.conditions[id]; !ok {
					return fmt.Sprintf("gate references undefined condition: %s", id)
				}
			}
		}
	}
	return ""
}

func (s *Scenario) targetsDefined() string {
	for i := range s.spec.Stages {
		for _, target := range s.spec.Stages[i].AdvanceTo.targets() {
			if _, ok := s.stages[target]; !ok {
				return fmt.Sprintf("branch target refers to unknown stage: %s", target)
			}
		}
	}
	return ""
}

// targets are the stages that are named, in rule order, then the default.
func (a AdvanceTo) targets() []StageID {
	switch a.Kind {
	case Fixed:
		return []StageID{a.StageID}
	case Branch:
		targets := make([]StageID, 0, len(a.Branches)+1)
		for _, rule := range a.Branches {
			targets = append(targets, rule.NextStageID)
		}
		if a.Default != nil {
			targets = append(targets, *a.Default)
		}
		return targets
	default:
		return nil
	}
}
