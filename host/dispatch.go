package host

import (
	"github.com/decision-gate-host/decision-gate-host/host/config"
	"github.com/decision-gate-host/decision-gate-host/host/internal/dispatch"
)

// dispatchPolicy are the rules of a configuration; nil where every target gets every packet.
func dispatchPolicy(c *config.Config) *dispatch.Policy {
	if c.Dispatch == nil {
		return nil
	}
	policy := &dispatch.Policy{Default: dispatch.Effect(c.Dispatch.Default)}
	for _, r := range c.Dispatch.Rules {
		rule := dispatch.Rule{
			Effect: dispatch.Effect(r.Effect), Message: r.Message, TargetKinds: r.TargetKinds,
			RequireLabels: r.RequireLabels, ForbidLabels: r.ForbidLabels,
			RequirePolicyTags: r.RequirePolicyTags, ForbidPolicyTags: r.ForbidPolicyTags,
			ContentTypes: r.ContentTypes, SchemaIDs: r.SchemaIDs, PacketIDs: r.PacketIDs,
			StageIDs: r.StageIDs, ScenarioIDs: r.ScenarioIDs,
		}
		for _, t := range r.Targets {
			rule.Targets = append(rule.Targets, dispatch.Target{Kind: t.Kind, ID: t.ID, System: t.System, Target: t.Target})
		}
		policy.Rules = append(policy.Rules, rule)
	}
	return policy
}
