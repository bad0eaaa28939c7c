package authtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
)

// attackNames are the attacks by their names in a file.
var attackNames = map[string]Attack{
	"expired": Expired, "not_yet_valid": NotYetValid, "no_expiry": NoExpiry, "other_audience": OtherAudience, "no_audience": NoAudience,
	"other_issuer": OtherIssuer, "other_key": OtherKey, "same_key_id": SameKeyID, "unsigned": Unsigned,
	"public_key_as_secret": PublicKeyAsSecret, "own_key": OwnKey, "tampered": Tampered, "no_subject": NoSubject,
}

// tokens is a Fixture without its configuration, and Plugin.Lacks, as JSON.
type tokens struct {
	Good []struct {
		Token       string    `json:"token"`
		Subject     string    `json:"subject"`
		Issuer      string    `json:"issuer"`
		PolicyClass string    `json:"policy_class"`
		Expires     time.Time `json:"expires"`
		Roles       []struct {
			Name      string `json:"name"`
			Tenant    uint64 `json:"tenant"`
			Namespace uint64 `json:"namespace"`
		} `json:"roles"`
	} `json:"good"`
	Bad   map[string]string `json:"bad"`
	Lacks map[string]string `json:"lacks"`
}

// ReadTokens reads the tokens of a fixture, and what they lack, from JSON, for whoever runs the kit without "go test":
//
//	{"good": [{"token": "…", "subject": "alice", "issuer": "https://id.example", "expires": "2030-01-01T00:00:00Z", "roles": [{"name": "TenantAdmin"}]}],
//	 "bad": {"expired": "…"}, "lacks": {"own_key": "tokens here name no key"}}
//
// Errors name members and quote no token.
func ReadTokens(text []byte) (Fixture, map[Attack]string, error) {
	var read tokens
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return Fixture{}, nil, fmt.Errorf("the tokens are not in the form that package authtest tells: %w", err)
	}
	f := Fixture{Bad: map[Attack]string{}}
	for _, g := range read.Good {
		want := auth.Principal{Subject: g.Subject, Issuer: g.Issuer, PolicyClass: g.PolicyClass, Expires: g.Expires}
		for _, r := range g.Roles {
			want.Roles = append(want.Roles, auth.Role(r))
		}
		f.Good = append(f.Good, Good{g.Token, want})
	}
	lacks := map[Attack]string{}
	for from, to := range map[*map[string]string]map[Attack]string{&read.Bad: f.Bad, &read.Lacks: lacks} {
		for name, text := range *from {
			attack, known := attackNames[name]
			if !known {
				return Fixture{}, nil, fmt.Errorf("the tokens name the attack %q, which the kit does not know", name)
			}
			to[attack] = text
		}
	}
	return f, lacks, nil
}
