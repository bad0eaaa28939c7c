package mcp

import (
	"context"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/internal/guide"
)

// Docs is the documentation that clients may read, and how.
type Docs struct {
	// Catalogue may be nil when neither is on.
	Catalogue *guide.Catalogue
	// Search serves decision_gate_docs_search, Resources serves resources/list and resources/read.
	Search, Resources bool
}

type searchArguments struct {
	Query       string  `member:"query"`
	MaxSections *uint64 `member:"max_sections" presence:"O"`
}

// docsSearch is mcp contract §4.20.
func (s *Server) docsSearch(_ context.Context, _ caller, a searchArguments) (guide.Found, error) {
	return s.Docs.Catalogue.Search(a.Query, a.MaxSections), nil
}

const markdown = "text/markdown"

type resource struct {
	URI         string `member:"uri"`
	Name        string `member:"name"`
	Description string `member:"description"`
	MimeType    string `member:"mimeType"`
}

type contents struct {
	URI      string `member:"uri"`
	MimeType string `member:"mimeType"`
	Text     string `member:"text"`
}

// resources answers resources/list and resources/read (mcp contract §1.8).
func (s *Server) resources(who caller, req *request) ([]byte, *Error) {
	if !s.Docs.Resources {
		return nil, errUnknownMethod
	}
	if req.method == "resources/list" {
		return s.listResources(), s.allow(who, listAction)
	}
	uri, ok := resourceURI(req.params)
	if !ok {
		return nil, refuse(InvalidParams, "resources.read requires uri")
	}
	if !strings.HasPrefix(uri, guide.Prefix) {
		return nil, refuse(InvalidParams, "resource uri must start with %s", guide.Prefix)
	}
	if err := s.allow(who, listAction); err != nil {
		return nil, err
	}
	d, ok := s.Docs.Catalogue.Document(uri)
	if !ok {
		return nil, refuse(InvalidParams, "unknown resource uri: %s", uri)
	}
	result := struct {
		Contents []contents `member:"contents"`
	}{[]contents{{URI: d.URI, MimeType: markdown, Text: d.Text}}}
	return canonical.Append(nil, result, canonical.Declared), nil
}

func (s *Server) listResources() []byte {
	var list struct {
		Resources []resource `member:"resources"`
	}
	for _, d := range s.Docs.Catalogue.Documents() {
		list.Resources = append(list.Resources, resource{URI: d.URI, Name: d.Title, Description: d.Description, MimeType: markdown})
	}
	return canonical.Append(nil, list, canonical.Declared)
}

// resourceURI is the uri of the parameters, or of their member arguments, where some clients put it.
func resourceURI(params canonical.Value) (string, bool) {
	if uri, ok := textMember(params, "uri"); ok {
		return uri, true
	}
	inner, ok := params.Member("arguments")
	if !ok {
		return "", false
	}
	return textMember(inner, "uri")
}

func textMember(v canonical.Value, name string) (string, bool) {
	member, ok := v.Member(name)
	if !ok {
		return "", false
	}
	return member.Text()
}
