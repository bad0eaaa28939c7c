// Package model is an authenticator that keeps every promise, for the tests of the kit: it takes JSON web tokens that one
// Ed25519 key has signed.
package model

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// The issuer and the audience of good tokens.
const (
	Issuer   = "https://issuer.example"
	Audience = "decision-gate"
)

// Rule is something that a token is denied for.
type Rule string

// The rules.
const (
	Algorithm Rule = "algorithm"
	Signature Rule = "signature"
	IssuedBy  Rule = "issuer"
	MadeFor   Rule = "audience"
	Ended     Rule = "expiry"
	Begun     Rule = "begin"
	Named     Rule = "subject"
)

// Authenticator is the model.
type Authenticator struct {
	Key ed25519.PublicKey `json:"key"`
	// Forgets is a rule that a wrong authenticator does not keep; empty in the model.
	Forgets Rule `json:"forgets"`
	// Log gets what a wrong authenticator tells; the model tells nothing.
	Log *slog.Logger `json:"-"`
}

// Claims are what a token says.
type Claims struct {
	Subject   string   `json:"sub,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Audience  string   `json:"aud,omitempty"`
	Expires   int64    `json:"exp,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	Roles     []string `json:"roles,omitempty"`
}

var encoding = base64.RawURLEncoding.Strict()

// Encode is a part of a token.
func Encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return encoding.EncodeToString(text)
}

// Decode reads a part of a token.
func Decode(part string, v any) bool {
	text, err := encoding.DecodeString(part)
	return err == nil && json.Unmarshal(text, v) == nil
}

// Authenticate implements auth.Authenticator.
func (m *Authenticator) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	if err := ctx.Err(); err != nil {
		return auth.Answer{}, fault.Wrap(fault.ReasonOf(err), err, "the call has ended")
	}
	parts := strings.Split(c.Bearer, ".")
	if len(parts) != 3 {
		return auth.Deny("it is no token"), nil
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims Claims
	if !Decode(parts[0], &header) || !Decode(parts[1], &claims) {
		return auth.Deny("it is no token"), nil
	}
	signature, err := encoding.DecodeString(parts[2])
	if err != nil {
		return auth.Deny("its signature cannot be read"), nil
	}
	unsigned := m.Forgets == Algorithm && header.Algorithm == "none"
	now := time.Now().Unix()
	for rule, kept := range map[Rule]bool{
		Algorithm: header.Algorithm == "EdDSA",
		Signature: unsigned || ed25519.Verify(m.Key, []byte(parts[0]+"."+parts[1]), signature),
		IssuedBy:  claims.Issuer == Issuer,
		MadeFor:   claims.Audience == Audience,
		Ended:     now < claims.Expires,
		Begun:     now >= claims.NotBefore,
		Named:     claims.Subject != "",
	} {
		if !kept && m.Forgets != rule {
			return auth.Deny("the " + string(rule) + " of the token is wrong"), nil
		}
	}
	return auth.Answer{Principal: claims.Principal()}, nil
}

// Close implements auth.Authenticator.
func (*Authenticator) Close() error { return nil }

// Principal is whose a good token is.
func (c *Claims) Principal() *auth.Principal {
	p := &auth.Principal{Subject: c.Subject, Issuer: Issuer, Expires: time.Unix(c.Expires, 0)}
	for _, name := range c.Roles {
		p.Roles = append(p.Roles, auth.Role{Name: name, Tenant: 1})
	}
	return p
}
