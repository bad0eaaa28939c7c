package authtest

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// checkWire sends what the Go client would not: a plugin in another language has no adapter in front of it.
func checkWire(b *bench) {
	rpc := pb.NewAuthClient(b.conn)
	bearer := func(token string) *pb.AuthenticateRequest {
		return &pb.AuthenticateRequest{Credential: &pb.AuthenticateRequest_Bearer{Bearer: []byte(token)}}
	}
	good := b.fixture.Good[0].Token
	for _, test := range []struct {
		name    string
		message *pb.AuthenticateRequest
	}{
		{"nothing", &pb.AuthenticateRequest{}},
		{"an empty token", bearer("")},
		{"a token that is too long", bearer(strings.Repeat("x", auth.MaxToken+1))},
		{"a token with a line break", bearer(good + "\n")},
		{"a token with a NUL", bearer(good + "\x00")},
		{"a token that is not ASCII", bearer("ä" + good)},
	} {
		ctx, cancel := context.WithTimeout(b.ctx, answerTimeout)
		answer, err := rpc.Authenticate(ctx, test.message)
		cancel()
		switch {
		case err == nil:
			b.Errorf("a call with %s was answered with %v, want INVALID", test.name, answer)
		case !fault.Is(fault.FromStatus(err), fault.Invalid) || status.Code(err) != codes.InvalidArgument || status.Convert(err).Message() == "":
			b.Errorf("a call with %s: %v, want InvalidArgument with words for an operator", test.name, err)
		case auth.Leaks(err.Error(), auth.Credential{Bearer: good}):
			b.Errorf("a call with %s: the error holds the token", test.name)
		}
	}
	b.wantGood("after messages that break the protocol")
}
