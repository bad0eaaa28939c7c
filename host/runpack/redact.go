package runpack

import (
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// redaction withholds evidence values from a bundle.
type redaction struct {
	withholds func(gate.ProviderID) bool
	providers map[gate.ConditionID]gate.ProviderID
}

// newRedaction is nil when nothing is to be withheld.
func newRedaction(in *Input) *redaction {
	if in.Redact == nil {
		return nil
	}
	r := &redaction{withholds: in.Redact, providers: make(map[gate.ConditionID]gate.ProviderID, len(in.Spec.Conditions))}
	for i := range in.Spec.Conditions {
		r.providers[in.Spec.Conditions[i].ConditionID] = in.Spec.Conditions[i].Query.ProviderID
	}
	return r
}

// apply is the records without the values that are withheld, each with its hash; the records themselves stay as they are.
// The error is of a value that cannot be hashed.
func (r *redaction) apply(evals []gate.GateEvalRecord) ([]gate.GateEvalRecord, error) {
	if r == nil {
		return evals, nil
	}
	evals = slices.Clone(evals)
	for i := range evals {
		evidence := slices.Clone(evals[i].Evidence)
		for j := range evidence {
			if err := r.withhold(&evidence[j]); err != nil {
				return nil, err
			}
		}
		evals[i].Evidence = evidence
	}
	return evals, nil
}

func (r *redaction) withhold(record *gate.EvidenceRecord) error {
	result := &record.Result
	// Evidence of a condition that the spec does not have is nobody's to disclose.
	provider, known := r.providers[record.ConditionID]
	if result.Value == nil || known && !r.withholds(provider) {
		return nil
	}
	if result.EvidenceHash == nil {
		hash, err := result.Value.Hash()
		if err != nil {
			return err
		}
		result.EvidenceHash = &hash
	}
	result.Value = nil
	return nil
}

// redacted reports whether the bundle may lack values beside their hashes.
func (m *Manifest) redacted() bool { return m.Redacted != nil && *m.Redacted }

// Withheld reports whether a result in a bundle that is marked as redacted lacks its value: there is a hash, and no error that
// would have left none. A provider that sent a hash and no value looks the same, so that its verdict is not derived either.
func Withheld(result *gate.EvidenceResult) bool {
	return result.Value == nil && result.EvidenceHash != nil && (result.Error == nil || refused(result))
}
