// Package guide is the documentation that the host serves to its clients: documents by address, and a search for their
// sections (mcp contract §1.8, §4.20). The documents are made of the pages in docs/ and of what an operator adds.
//
// It is read once, at start; nothing that a client sends makes it open a file. It tells no path of the machine.
package guide

import (
	"fmt"
	"log/slog"
	"strings"
)

// Prefix is how the address of every document begins.
const Prefix = "decision-gate://docs/"

// Role is what a document is for, by which a search prefers it.
type Role string

// The roles, in the order in which they are told.
const (
	Reasoning Role = "reasoning"
	Decision  Role = "decision"
	Ontology  Role = "ontology"
	Pattern   Role = "pattern"
)

var roles = []Role{Reasoning, Decision, Ontology, Pattern}

// Document is one document.
type Document struct {
	ID, Title, Description string
	Role                   Role
	URI                    string
	// Text is Markdown.
	Text string

	sections []section
}

// Options say which documents there are. Sizes are in bytes.
type Options struct {
	// Own are the documents of the host itself.
	Own bool
	// Extra are files and folders of an operator; of folders every file that ends with .md, at any depth.
	Extra []string
	// A document of Extra that breaks one of these bounds is left out with a warning.
	MaxDocBytes, MaxTotalBytes int64
	MaxDocs                    int
	// MaxSections is the most that a search answers with.
	MaxSections int
	Logger      *slog.Logger
}

// OptionError says which option cannot be used: one that is too small for the documents of the host, or a path that is not
// there. It is for the operator: it names paths of the machine.
type OptionError struct {
	Option string // as the configuration names it
	// Path is the one of extra_paths that is meant.
	Path string
	Text string
}

func (e *OptionError) Error() string {
	if e.Path != "" {
		return fmt.Sprintf("docs.%s: %s: %s", e.Option, e.Path, e.Text)
	}
	return fmt.Sprintf("docs.%s %s", e.Option, e.Text)
}

// Catalogue holds the documents of a host. It never changes and may be used by many goroutines.
type Catalogue struct {
	documents   []*Document
	byURI       map[string]*Document
	bytes       int64
	maxSections int
}

// New reads the documents. The error is an *OptionError.
func New(o Options) (*Catalogue, error) {
	c := &Catalogue{byURI: map[string]*Document{}, maxSections: o.MaxSections}
	if o.Own {
		for _, d := range own {
			if full := c.full(d, &o); full != "" {
				return nil, &OptionError{Option: full, Text: "is too small for the documents of the host"}
			}
			c.add(d)
		}
	}
	return c, c.addExtra(&o)
}

// full names the bound that a document more would break; empty when there is room.
func (c *Catalogue) full(d *Document, o *Options) string {
	size := int64(len(d.Text))
	switch {
	case len(c.documents) >= o.MaxDocs:
		return "max_docs"
	case size > o.MaxDocBytes:
		return "max_doc_bytes"
	case c.bytes+size > o.MaxTotalBytes:
		return "max_total_bytes"
	default:
		return ""
	}
}

func (c *Catalogue) add(d *Document) {
	c.documents = append(c.documents, d)
	c.byURI[d.URI] = d
	c.bytes += int64(len(d.Text))
}

// Documents are all documents, in their order.
func (c *Catalogue) Documents() []*Document { return c.documents }

// Document finds a document by its address, which must be exactly that.
func (c *Catalogue) Document(uri string) (*Document, bool) {
	d, ok := c.byURI[uri]
	return d, ok
}

// section is a part of a document that a search answers with.
type section struct {
	heading, content string
	// lowHeading and lowContent are what is searched.
	lowHeading, lowContent string
}

// split cuts a document at its headings of the second and third level; what is before the first is called as the document.
func split(d *Document) []section {
	var sections []section
	heading, body := d.Title, []string{}
	end := func() {
		content := strings.TrimSpace(strings.Join(body, ""))
		sections = append(sections, section{heading, content, strings.ToLower(heading), strings.ToLower(content)})
	}
	for line := range strings.Lines(d.Text) {
		if title, ok := headingOf(line); ok {
			end()
			heading, body = title, nil
			continue
		}
		body = append(body, line)
	}
	end()
	return sections
}

// headingOf is the text of a heading of the second or third level.
func headingOf(line string) (string, bool) {
	for _, mark := range []string{"## ", "### "} {
		if text, ok := strings.CutPrefix(line, mark); ok {
			return strings.TrimSpace(text), true
		}
	}
	return "", false
}
