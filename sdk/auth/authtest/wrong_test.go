package authtest

import (
	"context"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth/authtest/internal/model"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

// wrongAuthenticator breaks one promise: the model forgets a rule, or is wrapped, or has another server before it.
type wrongAuthenticator struct {
	name, caughtBy string
	forgets        model.Rule
	wrap           func(*model.Authenticator) auth.Authenticator
	wire           func(auth.Authenticator) pb.AuthServer
	fixture        func(*Fixture)
}

var wrongAuthenticators = []wrongAuthenticator{
	{name: "takes expired tokens", caughtBy: "Bad", forgets: model.Ended},
	{name: "takes tokens before their time", caughtBy: "Bad", forgets: model.Begun},
	{name: "takes tokens for other audiences", caughtBy: "Bad", forgets: model.MadeFor},
	{name: "takes tokens of other issuers", caughtBy: "Bad", forgets: model.IssuedBy},
	{name: "does not check signatures", caughtBy: "Bad", forgets: model.Signature},
	{name: "takes unsigned tokens", caughtBy: "Bad", forgets: model.Algorithm},
	{name: "takes tokens of nobody", caughtBy: "Bad", forgets: model.Named},
	{name: "does not check signatures, seen by a changed one", caughtBy: "Mutations", forgets: model.Signature},
	{name: "compares the first half of a token with one that was good", caughtBy: "Mutations", wrap: func(m *model.Authenticator) auth.Authenticator {
		return &remembering{Authenticator: m, key: func(token string) string { return token[:len(token)/2] }, known: map[string]auth.Answer{}}
	}},
	{name: "gives a role that the token does not", caughtBy: "Good", wrap: onPrincipal(func(p *auth.Principal) {
		p.Roles = append(p.Roles, auth.Role{Name: "Auditor"})
	})},
	{name: "gives a role in every tenant", caughtBy: "Good", wrap: onPrincipal(func(p *auth.Principal) {
		for i := range p.Roles {
			p.Roles[i].Tenant = 0
		}
	})},
	{name: "gives roles without end", caughtBy: "Good", wire: onWire(func(p *pb.AuthPrincipal) {
		for range 1000 {
			p.Roles = append(p.Roles, &pb.AuthRole{Name: "x"})
		}
	})},
	{name: "names a role of tenant 0", caughtBy: "Good", wire: onWire(func(p *pb.AuthPrincipal) {
		p.Roles = append(p.Roles, &pb.AuthRole{Name: "x", Tenant: new(uint64)})
	})},
	{name: "has no subject", caughtBy: "Good", wire: onWire(func(p *pb.AuthPrincipal) { p.Subject = "" })},
	{name: "has no issuer", caughtBy: "Good", wire: onWire(func(p *pb.AuthPrincipal) { p.Issuer = "" })},
	{name: "has no expiry", caughtBy: "Good", wire: onWire(func(p *pb.AuthPrincipal) { p.Expires = nil })},
	{name: "invents a policy class", caughtBy: "Good", wire: onWire(func(p *pb.AuthPrincipal) { p.PolicyClass = "root" })},
	{name: "answers for longer than the token holds", caughtBy: "Good", wrap: onPrincipal(func(p *auth.Principal) { p.Expires = p.Expires.Add(time.Hour) })},
	{name: "answers what has expired", caughtBy: "Good", wrap: onPrincipal(func(p *auth.Principal) { p.Expires = time.Now().Add(-time.Second) })},
	{name: "fails instead of denying", caughtBy: "Bad", wrap: onAnswer(func(_ *model.Authenticator, _ auth.Credential, a auth.Answer) (auth.Answer, error) {
		if a.Principal == nil {
			return a, fault.New(fault.Denied, "no")
		}
		return a, nil
	})},
	{name: "lets nobody in by an empty principal", caughtBy: "Bad", wire: func(a auth.Authenticator) pb.AuthServer {
		return newWire(a, func(answer *pb.AuthenticateResponse) {
			if answer.GetDenied() != nil {
				answer.Answer = &pb.AuthenticateResponse_Principal{Principal: &pb.AuthPrincipal{}}
			}
		})
	}},
	{name: "takes anything that is no token for a guest", caughtBy: "Garbage", wrap: onAnswer(func(m *model.Authenticator, c auth.Credential, a auth.Answer) (auth.Answer, error) {
		if !strings.Contains(c.Bearer, "eyJ") {
			return auth.Answer{Principal: &auth.Principal{Subject: "guest", Issuer: model.Issuer, Expires: time.Now().Add(time.Hour)}}, nil
		}
		return a, nil
	})},
	{name: "panics on what is no token", caughtBy: "Garbage", wrap: onAnswer(func(_ *model.Authenticator, c auth.Credential, a auth.Answer) (auth.Answer, error) {
		if strings.HasPrefix(c.Bearer, ".") {
			panic("no header")
		}
		return a, nil
	})},
	{name: "repeats the token in its denial", caughtBy: "Reasons", wire: func(a auth.Authenticator) pb.AuthServer {
		return &repeating{newWire(a, nil)}
	}},
	{name: "denies without a reason", caughtBy: "Reasons", wire: func(a auth.Authenticator) pb.AuthServer {
		return newWire(a, func(answer *pb.AuthenticateResponse) {
			if d := answer.GetDenied(); d != nil {
				d.Reason = ""
			}
		})
	}},
	{name: "remembers who was there last", caughtBy: "Independent", wrap: func(m *model.Authenticator) auth.Authenticator {
		return &remembering{Authenticator: m, key: func(string) string { return "" }, known: map[string]auth.Answer{}}
	}},
	{name: "has enough of wrong tokens", caughtBy: "Independent", wrap: func(m *model.Authenticator) auth.Authenticator { return &tired{Authenticator: m} }},
	{name: "answers for the token of another call", caughtBy: "Concurrent", wrap: func(m *model.Authenticator) auth.Authenticator { return &swapping{Authenticator: m} }},
	{name: "loses a worker with each cancelled call", caughtBy: "Cancel", wrap: newPool},
	{name: "loses a worker with each late call", caughtBy: "Deadline", wrap: newPool},
	{name: "denies what is no credential", caughtBy: "Wire", wire: func(a auth.Authenticator) pb.AuthServer { return newWire(a, nil) }},
	{name: "trims tokens", caughtBy: "Wire", wire: func(a auth.Authenticator) pb.AuthServer { return trimming{newWire(a, nil)} }},
	{name: "logs tokens", caughtBy: "Log", wrap: onAnswer(func(m *model.Authenticator, c auth.Credential, a auth.Answer) (auth.Answer, error) {
		m.Log.Debug("asked", "token", c.Bearer)
		return a, nil
	})},
	{name: "logs the claims of wrong tokens", caughtBy: "Log", wrap: onAnswer(func(m *model.Authenticator, c auth.Credential, a auth.Answer) (auth.Answer, error) {
		if parts := strings.Split(c.Bearer, "."); a.Principal == nil && len(parts) > 1 {
			m.Log.Warn("denied", "claims", parts[1])
		}
		return a, nil
	})},
}

// answering alters answers.
type answering struct {
	*model.Authenticator
	alter func(*model.Authenticator, auth.Credential, auth.Answer) (auth.Answer, error)
}

func (w answering) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	a, err := w.Authenticator.Authenticate(ctx, c)
	if err != nil {
		return a, err
	}
	return w.alter(w.Authenticator, c, a)
}

func onAnswer(alter func(*model.Authenticator, auth.Credential, auth.Answer) (auth.Answer, error)) func(*model.Authenticator) auth.Authenticator {
	return func(m *model.Authenticator) auth.Authenticator { return answering{m, alter} }
}

func onPrincipal(alter func(*auth.Principal)) func(*model.Authenticator) auth.Authenticator {
	return onAnswer(func(_ *model.Authenticator, _ auth.Credential, a auth.Answer) (auth.Answer, error) {
		if a.Principal != nil {
			alter(a.Principal)
		}
		return a, nil
	})
}

// wire is a server in another language: it checks nothing.
type wire struct {
	pb.UnimplementedAuthServer
	authenticator auth.Authenticator
	alter         func(*pb.AuthenticateResponse)
}

func newWire(a auth.Authenticator, alter func(*pb.AuthenticateResponse)) wire {
	return wire{authenticator: a, alter: alter}
}

func (w wire) Authenticate(ctx context.Context, req *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	a, err := w.authenticator.Authenticate(ctx, auth.Credential{Bearer: string(req.GetBearer())})
	if err != nil {
		return nil, fault.ToStatus(err)
	}
	answer := &pb.AuthenticateResponse{Answer: &pb.AuthenticateResponse_Denied{Denied: &pb.AuthDenial{Reason: a.Denied}}}
	if p := a.Principal; p != nil {
		roles := []*pb.AuthRole{}
		for _, r := range p.Roles {
			roles = append(roles, &pb.AuthRole{Name: r.Name, Tenant: &r.Tenant})
		}
		answer.Answer = &pb.AuthenticateResponse_Principal{Principal: &pb.AuthPrincipal{Subject: p.Subject, Issuer: p.Issuer, Roles: roles, Expires: timestamppb.New(p.Expires)}}
	}
	if w.alter != nil {
		w.alter(answer)
	}
	return answer, nil
}

func onWire(alter func(*pb.AuthPrincipal)) func(auth.Authenticator) pb.AuthServer {
	return func(a auth.Authenticator) pb.AuthServer {
		return newWire(a, func(answer *pb.AuthenticateResponse) {
			if p := answer.GetPrincipal(); p != nil {
				alter(p)
			}
		})
	}
}

type repeating struct{ wire }

func (s *repeating) Authenticate(ctx context.Context, req *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	answer, err := s.wire.Authenticate(ctx, req)
	if d := answer.GetDenied(); d != nil {
		d.Reason += ": " + string(req.GetBearer())
	}
	return answer, err
}

type trimming struct{ wire }

func (s trimming) Authenticate(ctx context.Context, req *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	token := strings.Trim(string(req.GetBearer()), "\n\x00")
	if err := (auth.Credential{Bearer: token}).Check(); err != nil {
		return nil, fault.ToStatus(err)
	}
	return s.wire.Authenticate(ctx, &pb.AuthenticateRequest{Credential: &pb.AuthenticateRequest_Bearer{Bearer: []byte(token)}})
}

// remembering answers what it has let in again by a part of the token.
type remembering struct {
	*model.Authenticator
	key   func(token string) string
	mu    sync.Mutex
	known map[string]auth.Answer
}

func (r *remembering) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a, ok := r.known[r.key(c.Bearer)]; ok {
		return a, nil
	}
	a, err := r.Authenticator.Authenticate(ctx, c)
	if a.Principal != nil {
		r.known[r.key(c.Bearer)] = a
	}
	return a, err
}

// tired denies everything after some wrong tokens.
type tired struct {
	*model.Authenticator
	mu    sync.Mutex
	wrong int
}

func (t *tired) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	a, err := t.Authenticator.Authenticate(ctx, c)
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.Denied != "" {
		t.wrong++
	}
	if t.wrong > 5 {
		return auth.Deny("too many wrong tokens"), nil
	}
	return a, err
}

// swapping has room for one token.
type swapping struct {
	*model.Authenticator
	mu   sync.Mutex
	last auth.Credential
}

func (s *swapping) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	s.mu.Lock()
	s.last = c
	s.mu.Unlock()
	time.Sleep(time.Millisecond) // others come in between
	s.mu.Lock()
	c = s.last
	s.mu.Unlock()
	return s.Authenticator.Authenticate(ctx, c)
}

// pool has workers that it does not get back from calls that were given up.
type pool struct {
	*model.Authenticator
	workers chan struct{}
}

func newPool(m *model.Authenticator) auth.Authenticator { return &pool{m, make(chan struct{}, 16)} }

func (p *pool) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	select {
	case p.workers <- struct{}{}:
	case <-ctx.Done():
		return auth.Answer{}, ctx.Err()
	}
	// Work that takes longer than an abandoned call has, and not as long as one that is waited for.
	select {
	case <-time.After(5 * time.Millisecond):
		<-p.workers
		return p.Authenticator.Authenticate(ctx, c)
	case <-ctx.Done():
		return auth.Answer{}, ctx.Err() // and the worker is lost
	}
}
