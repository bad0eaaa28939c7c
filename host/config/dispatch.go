package config

import (
	"slices"
	"strings"
)

// Dispatch is the policy that packets must pass before a target of their run gets them (mcp contract §9.12). Without the
// block every target gets every packet.
type Dispatch struct {
	Default string          `hcl:"default" required:"true" oneof:"permit,deny" help:"What becomes of a packet that no rule matches."`
	Rules   []*DispatchRule `block:"rule" repeats:"true" help:"A rule; the first one that matches decides. EFFECT is permit, deny or error. It matches when every criterion that it sets holds; an empty list sets none."`
}

// DispatchRule is one rule.
type DispatchRule struct {
	Effect            string            `label:"effect" help:"permit, deny or error."`
	Message           string            `hcl:"message" max:"1024" help:"What a rule with effect error says; required there, and only there."`
	TargetKinds       []string          `hcl:"target_kinds" max:"4" help:"Kinds of targets: agent, session, external or channel."`
	RequireLabels     []string          `hcl:"require_labels" max:"1024" help:"Visibility labels that the packet must all have."`
	ForbidLabels      []string          `hcl:"forbid_labels" max:"1024" help:"Visibility labels of which the packet may have none."`
	RequirePolicyTags []string          `hcl:"require_policy_tags" max:"1024" help:"Policy tags that the packet must all have."`
	ForbidPolicyTags  []string          `hcl:"forbid_policy_tags" max:"1024" help:"Policy tags of which the packet may have none."`
	ContentTypes      []string          `hcl:"content_types" max:"1024" help:"Content types of packets."`
	SchemaIDs         []string          `hcl:"schema_ids" max:"1024" help:"Schema ids of packets."`
	PacketIDs         []string          `hcl:"packet_ids" max:"1024" help:"Packets."`
	StageIDs          []string          `hcl:"stage_ids" max:"1024" help:"Stages."`
	ScenarioIDs       []string          `hcl:"scenario_ids" max:"1024" help:"Scenarios."`
	Targets           []*DispatchTarget `block:"target" repeats:"true" help:"A target that the rule is for; one of several must match. KIND is agent, session, external or channel."`
}

// DispatchTarget selects targets.
type DispatchTarget struct {
	Kind   string `label:"kind" help:"agent, session, external or channel."`
	ID     string `hcl:"id" max:"4096" help:"Id of the agent, session or channel; any when absent."`
	System string `hcl:"system" max:"4096" help:"System of an external target; any when absent."`
	Target string `hcl:"target" max:"4096" help:"Target in the system of an external target; any when absent."`
}

// Texts that rules of the dispatch policy may hold.
var (
	dispatchEffects = []string{"permit", "deny", "error"}
	targetKinds     = []string{"agent", "session", "external", "channel"}
)

func (c *checker) dispatch(cfg *Config) {
	if cfg.Dispatch == nil {
		return
	}
	for _, r := range cfg.Dispatch.Rules {
		if !slices.Contains(dispatchEffects, r.Effect) {
			c.problem(r, "Unknown effect", "There is no effect %q.%s A rule has one of: %s.", r.Effect, suggestion(r.Effect, dispatchEffects), strings.Join(dispatchEffects, ", "))
		}
		switch {
		case r.Effect == "error" && r.Message == "":
			c.problem(r, "Missing message", `A rule with effect error needs a message, which is what the caller is told.`)
		case r.Effect != "error" && r.Message != "":
			c.problem(&r.Message, "Message without effect", "message is only for rules with effect error. Remove it.")
		}
		if !r.matches() {
			// It would decide about every packet, which the default is for.
			c.problem(r, "Rule without criterion", "The rule says nothing about the packets it is for. Set at least one criterion, or dispatch.default.")
		}
		for _, kind := range r.TargetKinds {
			if !slices.Contains(targetKinds, kind) {
				c.problem(&r.TargetKinds, "Unknown kind of target", "There is no kind %s. Kinds are: %s.", shown(kind, c.places[&r.TargetKinds].hidden), strings.Join(targetKinds, ", "))
			}
		}
		for _, t := range r.Targets {
			c.dispatchTarget(t)
		}
	}
}

// matches reports whether the rule sets a criterion.
func (r *DispatchRule) matches() bool {
	lists := [][]string{
		r.TargetKinds, r.RequireLabels, r.ForbidLabels, r.RequirePolicyTags, r.ForbidPolicyTags,
		r.ContentTypes, r.SchemaIDs, r.PacketIDs, r.StageIDs, r.ScenarioIDs,
	}
	return len(r.Targets) > 0 || slices.ContainsFunc(lists, func(list []string) bool { return len(list) > 0 })
}

func (c *checker) dispatchTarget(t *DispatchTarget) {
	for name, field := range map[string]*string{"id": &t.ID, "system": &t.System, "target": &t.Target} {
		if *field == "" && c.places[field] != (place{}) {
			// It would match every target, where the operator may have meant one.
			c.problem(field, "Empty selector", "%s is empty. Remove it to match any.", name)
		}
	}
	switch {
	case !slices.Contains(targetKinds, t.Kind):
		c.problem(t, "Unknown kind of target", "There is no kind %q.%s Kinds are: %s.", t.Kind, suggestion(t.Kind, targetKinds), strings.Join(targetKinds, ", "))
	case t.Kind == "external" && t.ID != "":
		c.problem(&t.ID, "Wrong selector", "An external target has no id: it is selected by system and target.")
	case t.Kind == "external" && t.System == "" && t.Target == "":
		c.problem(t, "Wrong selector", "An external target is selected by system, target or both. For all of them use target_kinds.")
	case t.Kind != "external" && (t.System != "" || t.Target != ""):
		c.problem(t, "Wrong selector", "Only external targets have system and target; this is one of kind %s, which has an id.", t.Kind)
	}
}
