package lint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

var duplicateRule = Rule{Code: "duplicate-member", Severity: Warning, Fix: "Remove all but one: of members with the same name the last wins."}

// locate gives the findings their lines and columns, finds members that are there twice, and sorts. It reads the document a
// second time, by its tokens: values know their kinds, not their places.
func (l *linter) locate(document []byte) {
	p := &placer{document: document, places: map[string]int{}, duplicate: l.reporter(duplicateRule)}
	for _, f := range l.report.Findings {
		for path := f.Path; path != ""; path = parent(path) {
			p.places[path] = -1
		}
	}
	if slices.ContainsFunc(l.report.Findings, func(f Finding) bool { return f.Code == syntaxRule.Code || f.Code == sizeRule.Code }) {
		return
	}
	p.decoder = json.NewDecoder(bytes.NewReader(document))
	p.decoder.UseNumber()
	// The document has been read once: it is JSON, and nests no deeper than canonical.MaxDepth.
	_ = p.value("")
	lines := lineStarts(document)
	for i := range l.report.Findings {
		f := &l.report.Findings[i]
		f.Line, f.Column = position(lines, p.find(f.Path))
	}
	slices.SortStableFunc(l.report.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

type placer struct {
	document []byte
	decoder  *json.Decoder
	// places are the offsets of the paths that are looked for.
	places    map[string]int
	duplicate report
}

// start is the offset of the token that comes next.
func (p *placer) start() int {
	at := int(p.decoder.InputOffset())
	for at < len(p.document) && strings.IndexByte(" \t\r\n,:", p.document[at]) >= 0 {
		at++
	}
	return at
}

func (p *placer) mark(path string, at int) {
	if _, wanted := p.places[path]; wanted {
		p.places[path] = at
	}
}

func (p *placer) value(path string) error {
	token, err := p.decoder.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('['):
		for i := 0; p.decoder.More(); i++ {
			item := fmt.Sprintf("%s[%d]", path, i)
			p.mark(item, p.start())
			if err := p.value(item); err != nil {
				return err
			}
		}
	case json.Delim('{'):
		if err := p.object(path); err != nil {
			return err
		}
	default:
		return nil
	}
	_, err = p.decoder.Token()
	return err
}

func (p *placer) object(path string) error {
	seen := map[string]bool{}
	for p.decoder.More() {
		at := p.start()
		name, err := p.decoder.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string)
		member := join(path, text)
		if seen[text] {
			p.places[member] = at
			p.duplicate(member, "`%s` is there more than once", clip(text))
		}
		seen[text] = true
		p.mark(member, at)
		if err := p.value(member); err != nil {
			return err
		}
	}
	return nil
}

// find is the place of a path, or of the nearest part of the document around it.
func (p *placer) find(path string) int {
	for ; path != ""; path = parent(path) {
		if at, found := p.places[path]; found && at >= 0 {
			return at
		}
	}
	return 0
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// parent is a path without its last step.
func parent(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

func lineStarts(document []byte) []int {
	starts := []int{0}
	for i, c := range document {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

func position(starts []int, at int) (line, column uint64) {
	i, exact := slices.BinarySearch(starts, at)
	if !exact {
		i--
	}
	return uint64(i + 1), uint64(at - starts[i] + 1)
}
