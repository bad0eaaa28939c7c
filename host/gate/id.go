package gate

// Ids of numbers are never 0 (contract §1.1).
type (
	// TenantID names a tenant.
	TenantID uint64
	// NamespaceID names a namespace of a tenant.
	NamespaceID uint64
)

// NonZero marks the type for the codec.
func (TenantID) NonZero() {}

// NonZero marks the type for the codec.
func (NamespaceID) NonZero() {}

// Ids of text are opaque: any Unicode text, also empty, compared byte by byte and never trimmed or normalised (contract §1.1).
type (
	// ScenarioID names a scenario.
	ScenarioID string
	// RunID names a run of a scenario.
	RunID string
	// StageID names a stage of a scenario.
	StageID string
	// GateID names a gate, uniquely in its scenario.
	GateID string
	// ConditionID names a condition of a scenario.
	ConditionID string
	// PacketID names a packet, uniquely in its scenario.
	PacketID string
	// ProviderID names an evidence provider.
	ProviderID string
	// TriggerID names a trigger of a run; it decides once.
	TriggerID string
	// SubmissionID names a submission to a run.
	SubmissionID string
	// CorrelationID is the caller's own mark on a call.
	CorrelationID string
)
