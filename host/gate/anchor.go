package gate

import (
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Requirement returns what the policy asks of a provider's anchors, nil when it asks nothing.
func (p *AnchorPolicy) Requirement(provider ProviderID) *AnchorRequirement {
	for i := range p.Providers {
		if p.Providers[i].ProviderID == provider {
			return &p.Providers[i].Requirement
		}
	}
	return nil
}

// Check returns what is wrong with an anchor, empty when nothing is (contract §5.5).
func (r *AnchorRequirement) Check(anchor *EvidenceAnchor) string {
	if anchor == nil {
		return "missing evidence_anchor"
	}
	if anchor.AnchorType != r.AnchorType {
		return fmt.Sprintf("anchor_type mismatch: expected %s got %s", r.AnchorType, anchor.AnchorType)
	}
	v, err := canonical.Parse([]byte(anchor.AnchorValue))
	if err != nil {
		return "anchor_value must be canonical JSON"
	}
	if v.Kind() != canonical.Object {
		return "anchor_value must be a JSON object"
	}
	for _, name := range r.RequiredFields {
		if text := checkAnchorField(v, name); text != "" {
			return "anchor field " + name + " " + text
		}
	}
	return ""
}

func checkAnchorField(anchor canonical.Value, name string) string {
	field, ok := anchor.Member(name)
	switch {
	case !ok:
		return "missing"
	case field.IsNull():
		return "must be set"
	case field.Kind() == canonical.Bool:
		return "must be string or number"
	case field.Kind() == canonical.Array, field.Kind() == canonical.Object:
		return "must be scalar"
	default:
		return ""
	}
}
