package main

import (
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
	"github.com/decision-gate-host/decision-gate-host/sdk/auth/authtest"
)

func TestConformance(t *testing.T) {
	authtest.Test(t, authtest.Plugin{Package: ".", Fixture: fixture})
}

// fixture has good tokens of two people, and the token of every attack.
func fixture(t authtest.T, _ string) authtest.Fixture {
	key, other := rsaKeys()[0], rsaKeys()[1]
	i := newIssuer(t, key.Public())
	signed := func(claims map[string]any) string { return sign(jose.RS256, key, "first", nil, claims) }
	alice, bob := i.claims("alice", "admins", "unknown"), i.claims("bob")
	good := func(claims map[string]any, roles ...auth.Role) authtest.Good {
		// The plugin lets a token in for as long as the issuer's clock may be off.
		expires := time.Unix(claims["exp"].(int64), 0).Add(30 * time.Second)
		return authtest.Good{Token: signed(claims), Want: auth.Principal{Subject: claims["sub"].(string), Issuer: i.URL, Roles: roles, Expires: expires}}
	}
	ago := time.Now().Add(-time.Hour).Unix()
	return authtest.Fixture{
		Config: i.config(),
		Good:   []authtest.Good{good(alice, auth.Role{Name: "TenantAdmin", Tenant: 1}, auth.Role{Name: "Auditor"}), good(bob)},
		Bad: map[authtest.Attack]string{
			authtest.Expired:           signed(without(alice, "exp", ago)),
			authtest.NotYetValid:       signed(without(alice, "nbf", time.Now().Add(10*time.Minute).Unix())),
			authtest.NoExpiry:          signed(without(alice, "exp", nil)),
			authtest.OtherAudience:     signed(without(alice, "aud", "another-service")),
			authtest.NoAudience:        signed(without(alice, "aud", nil)),
			authtest.OtherIssuer:       signed(without(alice, "iss", "https://evil.example")),
			authtest.OtherKey:          sign(jose.RS256, other, "mine", nil, alice),
			authtest.SameKeyID:         sign(jose.RS256, other, "first", nil, alice),
			authtest.Unsigned:          unsigned(alice),
			authtest.PublicKeyAsSecret: sign(jose.HS256, pemOf(&key.PublicKey), "first", nil, alice),
			authtest.OwnKey:            sign(jose.RS256, other, ownKey, nil, alice),
			authtest.Tampered:          withPayload(signed(bob), alice),
			authtest.NoSubject:         signed(without(alice, "sub", nil)),
		},
	}
}
