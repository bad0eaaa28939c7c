package gate

// Settings are the deployment's share in a decision (contract §6.1). The zero value asks for verified evidence and nothing more.
type Settings struct {
	// MinLane is the least lane of all evidence; empty is Verified.
	MinLane TrustLane
	// ProviderLanes are least lanes by provider; one that is weaker than MinLane has no effect ([P-04]).
	ProviderLanes map[ProviderID]TrustLane
	// Anchors are what anchors the evidence of some providers must have.
	Anchors AnchorPolicy
	// ShuffleSeed, when set, asks conditions in a shuffled order that is the same for the same seed.
	ShuffleSeed *uint64
	// Authorize decides whether a target may have a packet; nil permits all.
	Authorize func(DispatchTarget, *PacketEnvelope, *PacketPayload) (permit bool, err error)
	// Dispatch hands a packet to a target; nil is Receipt.
	Dispatch func(DispatchTarget, *PacketEnvelope, *PacketPayload) (DispatchReceipt, error)
}

// satisfies reports whether evidence that came by l may be used where required is asked. Only Verified is verified: a lane
// that nobody knows must not pass for it.
func (l TrustLane) satisfies(required TrustLane) bool { return l == Verified || required == Asserted }

// stricter is the lane that asks for more; whatever is not Asserted asks for Verified.
func stricter(a, b TrustLane) TrustLane {
	if a == Asserted {
		return b
	}
	return a
}

func (s *Settings) minLane() TrustLane {
	if s.MinLane == "" {
		return Verified
	}
	return s.MinLane
}

// required is the lane that evidence for a condition of a gate needs: the strictest of everything that asks (contract §5.4).
func (s *Settings) required(g *GateSpec, c *ConditionSpec) TrustLane {
	lane, overridden := s.ProviderLanes[c.Query.ProviderID]
	if !overridden {
		lane = s.minLane()
	}
	lane = stricter(lane, s.minLane())
	for _, trust := range []*TrustRequirement{c.Trust, g.Trust} {
		if trust != nil {
			lane = stricter(lane, trust.MinLane)
		}
	}
	return lane
}
