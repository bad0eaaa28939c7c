package modelcontext

import (
	"bytes"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// message is a JSON-RPC message of a client: a request, a notification, which has no id, or the response to a request of
// the server.
type message struct {
	id       canonical.Value
	method   string
	params   canonical.Value
	request  bool
	response bool
	// result is that of a response; it is nil when the client answered with an error.
	result *canonical.Value
}

// parse reads a message. It also returns what was read when only the rest of the message is wrong, so that the answer can
// carry its id.
func parse(body []byte) (m message, _ *Error) {
	members, err := canonical.ParseMembers(body, "jsonrpc", "id", "method", "params", "result", "error")
	if err != nil {
		if bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'['}) {
			// Only revision 2025-03-26 had them.
			return m, refuse(InvalidRequest, "batches are not supported: send each message on its own")
		}
		return m, refuse(ParseError, "not a JSON-RPC message: %s", err)
	}
	var version, method canonical.Value
	var hasID, hasMethod bool
	for _, member := range members {
		switch member.Name {
		case "jsonrpc":
			version = member.Value
		case "id":
			m.id, hasID = member.Value, true
		case "method":
			method, hasMethod = member.Value, true
		case "params":
			m.params = member.Value
		case "result":
			m.result, m.response = &member.Value, true
		case "error":
			m.response = true
		}
	}
	if hasID && !validID(m.id) {
		return message{}, refuse(InvalidRequest, "id must be a string or an integer")
	}
	m.request = hasID
	if v, _ := version.Text(); v != "2.0" {
		return m, refuse(InvalidRequest, `jsonrpc must be "2.0"`)
	}
	if m.response && hasID && !hasMethod {
		m.request = false
		return m, nil
	}
	m.response = false
	name, ok := method.Text()
	if !ok {
		return m, refuse(InvalidRequest, "method must be a string")
	}
	m.method = name
	if m.params.Kind() != canonical.Object && !m.params.IsNull() {
		return m, refuse(InvalidRequest, "params must be an object")
	}
	return m, nil
}

// validID reports whether v may be an id: unlike in plain JSON-RPC, null and fractions may not.
func validID(v canonical.Value) bool {
	switch v.Kind() {
	case canonical.String, canonical.Unsigned, canonical.Negative:
		return true
	default:
		return false
	}
}

// text returns a member of an object that is a string.
func text(v canonical.Value, name string) (string, bool) {
	m, _ := v.Member(name)
	return m.Text()
}

// meta returns a member of a request's _meta.
func (m *message) meta(name string) (canonical.Value, bool) {
	meta, _ := m.params.Member("_meta")
	return meta.Member(name)
}

const opening = `{"jsonrpc":"2.0"`

func appendID(dst []byte, id canonical.Value) []byte {
	return canonical.AppendValue(append(dst, `,"id":`...), id, canonical.Declared)
}

// appendNotification appends a notification whose params are the given JSON object.
func appendNotification(dst []byte, method string, params []byte) []byte {
	dst = canonical.AppendString(append(append(dst, opening...), `,"method":`...), method)
	return append(append(append(dst, `,"params":`...), params...), '}')
}
