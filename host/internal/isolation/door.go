package isolation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host"
	"github.com/decision-gate-host/decision-gate-host/host/config"
)

// The surfaces.
const (
	rpcSurface      = "/rpc"
	standardSurface = "/mcp"
)

// door is a host that was started, and how to call it.
type door struct {
	host   *host.Host
	server *http.Server
	url    string
	client *http.Client
}

// settle makes a configuration into that of a trial.
func settle(o Options, parties [2]*party) (*config.Config, error) {
	s, own := o.Settings, config.Default()
	s.Auth, s.Feedback, s.Trust, s.Disclosure, s.Namespace, s.Validation = own.Auth, own.Feedback, own.Trust, own.Disclosure, own.Namespace, own.Validation
	s.Evidence, s.Schemas, s.Tools, s.Discovery, s.Docs, s.Runpack = own.Evidence, own.Schemas, own.Tools, own.Discovery, own.Docs, own.Runpack
	s.Anchors, s.Dispatch, s.Development, s.Server = nil, nil, nil, own.Server
	s.Auth.Tenants = "roles"
	s.Auth.Bearer = &config.BearerAuth{Tokens: []string{operatorToken}}
	s.Auth.Principals = []*config.Principal{{Name: principalName(operatorToken), Roles: []*config.Role{{Name: "TenantAdmin"}}}}
	for _, p := range parties {
		s.Auth.Bearer.Tokens = append(s.Auth.Bearer.Tokens, p.token)
		s.Auth.Principals = append(s.Auth.Principals, &config.Principal{
			Name: principalName(p.token), Roles: []*config.Role{{Name: "TenantAdmin", Tenant: p.tenant}},
		})
	}
	// As much as can be told is told.
	s.Feedback.Max, s.Feedback.Default = "evidence", "evidence"
	s.Feedback.TraceRoles, s.Feedback.EvidenceRoles = []string{"TenantAdmin"}, []string{"TenantAdmin"}
	s.Disclosure.RawValues, s.Disclosure.RequireProviderOptIn = true, false
	s.Evidence.Time = &config.TimeEvidence{}
	runpacks := filepath.Join(o.Folder, "exports")
	s.Runpack.Dirs = []string{runpacks}
	for _, p := range parties {
		p.folder = filepath.Join(runpacks, fmt.Sprint(p.tenant))
	}
	return s, os.MkdirAll(runpacks, 0o700)
}

func open(ctx context.Context, o Options, parties [2]*party) (_ *door, err error) {
	settings, err := settle(o, parties)
	if err != nil {
		return nil, err
	}
	h, err := host.Open(ctx, host.Config{Settings: settings, Store: o.Store, Logger: o.Logger, AuditOutput: io.Discard})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	d := &door{
		host: h, server: &http.Server{Handler: h.Handler(), ReadHeaderTimeout: callTimeout}, url: "http://" + listener.Addr().String(),
		client: &http.Client{Timeout: callTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * MaxClients, DisableCompression: true}},
	}
	go func() { _ = d.server.Serve(listener) }()
	return d, nil
}

// callTimeout is far more than a call takes on a busy machine.
const callTimeout = 2 * time.Minute

// MaxClients is the number of clients of a tenant at most.
const MaxClients = 64

func (d *door) close() error {
	d.client.CloseIdleConnections()
	return errors.Join(d.server.Close(), d.host.Close())
}

// call is a request.
type call struct {
	surface, token string
	method, tool   string // tool is empty where the method calls none
	arguments      any
}

// body is the request as it is sent.
func (c *call) body() []byte {
	params := c.arguments
	if c.tool != "" {
		params = object{"name": c.tool, "arguments": c.arguments}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(object{"jsonrpc": "2.0", "id": 7, "method": c.method, "params": params}); err != nil {
		panic(err) // of texts, numbers, lists and objects
	}
	return bytes.TrimSpace(out.Bytes())
}

// answer is everything that came back.
type answer struct {
	status int
	header []byte // without what differs from call to call
	body   []byte
	result json.RawMessage // of a tool, when it succeeded
	// kind is the kind of the error; empty when it succeeded.
	kind      string
	retryable bool
}

// varying are the headers that differ between two equal answers.
var varying = []string{"Date", "X-Server-Correlation-Id"}

func (d *door) send(ctx context.Context, c *call) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+c.surface, bytes.NewReader(c.body()))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, text/event-stream")
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := d.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a := &answer{status: response.StatusCode}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		return nil, err
	}
	var header bytes.Buffer
	if err := response.Header.WriteSubset(&header, map[string]bool{varying[0]: true, varying[1]: true}); err != nil {
		return nil, err
	}
	for name, values := range response.Trailer {
		fmt.Fprintf(&header, "%s: %s\n", name, values)
	}
	a.header = header.Bytes()
	return a, a.read()
}

// read finds out whether a call succeeded.
func (a *answer) read() error {
	text := a.body
	if event, found := bytes.CutPrefix(text, []byte("event:")); found { // a stream: the answer is its last event
		_, data, _ := bytes.Cut(event[bytes.LastIndex(event, []byte("data:")):], []byte(":"))
		text = data
	} else if bytes.HasPrefix(text, []byte("data:")) {
		text = text[bytes.LastIndex(text, []byte("data:"))+len("data:"):]
	}
	var envelope struct {
		Result *struct {
			IsError           bool
			StructuredContent json.RawMessage
			Content           []struct{ JSON json.RawMessage }
			Meta              map[string]json.RawMessage `json:"_meta"`
		}
		Error *struct {
			Code int
			Data struct {
				Kind      string
				Retryable bool
			}
		}
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return fmt.Errorf("an answer that is none of JSON-RPC (HTTP %d): %.300q", a.status, a.body)
	}
	switch {
	case envelope.Error != nil:
		a.kind, a.retryable = envelope.Error.Data.Kind, envelope.Error.Data.Retryable
		if a.kind == "" {
			a.kind = fmt.Sprintf("code %d", envelope.Error.Code)
		}
	case envelope.Result == nil:
		return fmt.Errorf("an answer with neither result nor error (HTTP %d): %.300q", a.status, a.body)
	case envelope.Result.IsError:
		a.kind = "tool error"
		var told struct {
			Kind      string
			Retryable bool
		}
		for _, meta := range envelope.Result.Meta {
			if json.Unmarshal(meta, &told) == nil && told.Kind != "" {
				a.kind, a.retryable = told.Kind, told.Retryable
			}
		}
	case envelope.Result.StructuredContent != nil:
		a.result = envelope.Result.StructuredContent
	case len(envelope.Result.Content) > 0:
		a.result = envelope.Result.Content[0].JSON
	}
	return nil
}

// alike is an answer as it should be for another id: the ids of the request are taken out.
func (a *answer) alike(ids ...string) string {
	text := fmt.Sprintf("HTTP %d\n%s\n%s", a.status, a.header, a.body)
	slices.SortFunc(ids, func(a, b string) int { return len(b) - len(a) })
	for _, id := range ids {
		quoted, _ := json.Marshal(id)
		text = strings.ReplaceAll(text, string(quoted[1:len(quoted)-1]), "ID")
		text = strings.ReplaceAll(text, id, "ID")
	}
	return text
}
