package mcp

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// errorSize is the size in bytes of the answer to a request that was refused before it was read.
func errorSize(e *Error) int {
	body, _ := appendError(nil, nil, e)
	return len(body)
}

// admitted is a request that was read and has a slot and a body, until it leaves. It may leave several times.
type admitted struct {
	who   caller
	body  []byte
	leave func()
}

// refusal is why a request was not admitted. status is that of HTTP where it is not the error's own.
type refusal struct {
	*Error
	status int
	// For the record: who sent the request, how many bytes of it were read, and why the correlation id was refused, if it was.
	who      caller
	received int
	label    string
}

// admit reads a request. Of the reasons to refuse one, a body that is too large is told first, then the correlation id, then
// that the host is overloaded (mcp contract §2.3).
func (s *Server) admit(w http.ResponseWriter, r *http.Request) (_ *admitted, why *refusal) {
	who := s.identify(r)
	received, began := 0, time.Now()
	defer func() {
		if why != nil {
			why.who, why.received = who, received
			s.logCall(r.Context(), who, "invalid", "", began, why.Error)
		}
	}()
	w.Header().Set(serverCorrelationHeader, who.serverID)
	refused := "" // why the client's correlation id is
	if values := r.Header.Values(correlationHeader); len(values) > 0 {
		if who.correlationID, refused = checkCorrelationID(values[0]); refused == "" {
			w.Header().Set(correlationHeader, who.correlationID)
		}
	}
	if !jsonContent(r.Header.Get("Content-Type")) {
		return nil, &refusal{Error: errInvalidRequest, status: http.StatusUnsupportedMediaType}
	}
	// A body that says so itself is not waited for.
	if r.ContentLength > s.MaxBody {
		return nil, &refusal{Error: errBodyTooLarge}
	}
	// The slot is taken before the body is read, so that stalled bodies are counted too; the read deadline frees it, if not
	// a request that needs it. An error ends reads for good, so net/http closes the connection.
	place, full := s.slots.take(func() bool {
		return http.NewResponseController(w).SetReadDeadline(time.Now()) == nil
	})
	if full != nil {
		if refused != "" {
			return nil, s.refuseCorrelationID(r, who, refused)
		}
		return nil, &refusal{Error: full}
	}
	a := &admitted{who: who}
	a.leave = sync.OnceFunc(func() {
		s.busy.Add(-int64(len(a.body)))
		a.body = nil
		place.leave()
	})
	if received, why = s.receive(w, r, a, place, refused); why != nil {
		a.leave()
		return nil, why
	}
	return a, nil
}

// receive reads the body of a request that has a place, and counts it. label says why the client's correlation id is refused.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, a *admitted, place *slot, label string) (received int, _ *refusal) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxBody))
	received = len(body)
	var tooLarge *http.MaxBytesError
	switch {
	case !place.arrived():
		return received, &refusal{Error: errOverloaded}
	case errors.As(err, &tooLarge):
		return received, &refusal{Error: errBodyTooLarge}
	case err != nil:
		return received, &refusal{Error: errInvalidRequest}
	case label != "":
		return received, s.refuseCorrelationID(r, a.who, label)
	}
	a.body = body
	if s.busy.Add(int64(received)) > max(maxBusy, s.MaxBody) {
		return received, &refusal{Error: errOverloaded}
	}
	if limited := s.limited(&a.who); limited != nil {
		return received, &refusal{Error: limited}
	}
	return received, nil
}

var (
	errBodyTooLarge = refuse(TooLarge, "request body too large")
	errOverloaded   = refuse(Overloaded, "server overloaded")
	errDraining     = refuse(Overloaded, "server is stopping")
)

// maxBusy is how many bytes of bodies are served at a time, or one body when that is larger. A body of nothing but brackets
// takes forty times its size when it is read: as many as there are slots would take the memory of the machine.
const maxBusy = 32 << 20

func (s *Server) refuseCorrelationID(r *http.Request, who caller, label string) *refusal {
	s.Logger.DebugContext(r.Context(), "correlation id refused", "server_correlation_id", who.serverID, "label", label)
	return &refusal{Error: refuse(InvalidCorrelationID, "invalid correlation id"), label: label}
}
