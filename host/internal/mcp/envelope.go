package mcp

import (
	"net/http"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// request is a JSON-RPC request (mcp contract §1.2).
type request struct {
	id     canonical.Value
	method string
	params canonical.Value
}

var (
	errInvalidRequest = refuse(InvalidRequest, "invalid json-rpc request")
	errInvalidVersion = refuse(InvalidRequest, "invalid json-rpc version")
	errUnknownMethod  = refuse(MethodNotFound, "method not found")
	errToolParams     = refuse(InvalidParams, "invalid tool params")
	errUnknownTool    = refuse(MethodNotFound, "unknown tool")
)

// parseRequest reads an envelope. hasID says whether the id may be echoed in the answer to an error.
func parseRequest(body []byte) (r request, hasID bool, err *Error) {
	members, parseErr := canonical.ParseMembers(body, "jsonrpc", "id", "method", "params")
	if parseErr != nil {
		return request{}, false, errInvalidRequest
	}
	found := map[string]canonical.Value{}
	for _, m := range members {
		found[m.Name] = m.Value
	}
	id, hasID := found["id"]
	version, versionOK := found["jsonrpc"].Text()
	method, methodOK := found["method"].Text()
	if !hasID || !versionOK || !methodOK {
		return request{}, false, errInvalidRequest
	}
	r = request{id: id, method: method, params: found["params"]}
	if version != "2.0" {
		return r, true, errInvalidVersion
	}
	return r, true, nil
}

// appendResult appends the answer to a request that succeeded.
func appendResult(dst []byte, id canonical.Value, result []byte) []byte {
	dst = canonical.AppendValue(append(dst, `{"jsonrpc":"2.0","id":`...), id, canonical.Declared)
	return append(append(append(dst, `,"result":`...), result...), '}')
}

// errorBody is the error member of an answer; its order is the contract's.
type errorBody struct {
	Code    int64     `member:"code"`
	Message string    `member:"message"`
	Data    errorData `member:"data"`
}

type errorData struct {
	Kind      string `member:"kind"`
	Retryable bool   `member:"retryable"`
	// RequestID is the JSON text of the request's id, quotes included; null before there is one.
	RequestID *string `member:"request_id" presence:"O"`
	// RetryAfterMS is in milliseconds, and left out where it is not known.
	RetryAfterMS *int64 `member:"retry_after_ms" presence:"OS"`
}

// appendError appends the answer to a request that failed and returns its HTTP status. id is nil when there is none to echo.
func appendError(dst []byte, id *canonical.Value, e *Error) ([]byte, int) {
	row := codes[e.Code]
	body := errorBody{Code: int64(e.Code), Message: clip(e.Message), Data: errorData{Kind: row.kind, Retryable: row.retryable || e.Retry, RetryAfterMS: e.retryAfterMS()}}
	echo := canonical.Value{}
	if id != nil {
		echo = *id
		text := string(canonical.AppendValue(nil, echo, canonical.Declared))
		body.Data.RequestID = &text
	}
	dst = canonical.AppendValue(append(dst, `{"jsonrpc":"2.0","id":`...), echo, canonical.Declared)
	dst = append(canonical.Append(append(dst, `,"error":`...), body, canonical.Declared), '}')
	status := row.status
	if status == 0 || e.answer {
		status = http.StatusOK
	}
	return dst, status
}
