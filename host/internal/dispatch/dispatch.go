// Package dispatch decides which targets get which packets: the rules of an operator, of which the first that matches decides
// (mcp contract §9.12). It is pure: what it decides depends on the rules, the target and the envelope alone, so that a step
// that is evaluated again decides the same.
//
// It delivers nothing.
package dispatch

import (
	"errors"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Effect is what a rule does with a packet.
type Effect string

// The effects. Fail ends the call, or the step, with the message of the rule.
const (
	Permit Effect = "permit"
	Deny   Effect = "deny"
	Fail   Effect = "error"
)

// Policy is the rules and what becomes of packets that none of them is for.
type Policy struct {
	Rules []Rule
	// Default is Permit or Deny; anything else denies.
	Default Effect
}

// Rule matches when every criterion that it sets does; an empty one is not set. A rule without any matches nothing.
type Rule struct {
	Effect  Effect
	Message string // of Fail

	TargetKinds []string
	Targets     []Target
	// Labels are the packet's visibility labels; required ones must all be there, forbidden ones none.
	RequireLabels, ForbidLabels         []string
	RequirePolicyTags, ForbidPolicyTags []string
	ContentTypes                        []string
	SchemaIDs                           []string
	PacketIDs                           []string
	StageIDs                            []string
	ScenarioIDs                         []string
}

// Target selects targets of a kind: all of them, or those with the ids that are set.
type Target struct {
	Kind string
	// ID is of agents, sessions and channels; System and Target are of external targets.
	ID, System, Target string
}

// Authorize decides on one packet for one target. The error is the message of a rule with effect Fail.
func (p *Policy) Authorize(target gate.DispatchTarget, envelope *gate.PacketEnvelope, _ *gate.PacketPayload) (bool, error) {
	effect := p.Default
	for i := range p.Rules {
		if r := &p.Rules[i]; r.matches(&target, envelope) {
			if r.Effect == Fail {
				return false, errors.New(r.Message)
			}
			effect = r.Effect
			break
		}
	}
	return effect == Permit, nil
}

func (r *Rule) matches(target *gate.DispatchTarget, e *gate.PacketEnvelope) bool {
	set, met := 0, 0
	criterion := func(n int, holds bool) {
		if n > 0 {
			set++
			if holds {
				met++
			}
		}
	}
	oneOf := func(list []string, text string) { criterion(len(list), slices.Contains(list, text)) }
	oneOf(r.TargetKinds, string(target.Kind))
	criterion(len(r.Targets), slices.ContainsFunc(r.Targets, func(t Target) bool { return t.selects(target) }))
	criterion(len(r.RequireLabels), all(r.RequireLabels, e.Visibility.Labels))
	criterion(len(r.ForbidLabels), none(r.ForbidLabels, e.Visibility.Labels))
	criterion(len(r.RequirePolicyTags), all(r.RequirePolicyTags, e.Visibility.PolicyTags))
	criterion(len(r.ForbidPolicyTags), none(r.ForbidPolicyTags, e.Visibility.PolicyTags))
	oneOf(r.ContentTypes, e.ContentType)
	oneOf(r.SchemaIDs, string(e.SchemaID))
	oneOf(r.PacketIDs, string(e.PacketID))
	oneOf(r.StageIDs, string(e.StageID))
	oneOf(r.ScenarioIDs, string(e.ScenarioID))
	return set > 0 && met == set
}

func all(wanted, there []string) bool {
	return !slices.ContainsFunc(wanted, func(w string) bool { return !slices.Contains(there, w) })
}

func none(unwanted, there []string) bool {
	return !slices.ContainsFunc(unwanted, func(u string) bool { return slices.Contains(there, u) })
}

func (t Target) selects(target *gate.DispatchTarget) bool {
	if t.Kind != string(target.Kind) {
		return false
	}
	is := func(wanted, text string) bool { return wanted == "" || wanted == text }
	switch t.Kind {
	case "external":
		return is(t.System, target.System) && is(t.Target, target.Target)
	case "agent":
		return is(t.ID, target.AgentID)
	case "session":
		return is(t.ID, target.SessionID)
	default:
		return is(t.ID, target.Channel)
	}
}
