package gate

import (
	"cmp"
	"errors"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// MaxEvidence is the size in bytes of the largest evidence value, in canonical JSON or raw (contract §0.6).
const MaxEvidence = 1 << 20

var errNotAsked = errors.New("the provider was not asked")

// Answer is what came of asking a provider: a result, or why there is none.
type Answer struct {
	Result EvidenceResult
	// Err is a failure of the provider or on the way to it; its text is recorded.
	Err error
}

// Evaluate evaluates the gates of a stage on the answers to its conditions (contract §6.6, 8 and 9). Evidence that is too
// large is an error: the call leaves no trace ([P-15]).
func (s *Scenario) Evaluate(trigger TriggerID, stage *StageSpec, answers map[ConditionID]Answer, set *Settings) ([]GateEvalRecord, error) {
	conditions := s.Conditions(stage)
	records := make(map[ConditionID]EvidenceRecord, len(conditions))
	for i := range conditions {
		c := &conditions[i]
		answer, given := answers[c.ConditionID]
		if !given {
			// Not an empty answer, which would satisfy not_exists.
			answer.Err = errNotAsked
		}
		record, err := c.record(answer, set)
		if err != nil {
			return nil, err
		}
		records[c.ConditionID] = record
	}
	return s.evaluateGates(trigger, stage, records, set), nil
}

// record judges one answer: a failure, an anchor that does not hold and an error of the provider leave no value, so that
// they are Unknown for every comparator, not_exists included ([P-13]).
func (c *ConditionSpec) record(answer Answer, set *Settings) (EvidenceRecord, error) {
	result := answer.Result
	if answer.Err != nil {
		result = failed("provider_error", "evidence provider error: "+answer.Err.Error())
	}
	if result.Error == nil {
		if requirement := set.Anchors.Requirement(c.Query.ProviderID); requirement != nil {
			if text := requirement.Check(result.EvidenceAnchor); text != "" {
				result = failed("anchor_invalid", text)
			}
		}
	}
	if result.Lane == "" {
		result.Lane = Verified
	}
	if err := result.normalize(); err != nil {
		return EvidenceRecord{}, err
	}
	return EvidenceRecord{ConditionID: c.ConditionID, Status: c.Judge(&result), Result: result}, nil
}

func failed(code, message string) EvidenceResult {
	return EvidenceResult{Lane: Verified, Error: &EvidenceError{Code: code, Message: message}}
}

// normalize clears what an error makes void and hashes the value, whatever hash the provider sent; without a value the
// provider's hash stays ([P-14]).
func (r *EvidenceResult) normalize() error {
	if r.Error != nil {
		r.Value, r.EvidenceHash, r.ContentType = nil, nil, nil
	}
	if r.Value == nil {
		return nil
	}
	hash, err := r.Value.Hash()
	if err != nil {
		return err
	}
	r.EvidenceHash = &hash
	return nil
}

// Hash is the evidence hash (contract §5.2). A value over MaxEvidence is an *Error with reason EvidenceTooLarge.
func (v *EvidenceValue) Hash() (canonical.HashDigest, error) {
	if v.Kind == BytesValue {
		if len(v.Bytes) > MaxEvidence {
			return canonical.HashDigest{}, Refuse(EvidenceTooLarge, len(v.Bytes), MaxEvidence)
		}
		return canonical.HashBytes(v.Bytes), nil
	}
	return hashLimited(v.JSON, MaxEvidence, EvidenceTooLarge)
}

func hashLimited(v canonical.Value, limit int, tooLarge Reason) (canonical.HashDigest, error) {
	bytes, err := canonical.AppendLimited(nil, v, limit)
	var size *canonical.SizeError
	if errors.As(err, &size) {
		return canonical.HashDigest{}, Refuse(tooLarge, size.Actual, size.Limit)
	}
	return canonical.HashBytes(bytes), nil
}

// Judge is the status of a condition on a result: Unknown when there is an error, else what the comparator says.
func (c *ConditionSpec) Judge(result *EvidenceResult) Truth {
	if result.Error != nil {
		return Unknown
	}
	return c.Comparator.Compare(result.Value, c.Expected)
}

func (s *Scenario) evaluateGates(trigger TriggerID, stage *StageSpec, records map[ConditionID]EvidenceRecord, set *Settings) []GateEvalRecord {
	evals := make([]GateEvalRecord, len(stage.Gates))
	for i := range stage.Gates {
		g := &stage.Gates[i]
		evidence := s.trusted(g, records, set)
		status, trace := g.Requirement.Evaluate(func(id ConditionID) Truth {
			at, found := slices.BinarySearchFunc(evidence, id, func(r EvidenceRecord, id ConditionID) int { return cmp.Compare(r.ConditionID, id) })
			if !found {
				return Unknown
			}
			return evidence[at].Status
		})
		evals[i] = GateEvalRecord{
			TriggerID:  trigger,
			StageID:    stage.StageID,
			Evaluation: GateEvaluation{GateID: g.GateID, Status: status, Trace: trace},
			Evidence:   evidence,
		}
	}
	return evals
}

// trusted is the gate's own copy of its evidence, sorted by condition id: what came by too weak a lane is Unknown there,
// and stays as it is for other gates (contract §5.4).
func (s *Scenario) trusted(g *GateSpec, records map[ConditionID]EvidenceRecord, set *Settings) []EvidenceRecord {
	ids := g.Requirement.appendConditions(nil, map[ConditionID]bool{})
	evidence := make([]EvidenceRecord, len(ids))
	for i, id := range ids {
		record := records[id]
		c, _ := s.Condition(id)
		if !record.Result.Lane.satisfies(set.required(g, c)) {
			record.Status = Unknown
			if record.Result.Error == nil {
				record.Result.Error = &EvidenceError{Code: "trust_lane", Message: "evidence lane Asserted does not satisfy Verified"}
			}
		}
		evidence[i] = record
	}
	slices.SortFunc(evidence, func(a, b EvidenceRecord) int { return cmp.Compare(a.ConditionID, b.ConditionID) })
	return evidence
}
