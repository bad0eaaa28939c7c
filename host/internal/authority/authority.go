// Package authority asks a server whether a namespace exists, and whether the host may use it (mcp contract §3.9).
//
// Only the answer 200 of the server itself admits a namespace. Redirects are not followed, since whatever one ends at would
// admit; proxies of the environment are not used; an answer that comes late, or not at all, admits nothing. Nothing is kept:
// a namespace that was taken away is refused with the next call.
package authority

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// Why a namespace is not admitted.
var (
	ErrNotFound    = errors.New("namespace not found")
	ErrDenied      = errors.New("namespace not authorized")
	ErrUnavailable = errors.New("namespace authority unavailable")
	// ErrToken and ErrRequestID are of what no header can carry.
	ErrToken     = errors.New("invalid auth token")
	ErrRequestID = errors.New("invalid request id")
)

// Options are where the server is and how long it may take.
type Options struct {
	// URL is of the server, with the path below which /v1/write/namespaces is.
	URL string
	// Token is sent as a bearer token unless it is empty.
	Token                          string
	ConnectTimeout, RequestTimeout time.Duration
}

// Client asks one server. It is safe for concurrent use.
type Client struct {
	base, token string
	timeout     time.Duration
	http        *http.Client
}

const (
	// maxHeader is the size in bytes of the largest header of an answer.
	maxHeader = 64 << 10
	// maxBody is how much of a body, which nobody needs, is read so that the connection can be used again.
	maxBody = 4 << 10
	// maxConnections is how many questions are asked at a time; one connection a request in flight would be as many as
	// the host has slots.
	maxConnections = 64
)

// New makes a Client.
func New(o Options) *Client {
	transport := &http.Transport{
		// Proxy is nil: an environment that names one must not decide who admits namespaces.
		DialContext:            (&net.Dialer{Timeout: o.ConnectTimeout}).DialContext,
		TLSHandshakeTimeout:    o.ConnectTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxConnsPerHost:        maxConnections,
		MaxIdleConnsPerHost:    maxConnections,
		IdleConnTimeout:        time.Minute,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
	return &Client{
		base: strings.TrimRight(o.URL, "/"), token: o.Token, timeout: o.RequestTimeout,
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Ensure returns nil when the server knows the namespace; requestID is what it is told of the call.
func (c *Client) Ensure(ctx context.Context, namespace uint64, requestID string) error {
	if !httpguts.ValidHeaderFieldValue(c.token) {
		return ErrToken
	}
	if !httpguts.ValidHeaderFieldValue(requestID) {
		return ErrRequestID
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/v1/write/namespaces/"+strconv.FormatUint(namespace, 10), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	request.Header.Set("Accept", "*/*")
	request.Header.Set("User-Agent", "") // or net/http names itself
	request.Header.Set("X-Correlation-Id", requestID)
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	_, _ = io.CopyN(io.Discard, response.Body, maxBody)
	_ = response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrDenied
	default:
		return fmt.Errorf("%w: it answered status %d", ErrUnavailable, response.StatusCode)
	}
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }
