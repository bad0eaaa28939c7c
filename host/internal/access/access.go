// Package access says who calls and what that caller may do: authentication, principals with their roles, and the rules of
// tools and of the registry of data shapes (mcp contract §3). It answers from its configuration alone: it reads no store
// and asks no server.
//
// Whatever it cannot decide it denies.
package access

import (
	"net/netip"
)

// Method is how a caller was authenticated, as audit records name it (mcp contract §3.2).
type Method string

// The methods.
const (
	Local  Method = "local"
	Bearer Method = "bearer_token"
	MTLS   Method = "mtls_subject"
)

// Credentials are what a request shows of its sender.
type Credentials struct {
	// Stdio: the request came over standard input, whose peer started the host.
	Stdio bool
	// Peer is the address of the connection; it is not valid over standard input.
	Peer netip.Addr
}

// Principal is an authenticated caller.
type Principal struct {
	// ID names the principal, with the type of its name before a colon: local:stdio, local:loopback, token:HEX, mtls:SUBJECT.
	// Without types a certificate for the subject "loopback" would have the roles of local callers.
	ID     string
	Method Method
	// Subject is who the method says it is; empty for tokens.
	Subject string
	// Fingerprint is the lower-case hexadecimal SHA-256 of the token; empty for other methods.
	Fingerprint string
}

// Denial is why a caller was refused. What it says is for the operator; a client is not told.
type Denial struct {
	// Authenticated: the caller is known, but may not. Otherwise it is not known who calls.
	Authenticated bool
	Detail        string
}

func (d *Denial) Error() string {
	if d.Authenticated {
		return "unauthorized: " + d.Detail
	}
	return "unauthenticated: " + d.Detail
}

// Policy is the rules of one host. It is safe for concurrent use.
type Policy struct{}

// New makes a Policy.
func New() *Policy { return &Policy{} }

// Authenticate finds out who calls; exactly one of the results is not nil.
func (p *Policy) Authenticate(c *Credentials) (*Principal, *Denial) {
	switch {
	case c.Stdio:
		return &Principal{ID: "local:stdio", Method: Local, Subject: "stdio"}, nil
	case c.Peer.IsValid() && c.Peer.Unmap().IsLoopback():
		return &Principal{ID: "local:loopback", Method: Local, Subject: "loopback"}, nil
	default:
		return nil, &Denial{Detail: "local-only mode requires loopback access"}
	}
}

// AllowTool says why the principal may not call a tool; nil when it may.
func (p *Policy) AllowTool(_ *Principal, _ string) *Denial { return nil }
