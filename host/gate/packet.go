package gate

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// MaxPayload is the size in bytes of the largest payload of a packet or a submission, in canonical JSON or raw (contract §0.6).
const MaxPayload = 2 << 20

// Hash is the content hash of a payload; that of external content is declared, not checked. A payload over MaxPayload is
// an *Error with reason PayloadTooLarge.
func (p *PacketPayload) Hash() (canonical.HashDigest, error) {
	switch p.Kind {
	case JSONPayload:
		return hashLimited(p.Value, MaxPayload, PayloadTooLarge)
	case BytesPayload:
		if len(p.Bytes) > MaxPayload {
			return canonical.HashDigest{}, Refuse(PayloadTooLarge, len(p.Bytes), MaxPayload)
		}
		return canonical.HashBytes(p.Bytes), nil
	default:
		return p.ContentRef.ContentHash, nil
	}
}

// Equal compares payloads structurally, kinds of numbers included, as the contract does when a submission is repeated (§6.10).
func (p *PacketPayload) Equal(o *PacketPayload) bool {
	if p.Kind != o.Kind {
		return false
	}
	if p.Kind == JSONPayload {
		return canonical.Equal(p.Value, o.Value)
	}
	return string(canonical.Append(nil, *p, canonical.Canonical)) == string(canonical.Append(nil, *o, canonical.Canonical))
}

// Receipt is the receipt of a packet that is handed over with the answer of the call (contract §6.9).
func Receipt(target DispatchTarget, envelope *PacketEnvelope, _ *PacketPayload) (DispatchReceipt, error) {
	return DispatchReceipt{
		DispatchID:   "mcp-" + string(envelope.PacketID),
		Target:       target,
		ReceiptHash:  canonical.Hash(*envelope),
		DispatchedAt: envelope.IssuedAt,
		Dispatcher:   "mcp",
	}, nil
}

// issue makes the packets of a stage that is being entered under a decision. The first failure ends it, and its text is
// the reason of the run's failure (contract §6.9).
func (h *Head) issue(stage *StageSpec, decision *DecisionRecord, set *Settings) ([]PacketRecord, error) {
	packets := make([]PacketRecord, 0, len(stage.EntryPackets))
	for i := range stage.EntryPackets {
		spec := &stage.EntryPackets[i]
		hash, err := spec.Payload.Hash()
		if err != nil {
			return nil, err
		}
		envelope := PacketEnvelope{
			ScenarioID:    h.ScenarioID,
			RunID:         h.RunID,
			StageID:       stage.StageID,
			PacketID:      spec.PacketID,
			SchemaID:      spec.SchemaID,
			ContentType:   spec.ContentType,
			ContentHash:   hash,
			Visibility:    VisibilityPolicy{Labels: spec.VisibilityLabels, PolicyTags: spec.PolicyTags},
			Expiry:        spec.Expiry,
			CorrelationID: decision.CorrelationID,
			IssuedAt:      decision.DecidedAt,
		}
		receipts, err := h.dispatch(&envelope, &spec.Payload, set)
		if err != nil {
			return nil, err
		}
		packets = append(packets, PacketRecord{Envelope: envelope, Payload: spec.Payload, Receipts: receipts, DecisionID: decision.DecisionID})
	}
	return packets, nil
}

// dispatch hands a packet to each target; without targets no policy is asked.
func (h *Head) dispatch(envelope *PacketEnvelope, payload *PacketPayload, set *Settings) ([]DispatchReceipt, error) {
	receipts := make([]DispatchReceipt, 0, len(h.DispatchTargets))
	deliver := set.Dispatch
	if deliver == nil {
		deliver = Receipt
	}
	for _, target := range h.DispatchTargets {
		if set.Authorize != nil {
			switch permit, err := set.Authorize(target, envelope, payload); {
			case err != nil:
				return nil, Refuse(PolicyFailed, err)
			case !permit:
				return nil, Refuse(PolicyDenied)
			}
		}
		receipt, err := deliver(target, envelope, payload)
		if err != nil {
			return nil, Refuse(DispatchFailed, err)
		}
		receipts = append(receipts, receipt)
	}
	return receipts, nil
}
