package evidencetest

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// checkWire sends what the Go client would not: a plugin in another language has no adapter in front of it.
func checkWire(b *bench) {
	rpc := pb.NewEvidenceClient(b.conn)
	first := b.contract.Checks[0].ID
	about := &pb.EvidenceContext{Tenant: 1, Namespace: 2, Run: "r", Scenario: "s", Stage: "st", Trigger: "t", Time: &pb.EvidenceContext_UnixMillis{}}
	for _, test := range []struct {
		name    string
		message *pb.QueryRequest
	}{
		{"no question", &pb.QueryRequest{Context: about}},
		{"no check", &pb.QueryRequest{Query: &pb.EvidenceQuery{ProviderId: "kit"}, Context: about}},
		{"nothing", &pb.QueryRequest{}},
		{"params that are not JSON", &pb.QueryRequest{Query: &pb.EvidenceQuery{CheckId: first, ParamsJson: []byte(`{"a":`)}, Context: about}},
		{"empty params", &pb.QueryRequest{Query: &pb.EvidenceQuery{CheckId: first, ParamsJson: []byte{}}, Context: about}},
		{"two params", &pb.QueryRequest{Query: &pb.EvidenceQuery{CheckId: first, ParamsJson: []byte(`{} {}`)}, Context: about}},
	} {
		ctx, cancel := context.WithTimeout(b.ctx, queryTimeout)
		answer, err := rpc.Query(ctx, test.message)
		cancel()
		switch {
		case err == nil && answer.GetError() == nil:
			b.Errorf("a Query with %s was answered with %v, want INVALID or an error in the answer", test.name, answer)
		case err != nil && !fault.Is(fault.FromStatus(err), fault.Invalid):
			b.Errorf("a Query with %s: %v, want INVALID", test.name, err)
		case err != nil && (status.Code(err) != codes.InvalidArgument || status.Convert(err).Message() == ""):
			b.Errorf("a Query with %s: %v, want InvalidArgument with words for an operator", test.name, err)
		}
	}
	b.wantExamples("after messages that break the protocol", b.about())
}
