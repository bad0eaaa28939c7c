package access

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const subjectHeader = "x-decision-gate-client-subject"

// certificate is one for a subject, as a listener would have verified it.
func certificate(t testing.TB, subject pkix.Name) *x509.Certificate {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func named(t testing.TB, commonName string) *x509.Certificate {
	return certificate(t, pkix.Name{CommonName: commonName})
}

// shown is what a request shows: headers in pairs, its peer and a verified certificate.
type shown struct {
	headers []string
	peer    string
	cert    *x509.Certificate
}

func (s *shown) request() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/rpc", nil)
	r.RemoteAddr = s.peer
	for i := 0; i < len(s.headers); i += 2 {
		r.Header.Add(s.headers[i], s.headers[i+1])
	}
	if s.cert != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{s.cert}, VerifiedChains: [][]*x509.Certificate{{s.cert}}}
	}
	return r
}

func id(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "token:" + hex.EncodeToString(sum[:])
}

// outcome is the id of a principal, or the text of a denial.
func outcome(who *Principal, denial *Denial) string {
	if denial != nil {
		return denial.Error()
	}
	return who.ID
}

const (
	here  = "127.0.0.1:1"
	there = "192.0.2.1:1"
)

func TestAuthenticate(t *testing.T) {
	alice, loopback, proxy := named(t, "alice"), named(t, "loopback"), named(t, "proxy")
	local := Options{Local: true}
	bearer := Options{Tokens: []string{"secret", "other", "in ner"}}
	mtls := Options{Subjects: []string{"CN=alice", "loopback", "CN=proxy"}}
	trusting := Options{Subjects: mtls.Subjects, Proxy: Loopback}
	proxied := Options{Subjects: mtls.Subjects, Proxy: "CN=proxy"}
	all := Options{Local: true, Tokens: bearer.Tokens, Subjects: mtls.Subjects, Proxy: Loopback}
	auth := func(values ...string) (headers []string) {
		for _, v := range values {
			headers = append(headers, "Authorization", v)
		}
		return headers
	}
	subject := func(values ...string) (headers []string) {
		for _, v := range values {
			headers = append(headers, subjectHeader, v)
		}
		return headers
	}
	long := "Bearer " + strings.Repeat("a", maxAuthorization-len("Bearer "))
	for name, test := range map[string]struct {
		options Options
		shown   shown
		want    string
	}{
		"nothing is configured":     {Options{}, shown{peer: here}, "unauthenticated: local-only mode requires loopback access"},
		"loopback":                  {local, shown{peer: here}, "local:loopback"},
		"loopback of IPv6":          {local, shown{peer: "[::1]:1"}, "local:loopback"},
		"loopback mapped to IPv6":   {local, shown{peer: "[::ffff:127.0.0.1]:1"}, "local:loopback"},
		"another machine":           {local, shown{peer: there}, "unauthenticated: local-only mode requires loopback access"},
		"a peer without address":    {local, shown{peer: "@"}, "unauthenticated: local-only mode requires loopback access"},
		"headers beside local":      {local, shown{peer: here, headers: append(auth("Bearer x"), subject("CN=alice")...)}, "local:loopback"},
		"forwarded for":             {local, shown{peer: there, headers: []string{"X-Forwarded-For", "127.0.0.1", "Forwarded", "for=127.0.0.1", "X-Real-IP", "127.0.0.1"}}, "unauthenticated: local-only mode requires loopback access"},
		"bearer alone, of loopback": {bearer, shown{peer: here}, "unauthenticated: missing authorization"},

		"token":                    {bearer, shown{peer: there, headers: auth("Bearer secret")}, id("secret")},
		"the last token":           {bearer, shown{peer: there, headers: auth("Bearer other")}, id("other")},
		"scheme in other letters":  {bearer, shown{peer: there, headers: auth("bEARER secret")}, id("secret")},
		"spaces":                   {bearer, shown{peer: there, headers: auth("  Bearer   secret \t")}, id("secret")},
		"space inside":             {bearer, shown{peer: there, headers: auth("Bearer in ner")}, id("in ner")},
		"tab as separator":         {bearer, shown{peer: there, headers: auth("Bearer\tsecret")}, "unauthenticated: invalid authorization header"},
		"wrong token":              {bearer, shown{peer: there, headers: auth("Bearer secre")}, "unauthenticated: invalid bearer token"},
		"token and more":           {bearer, shown{peer: there, headers: auth("Bearer secret, Bearer x")}, "unauthenticated: invalid bearer token"},
		"other scheme":             {bearer, shown{peer: there, headers: auth("Basic secret")}, "unauthenticated: invalid authorization header"},
		"scheme alone":             {bearer, shown{peer: there, headers: auth("Bearer")}, "unauthenticated: invalid authorization header"},
		"no token":                 {bearer, shown{peer: there, headers: auth("Bearer  ")}, "unauthenticated: invalid authorization header"},
		"empty header":             {bearer, shown{peer: there, headers: auth("")}, "unauthenticated: invalid authorization header"},
		"not ASCII":                {bearer, shown{peer: there, headers: auth("Bearer secr\xe9t")}, "unauthenticated: missing authorization"},
		"8 KiB":                    {bearer, shown{peer: there, headers: auth(long)}, "unauthenticated: invalid bearer token"},
		"8 KiB and a byte":         {bearer, shown{peer: there, headers: auth(long + "a")}, "unauthenticated: authorization header too large"},
		"two headers, first good":  {bearer, shown{peer: there, headers: auth("Bearer secret", "Bearer x")}, id("secret")},
		"two headers, first wrong": {bearer, shown{peer: there, headers: auth("Bearer x", "Bearer secret")}, "unauthenticated: invalid bearer token"},
		"hundreds of headers":      {bearer, shown{peer: there, headers: auth(append(strings.Split(strings.Repeat("Bearer x,", 500), ","), "Bearer secret")...)}, "unauthenticated: invalid bearer token"},

		"certificate":                           {mtls, shown{peer: there, cert: alice}, "mtls:CN=alice"},
		"certificate of another":                {mtls, shown{peer: there, cert: loopback}, "unauthorized: client subject not authorized"},
		"no certificate":                        {mtls, shown{peer: here}, "unauthenticated: missing mTLS client subject"},
		"header without proxy":                  {mtls, shown{peer: here, headers: subject("CN=alice")}, "unauthenticated: missing mTLS client subject"},
		"header beside a certificate":           {mtls, shown{peer: there, cert: loopback, headers: subject("CN=alice")}, "unauthorized: client subject not authorized"},
		"bearer where none is asked for":        {mtls, shown{peer: there, headers: auth("Bearer secret")}, "unauthenticated: missing mTLS client subject"},
		"header from this machine":              {trusting, shown{peer: here, headers: subject(" CN=alice\t")}, "mtls:CN=alice"},
		"header named as local callers are":     {trusting, shown{peer: here, headers: subject("loopback")}, "mtls:loopback"},
		"header from another machine":           {trusting, shown{peer: there, headers: subject("CN=alice")}, "unauthenticated: missing mTLS client subject"},
		"header in other letters":               {trusting, shown{peer: here, headers: subject("cn=alice")}, "unauthorized: client subject not authorized"},
		"empty subject":                         {trusting, shown{peer: here, headers: subject("")}, "unauthorized: client subject not authorized"},
		"subject that is not ASCII":             {trusting, shown{peer: here, headers: subject("CN=al\xefce")}, "unauthenticated: missing mTLS client subject"},
		"two subjects, first good":              {trusting, shown{peer: here, headers: subject("CN=alice", "CN=eve")}, "mtls:CN=alice"},
		"two subjects, first wrong":             {trusting, shown{peer: here, headers: subject("CN=eve", "CN=alice")}, "unauthorized: client subject not authorized"},
		"header through the proxy":              {proxied, shown{peer: there, cert: proxy, headers: subject("CN=alice")}, "mtls:CN=alice"},
		"the proxy itself":                      {proxied, shown{peer: there, cert: proxy}, "unauthenticated: missing mTLS client subject"},
		"header through another's certificate":  {proxied, shown{peer: there, cert: alice, headers: subject("CN=proxy")}, "mtls:CN=alice"},
		"header from this machine, not a proxy": {proxied, shown{peer: here, headers: subject("CN=alice")}, "unauthenticated: missing mTLS client subject"},

		"all: token before certificate":         {all, shown{peer: here, cert: alice, headers: auth("Bearer secret")}, id("secret")},
		"all: a wrong token is not made good":   {all, shown{peer: here, cert: alice, headers: auth("Bearer x")}, "unauthenticated: invalid bearer token"},
		"all: an unreadable header neither":     {all, shown{peer: here, headers: auth("Bearer \xff")}, "unauthenticated: missing authorization"},
		"all: certificate before loopback":      {all, shown{peer: here, cert: alice}, "mtls:CN=alice"},
		"all: a wrong certificate is no caller": {all, shown{peer: here, cert: loopback}, "unauthorized: client subject not authorized"},
		"all: loopback":                         {all, shown{peer: here}, "local:loopback"},
		"all: nothing":                          {all, shown{peer: there}, "unauthenticated: missing authorization"},
	} {
		t.Run(name, func(t *testing.T) {
			c := FromRequest(test.shown.request())
			if got := outcome(New(test.options).Authenticate(t.Context(), &c)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAuthenticateStdio(t *testing.T) {
	for _, test := range []struct {
		options Options
		want    string
	}{
		{Options{Local: true}, "local:stdio"},
		{Options{Local: true, Tokens: []string{"t"}}, "local:stdio"},
		{Options{Tokens: []string{"t"}}, "unauthenticated: missing authorization"},
		{Options{Subjects: []string{"CN=a"}, Proxy: Loopback}, "unauthenticated: missing mTLS client subject"},
	} {
		if got := outcome(New(test.options).Authenticate(t.Context(), &Credentials{Stdio: true})); got != test.want {
			t.Errorf("%+v: %q, want %q", test.options, got, test.want)
		}
	}
}

// TestUnverifiedCertificate shows a certificate that the listener asked for and did not verify: anybody can make one.
func TestUnverifiedCertificate(t *testing.T) {
	s := shown{peer: there, cert: named(t, "alice")}
	r := s.request()
	r.TLS.VerifiedChains = nil
	c := FromRequest(r)
	if got := outcome(New(Options{Subjects: []string{"CN=alice"}}).Authenticate(t.Context(), &c)); got != errNoSubject.Error() {
		t.Errorf("got %q", got)
	}
}

// TestTypedNames gives roles to local callers, and lets a certificate, a header and a token in that are named like them.
func TestTypedNames(t *testing.T) {
	var entries []Entry
	for _, name := range []string{"loopback", "stdio", id("t")} {
		id, err := ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{ID: id, Roles: []Role{{Name: "TenantAdmin"}}})
	}
	p := New(Options{Local: true, Tokens: []string{"t", "loopback", "local:loopback"}, Subjects: []string{"loopback", "local:loopback", id("t")}, Proxy: Loopback, Principals: entries})
	for name, test := range map[string]struct {
		shown shown
		roles int
	}{
		"local":                   {shown{peer: here}, 1},
		"token":                   {shown{peer: there, headers: []string{"Authorization", "Bearer t"}}, 1},
		"subject like local":      {shown{peer: here, headers: []string{subjectHeader, "loopback"}}, 0},
		"subject with their type": {shown{peer: here, headers: []string{subjectHeader, "local:loopback"}}, 0},
		"subject like a token":    {shown{peer: here, headers: []string{subjectHeader, id("t")}}, 0},
		"token like local":        {shown{peer: there, headers: []string{"Authorization", "Bearer loopback"}}, 0},
		"token with their type":   {shown{peer: there, headers: []string{"Authorization", "Bearer local:loopback"}}, 0},
	} {
		c := FromRequest(test.shown.request())
		who, denial := p.Authenticate(t.Context(), &c)
		if denial != nil || len(who.Roles) != test.roles {
			t.Errorf("%s: %v, %v", name, who, denial)
		}
	}
	if who, denial := p.Named("local:loopback"); denial != nil || who.ID != "embedder:local:loopback" || len(who.Roles) > 0 {
		t.Errorf("embedder: %v, %v", who, denial)
	}
	if _, denial := p.Named(""); denial == nil {
		t.Error("an embedder that names nobody lets somebody in")
	}
}

// TestSubjects are certificates' subjects as they are compared. Two that differ in order or in what is a separator must not
// look the same.
func TestSubjects(t *testing.T) {
	organisation := func(values ...string) pkix.Name { return pkix.Name{CommonName: "alice", Organization: values} }
	reversed := pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "alice"}}, {{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "Example"}},
	}
	raw, err := asn1.Marshal(reversed)
	if err != nil {
		t.Fatal(err)
	}
	backwards := certificate(t, organisation("Example"))
	backwards.RawSubject = raw
	for want, c := range map[string]*x509.Certificate{
		"CN=alice":                    named(t, "alice"),
		"CN=alice,O=Example":          certificate(t, organisation("Example")),
		"O=Example,CN=alice":          backwards,
		`CN=alice\,O=Example`:         named(t, "alice,O=Example"),
		`CN=alice,O=A+O=B`:            certificate(t, organisation("B", "A")),
		`1.2.3=#130178,CN=alice`:      certificate(t, pkix.Name{CommonName: "alice", ExtraNames: []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: "x"}}}),
		"":                            certificate(t, pkix.Name{}),
		"CN=loopback":                 named(t, "loopback"),
		"CN=al\u00efce":               named(t, "al\u00efce"),
		"CN=alice\x00.example":        named(t, "alice\x00.example"),
		`CN=\ alice\ `:                named(t, " alice "),
		`CN=alice\+O=Example\;\"\<\>`: named(t, `alice+O=Example;"<>`),
	} {
		if got := Subject(c); got != want {
			t.Errorf("%q is not %q", got, want)
		}
	}
}

// TestTokensAreCompared lets exactly those in that are configured.
func TestTokensAreCompared(t *testing.T) {
	text := rapid.StringMatching(`[!-~]([ -~]{0,30}[!-~])?`)
	rapid.Check(t, func(t *rapid.T) {
		tokens := rapid.SliceOfN(text, 1, 8).Draw(t, "tokens")
		sent := rapid.OneOf(text, rapid.SampledFrom(tokens)).Draw(t, "sent")
		c := Credentials{Authorization: new(string)}
		*c.Authorization = "Bearer " + sent
		who, denial := New(Options{Tokens: tokens}).Authenticate(t.Context(), &c)
		known := false
		for _, token := range tokens {
			known = known || token == sent
		}
		if known != (denial == nil) || known && who.ID != id(sent) {
			t.Fatalf("%v, %v", who, denial)
		}
	})
}

// TestTokensAreNotKept looks for a token in everything that a policy holds: what is not there cannot be logged.
func TestTokensAreNotKept(t *testing.T) {
	p := New(Options{Tokens: []string{"hunter2hunter2"}})
	a, b := New(Options{Tokens: []string{"hunter2hunter2"}}), p
	if a.tokens[0].digest == b.tokens[0].digest {
		t.Error("digests of two processes are the same: they have no key")
	}
	if plain := sha256.Sum256([]byte("hunter2hunter2")); plain == p.tokens[0].digest {
		t.Error("the digest has no key")
	}
	who := *p.tokens[0].who
	if strings.Contains(who.ID+who.Subject+who.Fingerprint, "hunter2") {
		t.Errorf("%+v", who)
	}
}
