package main

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
)

const (
	// maxDocument is the size in bytes of the largest discovery document and of the largest set of keys.
	maxDocument = 512 << 10
	// maxKeys is how many keys an issuer may have.
	maxKeys = 128
	// minRSA is the size in bits of the smallest RSA key that counts (RFC 7518 §3.3).
	minRSA = 2048
)

// fetcher gets the keys of an issuer.
type fetcher struct {
	settings *settings
	client   *http.Client
}

func newFetcher(s *settings) (*fetcher, error) {
	roots := (*x509.CertPool)(nil)
	if s.ca != nil {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(s.ca) {
			return nil, refused("ca_file", "it holds no certificate in PEM")
		}
	}
	dialer := &net.Dialer{Timeout: time.Duration(s.Timeout), Control: func(_, address string, _ syscall.RawConn) error { return checkAddress(s, address) }}
	transport := &http.Transport{
		DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		MaxConnsPerHost: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10, ForceAttemptHTTP2: true,
	}
	return &fetcher{s, &http.Client{
		Transport: transport,
		// Attack stopped: whoever can make the issuer redirect makes this machine ask what it may not, or sends other keys.
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it redirects, which is not followed") },
	}}, nil
}

// checkAddress runs for every address that is connected to, after names were resolved. Attack stopped: a name of the issuer
// that leads to this machine, or to the metadata service of its cloud.
func checkAddress(s *settings, address string) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := at.Addr().Unmap()
	if ip.IsLoopback() != loopback(s.issuer) || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return errors.New("the address is not one that an issuer may have")
	}
	return nil
}

// close ends idle connections.
func (f *fetcher) close() { f.client.CloseIdleConnections() }

// keys are those of the issuer that may sign tokens.
func (f *fetcher) keys(ctx context.Context) ([]jose.JSONWebKey, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.settings.Timeout))
	defer cancel()
	at := f.settings.JWKSURI
	if at == "" {
		var err error
		if at, err = f.discover(ctx); err != nil {
			return nil, err
		}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := f.get(ctx, at, &set); err != nil {
		return nil, fmt.Errorf("the keys: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the issuer has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// A key of a kind that is not known here is for somebody else.
		if json.Unmarshal(raw, &key) == nil && usable(&key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the issuer has no key that may sign tokens")
	}
	return keys, nil
}

func usable(key *jose.JSONWebKey) bool {
	if rsa, ok := key.Key.(*rsa.PublicKey); ok && rsa.N.BitLen() < minRSA {
		return false
	}
	return key.Valid() && key.IsPublic() && (key.Use == "" || key.Use == "sig")
}

// discover is where the issuer says that its keys are.
func (f *fetcher) discover(ctx context.Context) (string, error) {
	var document struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := f.get(ctx, strings.TrimSuffix(f.settings.Issuer, "/")+"/.well-known/openid-configuration", &document); err != nil {
		return "", fmt.Errorf("the discovery document: %w", err)
	}
	if document.Issuer != f.settings.Issuer {
		return "", fmt.Errorf("the discovery document is of issuer %.200q, not %q", document.Issuer, f.settings.Issuer)
	}
	u, err := f.settings.url("jwks_uri", document.JWKSURI, f.settings.issuer)
	if err != nil {
		return "", fmt.Errorf("the discovery document: %w", err)
	}
	// Attack stopped: an issuer that was taken over has this machine ask another one for it.
	if !f.settings.trusts(u) {
		return "", fmt.Errorf("the discovery document says that the keys are on %.200q: if that is right, add it to jwks_hosts", u.Host)
	}
	return document.JWKSURI, nil
}

func (f *fetcher) get(ctx context.Context, at string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			return failed.Err
		}
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the issuer answered %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxDocument:
		return fault.New(fault.TooLarge, "it has more than %d bytes", maxDocument)
	default:
		return json.Unmarshal(body, into)
	}
}
