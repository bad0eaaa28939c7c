package mcp

import (
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
)

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
