package main

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

// TestTokens is what becomes of tokens that the kit has none of.
func TestTokens(t *testing.T) {
	key := ecKey(t)
	i := newIssuer(t, key.Public())
	a := start(t, i.config())
	alice := i.claims("alice", "admins")
	signed := func(claims map[string]any) string { return sign(jose.ES256, key, "first", nil, claims) }
	typed := func(typ string) string {
		return sign(jose.ES256, key, "first", map[string]any{"typ": typ}, alice)
	}
	now := time.Now().Unix()
	const all = "alice [{TenantAdmin 1 0} {Auditor 0 0}]"
	for name, test := range map[string]struct{ token, want string }{
		"good":                       {signed(alice), all},
		"one audience":               {signed(without(alice, "aud", "gate")), all},
		"an access token by type":    {typed("at+JWT"), all},
		"a logout token":             {typed("logout+jwt"), "denied: it is a JSON web token of another type"},
		"within the skew, expired":   {signed(without(alice, "exp", now-10)), all},
		"within the skew, too early": {signed(without(alice, "nbf", now+10)), all},
		"beyond the skew, expired":   {signed(without(alice, "exp", now-40)), "denied: it has expired"},
		"beyond the skew, too early": {signed(without(alice, "nbf", now+60)), "denied: it is not valid yet"},
		"issued in the future":       {signed(without(alice, "iat", now+600)), "denied: it was issued in the future"},
		"an expiry that is a text":   {signed(without(alice, "exp", "never")), "denied: the signature is not one of the issuer's"},
		"an issuer with a slash":     {signed(without(alice, "iss", i.URL+"/")), "denied: another issuer"},
		"an audience in other case":  {signed(without(alice, "aud", "Gate")), "denied: it is for another audience"},
		"no roles":                   {signed(without(alice, "realm_access", nil)), "alice []"},
		"roles that are a text":      {signed(without(alice, "realm_access", map[string]any{"roles": "writers"})), "alice [{NamespaceWriter 1 2}]"},
		"roles that are no texts":    {signed(without(alice, "realm_access", map[string]any{"roles": []any{1, nil, map[string]any{"admins": 1}}})), "alice []"},
		"the claim is a text":        {signed(without(alice, "realm_access", "roles")), "alice []"},
		"a role twice":               {signed(without(alice, "realm_access", map[string]any{"roles": []string{"writers", "writers"}})), "alice [{NamespaceWriter 1 2}]"},
		"a role in other case":       {signed(without(alice, "realm_access", map[string]any{"roles": []string{"Admins"}})), "alice []"},
		"a subject with a newline":   {signed(without(alice, "sub", "alice\n")), "denied: its subject is missing, or cannot be used"},
		"a subject that is long":     {signed(without(alice, "sub", strings.Repeat("x", 600))), "denied: its subject is missing, or cannot be used"},
		"without key id, of one key": {sign(jose.ES256, key, "", nil, alice), all},
		"a critical header":          {sign(jose.ES256, key, "first", map[string]any{"crit": []string{"x"}, "x": 1}, alice), "denied: "},
	} {
		if got := outcome(t, a, test.token); !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	// An expiry that no clock can show is cut.
	if got := outcome(t, a, signed(without(alice, "exp", int64(1)<<52))); got != all {
		t.Error(got)
	}
	i.publish(jwk("first", key.Public()), jwk("second", ecKey(t).Public()))
	b := start(t, i.config())
	// Attack: leave the id out, and have every key tried.
	if got := outcome(t, b, sign(jose.ES256, key, "", nil, alice)); !strings.HasPrefix(got, "denied: ") {
		t.Error(got)
	}
}

// TestKeysForOtherUses does not take a key for what the issuer does not publish it for.
func TestKeysForOtherUses(t *testing.T) {
	key, fallback := ecKey(t), ecKey(t)
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	good := jwk("first", key.Public())
	encryption, algorithm := good, good
	encryption.Use, algorithm.Algorithm = "enc", "ES384"
	for name, test := range map[string]struct {
		published any
		token     func(claims map[string]any) string
	}{
		// Attack: sign with a key that is only there to encrypt.
		"for encryption":        {encryption, func(c map[string]any) string { return sign(jose.ES256, key, "first", nil, c) }},
		"for another algorithm": {algorithm, func(c map[string]any) string { return sign(jose.ES256, key, "first", nil, c) }},
		// Attack: an issuer that publishes a shared secret by mistake.
		"a shared secret": {jose.JSONWebKey{Key: []byte("0123456789abcdef0123456789abcdef"), KeyID: "first"}, func(c map[string]any) string {
			return sign(jose.HS256, []byte("0123456789abcdef0123456789abcdef"), "first", nil, c)
		}},
		// Attack: use an algorithm that the operator has not allowed.
		"an algorithm that is not allowed": {jwk("first", edwards.Public()), func(c map[string]any) string { return sign(jose.EdDSA, edwards, "first", nil, c) }},
	} {
		i := newIssuer(t, key.Public())
		// The other key is there so that the set is not empty.
		i.publish(test.published, jwk("other", fallback.Public()))
		a := start(t, i.config())
		if got := outcome(t, a, test.token(i.claims("alice", "admins"))); !strings.HasPrefix(got, "denied: ") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestSettings(t *testing.T) {
	good := map[string]any{"issuer": "https://issuer.example", "audiences": []string{"gate"}}
	many := make([]map[string]any, 129)
	for i := range many {
		many[i] = map[string]any{"value": fmt.Sprint(i), "name": "x"}
	}
	for name, test := range map[string]struct {
		attribute string
		value     any
		want      string
	}{
		"good":                   {"issuer", "https://issuer.example/tenant/", ""},
		"loopback":               {"issuer", "http://127.0.0.1:5556/dex", ""},
		"loopback by name":       {"issuer", "http://localhost:5556", ""},
		"plain HTTP":             {"issuer", "http://issuer.example", "config issuer: want https"},
		"plain HTTP, nearly":     {"issuer", "http://127.0.0.1.evil.example", "config issuer: want https"},
		"another scheme":         {"issuer", "file:///etc/passwd", "config issuer: want a URL"},
		"a user":                 {"issuer", "https://user:secret@issuer.example", "config issuer: want a URL"},
		"a fragment":             {"issuer", "https://issuer.example#x", "config issuer: want a URL"},
		"a query":                {"issuer", "https://issuer.example?x", "config issuer: an issuer has no query"},
		"no audience":            {"audiences", []string{}, "config audiences: want at least one"},
		"a blank audience":       {"audiences", []string{" "}, "config audiences: want at least one"},
		"no algorithm":           {"algorithms", []string{}, "config algorithms: want at least one"},
		"unsigned":               {"algorithms", []string{"none"}, "config algorithms: want one of"},
		"a shared secret":        {"algorithms", []string{"HS256"}, "config algorithms: want one of"},
		"keys over plain HTTP":   {"jwks_uri", "http://issuer.example/keys", "config jwks_uri: want https"},
		"keys of this machine":   {"jwks_uri", "http://127.0.0.1/keys", "config jwks_uri: want https"},
		"no path to the roles":   {"roles_claim", []string{}, "config roles_claim: want at least one"},
		"too much skew":          {"clock_skew", "1h", "config clock_skew: want at most 5m"},
		"keys that end too soon": {"keep", "10s", "config keep: want at least what refresh is"},
		"a file that is not":     {"ca_file", "/nonexistent", "config ca_file: the file cannot be read"},
		"a file that is none":    {"ca_file", "/dev/null", "config ca_file: it holds no certificate"},
		"a role of tenant 0":     {"role", []map[string]any{{"value": "v", "name": "n", "tenant": 0}}, "config role[0].tenant: want at least 1"},
		"a role without name":    {"role", []map[string]any{{"value": "v", "name": " "}}, "config role[0]: value and name"},
		"too many roles":         {"role", many, "config role: there are 129 blocks"},
	} {
		text, err := json.Marshal(without(good, test.attribute, test.value))
		if err != nil {
			t.Fatal(err)
		}
		applied, err := plugin.Config.Apply(text)
		if err == nil {
			_, err = open(t.Context(), applied)
		}
		if test.want == "" && err != nil || test.want != "" && (!fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}
