package auth

import (
	"context"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// maxAnswer is the size in bytes of the largest answer: all roles with names that are as long as they may be, and room. A
// larger one is refused by its length, before it takes memory.
const maxAnswer = 64 << 10

var callSize = []grpc.CallOption{grpc.MaxCallRecvMsgSize(maxAnswer)}

// NewClient is an authenticator at the other end of a connection. What it answers has passed Answer.Check. The message of an
// error holds neither the credential nor what gRPC tells of sockets and processes. Close of the client does nothing: the
// connection belongs to whoever made it.
func NewClient(conn grpc.ClientConnInterface) Authenticator {
	return &client{rpc: pb.NewAuthClient(conn)}
}

type client struct {
	rpc pb.AuthClient
}

func (c *client) Close() error { return nil }

func (c *client) Authenticate(ctx context.Context, credential Credential) (Answer, error) {
	if err := credential.Check(); err != nil {
		return Answer{}, err
	}
	resp, err := c.rpc.Authenticate(ctx, credentialToWire(credential), callSize...)
	if err != nil {
		return Answer{}, failure(err, credential)
	}
	return answerFromWire(resp, credential)
}

// general is what is said of a failure that the plugin has not put into words itself.
var general = map[fault.Reason]string{
	fault.Unavailable: "the connection to the auth plugin failed",
	fault.Deadline:    "the auth plugin did not answer in time",
	fault.TooLarge:    "the auth plugin answered too much",
}

// failure is an error that may be logged. Only words of the plugin's own are kept: gRPC's name sockets, and neither those nor
// words that hold the credential stay, not even as a cause.
func failure(err error, c Credential) error {
	known := fault.FromStatus(err)
	reason := fault.ReasonOf(known)
	if toldByPlugin(err) && len(known.Error()) <= MaxReason && printable(known.Error()) && !Leaks(known.Error(), c) {
		return known
	}
	message, ok := general[reason]
	if !ok {
		message = "the call of the auth plugin failed"
	}
	return fault.New(reason, "%s", message)
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
