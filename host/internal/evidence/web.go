package evidence

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"

	whatwg "github.com/nlnwa/whatwg-url/url"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// DefaultUserAgent is what servers are told by default (contract §10.4).
const DefaultUserAgent = "decision-gate/0.1"

// maxHeaderBytes bounds the header of a response, which a server could send without end.
const maxHeaderBytes = 64 << 10

// HTTPOptions configure the http provider.
type HTTPOptions struct {
	// AllowHTTP permits http:// beside https://.
	AllowHTTP bool
	// Timeout is for a whole request.
	Timeout time.Duration
	// MaxResponseBytes is the size of the largest body.
	MaxResponseBytes int64
	// AllowedHosts are the hosts that may be asked, as they stand in a normalised URL; nil is all, empty none.
	AllowedHosts []string
	UserAgent    string
	// AllowPrivate opens address ranges that are not on the public internet.
	AllowPrivate []netip.Prefix
}

// httpProvider asks an address for its status or the hash of its body (contract §10.4).
type httpProvider struct {
	HTTPOptions
	client *http.Client
	dialer *net.Dialer
}

func newHTTPProvider(options HTTPOptions) *httpProvider {
	dialer := &net.Dialer{Control: guard{options.AllowPrivate}.control}
	transport := &http.Transport{
		// No Proxy: a proxy from the environment would do the connecting, and the guard would see only the proxy.
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // the hash is of the bytes that were sent
		DisableKeepAlives:      true, // each question is a fresh look
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return &httpProvider{
		HTTPOptions: options,
		dialer:      dialer,
		client: &http.Client{
			Transport: transport,
			// A redirect is the answer. Followed, it would lead past the list of hosts.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

var httpParams = newParamsErrors("http", "missing url param", "url param must be a string")

var (
	errHTTPCheck     = errors.New("unsupported http check")
	errHTTPURL       = errors.New("invalid url")
	errHTTPScheme    = errors.New("unsupported url scheme")
	errHTTPNoHost    = errors.New("url host required")
	errHTTPRequest   = errors.New("http request failed")
	errHTTPSize      = errors.New("http response exceeds size limit")
	errHTTPRead      = errors.New("failed to read response")
	errHTTPTruncated = errors.New("http response truncated")
)

func (p *httpProvider) Query(ctx context.Context, q gate.EvidenceQuery, _ gate.EvidenceContext) (gate.EvidenceResult, error) {
	raw, err := httpParams.text(q, "url")
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	target, err := p.target(raw)
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	if q.CheckID != "status" && q.CheckID != "body_hash" {
		return gate.EvidenceResult{}, errHTTPCheck
	}
	v, err := p.get(ctx, target.Href(true), q.CheckID)
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	// Evidence is shown to many: credentials in an address are used, not recorded ([F-06]).
	target.SetUsername("")
	target.SetPassword("")
	uri := target.Href(false)
	result := verified(v, gate.EvidenceAnchor{AnchorType: "url", AnchorValue: uri}, "application/json")
	result.EvidenceRef = &gate.EvidenceRef{URI: uri}
	return result, nil
}

// target normalises an address, so that it is the same in every anchor, and so that the list of hosts sees 2130706433 as
// the 127.0.0.1 that it is.
func (p *httpProvider) target(raw string) (*whatwg.Url, error) {
	target, err := whatwg.Parse(raw)
	switch {
	case err != nil:
		return nil, errHTTPURL
	case target.Scheme() != "https" && !(p.AllowHTTP && target.Scheme() == "http"):
		return nil, errHTTPScheme
	case target.Hostname() == "":
		return nil, errHTTPNoHost
	case p.AllowedHosts != nil && !slices.Contains(p.AllowedHosts, target.Hostname()):
		return nil, errAddress
	}
	return target, nil
}

func (p *httpProvider) get(ctx context.Context, address, check string) (canonical.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return canonical.Value{}, errHTTPURL
	}
	request.Header.Set("User-Agent", p.UserAgent)
	response, err := p.client.Do(request)
	if errors.Is(err, errAddress) {
		return canonical.Value{}, errAddress
	}
	if err != nil {
		return canonical.Value{}, errHTTPRequest
	}
	defer response.Body.Close()
	if check == "status" {
		return canonical.NewInt(int64(response.StatusCode)), nil
	}
	return p.bodyHash(response)
}

func (p *httpProvider) bodyHash(response *http.Response) (canonical.Value, error) {
	if response.ContentLength > p.MaxResponseBytes {
		return canonical.Value{}, errHTTPSize
	}
	sum := sha256.New()
	size, err := io.Copy(sum, io.LimitReader(response.Body, p.MaxResponseBytes+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return canonical.Value{}, errHTTPTruncated
	case err != nil:
		return canonical.Value{}, errHTTPRead
	case size > p.MaxResponseBytes:
		return canonical.Value{}, errHTTPSize
	}
	hash := canonical.Digest([sha256.Size]byte(sum.Sum(nil)))
	return canonical.NewObject([]canonical.Member{
		{Name: "algorithm", Value: canonical.NewString(string(hash.Algorithm))},
		{Name: "value", Value: canonical.NewString(hash.Value)},
	}), nil
}
