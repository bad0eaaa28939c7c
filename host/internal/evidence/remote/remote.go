// Package remote asks evidence providers that are programs or servers of somebody else, by JSON-RPC over the standard input
// and output of a process or over HTTP (mcp contract §5). The host is the client: it sends nothing but questions.
//
// What comes back is not trusted: it is bounded in size and time, taken only as the answer to the question that was asked,
// and a provider that breaks the framing is ended rather than read on. The package follows no redirect, uses no proxy of the
// environment, and hands a program nothing of the host's environment but what it was told to. It checks no signature: that
// is package signature.
package remote

import (
	"errors"
	"sync/atomic"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Limits of an answer.
const (
	// MaxAnswer is the size in bytes of the largest answer; one of exactly that size passes (mcp contract §5.2, §5.3).
	MaxAnswer = 1 << 20
	// maxErrorText is the length in bytes of the longest text of a provider that becomes an error. It is recorded with the
	// run, once for each time that the condition is asked.
	maxErrorText = 16 << 10
)

// question is what a provider is sent.
type question struct {
	JSONRPC string          `member:"jsonrpc"`
	ID      canonical.Value `member:"id"`
	Method  string          `member:"method"`
	Params  toolCall        `member:"params"`
}

type toolCall struct {
	Name      string    `member:"name"`
	Arguments arguments `member:"arguments"`
}

type arguments struct {
	Query   gate.EvidenceQuery   `member:"query"`
	Context gate.EvidenceContext `member:"context"`
}

// asked counts the questions of this process that have no correlation id.
var asked atomic.Uint64

// newQuestion is the JSON of a question and the id that its answer must have: the correlation id, or a number.
func newQuestion(q gate.EvidenceQuery, ec gate.EvidenceContext) (body []byte, id canonical.Value) {
	if ec.CorrelationID != nil {
		id = canonical.NewString(string(*ec.CorrelationID))
	} else {
		id = canonical.NewUint(asked.Add(1))
	}
	call := question{"2.0", id, "tools/call", toolCall{"evidence_query", arguments{q, ec}}}
	return canonical.Append(nil, call, canonical.Declared), id
}

// What goes wrong with an answer, by whichever way it came (mcp contract §5.1). errID is ours: the reference does not look.
var (
	errResponse      = errors.New("invalid json-rpc response")
	errMissingResult = errors.New("missing tool result")
	errInvalidResult = errors.New("invalid tool result")
	errEmptyResult   = errors.New("empty tool result")
	errID            = errors.New("json-rpc response id mismatch")
)
