package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Severity of a diagnostic.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
)

// Diagnostic is one finding. Line and Column count from 1; they are 0 when the finding has no place in a file.
type Diagnostic struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	// Summary is what is wrong, Detail what was expected and what to do.
	Summary string `json:"summary"`
	Detail  string `json:"detail"`

	source    string // the offending line; empty when it may hold a secret
	endColumn int
}

// Error is every finding of a configuration, in file order. Its text is for a terminal, Write and WriteJSON choose.
type Error struct {
	Diagnostics []Diagnostic
}

func (e *Error) Error() string {
	var b strings.Builder
	_ = e.Write(&b)
	return strings.TrimRight(b.String(), "\n")
}

// Write renders the findings as text, each with its line and an underline.
func (e *Error) Write(w io.Writer) error {
	for i, d := range e.Diagnostics {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if _, err := io.WriteString(w, d.text()); err != nil {
			return err
		}
	}
	return nil
}

// WriteJSON renders the findings as one JSON array.
func (e *Error) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(e.Diagnostics)
}

// maxSourceLine is the length in bytes of the longest line that is quoted: a longer one helps nobody.
const maxSourceLine = 400

func (d Diagnostic) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s: %s\n", strings.ToUpper(d.Severity[:1]), d.Severity[1:], d.Summary)
	if d.Line > 0 {
		fmt.Fprintf(&b, "\n  on %s line %d, column %d:\n", d.File, d.Line, d.Column)
		if d.source != "" {
			number := fmt.Sprintf("%5d: ", d.Line)
			fmt.Fprintf(&b, "%s%s\n%s%s\n", number, d.source, strings.Repeat(" ", len(number)), d.underline())
		}
	}
	if d.Detail != "" {
		fmt.Fprintf(&b, "\n%s\n", d.Detail)
	}
	return b.String()
}

// underline marks the columns of the finding; tabs are kept so that the marks stay below the text.
func (d Diagnostic) underline() string {
	var b strings.Builder
	column := 1
	for _, r := range d.source {
		if column >= d.Column {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
		column++
	}
	b.WriteString(strings.Repeat("^", max(1, min(d.endColumn, len(d.source)+1)-d.Column)))
	return b.String()
}

// hideSource marks an HCL diagnostic whose line may hold a secret, such as the literal value of a secret attribute.
type hideSource struct{}

// sources are the bytes of the files that diagnostics point into, by file name.
type sources map[string][]byte

// asError turns HCL diagnostics into an Error, or nil when none of them is an error.
func asError(diags hcl.Diagnostics, files sources) error {
	if !diags.HasErrors() {
		return nil
	}
	out := &Error{}
	for _, d := range diags {
		out.Diagnostics = append(out.Diagnostics, fromHCL(d, files))
	}
	slices.SortStableFunc(out.Diagnostics, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	out.Diagnostics = slices.CompactFunc(out.Diagnostics, func(a, b Diagnostic) bool { return a == b })
	return out
}

// fromHCL keeps the texts and the place. It leaves the evaluated values behind that HCL carries along for display: they
// may hold secrets.
func fromHCL(d *hcl.Diagnostic, files sources) Diagnostic {
	out := Diagnostic{Severity: SeverityError, Summary: d.Summary, Detail: d.Detail}
	if more := advice[d.Summary]; more != "" {
		out.Detail += " " + more
	}
	if d.Severity == hcl.DiagWarning {
		out.Severity = SeverityWarning
	}
	if d.Subject == nil {
		return out
	}
	rng := *d.Subject
	out.File, out.Line, out.Column = rng.Filename, rng.Start.Line, rng.Start.Column
	out.endColumn = rng.End.Column
	if rng.End.Line != rng.Start.Line {
		out.endColumn = maxSourceLine
	}
	if _, hidden := d.Extra.(hideSource); !hidden {
		out.source = sourceLine(files[rng.Filename], rng.Start.Line)
	}
	return out
}

// sourceLine is one line of a file as it may be printed: control characters could otherwise drive the reader's terminal.
func sourceLine(src []byte, number int) string {
	for n := 1; len(src) > 0; n++ {
		line, rest, _ := strings.Cut(string(src), "\n")
		if n < number {
			src = src[len(src)-len(rest):]
			continue
		}
		line = strings.ToValidUTF8(strings.TrimRight(line, "\r"), "\uFFFD")
		if len(line) > maxSourceLine {
			return ""
		}
		return strings.Map(func(r rune) rune {
			if r != '\t' && (r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0)) {
				return '\uFFFD'
			}
			return r
		}, line)
	}
	return ""
}

// problem makes an error diagnostic.
func problem(at hcl.Range, summary, format string, args ...any) *hcl.Diagnostic {
	d := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...)}
	if at.Filename != "" {
		d.Subject = &at
	}
	return d
}
