package mcp

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rpcPath is where the surface of Decision Gate is served.
const rpcPath = "/rpc"

// route is what is served at a path.
type route struct {
	// methods are those that it takes, as Allow names them.
	methods string
	serve   http.HandlerFunc
}

// Handler serves POST /rpc and the health routes (mcp contract §1.3), and POST /mcp. There is nothing to GET or DELETE at
// /mcp: no stream outlives its request, and a session is nothing that is kept.
func (s *Server) Handler() http.Handler {
	const post, get = "POST", "GET,HEAD"
	return s.local(serveRoutes(map[string]route{
		rpcPath:      {post, s.rpc},
		standardPath: {post, s.standardHTTP},
		"/healthz":   {get, s.healthz},
		"/readyz":    {get, s.readyz},
	}))
}

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	s.writeHealth(w, http.StatusOK, "ok")
}

func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ready"
	if !s.Ready() || s.slots.stopping() {
		status, word = http.StatusServiceUnavailable, "not_ready"
	}
	s.writeHealth(w, status, word, s.degraded()...)
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

// serveRoutes is no ServeMux, which answers in its own words: what is not one of the routes has an empty body, and no path is
// redirected to another.
func serveRoutes(routes map[string]route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, known := routes[r.URL.EscapedPath()]
		switch {
		case fields(r) > maxFields:
			w.WriteHeader(http.StatusRequestHeaderFieldsTooLarge)
		case !known:
			w.WriteHeader(http.StatusNotFound)
		case !slices.Contains(strings.Split(at.methods, ","), r.Method):
			w.Header().Set("Allow", at.methods)
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			at.serve(w, r)
		}
	})
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
