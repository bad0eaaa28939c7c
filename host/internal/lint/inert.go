package lint

import "github.com/decision-gate-host/decision-gate-host/host/gate"

// inertRules find members that change the hash of a scenario and nothing else ([P-12]).
var inertRules = []Rule{
	{
		Code: "inert-references", Severity: Warning, Fix: "Keep them for readers only: the host looks up neither policies nor schemas.",
		find: func(s *subject, found report) {
			if len(s.spec.Policies) > 0 {
				found("policies", "policies are not applied")
			}
			if len(s.spec.Schemas) > 0 {
				found("schemas", "nothing is validated against schemas")
			}
		},
	},
	{
		Code: "inert-policy-tags", Severity: Warning, Fix: "Leave them empty here: only the tags of packets reach anybody.",
		find: func(s *subject, found report) {
			s.eachStage(func(path string, _ int, stage *gate.StageSpec) {
				if stage.Timeout != nil && len(stage.Timeout.PolicyTags) > 0 {
					found(path+".timeout.policy_tags", "the policy tags of timeouts are ignored")
				}
			})
			s.eachCondition(func(path string, c *gate.ConditionSpec) {
				if len(c.PolicyTags) > 0 {
					found(path+".policy_tags", "the policy tags of conditions are ignored")
				}
			})
		},
	},
}
