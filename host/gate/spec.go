package gate

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// ScenarioSpec is a scenario as it is authored (contract §2). Presence of members decides hashes: see canonical.Append.
type ScenarioSpec struct {
	ScenarioID      ScenarioID      `member:"scenario_id"`
	NamespaceID     NamespaceID     `member:"namespace_id"`
	SpecVersion     string          `member:"spec_version"`
	Stages          []StageSpec     `member:"stages"`
	Conditions      []ConditionSpec `member:"conditions"`
	Policies        []PolicyRef     `member:"policies"`
	Schemas         []SchemaRef     `member:"schemas"`
	DefaultTenantID *TenantID       `member:"default_tenant_id" presence:"O"`
}

// StageSpec is a stage (contract §2.2).
type StageSpec struct {
	StageID      StageID       `member:"stage_id"`
	EntryPackets []PacketSpec  `member:"entry_packets"`
	Gates        []GateSpec    `member:"gates"`
	AdvanceTo    AdvanceTo     `member:"advance_to"`
	Timeout      *TimeoutSpec  `member:"timeout" presence:"O"`
	OnTimeout    TimeoutPolicy `member:"on_timeout"`
}

// AdvanceKind is how the next stage is found.
type AdvanceKind string

// The ways to the next stage.
const (
	Linear   AdvanceKind = "linear"
	Fixed    AdvanceKind = "fixed"
	Branch   AdvanceKind = "branch"
	Terminal AdvanceKind = "terminal"
)

// Names returns the kinds that a document may name.
func (AdvanceKind) Names() []string {
	return []string{string(Linear), string(Fixed), string(Branch), string(Terminal)}
}

// AdvanceTo says where a stage leads (contract §2.3).
type AdvanceTo struct {
	Kind     AdvanceKind  `member:"kind"`
	StageID  StageID      `member:"stage_id" variant:"fixed"`
	Branches []BranchRule `member:"branches" variant:"branch"`
	Default  *StageID     `member:"default" variant:"branch" presence:"O"`
}

// BranchRule leads to a stage when a gate has an outcome.
type BranchRule struct {
	GateID      GateID      `member:"gate_id"`
	Outcome     GateOutcome `member:"outcome"`
	NextStageID StageID     `member:"next_stage_id"`
}

// GateOutcome is a truth value as branch rules spell it: in lower case ([P-27]).
type GateOutcome string

// Names returns the outcomes that a document may name.
func (GateOutcome) Names() []string { return []string{"true", "false", "unknown"} }

// TimeoutPolicy is what happens when a stage has timed out.
type TimeoutPolicy string

// The timeout policies.
const (
	FailOnTimeout     TimeoutPolicy = "fail"
	AdvanceWithFlag   TimeoutPolicy = "advance_with_flag"
	AlternateBranch   TimeoutPolicy = "alternate_branch"
	retryHintOnHold                 = "await_evidence"
	summaryStatusHold               = "hold"
)

// Names returns the policies that a document may name.
func (TimeoutPolicy) Names() []string {
	return []string{string(FailOnTimeout), string(AdvanceWithFlag), string(AlternateBranch)}
}

// TimeoutSpec is the time that a stage may take, in milliseconds or, in a run on logical time, in ticks.
type TimeoutSpec struct {
	TimeoutMS  uint64   `member:"timeout_ms"`
	PolicyTags []string `member:"policy_tags"`
}

// GateSpec is a gate: a requirement tree that must be true to leave the stage.
type GateSpec struct {
	GateID      GateID            `member:"gate_id"`
	Requirement Requirement       `member:"requirement"`
	Trust       *TrustRequirement `member:"trust" presence:"OS"`
}

// ConditionSpec asks a provider a question and compares the answer (contract §2.6).
type ConditionSpec struct {
	ConditionID ConditionID   `member:"condition_id"`
	Query       EvidenceQuery `member:"query"`
	Comparator  Comparator    `member:"comparator"`
	// Expected is nil for absent and for null: "equals null" cannot be said ([P-03]).
	Expected   *canonical.Value  `member:"expected" presence:"O"`
	PolicyTags []string          `member:"policy_tags"`
	Trust      *TrustRequirement `member:"trust" presence:"OS"`
}

// EvidenceQuery is a question to a provider.
type EvidenceQuery struct {
	ProviderID ProviderID       `member:"provider_id"`
	CheckID    string           `member:"check_id"`
	Params     *canonical.Value `member:"params" presence:"OS"`
}

// TrustRequirement is the least lane that evidence must have come by.
type TrustRequirement struct {
	MinLane TrustLane `member:"min_lane"`
}

// TrustLane is how evidence came: asserted by the caller, or verified by a provider.
type TrustLane string

// The lanes, weakest first.
const (
	Asserted TrustLane = "asserted"
	Verified TrustLane = "verified"
)

// Names returns the lanes that a document may name.
func (TrustLane) Names() []string { return []string{string(Verified), string(Asserted)} }

// PacketSpec is a packet that is issued when its stage is entered (contract §2.7).
type PacketSpec struct {
	PacketID         PacketID      `member:"packet_id"`
	SchemaID         string        `member:"schema_id"`
	ContentType      string        `member:"content_type"`
	VisibilityLabels []string      `member:"visibility_labels"`
	PolicyTags       []string      `member:"policy_tags"`
	Expiry           *Timestamp    `member:"expiry" presence:"O"`
	Payload          PacketPayload `member:"payload"`
}

// PayloadKind is the form of a payload.
type PayloadKind string

// The forms of payloads.
const (
	JSONPayload     PayloadKind = "json"
	BytesPayload    PayloadKind = "bytes"
	ExternalPayload PayloadKind = "external"
)

// Names returns the forms that a document may name.
func (PayloadKind) Names() []string {
	return []string{string(JSONPayload), string(BytesPayload), string(ExternalPayload)}
}

// PacketPayload is the content of a packet, a submission or a trigger.
type PacketPayload struct {
	Kind       PayloadKind     `member:"kind"`
	Value      canonical.Value `member:"value" variant:"json"`
	Bytes      []byte          `member:"bytes" variant:"bytes"`
	ContentRef *ContentRef     `member:"content_ref" variant:"external"`
}

// ContentRef points to content that is kept elsewhere; its hash is declared, not checked.
type ContentRef struct {
	URI         string               `member:"uri"`
	ContentHash canonical.HashDigest `member:"content_hash"`
	Encryption  *string              `member:"encryption" presence:"O"`
}

// PolicyRef names a policy; it only takes part in the hash.
type PolicyRef struct {
	PolicyID    string  `member:"policy_id"`
	Description *string `member:"description" presence:"O"`
}

// SchemaRef names a schema; it only takes part in the hash.
type SchemaRef struct {
	SchemaID string  `member:"schema_id"`
	Version  *string `member:"version" presence:"O"`
	URI      *string `member:"uri" presence:"O"`
}
