// Package modelcontext serves the Model Context Protocol to stock clients: the handshake and its absence, revisions,
// tools, resources, prompts, progress and cancellation, over streamable HTTP and over lines of standard input.
//
// It knows nothing of Decision Gate: what it serves is a Catalog, and it asks nobody who a client is and whether there is
// room for another request. That is for whoever hands requests to it.
//
// Its revisions are of two kinds. Up to 2025-11-25 a client begins with initialize (legacy below); from 2026-07-28 on every
// request says its revision itself (modern). Both are served at the same address. Nothing is kept for a client beyond its
// calls in flight and the log level that it asked for: see session.go.
package modelcontext

import (
	"context"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// Catalog is what a server offers. A kind that has nothing is not declared to clients, and its methods are not there.
type Catalog struct {
	// Name, Title and Version say what the server is; Instructions tell a model what it is good for.
	Name, Title, Version, Instructions string

	Tools     []Tool
	Resources []Resource
	Templates []Template
	Prompts   []Prompt
	// Complete offers values for an argument of a prompt or a template; nil declares no completion.
	Complete func(ctx context.Context, c *Completion) ([]string, error)
}

// Tool is a function that a model may call. The tagged fields are what tools/list says of it.
type Tool struct {
	Name        string          `member:"name"`
	Title       *string         `member:"title" presence:"OS"`
	Description string          `member:"description"`
	Input       canonical.Value `member:"inputSchema"`
	// Output is the schema of structuredContent, which every result that is no error then has.
	Output      *canonical.Value `member:"outputSchema" presence:"OS"`
	Annotations *canonical.Value `member:"annotations" presence:"OS"`

	// Call runs the tool. A failure of the tool is a Result that says so; an error is one of the protocol, such as a
	// capability that the client lacks.
	Call func(ctx context.Context, c *Call) (Result, error)
}

// Resource is a document that a client may read.
type Resource struct {
	URI         string  `member:"uri"`
	Name        string  `member:"name"`
	Title       *string `member:"title" presence:"OS"`
	Description string  `member:"description"`
	MIMEType    string  `member:"mimeType"`

	Read func(ctx context.Context, c *Call) ([]Contents, error)
}

// Template is a family of documents, by a URI template (RFC 6570). Read answers nil contents for a URI that is not of it.
type Template struct {
	URITemplate string `member:"uriTemplate"`
	Name        string `member:"name"`
	Description string `member:"description"`
	MIMEType    string `member:"mimeType"`

	Read func(ctx context.Context, c *Call, uri string) ([]Contents, error)
}

// Contents is a document: Text, or Blob in base64.
type Contents struct {
	URI      string  `member:"uri"`
	MIMEType string  `member:"mimeType"`
	Text     *string `member:"text" presence:"OS"`
	Blob     *string `member:"blob" presence:"OS"`
}

// Prompt is a text that a person may begin with.
type Prompt struct {
	Name        string     `member:"name"`
	Title       *string    `member:"title" presence:"OS"`
	Description string     `member:"description"`
	Arguments   []Argument `member:"arguments"`

	// Get is called once the required arguments are there, each of them a string.
	Get func(ctx context.Context, c *Call) (Result, error)
}

// Argument is an argument of a prompt.
type Argument struct {
	Name        string `member:"name"`
	Description string `member:"description"`
	Required    bool   `member:"required"`
}

// Completion asks for the values of an argument that begin with what was typed.
type Completion struct {
	// Prompt or Template is set, by name or by URI template.
	Prompt, Template string
	Argument, Value  string
}

// Result is the result of a call. Members are the members of a JSON object without its braces, on one line, since a line ends
// a message: what the method answers, but for what the protocol adds to every result.
type Result struct {
	Members []byte
	// Meta are the members of the result's _meta, likewise.
	Meta []byte
	// Incomplete says that the members ask the client for input (modern revisions only).
	Incomplete bool
}
