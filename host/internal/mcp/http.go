package mcp

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

// rpcPath is where the surface of Decision Gate is served.
const rpcPath = "/rpc"

// Handler serves POST /rpc and the health routes (mcp contract §1.3), and POST /mcp. There is nothing to GET or DELETE at
// /mcp: no stream outlives its request, and a session is nothing that is kept.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+rpcPath, s.rpc)
	mux.HandleFunc("POST "+standardPath, s.standardHTTP)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { s.writeHealth(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if s.Ready() && !s.slots.stopping() {
			s.writeHealth(w, http.StatusOK, "ready", s.degraded()...)
		} else {
			s.writeHealth(w, http.StatusServiceUnavailable, "not_ready", s.degraded()...)
		}
	})
	return s.local(plain(mux))
}

// writeHealth adds a member to the answer of mcp contract §7.2 only when there is something to name. The names are those of
// the configuration, which need no escapes.
func (s *Server) writeHealth(w http.ResponseWriter, status int, word string, degraded ...string) {
	body := `{"status":"` + word + `"`
	if len(degraded) > 0 {
		body += `,"degraded":["` + strings.Join(degraded, `","`) + `"]`
	}
	_ = s.answers.Send(w, func() { writeJSON(w, status, []byte(body+"}")) })
}

func (s *Server) degraded() []string {
	if s.Degraded == nil {
		return nil
	}
	return s.Degraded()
}

// writeTimeout is the time that a client has to take an answer: one that does not read would hold it for ever. It is
// generous, since the largest answers are megabytes.
const writeTimeout = time.Minute

// minLate is how many answers may be late at a time in a host that serves few requests at a time: clients at the end of slow
// lines must not cut off one another.
const minLate = 256

// maxFields is how many header fields a request may have (mcp contract §1.3).
const maxFields = 100

// fields is how many there are. That of the host is not among the others.
func fields(r *http.Request) (n int) {
	if r.Host != "" {
		n++
	}
	for _, values := range r.Header {
		n += len(values)
	}
	return n
}

// plain keeps ServeMux from answering in its own words: what is not one of our routes has an empty body, and no path is
// redirected to another.
func plain(mux *http.ServeMux) http.Handler {
	routes := map[string]string{rpcPath: "POST", standardPath: "POST", "/healthz": "GET,HEAD", "/readyz": "GET,HEAD"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		methods, known := routes[r.URL.EscapedPath()]
		switch {
		case fields(r) > maxFields:
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		case !known:
			w.WriteHeader(http.StatusNotFound)
		case !strings.Contains(","+methods+",", ","+r.Method+","):
			w.Header().Set("Allow", methods)
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// local refuses what a browser could be made to send to a host that trusts its own machine: a name that was rebound to
// loopback (Host), and a page of another origin (Origin). A client that is no browser sends no Origin. The names of an
// embedder's server are let through.
func (s *Server) local(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Only a client of HTTP/1.0 names no host, and no browser is one.
		if r.Host != "" && !s.anyHost() && !s.ownHost(r.Host) || !s.ownOrigin(r.Host, r.Header.Values("Origin")) {
			s.refuseForeign(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) refuseForeign(w http.ResponseWriter, r *http.Request) {
	refused := &refusal{Error: refuse(Unauthorized, "unauthorized")}
	refused.who = caller{transport: "http", credentials: access.FromRequest(r), trail: s.newTrail()}
	switch r.URL.Path {
	case standardPath:
		s.refuseStandard(w, r, refused)
		return
	case rpcPath:
		refused = s.recordRefusal(r.Context(), refused, errorSize)
	}
	body, status := appendError(nil, nil, refused.Error)
	_ = s.answers.Send(w, func() { writeJSON(w, status, body) })
}

// AnyHost in Hosts stands for every name.
const AnyHost = "*"

func (s *Server) anyHost() bool { return len(s.Hosts) == 1 && s.Hosts[0] == AnyHost }

// ownHost reports whether a host, with or without port, is loopback or one of the names in Hosts.
func (s *Server) ownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ".")
	if strings.EqualFold(host, "localhost") || slices.ContainsFunc(s.Hosts, func(own string) bool { return strings.EqualFold(own, host) }) {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// ownOrigin reports whether every page that asks is of an own host. Where every name is one, it must be the name that is
// asked: a page of any other is of another site.
func (s *Server) ownOrigin(asked string, origins []string) bool {
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" {
			return false
		}
		if !s.ownHost(u.Host) && !(s.anyHost() && strings.EqualFold(u.Host, asked)) {
			return false
		}
	}
	return true
}

// jsonContent reports whether the content type is JSON, or not given. A page can send text/plain across sites without being
// asked for permission; it cannot send JSON.
func jsonContent(contentType string) bool {
	if contentType == "" {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// rpc answers a call.
func (s *Server) rpc(w http.ResponseWriter, r *http.Request) {
	a, refused := s.admit(w, r)
	if refused != nil {
		refused.who.transport = s.rpcTransport()
		refused = s.recordRefusal(r.Context(), refused, errorSize)
		body, status := appendError(nil, nil, refused.Error)
		s.write(w, answer{body, cmp.Or(refused.status, status)})
		return
	}
	defer a.leave()
	a.who.transport = s.rpcTransport()
	answer := s.serve(r.Context(), a.who, a.body)
	// Not after the answer is sent. Attack stopped: a few connections of HTTP/2 whose clients open no window hold all slots.
	a.leave()
	s.write(w, answer)
}

// rpcTransport is how /rpc answers, as records name it.
func (s *Server) rpcTransport() string {
	if s.EventStream {
		return "sse"
	}
	return "http"
}

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
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxBody))
	received = len(body)
	var tooLarge *http.MaxBytesError
	switch {
	case !place.arrived():
		a.leave()
		return nil, &refusal{Error: errOverloaded}
	case errors.As(err, &tooLarge):
		a.leave()
		return nil, &refusal{Error: errBodyTooLarge}
	case err != nil:
		a.leave()
		return nil, &refusal{Error: errInvalidRequest}
	case refused != "":
		a.leave()
		return nil, s.refuseCorrelationID(r, who, refused)
	}
	a.body = body
	if s.busy.Add(int64(len(body))) > max(maxBusy, s.MaxBody) {
		a.leave()
		return nil, &refusal{Error: errOverloaded}
	}
	if limited := s.limited(&who); limited != nil {
		a.leave()
		return nil, &refusal{Error: limited}
	}
	return a, nil
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
	s.Logger.WarnContext(r.Context(), "correlation id refused", "server_correlation_id", who.serverID, "label", label)
	return &refusal{Error: refuse(InvalidCorrelationID, "invalid correlation id"), label: label}
}

func (s *Server) write(w http.ResponseWriter, a answer) {
	s.challenge(w, a.status)
	_ = s.answers.Send(w, func() {
		if s.EventStream && !unread[a.status] {
			writeEvent(w, a.status, a.body)
		} else {
			writeJSON(w, a.status, a.body)
		}
	})
}

// unread are the statuses of requests that are refused as HTTP: they are not answered as events (mcp contract §1.4).
var unread = map[int]bool{http.StatusRequestEntityTooLarge: true, http.StatusUnsupportedMediaType: true}

// writeEvent writes an answer, which has no line break, as the one event of a stream.
func writeEvent(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(slices.Concat([]byte("data: "), body, []byte("\n\n")))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body))) // or net/http cuts larger answers into chunks
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
