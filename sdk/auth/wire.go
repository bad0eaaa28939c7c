package auth

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

func credentialToWire(c Credential) *pb.AuthenticateRequest {
	return &pb.AuthenticateRequest{Credential: &pb.AuthenticateRequest_Bearer{Bearer: []byte(c.Bearer)}}
}

// credentialFromWire is empty for a kind that is not known, which Check refuses.
func credentialFromWire(req *pb.AuthenticateRequest) Credential {
	return Credential{Bearer: string(req.GetBearer())}
}

func answerToWire(a *Answer) *pb.AuthenticateResponse {
	p := a.Principal
	if p == nil {
		return &pb.AuthenticateResponse{Answer: &pb.AuthenticateResponse_Denied{Denied: &pb.AuthDenial{Reason: a.Denied}}}
	}
	wire := &pb.AuthPrincipal{Subject: p.Subject, Issuer: p.Issuer, PolicyClass: p.PolicyClass, Expires: timestamppb.New(p.Expires)}
	for _, r := range p.Roles {
		role := &pb.AuthRole{Name: r.Name}
		if r.Tenant != 0 {
			role.Tenant = &r.Tenant
		}
		if r.Namespace != 0 {
			role.Namespace = &r.Namespace
		}
		wire.Roles = append(wire.Roles, role)
	}
	return &pb.AuthenticateResponse{Answer: &pb.AuthenticateResponse_Principal{Principal: wire}}
}

// answerFromWire believes nothing: what it returns has passed Check.
func answerFromWire(wire *pb.AuthenticateResponse, c Credential) (Answer, error) {
	var a Answer
	switch answer := wire.GetAnswer().(type) {
	case *pb.AuthenticateResponse_Denied:
		if a.Denied = answer.Denied.GetReason(); a.Denied == "" {
			return Answer{}, wrong("a denial without a reason")
		}
	case *pb.AuthenticateResponse_Principal:
		p, err := principalFromWire(answer.Principal)
		if err != nil {
			return Answer{}, err
		}
		a.Principal = p
	}
	if err := a.Check(c); err != nil {
		return Answer{}, err
	}
	return a, nil
}

func principalFromWire(wire *pb.AuthPrincipal) (*Principal, error) {
	p := &Principal{Subject: wire.GetSubject(), Issuer: wire.GetIssuer(), PolicyClass: wire.GetPolicyClass()}
	if len(wire.GetRoles()) > MaxRoles {
		return nil, wrong("%d roles, more than %d", len(wire.GetRoles()), MaxRoles)
	}
	for _, r := range wire.GetRoles() {
		// Attack stopped: a plugin that does not know the tenant sends 0, which here would be every tenant.
		if r.Tenant != nil && r.GetTenant() == 0 || r.Namespace != nil && r.GetNamespace() == 0 {
			return nil, wrong("a role in tenant or namespace 0, which do not exist")
		}
		p.Roles = append(p.Roles, Role{Name: r.GetName(), Tenant: r.GetTenant(), Namespace: r.GetNamespace()})
	}
	if expires := wire.GetExpires(); expires != nil {
		if err := expires.CheckValid(); err != nil {
			return nil, wrong("an expiry that is no time")
		}
		p.Expires = expires.AsTime()
	}
	return p, nil
}
