package gate

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// EvidenceResult is what a provider answered (contract §5.1). All members are always written.
type EvidenceResult struct {
	Value          *EvidenceValue        `member:"value" presence:"O"`
	Lane           TrustLane             `member:"lane" presence:"D=verified"`
	Error          *EvidenceError        `member:"error" presence:"O"`
	EvidenceHash   *canonical.HashDigest `member:"evidence_hash" presence:"O"`
	EvidenceRef    *EvidenceRef          `member:"evidence_ref" presence:"O"`
	EvidenceAnchor *EvidenceAnchor       `member:"evidence_anchor" presence:"O"`
	Signature      *EvidenceSignature    `member:"signature" presence:"O"`
	ContentType    *string               `member:"content_type" presence:"O"`
}

// ValueKind is the form of an evidence value.
type ValueKind string

// The forms of evidence values.
const (
	JSONValue  ValueKind = "json"
	BytesValue ValueKind = "bytes"
)

// Names returns the forms that a document may name.
func (ValueKind) Names() []string { return []string{string(JSONValue), string(BytesValue)} }

// EvidenceValue is the answer itself. JSON null is a value.
type EvidenceValue struct {
	Kind  ValueKind       `member:"kind"`
	JSON  canonical.Value `member:"value" variant:"json"`
	Bytes []byte          `member:"value" variant:"bytes"`
}

// EvidenceError says why there is no answer that counts.
type EvidenceError struct {
	Code    string           `member:"code"`
	Message string           `member:"message"`
	Details *canonical.Value `member:"details" presence:"O"`
}

// EvidenceRef points to where the evidence lies.
type EvidenceRef struct {
	URI string `member:"uri"`
}

// EvidenceAnchor ties the evidence to what it is about.
type EvidenceAnchor struct {
	AnchorType  string `member:"anchor_type"`
	AnchorValue string `member:"anchor_value"`
}

// EvidenceSignature is a provider's signature over the evidence hash.
type EvidenceSignature struct {
	Scheme    string `member:"scheme"`
	KeyID     string `member:"key_id"`
	Signature []byte `member:"signature"`
}

// EvidenceContext is what a provider sees of the call (contract §5.3).
type EvidenceContext struct {
	TenantID      TenantID       `member:"tenant_id"`
	NamespaceID   NamespaceID    `member:"namespace_id"`
	RunID         RunID          `member:"run_id"`
	ScenarioID    ScenarioID     `member:"scenario_id"`
	StageID       StageID        `member:"stage_id"`
	TriggerID     TriggerID      `member:"trigger_id"`
	TriggerTime   Timestamp      `member:"trigger_time"`
	CorrelationID *CorrelationID `member:"correlation_id" presence:"O"`
}

// AnchorPolicy says which anchors the evidence of a provider must have (contract §5.5).
type AnchorPolicy struct {
	Providers []ProviderAnchorPolicy `member:"providers" presence:"DE"`
}

// ProviderAnchorPolicy is the policy for one provider.
type ProviderAnchorPolicy struct {
	ProviderID  ProviderID        `member:"provider_id"`
	Requirement AnchorRequirement `member:"requirement"`
}

// AnchorRequirement is what an anchor must be.
type AnchorRequirement struct {
	AnchorType     string   `member:"anchor_type"`
	RequiredFields []string `member:"required_fields"`
}
