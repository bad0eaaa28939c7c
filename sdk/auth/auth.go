// Package auth is what an auth plugin implements: somebody who knows, of a credential that a caller shows, whose it is.
//
// An authenticator says who calls and which roles they have; what a role may do is the host's to decide. The words MUST and
// MUST NOT below are asserted by the conformance kit in package authtest.
package auth

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// Limits of the protocol, in bytes. A larger answer is no answer: the caller is refused.
const (
	// MaxToken is the size of the longest bearer token: a header is not read beyond it.
	MaxToken = 8192
	// MaxSubject is the size of the longest subject and of the longest issuer. They are part of every audit record.
	MaxSubject = 512
	// MaxRoles is the number of roles that a principal may have.
	MaxRoles = 128
	// MaxRole is the size of the longest name of a role.
	MaxRole = 255
	// MaxReason is the size of the longest reason of a denial.
	MaxReason = 1024
)

// Authenticator judges credentials. All calls are safe for concurrent use and honour the context, whose deadline is the
// host's.
type Authenticator interface {
	// Authenticate says whose a credential is. A credential that is not good MUST be denied, which is an answer. An error says
	// that nobody can tell now, such as fault.Unavailable while keys cannot be fetched: whoever calls is refused then, too.
	//
	// The answer MUST depend on the credential alone and on what is known of it elsewhere, never on another call. Neither an
	// answer, nor the message of an error, nor a line of the log may hold the credential or a part of it.
	Authenticate(ctx context.Context, c Credential) (Answer, error)

	// Close ends the authenticator.
	Close() error
}

// Credential is what a caller shows. More kinds may be added, each a field of its own: exactly one is set.
type Credential struct {
	// Bearer is the token of an Authorization header, without its scheme: printable ASCII, at most MaxToken bytes.
	Bearer string
}

// String and GoString keep the credential out of logs.
func (Credential) String() string { return "(credential)" }

// GoString is String.
func (c Credential) GoString() string { return c.String() }

// Check says what is wrong with a credential, nil when it is one. It quotes nothing of it.
func (c Credential) Check() error {
	switch {
	case c.Bearer == "":
		return fault.New(fault.Invalid, "there is no credential of a kind that this plugin knows")
	case len(c.Bearer) > MaxToken:
		return fault.New(fault.Invalid, "a token of %d bytes, more than %d", len(c.Bearer), MaxToken)
	case strings.ContainsFunc(c.Bearer, func(r rune) bool { return r < ' ' || r > '~' }):
		return fault.New(fault.Invalid, "a token that is not printable ASCII")
	default:
		return nil
	}
}

// Answer is what is known of a credential: a principal, or why there is none. Exactly one is set.
type Answer struct {
	Principal *Principal
	// Denied is why the credential lets nobody in, for the operator: the caller is not told. It MUST NOT hold the credential.
	Denied string
}

// Deny is an answer that lets nobody in.
func Deny(reason string) Answer { return Answer{Denied: reason} }

// Principal is who calls.
type Principal struct {
	// Subject is who it is among those of the issuer. It MUST NOT be empty, nor be given to two.
	Subject string
	// Issuer is who vouches for the subject, such as the URL of an identity provider. It MUST NOT be empty, nor hold a "#".
	Issuer string
	Roles  []Role
	// PolicyClass is prod, project or scratch, or empty where none is given.
	PolicyClass string
	// Expires is until when the answer holds, which MUST NOT be later than the credential itself does.
	Expires time.Time
}

// Role is a role and where it applies: 0 is everywhere.
type Role struct {
	Name              string
	Tenant, Namespace uint64
}

// Check says what a host refuses in an answer to a credential, nil when it is fine. It quotes nothing of the answer.
func (a *Answer) Check(c Credential) error {
	switch {
	case a.Principal == nil && a.Denied == "":
		return wrong("neither a principal nor a reason to deny one")
	case a.Principal != nil && a.Denied != "":
		return wrong("a principal and a reason to deny one")
	case a.Principal != nil:
		return a.Principal.check(c)
	case len(a.Denied) > MaxReason:
		return wrong("a reason of %d bytes, more than %d", len(a.Denied), MaxReason)
	case !printable(a.Denied):
		return wrong("a reason that is not printable text")
	case Leaks(a.Denied, c):
		return wrong("a reason that holds the credential")
	default:
		return nil
	}
}

// policyClasses are those that there are; empty is none.
var policyClasses = map[string]bool{"": true, "prod": true, "project": true, "scratch": true}

func (p *Principal) check(c Credential) error {
	for _, text := range []struct{ name, value string }{{"a subject", p.Subject}, {"an issuer", p.Issuer}} {
		switch {
		case strings.TrimSpace(text.value) == "":
			return wrong("%s that is blank", text.name)
		case len(text.value) > MaxSubject:
			return wrong("%s of %d bytes, more than %d", text.name, len(text.value), MaxSubject)
		case !printable(text.value):
			return wrong("%s that is not printable text", text.name)
		case Leaks(text.value, c):
			return wrong("%s that holds the credential", text.name)
		}
	}
	switch {
	case strings.Contains(p.Issuer, "#"):
		// Attack stopped: issuer "a" with subject "b#c" and issuer "a#b" with subject "c" would be one principal.
		return wrong("an issuer with a #")
	case !policyClasses[p.PolicyClass]:
		return wrong("a policy class that does not exist")
	case p.Expires.IsZero():
		return wrong("a principal without expiry")
	case len(p.Roles) > MaxRoles:
		return wrong("%d roles, more than %d", len(p.Roles), MaxRoles)
	}
	for _, r := range p.Roles {
		if strings.TrimSpace(r.Name) == "" || len(r.Name) > MaxRole || !printable(r.Name) || Leaks(r.Name, c) {
			return wrong("a role whose name is blank, longer than %d bytes, or not printable text", MaxRole)
		}
	}
	return nil
}

// printable keeps what moves a terminal's cursor, or reads backwards, out of logs and audit records.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// minSecret is the length in bytes from which a part of a token counts as a secret: a shorter one is in any text.
const minSecret = 16

// Leaks reports whether a text holds a credential, or one of the parts of a token that dots separate.
func Leaks(text string, c Credential) bool {
	if len(c.Bearer) < minSecret {
		return false
	}
	holds := func(part string) bool { return len(part) >= minSecret && strings.Contains(text, part) }
	return holds(c.Bearer) || slices.ContainsFunc(strings.Split(c.Bearer, "."), holds)
}

// wrong is the error of an answer that the protocol does not allow.
func wrong(format string, args ...any) error {
	return fault.New(fault.Internal, "the auth plugin broke the protocol: it answered "+format, args...)
}
