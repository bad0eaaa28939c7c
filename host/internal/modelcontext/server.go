package modelcontext

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/delivery"
)

// Server answers the messages of clients. It is safe for concurrent use.
type Server struct {
	catalog  Catalog
	methods  map[string]method
	tools    map[string]*Tool
	prompts  map[string]*Prompt
	reads    map[string]*Resource
	options  Options
	identity []byte // the members of the implementation: name, title, version

	levels    logLevels
	questions questions
	flights   flights
}

// Options are what a Server is run with.
type Options struct {
	// MaxMessage is the size in bytes of the largest line of standard input.
	MaxMessage int64
	// MaxInflight is how many requests of standard input are served at a time; the next ones wait.
	MaxInflight int
	// Answers sends what goes to clients over HTTP.
	Answers *delivery.Answers
	// Begin makes the context of a message of standard input, or of its refusal. Observe is told of each message before
	// it is answered, and how; an error that it returns is what is answered. Either may be nil.
	Begin   func(ctx context.Context) (context.Context, *Error)
	Observe func(ctx context.Context, o Observation) *Error
}

// Observation is what became of a message.
type Observation struct {
	// ID is that of a request; nil for anything else. Method is empty for what is no request or notification, Name for most
	// methods.
	ID           *canonical.Value
	Method, Name string
	Began        time.Time
	// Size and Answer are the sizes of the message and of what it is answered with, in bytes; 0 for no answer.
	Size, Answer int
	// Err is nil for a result, that of a tool which failed included.
	Err *Error
	// Panic and Stack are set when the request panicked.
	Panic any
	Stack []byte
}

// New makes a Server; it refuses a catalog that names something twice or not at all.
func New(catalog Catalog, options Options) (*Server, error) {
	s := &Server{
		catalog: catalog, options: options,
		tools: map[string]*Tool{}, prompts: map[string]*Prompt{}, reads: map[string]*Resource{},
	}
	for i := range catalog.Tools {
		s.tools[catalog.Tools[i].Name] = &catalog.Tools[i]
	}
	for i := range catalog.Prompts {
		s.prompts[catalog.Prompts[i].Name] = &catalog.Prompts[i]
	}
	for i := range catalog.Resources {
		s.reads[catalog.Resources[i].URI] = &catalog.Resources[i]
	}
	if len(s.tools) != len(catalog.Tools) || len(s.prompts) != len(catalog.Prompts) || len(s.reads) != len(catalog.Resources) {
		return nil, fmt.Errorf("a tool, prompt or resource of %s is there twice", catalog.Name)
	}
	s.identity = canonical.Append(nil, struct {
		Name    string `member:"name"`
		Title   string `member:"title"`
		Version string `member:"version"`
	}{catalog.Name, catalog.Title, catalog.Version}, canonical.Declared)
	s.methods = s.offered()
	return s, nil
}

// request is a request that is being answered.
type request struct {
	message
	size    int // of the message, in bytes
	session session
	out     outlet
}

// serve answers a request of a client. answered is false when the client cancelled it and wants no answer.
func (s *Server) serve(ctx context.Context, r *request) (answer []byte, failure *Error, answered bool) {
	seen := Observation{ID: &r.id, Method: r.method, Began: time.Now(), Size: r.size}
	defer func() {
		if p := recover(); p != nil {
			// It ends the request, not the host and not the loop of a transport.
			seen.Panic, seen.Stack = p, debug.Stack()
			failure, answered = &Error{Code: Internal, Message: "internal error"}, true
			answer = appendError(nil, &r.id, failure)
		}
		seen.Err, seen.Answer = failure, len(answer)
		if told := s.observe(ctx, seen); told != nil && answered {
			failure, answer = told, appendError(nil, &r.id, told)
		}
	}()
	if r.session.name != "" {
		cancellable, land, ok := s.flights.begin(ctx, r.session.name, r.id)
		if !ok {
			failure = refuse(InvalidRequest, "a request with this id is being answered")
			return appendError(nil, &r.id, failure), failure, true
		}
		defer land()
		ctx = cancellable
	}
	result, err := s.dispatch(ctx, r, &seen)
	if context.Cause(ctx) == errCancelled {
		// What it did before stays done.
		return nil, nil, false
	}
	if err != nil {
		failure = asError(err)
		return appendError(nil, &r.id, failure), failure, true
	}
	return s.appendResult(nil, r, result), nil, true
}

func (s *Server) observe(ctx context.Context, o Observation) *Error {
	if s.options.Observe == nil {
		return nil
	}
	return s.options.Observe(ctx, o)
}

// refused is what a message is answered that is not served, under its id where it has one.
func (s *Server) refused(ctx context.Context, m *message, size int, e *Error) []byte {
	var id *canonical.Value
	if m.request {
		id = &m.id
	}
	answer := appendError(nil, id, e)
	o := Observation{ID: id, Method: m.method, Began: time.Now(), Size: size, Answer: len(answer), Err: e}
	if told := s.observe(ctx, o); told != nil {
		answer = appendError(nil, id, told)
	}
	return answer
}

// taken takes what is no request. The error is what is answered.
func (s *Server) taken(ctx context.Context, session string, m *message, size int) (known bool, _ *Error) {
	known = s.notified(session, m)
	if !known {
		return false, nil
	}
	return true, s.observe(ctx, Observation{Method: m.method, Began: time.Now(), Size: size})
}

func (s *Server) dispatch(ctx context.Context, r *request, seen *Observation) (Result, error) {
	m, known := s.methods[r.method]
	if !known || m.era == legacyOnly && r.session.modern() || m.era == modernOnly && !r.session.modern() {
		return Result{}, refuse(MethodNotFound, "method not found: %s", r.method)
	}
	if m.name != "" {
		name, ok := text(r.params, m.name)
		if !ok {
			return Result{}, refuse(InvalidParams, "params.%s must be a string", m.name)
		}
		seen.Name = name
	}
	return m.answer(ctx, r)
}

// appendResult appends the answer to a request that succeeded, with what the revision adds to every result.
func (s *Server) appendResult(dst []byte, r *request, result Result) []byte {
	dst = append(appendID(append(dst, opening...), r.id), `,"result":{`...)
	dst = append(dst, result.Members...)
	comma := len(result.Members) > 0
	member := func(name string) {
		if comma {
			dst = append(dst, ',')
		}
		comma = true
		dst = append(append(append(dst, '"'), name...), `":`...)
	}
	meta := result.Meta
	if r.session.modern() {
		member("resultType")
		if result.Incomplete {
			dst = append(dst, `"input_required"`...)
		} else {
			dst = append(dst, `"complete"`...)
		}
		about := append([]byte(`"`+metaServerInfo+`":`), s.identity...)
		if len(meta) > 0 {
			about = append(append(about, ','), meta...)
		}
		meta = about
	}
	if len(meta) > 0 {
		member("_meta")
		dst = append(append(append(dst, '{'), meta...), '}')
	}
	return append(dst, "}}"...)
}

// call makes the Call of a request.
func (s *Server) call(r *request, name string) *Call {
	c := &Call{Name: name, Params: r.params, server: s, session: r.session, out: r.out}
	if arguments, given := r.params.Member("arguments"); given {
		c.Arguments = arguments
	} else {
		c.Arguments = canonical.NewObject(nil)
	}
	if token, given := r.meta(metaProgress); given && validID(token) {
		c.progress = token
	}
	return c
}

// notified takes a notification, or the response to a request of this server. It reports whether anybody waited for a
// response.
func (s *Server) notified(session string, m *message) bool {
	switch {
	case session == "":
		return !m.response
	case m.response:
		return s.questions.answer(session, m)
	case m.method == "notifications/cancelled":
		if id, given := m.params.Member("requestId"); given {
			s.flights.end(session, id)
		}
	}
	// Others, such as notifications/initialized, ask for nothing.
	return true
}
