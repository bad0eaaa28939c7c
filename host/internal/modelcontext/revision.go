package modelcontext

import (
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Revisions of the protocol, which are dates and compare as such.
const (
	// modern is the first revision without a handshake.
	modern = "2026-07-28"
	// latestLegacy is the last one with it, and what a client is offered whose revision is not served.
	latestLegacy = "2025-11-25"
	// unnamed is the revision of a client that names none: the last before there was a header for it.
	unnamed = "2025-03-26"
)

// Revisions are those that are served, newest first.
var Revisions = []string{modern, latestLegacy, "2025-06-18", unnamed, "2024-11-05"}

// Names that the protocol keeps for itself in _meta.
const (
	metaRevision     = "io.modelcontextprotocol/protocolVersion"
	metaCapabilities = "io.modelcontextprotocol/clientCapabilities"
	metaLogLevel     = "io.modelcontextprotocol/logLevel"
	metaServerInfo   = "io.modelcontextprotocol/serverInfo"
	metaProgress     = "progressToken"
)

// isModern reports whether a request is to be read by a modern revision: it says so itself, or the header of its HTTP request
// does. header is empty where there are none.
func isModern(m *message, header string) bool {
	if _, named := m.meta(metaRevision); named {
		return true
	}
	return header >= modern && slices.Contains(Revisions, header)
}

// readModern reads what a modern request says of its client.
func readModern(m *message) (session, *Error) {
	version, named := m.meta(metaRevision)
	revision, isText := version.Text()
	if !named || !isText {
		return session{}, refuse(InvalidParams, "_meta must hold %s", metaRevision)
	}
	if revision < modern || !slices.Contains(Revisions, revision) {
		return session{}, unsupported(revision)
	}
	declared, named := m.meta(metaCapabilities)
	if !named || declared.Kind() != canonical.Object {
		return session{}, refuse(InvalidParams, "_meta must hold %s", metaCapabilities)
	}
	s := session{revision: revision, capabilities: capabilitiesOf(declared), level: silent}
	if wanted, named := m.meta(metaLogLevel); named {
		name, _ := wanted.Text()
		level := slices.Index(levels, name)
		if level < 0 {
			return session{}, refuse(InvalidParams, "%s must be one of %v", metaLogLevel, levels)
		}
		s.level = level
	}
	return s, nil
}

// unsupported is the answer to a revision that is not served; a client reads from it which are.
func unsupported(requested string) *Error {
	e := refuse(UnsupportedRevision, "Unsupported protocol version")
	e.Data = canonical.Append(nil, struct {
		Supported []string `member:"supported"`
		Requested string   `member:"requested"`
	}{Revisions, clip(requested)}, canonical.Declared)
	return e
}

// negotiate picks the revision that a handshake ends with.
func negotiate(wanted string) string {
	if wanted < modern && slices.Contains(Revisions, wanted) {
		return wanted
	}
	return latestLegacy
}
