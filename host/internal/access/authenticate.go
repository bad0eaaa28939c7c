package access

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
)

// Credentials are what a request shows of its sender. A header that is nil was not sent; of several only the first counts,
// so that nobody can add one behind that of a proxy and be believed (mcp contract §2.1).
type Credentials struct {
	// Stdio: the request came over standard input, whose peer started the host.
	Stdio bool
	// Peer is the address of the connection; it is not valid over standard input.
	Peer netip.Addr
	// Authorization and ClientSubject are headers.
	Authorization, ClientSubject *string
	// Certificate is the client's, which the listener has verified; nil when there is none.
	Certificate *x509.Certificate
}

// clientSubjectHeader names the client of a proxy (mcp contract §2.1).
const clientSubjectHeader = "X-Decision-Gate-Client-Subject"

// FromRequest are the credentials of a request over HTTP. Headers such as X-Forwarded-For, which anybody can write, are not
// among them.
func FromRequest(r *http.Request) Credentials {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // of no peer that can be read is no local one
	c := Credentials{Peer: peer.Addr(), Authorization: first(r.Header["Authorization"]), ClientSubject: first(r.Header[clientSubjectHeader])}
	// Not PeerCertificates, which are only shown: a listener that asks for certificates without verifying them would let
	// anybody be anybody.
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		c.Certificate = r.TLS.VerifiedChains[0][0]
	}
	return c
}

func first(values []string) *string {
	if len(values) == 0 {
		return nil
	}
	trimmed := strings.Trim(values[0], " \t") // HTTP/2 keeps what surrounds a value
	return &trimmed
}

// Authenticate finds out who calls; exactly one of the results is not nil. A request that shows a token is judged by it alone,
// then one that shows a certificate: a wrong one is not made good by coming from this machine.
func (p *Policy) Authenticate(ctx context.Context, c *Credentials) (*Principal, *Denial) {
	if !c.Stdio {
		if p.Challenges() && c.Authorization != nil {
			return p.bearer(ctx, *c.Authorization)
		}
		if subject, shown := p.shownSubject(c); shown {
			return p.mtls(subject)
		}
	}
	if who := p.local[localSubject(c)]; who != nil {
		return who, nil
	}
	return nil, p.missing()
}

// localSubject is stdio or loopback; empty for callers of other machines.
func localSubject(c *Credentials) string {
	switch {
	case c.Stdio:
		return stdio
	case c.Peer.IsValid() && c.Peer.Unmap().IsLoopback():
		return Loopback
	default:
		return ""
	}
}

// missing says what a caller did not show, of the methods that there are.
func (p *Policy) missing() *Denial {
	switch {
	case p.Challenges():
		return errNoAuthorization
	case p.subjects != nil:
		return errNoSubject
	default:
		return &Denial{Detail: "local-only mode requires loopback access"}
	}
}

// The texts are those of mcp contract §3.2.
var (
	errNoAuthorization       = &Denial{Detail: "missing authorization"}
	errAuthorizationTooLarge = &Denial{Detail: "authorization header too large"}
	errAuthorization         = &Denial{Detail: "invalid authorization header"}
	errToken                 = &Denial{Detail: "invalid bearer token"}
	errNoSubject             = &Denial{Detail: "missing mTLS client subject"}
	errSubject               = &Denial{Authenticated: true, Detail: "client subject not authorized"}
)

// maxAuthorization is the length in bytes of the longest Authorization header that is read, its scheme included (mcp contract
// §3.2): hashing what a stranger sends must not cost more than that.
const maxAuthorization = 8192

// token is one that lets its bearer in. The token itself is not kept.
type token struct {
	digest [sha256.Size]byte
	who    *Principal
}

func (p *Policy) newToken(text string) token {
	sum := sha256.Sum256([]byte(text))
	fingerprint := hex.EncodeToString(sum[:])
	return token{p.digest(text), p.known(&Principal{ID: tokenType + fingerprint, Method: Bearer, Fingerprint: fingerprint})}
}

// digest is a token's under the key of this process. Nobody outside can compute it, so that nothing can be learnt byte by
// byte from the time that comparing takes.
func (p *Policy) digest(text string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, p.key[:])
	_, _ = h.Write([]byte(text))
	h.Sum(sum[:0])
	return sum
}

func (p *Policy) bearer(ctx context.Context, header string) (*Principal, *Denial) {
	if !visible(header) {
		return nil, errNoAuthorization
	}
	if len(header) > maxAuthorization {
		return nil, errAuthorizationTooLarge
	}
	scheme, text, found := strings.Cut(header, " ")
	text = strings.TrimSpace(text)
	if !found || !strings.EqualFold(scheme, "Bearer") || text == "" {
		return nil, errAuthorization
	}
	sent := p.digest(text)
	match := -1
	// Every token is compared, wherever the right one is: the time tells nothing of the place, or of there being one.
	for i := range p.tokens {
		equal := subtle.ConstantTimeCompare(sent[:], p.tokens[i].digest[:])
		match = subtle.ConstantTimeSelect(equal, i, match)
	}
	switch {
	case match >= 0:
		return p.tokens[match].who, nil
	case p.asker != nil:
		return p.asked(ctx, sent, text)
	default:
		return nil, errToken
	}
}

// visible reports whether a header is printable ASCII; any other counts as not sent (mcp contract §3.2).
func visible(header string) bool {
	return !strings.ContainsFunc(header, func(r rune) bool { return (r < ' ' && r != '\t') || r > '~' })
}

// shownSubject is the subject that a caller shows: by the header of a proxy that is believed, else by its own certificate; nil
// when it shows one that cannot be read. The certificate of a proxy never speaks for its client, who would have the proxy's
// roles by sending no header.
func (p *Policy) shownSubject(c *Credentials) (subject *string, shown bool) {
	if p.subjects == nil {
		return nil, false
	}
	if c.Certificate != nil {
		own := Subject(c.Certificate)
		subject = &own
	}
	viaProxy := subject != nil && p.proxy != "" && *subject == p.proxy
	believed := viaProxy || p.proxy == Loopback && localSubject(c) == Loopback
	switch {
	case believed && c.ClientSubject != nil && visible(*c.ClientSubject):
		return c.ClientSubject, true
	case viaProxy || believed && c.ClientSubject != nil:
		return nil, true
	default:
		return subject, subject != nil
	}
}

func (p *Policy) mtls(subject *string) (*Principal, *Denial) {
	if subject == nil {
		return nil, errNoSubject
	}
	if who := p.subjects[*subject]; who != nil {
		return who, nil
	}
	return nil, errSubject
}

// Subject is the subject of a certificate as RFC 4514 writes it, the most specific name first: CN=alice,O=Example. Names
// without a short form are written as their object identifier and the hexadecimal DER of their value.
func Subject(certificate *x509.Certificate) string {
	var names pkix.RDNSequence
	// As it was signed: the fields of pkix.Name are in an order of their own, in which two subjects could look the same.
	if rest, err := asn1.Unmarshal(certificate.RawSubject, &names); err != nil || len(rest) > 0 {
		return ""
	}
	return names.String()
}

// Challenges reports whether an unauthenticated caller should be told that a token is asked for (RFC 9110 §11.6.1).
func (p *Policy) Challenges() bool { return len(p.tokens) > 0 || p.asker != nil }

// Named is a caller of whom the program around the host said who it is.
func (p *Policy) Named(name string) (*Principal, *Denial) {
	if name == "" {
		return nil, &Denial{Detail: "the embedder named nobody"}
	}
	return p.principal(Embedder, embedderType, name), nil
}
