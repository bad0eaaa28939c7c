package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/decision-gate-host/decision-gate-host/sdk/auth"
)

// rsaKeys are two, made once: making one takes long.
var rsaKeys = sync.OnceValue(func() [2]*rsa.PrivateKey {
	var keys [2]*rsa.PrivateKey
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issuer is a real one over HTTP, as far as its keys go, which can be made to misbehave.
type issuer struct {
	URL     string
	fetches atomic.Int64 // of keys

	mu        sync.Mutex
	keys      []any // as JSON has them
	discovery map[string]any
	handle    http.HandlerFunc // instead, when it is not nil
}

// newIssuer serves the public half of a key, named "first".
func newIssuer(t interface{ Cleanup(func()) }, public any) *issuer {
	i := &issuer{}
	server := httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(server.Close)
	i.URL = server.URL
	i.discovery = map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"}
	i.publish(jwk("first", public))
	return i
}

func jwk(id string, public any) jose.JSONWebKey {
	return jose.JSONWebKey{Key: public, KeyID: id, Use: "sig"}
}

func (i *issuer) publish(keys ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

func (i *issuer) misbehave(handle http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.handle = handle
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/keys" {
		i.fetches.Add(1)
	}
	i.mu.Lock()
	handle, keys, discovery := i.handle, i.keys, i.discovery
	i.mu.Unlock()
	switch {
	case handle != nil:
		handle(w, r)
	case r.URL.Path == "/keys":
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
	case r.URL.Path == "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(discovery)
	default:
		http.NotFound(w, r)
	}
}

// config is the plugin's for the issuer.
func (i *issuer) config() map[string]any {
	return map[string]any{
		"issuer": i.URL, "audiences": []string{"decision-gate", "gate"}, "roles_claim": []string{"realm_access", "roles"},
		"role": []map[string]any{
			{"value": "admins", "name": "TenantAdmin", "tenant": 1}, {"value": "admins", "name": "Auditor"},
			{"value": "writers", "name": "NamespaceWriter", "tenant": 1, "namespace": 2},
		},
	}
}

// claims are good ones.
func (i *issuer) claims(subject string, groups ...string) map[string]any {
	return map[string]any{
		"iss": i.URL, "sub": subject, "aud": []string{"other", "gate"}, "exp": time.Now().Add(time.Hour).Unix(),
		"realm_access": map[string]any{"roles": groups},
	}
}

func without(claims map[string]any, name string, value any) map[string]any {
	out := maps.Clone(claims)
	delete(out, name)
	if value != nil {
		out[name] = value
	}
	return out
}

// sign makes a token, whatever the key.
func sign(algorithm jose.SignatureAlgorithm, key any, id string, header map[string]any, claims map[string]any) string {
	options := &jose.SignerOptions{EmbedJWK: id == ownKey}
	for name, value := range header {
		options = options.WithHeader(jose.HeaderKey(name), value)
	}
	signing := jose.SigningKey{Algorithm: algorithm, Key: key}
	if id != "" && id != ownKey {
		signing.Key = jose.JSONWebKey{Key: key, KeyID: id}
	}
	signer, err := jose.NewSigner(signing, options)
	if err != nil {
		panic(err)
	}
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signature, err := signer.Sign(text)
	if err != nil {
		panic(err)
	}
	token, err := signature.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}

// ownKey is the id of a key that a token brings along.
const ownKey = "(own)"

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// unsigned is a token that says that it has no signature.
func unsigned(claims map[string]any) string {
	text, _ := json.Marshal(claims)
	return encode(`{"alg":"none","typ":"JWT"}`) + "." + encode(string(text)) + "."
}

// withPayload is a token with other claims, under the old signature.
func withPayload(token string, claims map[string]any) string {
	parts := strings.Split(token, ".")
	text, _ := json.Marshal(claims)
	return parts[0] + "." + encode(string(text)) + "." + parts[2]
}

func pemOf(key *rsa.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// start opens an authenticator on settings.
func start(t *testing.T, config map[string]any) *authenticator {
	t.Helper()
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	applied, err := plugin.Config.Apply(text)
	if err != nil {
		t.Fatal(err)
	}
	a, err := open(t.Context(), applied)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a.(*authenticator)
}

// outcome is what becomes of a token: a principal, a denial, or an error.
func outcome(t *testing.T, a auth.Authenticator, token string) string {
	t.Helper()
	answer, err := a.Authenticate(t.Context(), auth.Credential{Bearer: token})
	switch {
	case err != nil:
		return "error: " + err.Error()
	case answer.Principal != nil:
		return fmt.Sprint(answer.Principal.Subject, " ", answer.Principal.Roles)
	default:
		return "denied: " + answer.Denied
	}
}
