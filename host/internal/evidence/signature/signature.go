// Package signature checks that evidence was signed by a key that the operator has named (mcp contract §5.5).
//
// There are two schemes. ed25519 signs the hash of a value and nothing else: the same signature is good for every question
// that has the same answer, also next year. ed25519-bound signs the question, the run and the time with it, and what else in the answer decides. The package signs
// nothing and keeps no private key; a rule that names no key accepts nothing.
package signature

import (
	"cmp"
	"crypto/ed25519"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// The schemes of signatures.
const (
	Plain = "ed25519"
	Bound = "ed25519-bound"
)

// What is wrong with a signature, in the order in which it is looked at (mcp contract §5.5). errUnbound is ours.
var (
	errMissing     = errors.New("missing evidence signature")
	errScheme      = errors.New("unsupported signature scheme")
	errUnbound     = errors.New("signature must be bound to the question: use scheme " + Bound)
	errKey         = errors.New("signature key not authorized")
	errMissingHash = errors.New("missing evidence hash for signature verification")
	errHashing     = errors.New("hashing failed")
	errHash        = errors.New("evidence hash mismatch")
	errBytes       = errors.New("invalid signature bytes")
	errSignature   = errors.New("signature verification failed")
)

// Rule is whose signatures are accepted. A nil *Rule accepts evidence without one.
type Rule struct {
	// Keys are the public keys by the ids that signatures name them with.
	Keys map[string]ed25519.PublicKey
	// RequireBound refuses signatures of scheme ed25519.
	RequireBound bool
}

// statement is what a bound signature signs, in canonical form. Scheme keeps it from being taken for anything else that the
// key has signed.
type statement struct {
	Scheme       string               `member:"scheme"`
	ProviderID   gate.ProviderID      `member:"provider_id"`
	Query        gate.EvidenceQuery   `member:"query"`
	TenantID     gate.TenantID        `member:"tenant_id"`
	NamespaceID  gate.NamespaceID     `member:"namespace_id"`
	RunID        gate.RunID           `member:"run_id"`
	ScenarioID   gate.ScenarioID      `member:"scenario_id"`
	StageID      gate.StageID         `member:"stage_id"`
	TriggerID    gate.TriggerID       `member:"trigger_id"`
	TriggerTime  gate.Timestamp       `member:"trigger_time"`
	EvidenceHash canonical.HashDigest `member:"evidence_hash"`
	// The hash is over bytes: the same bytes can be JSON or not, and compare otherwise.
	ValueKind gate.ValueKind `member:"value_kind"`
	// Attack stopped: whoever is between the host and the provider has what was merely asserted pass as verified, or gives it
	// the anchor that a policy asks for.
	Lane   gate.TrustLane       `member:"lane"`
	Anchor *gate.EvidenceAnchor `member:"evidence_anchor" presence:"O"`
}

// Message is what a signature of a scheme signs of a result with a value, whose hash is at hand: the hash alone, or with all
// that decides.
func Message(scheme string, q gate.EvidenceQuery, ec gate.EvidenceContext, result *gate.EvidenceResult, hash canonical.HashDigest) []byte {
	if scheme == Plain {
		return canonical.Append(nil, hash, canonical.Canonical)
	}
	return canonical.Append(nil, statement{
		scheme, q.ProviderID, q, ec.TenantID, ec.NamespaceID, ec.RunID, ec.ScenarioID, ec.StageID, ec.TriggerID, ec.TriggerTime, hash,
		result.Value.Kind, cmp.Or(result.Lane, gate.Verified), result.EvidenceAnchor,
	}, canonical.Canonical)
}

// Check says what is wrong with the signature of a result, and fills in the hash that it is about. A result with an error is
// no exception: unsigned, it would let whoever is between the host and the provider choose what is recorded.
func (r *Rule) Check(q gate.EvidenceQuery, ec gate.EvidenceContext, result *gate.EvidenceResult) error {
	s := result.Signature
	switch {
	case r == nil:
		return nil
	case s == nil:
		return errMissing
	case s.Scheme != Plain && s.Scheme != Bound:
		return errScheme
	case r.RequireBound && s.Scheme != Bound:
		return errUnbound
	}
	key, ok := r.Keys[s.KeyID]
	if !ok {
		return errKey
	}
	if err := fillHash(result); err != nil {
		return err
	}
	if len(s.Signature) != ed25519.SignatureSize {
		return errBytes
	}
	if !verify(key, Message(s.Scheme, q, ec, result, *result.EvidenceHash), s.Signature) {
		return errSignature
	}
	return nil
}

// fillHash computes the hash of the value: one that the provider gives is not believed, only compared.
func fillHash(result *gate.EvidenceResult) error {
	if result.Value == nil {
		return errMissingHash
	}
	hash, err := result.Value.Hash()
	switch {
	case err != nil:
		return errHashing
	case result.EvidenceHash != nil && *result.EvidenceHash != hash:
		return errHash
	}
	result.EvidenceHash = &hash
	return nil
}
