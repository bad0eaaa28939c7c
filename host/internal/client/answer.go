package client

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// maxQuoted is how many bytes of an answer that cannot be read are shown: enough to know a proxy's error page.
const maxQuoted = 200

// envelope is the answer to a request (mcp contract §1.2).
type envelope struct {
	Version string           `member:"jsonrpc"`
	ID      canonical.Value  `member:"id"`
	Result  *canonical.Value `member:"result" presence:"O"`
	Error   *canonical.Value `member:"error" presence:"O"`
}

type errorBody struct {
	Code    int64      `member:"code"`
	Message string     `member:"message"`
	Data    *errorData `member:"data" presence:"O"`
}

type errorData struct {
	Kind         *string `member:"kind" presence:"O"`
	Retryable    *bool   `member:"retryable" presence:"O"`
	RetryAfterMS *uint64 `member:"retry_after_ms" presence:"O"`
}

// content is the result of a tool: its first item is the one that counts (mcp contract §1.9).
type content struct {
	Content []canonical.Value `member:"content"`
}

type item struct {
	Type string          `member:"type"`
	JSON canonical.Value `member:"json"`
}

// read reads the answer to the request with an id.
func (a *answer) read(id uint64) (canonical.Value, error) {
	v, err := canonical.Parse(a.body)
	if err != nil {
		return canonical.Value{}, a.unread("no JSON", err)
	}
	var e envelope
	if err := canonical.Decode(v, &e); err != nil {
		return canonical.Value{}, a.unread("no JSON-RPC", err)
	}
	echoed, isNumber := e.ID.Uint()
	switch {
	case e.Version != "2.0":
		return canonical.Value{}, a.unread("no JSON-RPC 2.0", nil)
	case e.Error != nil && (e.ID.IsNull() || isNumber && echoed == id):
		// Without an id: what was refused before it was read.
		return canonical.Value{}, a.refusal(*e.Error)
	case !isNumber || echoed != id:
		// Attack stopped: an answer meant for another call, taken for the one to this.
		return canonical.Value{}, a.unread("the answer to another request", nil)
	case a.status != http.StatusOK || e.Result == nil:
		return canonical.Value{}, a.unread("neither a result nor an error", nil)
	}
	return a.result(*e.Result)
}

func (a *answer) result(v canonical.Value) (canonical.Value, error) {
	var c content
	if err := canonical.Decode(v, &c); err != nil {
		return canonical.Value{}, a.unread("no result of a tool", err)
	}
	if len(c.Content) == 0 {
		return canonical.Value{}, a.unread("no result of a tool: content is empty", nil)
	}
	var first item
	err := canonical.Decode(c.Content[0], &first)
	if err != nil || first.Type != "json" {
		return canonical.Value{}, a.unread(`no result of a tool: content[0] is not of type "json"`, err)
	}
	return first.JSON, nil
}

func (a *answer) refusal(v canonical.Value) error {
	var e errorBody
	if err := canonical.Decode(v, &e); err != nil {
		return a.unread("an error that is none of JSON-RPC", err)
	}
	r := &Refusal{Code: e.Code, Message: e.Message, Correlation: a.correlation, Body: v}
	if d := e.Data; d != nil {
		if d.Kind != nil {
			r.Kind = *d.Kind
		}
		r.Retryable = d.Retryable != nil && *d.Retryable
		if d.RetryAfterMS != nil {
			r.RetryAfter = time.Duration(min(*d.RetryAfterMS, uint64(math.MaxInt64/time.Millisecond))) * time.Millisecond
		}
	}
	return r
}

// unread is the error of an answer that is not what a host says.
func (a *answer) unread(what string, cause error) error {
	text := strings.TrimSpace(string(a.body[:min(len(a.body), maxQuoted)]))
	switch {
	case a.status != http.StatusOK:
		return fmt.Errorf("%s answers HTTP %d and %s: %q; is it a Decision Gate host?", a.server, a.status, what, text)
	case cause != nil:
		return fmt.Errorf("%s answers %s (%w): %q", a.server, what, cause, text)
	default:
		return fmt.Errorf("%s answers %s: %q", a.server, what, text)
	}
}
