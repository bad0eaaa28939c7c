package modelcontext

import (
	"context"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// era says which revisions have a method.
type era uint8

const (
	always era = iota
	legacyOnly
	modernOnly
)

// method is one method of the protocol.
type method struct {
	era era
	// name is the member of params that names what is asked for; none for most methods.
	name   string
	answer func(ctx context.Context, r *request) (Result, error)
}

// offered are the methods that go with what the catalog has.
func (s *Server) offered() map[string]method {
	methods := map[string]method{
		"initialize":       {era: legacyOnly, answer: s.initialize},
		"ping":             {era: legacyOnly, answer: func(context.Context, *request) (Result, error) { return Result{}, nil }},
		"logging/setLevel": {era: legacyOnly, name: "level", answer: s.setLevel},
		"server/discover":  {era: modernOnly, answer: s.discover},
	}
	c := &s.catalog
	if len(c.Tools) > 0 {
		methods["tools/list"] = method{answer: list("tools", c.Tools)}
		methods["tools/call"] = method{name: "name", answer: s.callTool}
	}
	if len(c.Resources)+len(c.Templates) > 0 {
		methods["resources/list"] = method{answer: list("resources", c.Resources)}
		methods["resources/templates/list"] = method{answer: list("resourceTemplates", c.Templates)}
		methods["resources/read"] = method{name: "uri", answer: s.readResource}
		methods["resources/subscribe"] = method{era: legacyOnly, name: "uri", answer: s.subscribe}
		methods["resources/unsubscribe"] = method{era: legacyOnly, name: "uri", answer: s.subscribe}
	}
	if len(c.Prompts) > 0 {
		methods["prompts/list"] = method{answer: list("prompts", c.Prompts)}
		methods["prompts/get"] = method{name: "name", answer: s.getPrompt}
	}
	if c.Complete != nil {
		methods["completion/complete"] = method{answer: s.complete}
	}
	return methods
}

// capabilities is the JSON object that declares the same. Lists never change while a server runs, so no change is ever told;
// a legacy client may subscribe to a resource and will hear nothing, since nothing happens.
func (s *Server) capabilities(legacy bool) []byte {
	dst := []byte(`{"logging":{}`)
	c := &s.catalog
	if len(c.Tools) > 0 {
		dst = append(dst, `,"tools":{}`...)
	}
	if len(c.Resources)+len(c.Templates) > 0 {
		dst = append(dst, `,"resources":{`...)
		if legacy {
			dst = append(dst, `"subscribe":true`...)
		}
		dst = append(dst, '}')
	}
	if len(c.Prompts) > 0 {
		dst = append(dst, `,"prompts":{}`...)
	}
	if c.Complete != nil {
		dst = append(dst, `,"completions":{}`...)
	}
	return append(dst, '}')
}

func (s *Server) initialize(_ context.Context, r *request) (Result, error) {
	wanted, named := text(r.params, "protocolVersion")
	if !named {
		return Result{}, refuse(InvalidParams, "params.protocolVersion must be a string")
	}
	dst := canonical.AppendString([]byte(`"protocolVersion":`), negotiate(wanted))
	dst = append(append(dst, `,"capabilities":`...), s.capabilities(true)...)
	dst = append(append(dst, `,"serverInfo":`...), s.identity...)
	return Result{Members: s.instructions(dst)}, nil
}

func (s *Server) instructions(dst []byte) []byte {
	if s.catalog.Instructions == "" {
		return dst
	}
	return canonical.AppendString(append(dst, `,"instructions":`...), s.catalog.Instructions)
}

func (s *Server) discover(context.Context, *request) (Result, error) {
	dst := canonical.Append([]byte(`"supportedVersions":`), Revisions, canonical.Declared)
	dst = append(append(dst, `,"capabilities":`...), s.capabilities(false)...)
	return Result{Members: append(s.instructions(dst), cacheable...)}, nil
}

// cacheable tells modern clients how long they may keep a list: five minutes, after which those of a new version of the
// server are seen. It is their own: who may see what may depend on the caller.
const cacheable = `,"ttlMs":300000,"cacheScope":"private"`

// list makes the method that answers a list, which is whole: there are no pages.
func list[T any](member string, items []T) func(context.Context, *request) (Result, error) {
	if items == nil {
		items = []T{}
	}
	legacy := canonical.Append([]byte(`"`+member+`":`), items, canonical.Declared)
	whole := append(slices.Clone(legacy), cacheable...)
	return func(_ context.Context, r *request) (Result, error) {
		if cursor, given := r.params.Member("cursor"); given && !cursor.IsNull() {
			return Result{}, refuse(InvalidParams, "the list has one page: no cursor is valid")
		}
		if r.session.modern() {
			return Result{Members: whole}, nil
		}
		return Result{Members: legacy}, nil
	}
}

func (s *Server) setLevel(_ context.Context, r *request) (Result, error) {
	name, _ := text(r.params, "level")
	level := slices.Index(levels, name)
	if level < 0 {
		return Result{}, refuse(InvalidParams, "params.level must be one of %v", levels)
	}
	if r.session.name != "" {
		s.levels.set(r.session.name, level)
	}
	return Result{}, nil
}

// arguments returns the Call of a method with arguments, which are an object.
func (s *Server) arguments(r *request, name string) (*Call, error) {
	c := s.call(r, name)
	if c.Arguments.Kind() != canonical.Object {
		return nil, refuse(InvalidParams, "params.arguments must be an object")
	}
	return c, nil
}

func (s *Server) callTool(ctx context.Context, r *request) (Result, error) {
	name, _ := text(r.params, "name")
	tool, known := s.tools[name]
	if !known {
		return Result{}, refuse(InvalidParams, "unknown tool: %s", name)
	}
	c, err := s.arguments(r, name)
	if err != nil {
		return Result{}, err
	}
	return tool.Call(ctx, c)
}

func (s *Server) readResource(ctx context.Context, r *request) (Result, error) {
	uri, _ := text(r.params, "uri")
	c := s.call(r, uri)
	contents, err := s.read(ctx, c, uri)
	switch {
	case err != nil:
		return Result{}, err
	case contents == nil:
		return Result{}, noResource(r, uri)
	}
	dst := canonical.Append([]byte(`"contents":`), contents, canonical.Declared)
	if r.session.modern() {
		dst = append(dst, cacheable...)
	}
	return Result{Members: dst}, nil
}

func (s *Server) read(ctx context.Context, c *Call, uri string) ([]Contents, error) {
	if resource, known := s.reads[uri]; known {
		return resource.Read(ctx, c)
	}
	for i := range s.catalog.Templates {
		if contents, err := s.catalog.Templates[i].Read(ctx, c, uri); contents != nil || err != nil {
			return contents, err
		}
	}
	return nil, nil
}

func noResource(r *request, uri string) *Error {
	e := refuse(InvalidParams, "no such resource")
	if !r.session.modern() {
		e.Code = ResourceNotFound
	}
	e.Data = append(canonical.AppendString([]byte(`{"uri":`), clip(uri)), '}')
	return e
}

func (s *Server) subscribe(_ context.Context, r *request) (Result, error) {
	uri, _ := text(r.params, "uri")
	if _, known := s.reads[uri]; !known {
		return Result{}, noResource(r, uri)
	}
	return Result{}, nil
}

func (s *Server) getPrompt(ctx context.Context, r *request) (Result, error) {
	name, _ := text(r.params, "name")
	prompt, known := s.prompts[name]
	if !known {
		return Result{}, refuse(InvalidParams, "unknown prompt: %s", name)
	}
	c, err := s.arguments(r, name)
	if err != nil {
		return Result{}, err
	}
	for _, m := range c.Arguments.Members() {
		if m.Value.Kind() != canonical.String {
			return Result{}, refuse(InvalidParams, "argument %s must be a string", m.Name)
		}
	}
	for _, a := range prompt.Arguments {
		if _, given := c.Arguments.Member(a.Name); a.Required && !given {
			return Result{}, refuse(InvalidParams, "argument %s is required: %s", a.Name, a.Description)
		}
	}
	return prompt.Get(ctx, c)
}

// maxCompletions is how many values a completion may answer (revision 2025-11-25, completion).
const maxCompletions = 100

func (s *Server) complete(ctx context.Context, r *request) (Result, error) {
	ref, _ := r.params.Member("ref")
	argument, _ := r.params.Member("argument")
	kind, _ := text(ref, "type")
	name, named := text(argument, "name")
	value, given := text(argument, "value")
	if !named || !given {
		return Result{}, refuse(InvalidParams, "params.argument must have a name and a value")
	}
	asked := &Completion{Argument: name, Value: value}
	switch kind {
	case "ref/prompt":
		asked.Prompt, _ = text(ref, "name")
		if s.prompts[asked.Prompt] == nil {
			return Result{}, refuse(InvalidParams, "unknown prompt: %s", asked.Prompt)
		}
	case "ref/resource":
		asked.Template, _ = text(ref, "uri")
	default:
		return Result{}, refuse(InvalidParams, "params.ref.type must be ref/prompt or ref/resource")
	}
	values, err := s.catalog.Complete(ctx, asked)
	if err != nil {
		return Result{}, err
	}
	kept := []string{}
	for _, v := range values {
		if strings.HasPrefix(v, value) {
			kept = append(kept, v)
		}
	}
	total := len(kept)
	completion := struct {
		Values  []string `member:"values"`
		Total   uint64   `member:"total"`
		HasMore bool     `member:"hasMore"`
	}{kept[:min(total, maxCompletions)], uint64(total), total > maxCompletions}
	return Result{Members: canonical.Append([]byte(`"completion":`), completion, canonical.Declared)}, nil
}
