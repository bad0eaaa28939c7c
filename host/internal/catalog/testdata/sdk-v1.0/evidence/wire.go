package evidence

import (
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

var (
	laneToWire   = map[Lane]pb.EvidenceLane{Verified: pb.EvidenceLane_EVIDENCE_LANE_VERIFIED, Asserted: pb.EvidenceLane_EVIDENCE_LANE_ASSERTED}
	laneFromWire = map[pb.EvidenceLane]Lane{
		pb.EvidenceLane_EVIDENCE_LANE_UNSPECIFIED: "",
		pb.EvidenceLane_EVIDENCE_LANE_VERIFIED:    Verified,
		pb.EvidenceLane_EVIDENCE_LANE_ASSERTED:    Asserted,
	}
)

func queryToWire(q Query, c Context) *pb.QueryRequest {
	wire := &pb.EvidenceContext{
		Tenant: c.Tenant, Namespace: c.Namespace, Run: c.Run, Scenario: c.Scenario, Stage: c.Stage, Trigger: c.Trigger,
		Time: &pb.EvidenceContext_UnixMillis{UnixMillis: c.Time.UnixMillis},
	}
	if c.Time.Logical {
		wire.Time = &pb.EvidenceContext_Logical{Logical: c.Time.Tick}
	}
	if c.Correlation != "" {
		wire.CorrelationId = &c.Correlation
	}
	return &pb.QueryRequest{Query: &pb.EvidenceQuery{ProviderId: q.Provider, CheckId: q.Check, ParamsJson: q.Params}, Context: wire}
}

func queryFromWire(req *pb.QueryRequest) (Query, Context) {
	q, c := req.GetQuery(), req.GetContext()
	out := Context{
		Tenant: c.GetTenant(), Namespace: c.GetNamespace(), Run: c.GetRun(), Scenario: c.GetScenario(), Stage: c.GetStage(),
		Trigger: c.GetTrigger(), Time: Time{UnixMillis: c.GetUnixMillis(), Tick: c.GetLogical()}, Correlation: c.GetCorrelationId(),
	}
	_, out.Time.Logical = c.GetTime().(*pb.EvidenceContext_Logical)
	return Query{Provider: q.GetProviderId(), Check: q.GetCheckId(), Params: q.GetParamsJson()}, out
}

func resultToWire(r *Result) *pb.QueryResponse {
	wire := &pb.QueryResponse{Lane: laneToWire[r.Lane]}
	switch {
	case r.JSON != nil:
		wire.Value = &pb.QueryResponse_Json{Json: r.JSON}
	case r.Bytes != nil:
		wire.Value = &pb.QueryResponse_Raw{Raw: r.Bytes}
	}
	if e := r.Error; e != nil {
		wire.Error = &pb.EvidenceError{Code: e.Code, Message: e.Message, DetailsJson: e.Details}
	}
	if r.SHA256 != nil {
		wire.Sha256 = r.SHA256[:]
	}
	if r.Ref != "" {
		wire.RefUri = &r.Ref
	}
	if a := r.Anchor; a != nil {
		wire.Anchor = &pb.EvidenceAnchor{Type: a.Type, Value: a.Value}
	}
	if s := r.Signature; s != nil {
		wire.Signature = &pb.EvidenceSignature{Scheme: s.Scheme, KeyId: s.KeyID, Signature: s.Signature}
	}
	if r.ContentType != "" {
		wire.ContentType = &r.ContentType
	}
	return wire
}

// resultFromWire believes nothing: what it returns has passed Check.
func resultFromWire(wire *pb.QueryResponse) (Result, error) {
	lane, known := laneFromWire[wire.GetLane()]
	if !known {
		return Result{}, wrong("lane %d, which does not exist", wire.GetLane())
	}
	r := Result{Lane: lane, Ref: wire.GetRefUri(), ContentType: wire.GetContentType()}
	switch v := wire.GetValue().(type) {
	case *pb.QueryResponse_Json:
		r.JSON = orEmpty(v.Json)
	case *pb.QueryResponse_Raw:
		r.Bytes = orEmpty(v.Raw)
	}
	if e := wire.GetError(); e != nil {
		r.Error = &Error{Code: e.GetCode(), Message: e.GetMessage(), Details: e.DetailsJson}
	}
	if sum := wire.Sha256; sum != nil {
		if len(sum) != len(r.SHA256) {
			return Result{}, wrong("a SHA-256 of %d bytes", len(sum))
		}
		r.SHA256 = (*[32]byte)(sum)
	}
	if a := wire.GetAnchor(); a != nil {
		r.Anchor = &Anchor{Type: a.GetType(), Value: a.GetValue()}
	}
	if s := wire.GetSignature(); s != nil {
		r.Signature = &Signature{Scheme: s.GetScheme(), KeyID: s.GetKeyId(), Signature: s.GetSignature()}
	}
	return r, r.Check()
}

// orEmpty keeps an empty value apart from none, which the wire does by the member that is set.
func orEmpty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
