package evidence

import (
	"context"
	"encoding/json"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// What a plugin may send: the largest value or contract with all that goes with it. Larger messages are refused by their
// length, before they take memory: many answers arrive at once.
const (
	maxAnswer  = MaxValue + MaxDetails + 256<<10
	maxRequest = 64 << 20
)

var callSize = []grpc.CallOption{grpc.MaxCallRecvMsgSize(maxAnswer), grpc.MaxCallSendMsgSize(maxRequest)}

// NewClient is a provider at the other end of a connection. What it answers has passed Result.Check. The message of an
// error is one that the plugin has sent, or says in general what failed: never what gRPC tells of sockets and processes.
// Close of the client does nothing: the connection belongs to whoever made it.
func NewClient(conn grpc.ClientConnInterface) Provider {
	return &client{rpc: pb.NewEvidenceClient(conn)}
}

type client struct {
	rpc pb.EvidenceClient
}

func (c *client) Close() error { return nil }

func (c *client) Contract(ctx context.Context) (json.RawMessage, error) {
	resp, err := c.rpc.Contract(ctx, &pb.ContractRequest{}, callSize...)
	if err != nil {
		return nil, failure(err)
	}
	if _, err := checksOf(resp.GetContractJson()); err != nil {
		return nil, err
	}
	return resp.GetContractJson(), nil
}

func (c *client) Query(ctx context.Context, q Query, qc Context) (Result, error) {
	resp, err := c.rpc.Query(ctx, queryToWire(q, qc), callSize...)
	if err != nil {
		return Result{}, failure(err)
	}
	return resultFromWire(resp)
}

// general is what is said of a failure that the plugin has not put into words itself.
var general = map[fault.Reason]string{
	fault.Unavailable: "the connection to the evidence plugin failed",
	fault.Deadline:    "the evidence plugin did not answer in time",
	fault.TooLarge:    "the evidence plugin answered too much",
}

// failure is an error whose message may be recorded. gRPC's own messages name sockets, and so folders of the machine: they
// stay in the cause.
func failure(err error) error {
	known := fault.FromStatus(err)
	if toldByPlugin(err) {
		return known
	}
	reason := fault.ReasonOf(known)
	message, ok := general[reason]
	if !ok {
		message = "the call of the evidence plugin failed"
	}
	return fault.Wrap(reason, known, "%s", message)
}

func toldByPlugin(err error) bool {
	st, ok := status.FromError(err)
	if !ok {
		return false
	}
	for _, detail := range st.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == fault.Domain {
			return true
		}
	}
	return false
}
