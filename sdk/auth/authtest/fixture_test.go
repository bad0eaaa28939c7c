package authtest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth/authtest/internal/model"
)

// forge makes tokens for the model.
type forge struct {
	public  ed25519.PublicKey
	private ed25519.PrivateKey
}

func newForge(t T) *forge {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return &forge{public, private}
}

func (f *forge) sign(key ed25519.PrivateKey, header map[string]any, c model.Claims) string {
	text := model.Encode(header) + "." + model.Encode(c)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, []byte(text)))
}

var eddsa = map[string]any{"alg": "EdDSA", "kid": "the-only-key"}

// fixture has a good token of each of two people, and one for every attack.
func (f *forge) fixture(t T) Fixture {
	hour := time.Now().Add(time.Hour).Unix()
	alice := model.Claims{Subject: "alice", Issuer: model.Issuer, Audience: model.Audience, Expires: hour, Roles: []string{"TenantAdmin"}}
	bob := alice
	bob.Subject, bob.Roles = "bob", nil
	good := func(c model.Claims) Good { return Good{f.sign(f.private, eddsa, c), *c.Principal()} }
	altered := func(alter func(*model.Claims)) string {
		c := alice
		alter(&c)
		return f.sign(f.private, eddsa, c)
	}
	other := newForge(t)
	signed := good(alice).Token
	secret := model.Encode(map[string]any{"alg": "HS256"}) + "." + model.Encode(alice)
	mac := hmac.New(sha256.New, f.public)
	mac.Write([]byte(secret))
	return Fixture{
		Config: map[string]any{"key": f.public},
		Good:   []Good{good(alice), good(bob)},
		Bad: map[Attack]string{
			Expired:           altered(func(c *model.Claims) { c.Expires = time.Now().Add(-time.Hour).Unix() }),
			NotYetValid:       altered(func(c *model.Claims) { c.NotBefore = hour - 60 }),
			NoExpiry:          altered(func(c *model.Claims) { c.Expires = 0 }),
			OtherAudience:     altered(func(c *model.Claims) { c.Audience = "another-service" }),
			NoAudience:        altered(func(c *model.Claims) { c.Audience = "" }),
			OtherIssuer:       altered(func(c *model.Claims) { c.Issuer = "https://evil.example" }),
			OtherKey:          other.sign(other.private, map[string]any{"alg": "EdDSA", "kid": "mine"}, alice),
			SameKeyID:         other.sign(other.private, eddsa, alice),
			Unsigned:          model.Encode(map[string]any{"alg": "none"}) + "." + model.Encode(alice) + ".",
			PublicKeyAsSecret: secret + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)),
			OwnKey:            other.sign(other.private, map[string]any{"alg": "EdDSA", "jwk": map[string]any{"kty": "OKP", "crv": "Ed25519", "x": other.public}}, alice),
			Tampered:          signed[:len(model.Encode(eddsa))+1] + model.Encode(bob) + signed[len(signed)-87:],
			NoSubject:         altered(func(c *model.Claims) { c.Subject = "" }),
		},
	}
}
