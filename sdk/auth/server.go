package auth

import (
	"context"

	"google.golang.org/grpc"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// RegisterServer serves an authenticator over the protocol. It sees only credentials that pass Credential.Check. Its panics
// become INTERNAL, and an answer that no host would take becomes an error here, where its author sees it.
func RegisterServer(r grpc.ServiceRegistrar, a Authenticator) {
	pb.RegisterAuthServer(r, &server{authenticator: a})
}

type server struct {
	pb.UnimplementedAuthServer
	authenticator Authenticator
}

func (s *server) Authenticate(ctx context.Context, req *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	answer, err := s.authenticate(ctx, credentialFromWire(req))
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	return answerToWire(&answer), nil
}

func (s *server) authenticate(ctx context.Context, c Credential) (answer Answer, err error) {
	defer fault.Recover(&err)
	if err := c.Check(); err != nil {
		return Answer{}, err
	}
	if answer, err = s.authenticator.Authenticate(ctx, c); err != nil {
		return Answer{}, err
	}
	return answer, answer.Check(c)
}
