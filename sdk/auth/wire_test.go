package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the panics of the tests are wanted
	goleak.VerifyTestMain(m)
}

func dial(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(64 << 20))
	register(server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

// fake is an authenticator whose answers are given.
type fake func(context.Context, auth.Credential) (auth.Answer, error)

func (f fake) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	return f(ctx, c)
}

func (fake) Close() error { return nil }

// hostile is a plugin that answers what it likes.
type hostile struct {
	pb.UnimplementedAuthServer
	answer *pb.AuthenticateResponse
	err    error
}

func (h hostile) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return h.answer, h.err
}

func attack(t *testing.T, h hostile) auth.Authenticator {
	return auth.NewClient(dial(t, func(s *grpc.Server) { pb.RegisterAuthServer(s, h) }))
}

const token = "header-of-the-token.payload-of-the-token.signature-of-it"

var credential = auth.Credential{Bearer: token}

func TestRoundTrip(t *testing.T) {
	expires := time.Unix(1_900_000_000, 5).UTC()
	for _, want := range []auth.Answer{
		auth.Deny("the token has expired"),
		{Principal: &auth.Principal{Subject: "alice", Issuer: "https://issuer.example", Expires: expires}},
		{Principal: &auth.Principal{
			Subject: "日本", Issuer: "i", PolicyClass: "scratch", Expires: expires,
			Roles: []auth.Role{{Name: "TenantAdmin", Tenant: 1<<64 - 1}, {Name: "Auditor"}, {Name: "n", Tenant: 1, Namespace: 2}, {Name: "n", Namespace: 3}},
		}},
	} {
		a := auth.NewClient(dial(t, func(s *grpc.Server) {
			auth.RegisterServer(s, fake(func(_ context.Context, c auth.Credential) (auth.Answer, error) {
				if c != credential {
					t.Error("another credential")
				}
				return want, nil
			}))
		}))
		if got, err := a.Authenticate(t.Context(), credential); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
	}
}

// An authenticator behind RegisterServer is asked for nothing that is no credential, and the client does not send it.
func TestWrongCredentials(t *testing.T) {
	conn := dial(t, func(s *grpc.Server) {
		auth.RegisterServer(s, fake(func(context.Context, auth.Credential) (auth.Answer, error) {
			t.Error("it was asked")
			return auth.Deny("asked"), nil
		}))
	})
	for _, bearer := range []string{"", "a\nb", "ä", "\x00", strings.Repeat("x", auth.MaxToken+1)} {
		_, err := auth.NewClient(conn).Authenticate(t.Context(), auth.Credential{Bearer: bearer})
		_, errWire := pb.NewAuthClient(conn).Authenticate(t.Context(), &pb.AuthenticateRequest{Credential: &pb.AuthenticateRequest_Bearer{Bearer: []byte(bearer)}})
		if !fault.Is(err, fault.Invalid) || !fault.Is(fault.FromStatus(errWire), fault.Invalid) {
			t.Errorf("%.10q: %v, %v", bearer, err, errWire)
		}
	}
	_, err := pb.NewAuthClient(conn).Authenticate(t.Context(), &pb.AuthenticateRequest{})
	if !fault.Is(fault.FromStatus(err), fault.Invalid) {
		t.Error(err)
	}
	// The attack: read a token out of a log that shows what was asked.
	if text := fmt.Sprintf("%v %+v %#v %s", credential, credential, credential, credential); strings.Contains(text, "token") {
		t.Error(text)
	}
}

// What its author got wrong is an error where he sees it.
func TestServerChecksAnswers(t *testing.T) {
	for want, answer := range map[string]fake{
		"neither a principal": func(context.Context, auth.Credential) (auth.Answer, error) { return auth.Answer{}, nil },
		"internal error":      func(context.Context, auth.Credential) (auth.Answer, error) { panic("secret") },
		"a reason that holds": func(context.Context, auth.Credential) (auth.Answer, error) { return auth.Deny("no: " + token), nil },
	} {
		a := auth.NewClient(dial(t, func(s *grpc.Server) { auth.RegisterServer(s, answer) }))
		_, err := a.Authenticate(t.Context(), credential)
		if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func denied(reason string) *pb.AuthenticateResponse {
	return &pb.AuthenticateResponse{Answer: &pb.AuthenticateResponse_Denied{Denied: &pb.AuthDenial{Reason: reason}}}
}

// principal is a good one, altered.
func principal(alter func(*pb.AuthPrincipal)) *pb.AuthenticateResponse {
	p := &pb.AuthPrincipal{Subject: "s", Issuer: "i", Expires: timestamppb.New(time.Unix(1_900_000_000, 0))}
	alter(p)
	return &pb.AuthenticateResponse{Answer: &pb.AuthenticateResponse_Principal{Principal: p}}
}

func role(name string, alter func(*pb.AuthRole)) *pb.AuthenticateResponse {
	r := &pb.AuthRole{Name: name}
	alter(r)
	return principal(func(p *pb.AuthPrincipal) { p.Roles = []*pb.AuthRole{r} })
}

func TestClientDoesNotTrustAnswers(t *testing.T) {
	zero, asIs := uint64(0), func(*pb.AuthRole) {}
	for want, answer := range map[string]*pb.AuthenticateResponse{
		"neither a principal nor":    {},
		"a denial without a reason":  denied(""),
		"a reason of 1025":           denied(strings.Repeat("x", auth.MaxReason+1)),
		"a reason that is not print": denied("\x1b[2J"),
		"a reason that holds":        denied("token payload-of-the-token is wrong"),
		"a subject that is blank":    principal(func(p *pb.AuthPrincipal) { p.Subject = "" }),
		"a subject that is blank ":   principal(func(p *pb.AuthPrincipal) { p.Subject = " " }),
		"a subject of 513":           principal(func(p *pb.AuthPrincipal) { p.Subject = strings.Repeat("x", 513) }),
		"a subject that is not":      principal(func(p *pb.AuthPrincipal) { p.Subject = "a\u202eb" }),
		"a subject that holds":       principal(func(p *pb.AuthPrincipal) { p.Subject = token }),
		"an issuer that is blank":    principal(func(p *pb.AuthPrincipal) { p.Issuer = "" }),
		"an issuer with a #":         principal(func(p *pb.AuthPrincipal) { p.Issuer = "a#b" }),
		"a policy class":             principal(func(p *pb.AuthPrincipal) { p.PolicyClass = "admin" }),
		"a principal without expiry": principal(func(p *pb.AuthPrincipal) { p.Expires = nil }),
		"an expiry that is no time":  principal(func(p *pb.AuthPrincipal) { p.Expires = &timestamppb.Timestamp{Nanos: -1} }),
		"129 roles":                  principal(func(p *pb.AuthPrincipal) { p.Roles = make([]*pb.AuthRole, 129) }),
		"a role whose name":          role("", asIs),
		"a role whose name ":         role(strings.Repeat("x", 256), asIs),
		"a role whose name  ":        role("a\nb", asIs),
		"namespace 0":                role("r", func(r *pb.AuthRole) { r.Tenant = &zero }),
		"namespace 0 ":               role("r", func(r *pb.AuthRole) { r.Namespace = &zero }),
	} {
		got, err := attack(t, hostile{answer: answer}).Authenticate(t.Context(), credential)
		if !fault.Is(err, fault.Internal) || !strings.Contains(err.Error(), strings.TrimSpace(want)) || got.Principal != nil {
			t.Errorf("%.100v: answered %+v, %v; want %s", answer, got, err, want)
		}
	}
	_, err := attack(t, hostile{answer: principal(func(p *pb.AuthPrincipal) { p.Subject = strings.Repeat("x", 1<<20) })}).Authenticate(t.Context(), credential)
	if !fault.Is(err, fault.TooLarge) {
		t.Error(err)
	}
}

// Neither what gRPC says of sockets is what gets logged, nor a token that a plugin repeats.
func TestMessagesOfErrors(t *testing.T) {
	gone, err := grpc.NewClient("unix:/no/such/secret.sock", grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	<-late.Done()
	for _, test := range []struct {
		authenticator auth.Authenticator
		ctx           context.Context
		reason        fault.Reason
		message       string
	}{
		{auth.NewClient(gone), t.Context(), fault.Unavailable, "the connection to the auth plugin failed"},
		{attack(t, hostile{err: status.Error(codes.Internal, "/etc/secret")}), t.Context(), fault.Internal, "the call of the auth plugin failed"},
		{attack(t, hostile{err: status.Error(codes.PermissionDenied, "x")}), t.Context(), fault.Denied, "the call of the auth plugin failed"},
		{attack(t, hostile{err: fault.ToStatus(fault.New(fault.Unavailable, "the issuer is down"))}), t.Context(), fault.Unavailable, "the issuer is down"},
		{attack(t, hostile{err: fault.ToStatus(fault.New(fault.Unavailable, "no: %s", token))}), t.Context(), fault.Unavailable, "the connection to the auth plugin failed"},
		{attack(t, hostile{}), late, fault.Deadline, "the auth plugin did not answer in time"},
	} {
		_, err := test.authenticator.Authenticate(test.ctx, credential)
		var told *fault.Error
		if !errors.As(err, &told) || told.Reason != test.reason || err.Error() != test.message {
			t.Errorf("%#v, want %s: %s", told, test.reason, test.message)
		}
	}
}
