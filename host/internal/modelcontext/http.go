package modelcontext

import (
	"encoding/base64"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/decision-gate-host/decision-gate-host/host/internal/delivery"
)

// The headers of the protocol.
const (
	revisionHeader = "Mcp-Protocol-Version"
	methodHeader   = "Mcp-Method"
	nameHeader     = "Mcp-Name"
	sessionHeader  = "Mcp-Session-Id"
)

// Post answers one message, which was the body of r: a request with JSON or a stream of events, anything else with 202. A
// client that leaves cancels its request.
func (s *Server) Post(w http.ResponseWriter, r *http.Request, body []byte) {
	reject := func(status int, m *message, e *Error) { s.write(w, status, s.refused(r.Context(), m, len(body), e)) }
	accepts := acceptable(r.Header.Values("Accept"))
	if accepts == (accepted{}) {
		reject(http.StatusNotAcceptable, &message{}, refuse(InvalidRequest, "Accept must allow application/json or text/event-stream"))
		return
	}
	m, malformed := parse(body)
	if malformed != nil {
		reject(http.StatusBadRequest, &m, malformed)
		return
	}
	session, status, refused := s.identify(&m, r.Header)
	if refused != nil {
		reject(status, &m, refused)
		return
	}
	if !m.request {
		switch known, told := s.taken(r.Context(), session.name, &m, len(body)); {
		case told != nil:
			s.Refuse(w, http.StatusServiceUnavailable, told)
		case !known:
			reject(http.StatusBadRequest, &m, refuse(InvalidRequest, "no request of the server waits for this response"))
		default:
			w.WriteHeader(http.StatusAccepted)
		}
		return
	}
	if !session.modern() && m.method == "initialize" {
		declared, _ := m.params.Member("capabilities")
		session.name = newSessionID(capabilitiesOf(declared))
		w.Header().Set(sessionHeader, session.name)
	}
	stream := &eventStream{w: w, answers: s.options.Answers, can: accepts.events, must: !accepts.json}
	answer, failure, answered := s.serve(r.Context(), &request{message: m, size: len(body), session: session, out: stream})
	switch {
	case !answered && accepts.events:
		stream.end(nil) // a stream that ends without an answer is how none is sent
	case !answered:
		s.write(w, http.StatusOK, appendError(nil, &m.id, refuse(InvalidRequest, "%s", errCancelled)))
	case stream.end(answer):
	default:
		s.write(w, statusOf(&session, failure), answer)
	}
}

// statusOf is the HTTP status of an answer. Legacy clients read the error of a request only under 200; modern ones are told
// by the status what intermediaries should know.
func statusOf(s *session, e *Error) int {
	switch {
	case e == nil || !s.modern():
		return http.StatusOK
	case e.Code == MethodNotFound:
		return http.StatusNotFound
	case e.Code == MissingCapability:
		return http.StatusBadRequest
	default:
		return http.StatusOK
	}
}

// Refuse answers with an error that belongs to no request, such as one that was not read.
func (s *Server) Refuse(w http.ResponseWriter, status int, e *Error) {
	s.write(w, status, e.Answer())
}

func (s *Server) write(w http.ResponseWriter, status int, body []byte) {
	_ = s.options.Answers.Send(w, func() {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		_, _ = w.Write(body)
	})
}

// identify finds out by which revision a message is to be read, and checks what that asks of the headers.
func (s *Server) identify(m *message, h http.Header) (_ session, status int, _ *Error) {
	header := h.Get(revisionHeader)
	if isModern(m, header) {
		if !m.request {
			// Revision 2026-07-28 defines no headers for notifications, and no session for them to be of.
			return session{revision: modern}, 0, nil
		}
		found, err := readModern(m)
		if mismatch := checkHeaders(m, h); mismatch != nil && (err == nil || err.Code == UnsupportedRevision) {
			err = mismatch
		}
		return found, http.StatusBadRequest, err
	}
	found := session{revision: header, level: defaultLevel}
	switch {
	case m.method == "initialize":
		// The handshake is about the revision; a header has nothing to say yet.
		found.revision = latestLegacy
		return found, 0, nil
	case header == "":
		found.revision = unnamed
	case negotiate(header) != header:
		return found, http.StatusBadRequest, unsupported(header)
	}
	if id := h.Get(sessionHeader); id != "" {
		capabilities, ok := parseSessionID(id)
		if !ok {
			// By this status a client learns to begin a session anew.
			return found, http.StatusNotFound, refuse(InvalidRequest, "no such session: initialize again")
		}
		found.name, found.capabilities, found.level = id, capabilities, s.levels.get(id)
	}
	return found, 0, nil
}

// checkHeaders compares the headers of a modern request with its body: one that said something else could pass a gateway
// that decides by the headers.
func checkHeaders(m *message, h http.Header) *Error {
	revision, _ := m.meta(metaRevision)
	version, _ := revision.Text()
	if e := checkHeader(h, revisionHeader, version); e != nil {
		return e
	}
	if e := checkHeader(h, methodHeader, m.method); e != nil {
		return e
	}
	named := map[string]string{"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}[m.method]
	if named == "" {
		return nil
	}
	name, ok := text(m.params, named)
	if !ok {
		return nil // which the method refuses
	}
	return checkHeader(h, nameHeader, name)
}

func checkHeader(h http.Header, name, want string) *Error {
	values := h.Values(name)
	if len(values) != 1 {
		return refuse(HeaderMismatch, "Header mismatch: %s must be there once", name)
	}
	if got, ok := decodeHeader(values[0]); !ok || got != want {
		return refuse(HeaderMismatch, "Header mismatch: %s header value %q does not match body value %q", name, clip(values[0]), clip(want))
	}
	return nil
}

// decodeHeader reads a header value, which is in base64 where it could not be written as it is.
func decodeHeader(value string) (string, bool) {
	const prefix, suffix = "=?base64?", "?="
	inner, found := strings.CutPrefix(value, prefix)
	if !found || !strings.HasSuffix(inner, suffix) {
		return value, true
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(inner, suffix))
	return string(raw), err == nil
}

// accepted is which forms of answer a client takes.
type accepted struct{ json, events bool }

// acceptable reads Accept headers. A client without one is no stock client, and gets JSON.
func acceptable(headers []string) (a accepted) {
	if len(headers) == 0 {
		return accepted{json: true}
	}
	for _, header := range headers {
		for entry := range strings.SplitSeq(header, ",") {
			media, parameters, err := mime.ParseMediaType(strings.TrimSpace(entry))
			if q, err := strconv.ParseFloat(parameters["q"], 64); err == nil && q == 0 {
				continue
			}
			if err != nil {
				continue
			}
			switch media {
			case "*/*":
				a = accepted{json: true, events: true}
			case "application/json", "application/*":
				a.json = true
			case "text/event-stream", "text/*":
				a.events = true
			}
		}
	}
	return a
}

// eventStream is the answer to a request as events. It begins with the first message, so that most answers are plain JSON.
type eventStream struct {
	w       http.ResponseWriter
	answers *delivery.Answers
	// can says that the client takes events, must that it takes nothing else.
	can, must bool

	mu           sync.Mutex
	begun, ended bool
}

func (e *eventStream) start() {
	if e.begun {
		return
	}
	e.begun = true
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // or nginx keeps events back
	e.w.WriteHeader(http.StatusOK)
}

// send writes a message as an event. It is false where the client takes no events, or is gone.
func (e *eventStream) send(message []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.can || e.ended {
		return false
	}
	e.start()
	return e.event(message)
}

func (e *eventStream) event(message []byte) bool {
	event := make([]byte, 0, len(message)+len("event: message\ndata: \n\n"))
	event = append(append(append(event, "event: message\ndata: "...), message...), "\n\n"...)
	var failed error
	sent := e.answers.Send(e.w, func() { _, failed = e.w.Write(event) })
	return failed == nil && sent == nil
}

// end lets nothing follow the answer, which it writes where a stream has begun or must. It is false where the answer is still
// to be written, as JSON. A nil answer is none.
func (e *eventStream) end(answer []byte) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
	if answer != nil && !e.begun && !e.must {
		return false
	}
	e.start()
	if answer != nil {
		e.event(answer)
	}
	return true
}
