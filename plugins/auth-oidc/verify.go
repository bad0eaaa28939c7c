package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/decision-gate-host/decision-gate-host/sdk"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
)

// algorithms are those that may be allowed: each signs with a key that nobody but the issuer has. Attack stopped: with "none",
// or with the issuer's public key as an HMAC's secret, everybody signs.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// authenticator takes tokens of one issuer.
type authenticator struct {
	settings   *settings
	algorithms []jose.SignatureAlgorithm
	fetcher    *fetcher
	keys       *keySet
	roles      map[string][]auth.Role
}

func open(_ context.Context, config json.RawMessage) (auth.Authenticator, error) {
	s, err := readSettings(config)
	if err != nil {
		return nil, err
	}
	a := &authenticator{settings: s, roles: map[string][]auth.Role{}}
	for _, name := range s.Algorithms {
		a.algorithms = append(a.algorithms, jose.SignatureAlgorithm(name))
	}
	for _, r := range s.Roles {
		a.roles[r.Value] = append(a.roles[r.Value], auth.Role{Name: r.Name, Tenant: r.Tenant, Namespace: r.Namespace})
	}
	if a.fetcher, err = newFetcher(s); err != nil {
		return nil, err
	}
	a.keys = newKeySet(s, a.fetcher.keys, sdk.Logger())
	return a, nil
}

// Close implements auth.Authenticator.
func (a *authenticator) Close() error {
	a.keys.close()
	a.fetcher.close()
	return nil
}

// Health implements sdk.HealthChecker.
func (a *authenticator) Health(ctx context.Context) error { return a.keys.ready(ctx) }

// types are what a token that is shown to a service may call itself (RFC 9068). Attack stopped: show what the issuer has signed
// for another purpose, such as a logout token.
var types = map[string]bool{"": true, "jwt": true, "at+jwt": true, "application/at+jwt": true}

// Authenticate implements auth.Authenticator.
func (a *authenticator) Authenticate(ctx context.Context, c auth.Credential) (auth.Answer, error) {
	token, err := jwt.ParseSigned(c.Bearer, a.algorithms)
	if err != nil || len(token.Headers) != 1 {
		return auth.Deny("it is no JSON web token that is signed with an allowed algorithm"), nil
	}
	header := &token.Headers[0]
	if typ, _ := header.ExtraHeaders[jose.HeaderType].(string); !types[strings.ToLower(typ)] {
		return auth.Deny("it is a JSON web token of another type"), nil
	}
	keys, err := a.keys.named(ctx, header.KeyID)
	if err != nil {
		return auth.Answer{}, err
	}
	if len(keys) == 0 {
		return auth.Deny("the issuer has no key with the id that the token names"), nil
	}
	for i := range keys {
		var standard jwt.Claims
		var claims map[string]any
		if keys[i].Algorithm != "" && keys[i].Algorithm != header.Algorithm {
			continue
		}
		if token.Claims(keys[i].Key, &standard, &claims) == nil {
			return a.judge(c, &standard, claims), nil
		}
	}
	return auth.Deny("the signature is not one of the issuer's"), nil
}

// reasons are what is told of claims that are wrong.
var reasons = []struct {
	err    error
	reason string
}{
	{jwt.ErrInvalidIssuer, "another issuer"},
	{jwt.ErrInvalidAudience, "it is for another audience"},
	{jwt.ErrNotValidYet, "it is not valid yet"},
	{jwt.ErrExpired, "it has expired"},
	{jwt.ErrIssuedInTheFuture, "it was issued in the future"},
}

// judge looks at what a token says that the issuer has signed.
func (a *authenticator) judge(c auth.Credential, standard *jwt.Claims, claims map[string]any) auth.Answer {
	skew := time.Duration(a.settings.ClockSkew)
	if standard.Expiry == nil {
		return auth.Deny("it never expires")
	}
	expected := jwt.Expected{Issuer: a.settings.Issuer, AnyAudience: a.settings.Audiences, Time: a.keys.now()}
	if err := standard.ValidateWithLeeway(expected, skew); err != nil {
		for _, r := range reasons {
			if errors.Is(err, r.err) {
				return auth.Deny(r.reason)
			}
		}
		return auth.Deny("its claims are wrong")
	}
	answer := auth.Answer{Principal: &auth.Principal{
		Subject: standard.Subject, Issuer: a.settings.Issuer, PolicyClass: a.settings.PolicyClass,
		Roles: a.rolesOf(claims), Expires: a.expires(standard.Expiry.Time().Add(skew)),
	}}
	if err := answer.Check(c); err != nil {
		return auth.Deny("its subject is missing, or cannot be used")
	}
	return answer
}

// maxAnswer is how long an answer holds at most: an issuer may write an expiry that no clock can show.
const maxAnswer = time.Hour

func (a *authenticator) expires(end time.Time) time.Time {
	if latest := a.keys.now().Add(maxAnswer); end.After(latest) {
		return latest
	}
	return end
}

// rolesOf are the roles that the configuration gives the values of the claim. A claim of another form gives none.
func (a *authenticator) rolesOf(claims map[string]any) (roles []auth.Role) {
	var value any = claims
	for _, name := range a.settings.RolesClaim {
		inner, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = inner[name]
	}
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	seen := map[string]bool{}
	for _, v := range values {
		if name, ok := v.(string); ok && !seen[name] {
			seen[name] = true
			roles = append(roles, a.roles[name]...)
		}
	}
	return roles
}
