package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/budget"
)

// maxHeaderBytes bounds the header of a response, which a server could send without end.
const maxHeaderBytes = 64 << 10

// idleTimeout is how long a connection without a question is kept.
const idleTimeout = 90 * time.Second

// What goes wrong between the host and a server (mcp contract §5.1).
var (
	errHTTPTimeout       = errors.New("http request timed out")
	errHTTPRequest       = errors.New("http request failed")
	errHTTPTooLarge      = errors.New("http response too large")
	errHTTPReadTimeout   = errors.New("http response timed out")
	errHTTPReadFailed    = errors.New("http response read failed")
	errConcurrency       = errors.New("the number of questions at a time must be at least 1")
	errRequestBeforeDial = errors.New("the time for a question must be at least the time to connect")
)

// ServerOptions say how a server is asked.
type ServerOptions struct {
	URL string
	// Token, when set, is sent as a bearer token.
	Token string
	// UserAgent is what the host calls itself.
	UserAgent string
	// ConnectTimeout is for the connection, RequestTimeout for a whole question, the wait for a free place included.
	ConnectTimeout, RequestTimeout time.Duration
	// Concurrent is how many questions may be under way; more wait.
	Concurrent int
	// AnyID takes answers whatever their id is.
	AnyID bool
}

// Server is a provider that is asked over HTTP. It is safe for concurrent use.
type Server struct {
	ServerOptions
	client *http.Client
	places chan struct{}
}

// NewServer prepares to ask a server. It opens no connection.
func NewServer(options ServerOptions) (*Server, error) {
	switch {
	case options.Concurrent < 1:
		return nil, errConcurrency
	case options.RequestTimeout < options.ConnectTimeout:
		return nil, errRequestBeforeDial
	}
	transport := &http.Transport{
		// No Proxy: one that the environment names would see the questions and the token.
		DialContext:            (&net.Dialer{Timeout: options.ConnectTimeout}).DialContext,
		TLSHandshakeTimeout:    options.ConnectTimeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // a megabyte that unpacks to a gigabyte would pass the limit
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConnsPerHost:    options.Concurrent,
		IdleConnTimeout:        idleTimeout,
	}
	return &Server{
		ServerOptions: options,
		client: &http.Client{
			Transport: transport,
			// Followed, a redirect would let the server choose who is asked, and lead into networks behind the host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		places: make(chan struct{}, options.Concurrent),
	}, nil
}

// Patience is the longest time that Query takes.
func (s *Server) Patience() time.Duration { return s.RequestTimeout + settle }

// Close closes the connections that nobody uses.
func (s *Server) Close() error {
	s.client.CloseIdleConnections()
	return nil
}

// Query asks the server.
func (s *Server) Query(ctx context.Context, q gate.EvidenceQuery, ec gate.EvidenceContext) (gate.EvidenceResult, error) {
	ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return gate.EvidenceResult{}, errHTTPTimeout
	}
	body, id := newQuestion(q, ec)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return gate.EvidenceResult{}, errHTTPRequest
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.UserAgent)
	if s.Token != "" {
		request.Header.Set("Authorization", "Bearer "+s.Token)
	}
	if ec.CorrelationID != nil {
		request.Header.Set("X-Correlation-Id", string(*ec.CorrelationID))
	}
	answer, err := s.post(request)
	if err != nil {
		return gate.EvidenceResult{}, err
	}
	if err := budget.Reserve(ctx, budget.JSON().Of(answer)); err != nil {
		return gate.EvidenceResult{}, err
	}
	return readAnswer(answer, id, s.AnyID)
}

// post is the body of the answer to a request. No text of the network's comes with an error: it would name addresses.
func (s *Server) post(request *http.Request) ([]byte, error) {
	response, err := s.client.Do(request)
	switch {
	case err != nil && timedOut(err):
		return nil, errHTTPTimeout
	case err != nil:
		return nil, errHTTPRequest
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, fmt.Errorf("%w with status %s", errHTTPRequest, statusText(response.StatusCode))
	case response.ContentLength > MaxAnswer:
		return nil, errHTTPTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, MaxAnswer+1))
	switch {
	case len(body) > MaxAnswer:
		return nil, errHTTPTooLarge
	case err != nil && timedOut(err):
		return nil, errHTTPReadTimeout
	case err != nil:
		return nil, errHTTPReadFailed
	}
	return body, nil
}

func timedOut(err error) bool {
	var network net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &network) && network.Timeout()
}

// reasonPhrases are those that the open-source Decision Gate words otherwise than net/http.
var reasonPhrases = map[int]string{
	http.StatusRequestEntityTooLarge:        "Payload Too Large",
	http.StatusRequestURITooLong:            "URI Too Long",
	http.StatusRequestedRangeNotSatisfiable: "Range Not Satisfiable",
}

// statusText is a status with its own reason phrase, not with what the server calls it.
func statusText(status int) string {
	phrase, ok := reasonPhrases[status]
	if !ok {
		phrase = http.StatusText(status)
	}
	if phrase == "" {
		phrase = "<unknown status code>"
	}
	return fmt.Sprintf("%d %s", status, phrase)
}
