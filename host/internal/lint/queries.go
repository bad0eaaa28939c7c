package lint

import (
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence"
)

// queryRules hold conditions against what their providers can be asked (mcp contract §4.6).
var queryRules = []Rule{
	{
		Code: "query", Severity: Error, Fix: "Ask what the provider's contract offers; its checks are in the answer of provider_contract_get.",
		find: func(s *subject, found report) {
			s.eachCapability(func(path string, c *gate.ConditionSpec, refusal *evidence.CapabilityError) {
				if refusal.Code != evidence.ProviderMissing {
					found(path+capabilityMembers[refusal.Code], "%s%s", refusal, s.suggestCheck(c, refusal.Code))
				}
			})
		},
	},
	{
		Code: "unknown-provider", Severity: Warning, Fix: "Declare the provider in the host's configuration: a host that does not know it refuses the scenario.",
		find: func(s *subject, found report) {
			s.eachCapability(func(path string, c *gate.ConditionSpec, refusal *evidence.CapabilityError) {
				if refusal.Code == evidence.ProviderMissing {
					found(path+capabilityMembers[refusal.Code], "provider `%s` is not built in%s", clip(string(c.Query.ProviderID)), s.suggestProvider(c))
				}
			})
		},
	},
	{
		// [P-28]
		Code: "unused-condition", Severity: Warning, Fix: "Name it in a gate, or remove it: it is never asked, and its provider must exist all the same.",
		find: func(s *subject, found report) {
			used := map[gate.ConditionID]bool{}
			s.eachNode(func(_ string, _ int, r gate.Requirement) {
				if r.Kind == gate.Condition {
					used[r.Condition] = true
				}
			})
			s.eachCondition(func(path string, c *gate.ConditionSpec) {
				if !used[c.ConditionID] {
					found(path, "no gate asks for condition `%s`", clip(string(c.ConditionID)))
				}
			})
		},
	},
	{
		// [P-04]
		Code: "trust-no-effect", Severity: Note, Fix: "Remove it, or lower trust.min_lane of the host: a scenario can only ask for more than the host does.",
		find: func(s *subject, found report) {
			note := func(path string, trust *gate.TrustRequirement) {
				if trust != nil && trust.MinLane == gate.Asserted {
					found(path+".trust", "asserted is the weakest lane: it asks for nothing")
				}
			}
			s.eachGate(func(path string, g *gate.GateSpec) { note(path, g.Trust) })
			s.eachCondition(func(path string, c *gate.ConditionSpec) { note(path, c.Trust) })
		},
	},
}

// capabilityMembers are the members that a refusal is about.
var capabilityMembers = map[evidence.Code]string{
	evidence.ProviderMissing:      ".query.provider_id",
	evidence.CheckMissing:         ".query.check_id",
	evidence.ParamsMissing:        ".query",
	evidence.ParamsInvalid:        ".query.params",
	evidence.ExpectedInvalid:      ".expected",
	evidence.ComparatorNotAllowed: ".comparator",
}

func (s *subject) eachCapability(visit func(path string, c *gate.ConditionSpec, refusal *evidence.CapabilityError)) {
	s.eachCondition(func(path string, c *gate.ConditionSpec) {
		var refusal *evidence.CapabilityError
		if errors.As(s.providers.ValidateCondition(*c), &refusal) {
			visit(path, c, refusal)
		}
	})
}

func (s *subject) suggestProvider(c *gate.ConditionSpec) string {
	var known []gate.ProviderID
	for _, contract := range s.providers.Contracts() {
		known = append(known, contract.ProviderID)
	}
	return suggest(c.Query.ProviderID, known)
}

func (s *subject) suggestCheck(c *gate.ConditionSpec, code evidence.Code) string {
	contract, ok := s.providers.Contract(c.Query.ProviderID)
	if !ok || code != evidence.CheckMissing {
		return ""
	}
	var known []string
	for i := range contract.Checks {
		known = append(known, contract.Checks[i].CheckID)
	}
	return suggest(c.Query.CheckID, known)
}
