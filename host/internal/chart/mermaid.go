package chart

import (
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Columns of texts in Mermaid, which draws each as wide as it is.
const (
	mermaidColumns = 60
	mermaidLines   = 4
)

// Mermaid is the chart as a flowchart of Mermaid (https://mermaid.js.org), which pages of many kinds show.
func (c *Chart) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart TB\n")
	index := make(map[gate.StageID]int, len(c.Stages))
	for i := range c.Stages {
		index[c.Stages[i].ID] = i
		fmt.Fprintf(&b, "  s%d[\"%s\"]\n", i, c.Stages[i].mermaid())
	}
	ends := false
	for _, e := range c.Edges {
		target := "complete"
		if e.To != nil {
			target = fmt.Sprintf("s%d", index[*e.To])
		} else if !ends {
			ends = true
			b.WriteString("  complete([\"complete\"])\n")
		}
		label := ""
		if e.Label != "" {
			label = fmt.Sprintf("|\"%s\"|", coded(e.Label, mermaidColumns, 1))
		}
		fmt.Fprintf(&b, "  s%d -->%s %s\n", index[e.From], label, target)
	}
	for i := range c.Stages {
		if c.Stages[i].Run != nil {
			fmt.Fprintf(&b, "  classDef here stroke-width:4px\n  class s%d here\n", i)
		}
	}
	return b.String()
}

func (s *Stage) mermaid() string {
	lines := []string{"<b>" + coded(string(s.ID), mermaidColumns, 1) + "</b>"}
	if s.Run != nil {
		lines = append(lines, "#9654; the run is here, "+coded(string(*s.Run), mermaidColumns, 1))
	}
	for _, g := range s.Gates {
		status := ""
		if g.Status != nil {
			status = coded(" ("+wordOf(*g.Status)+")", mermaidColumns, 1)
		}
		lines = append(lines, coded(string(g.ID), mermaidColumns, 1)+status+": "+coded(g.Needs, mermaidColumns, mermaidLines))
		for _, t := range g.Unmet {
			lines = append(lines, coded(string(t.ConditionID)+" is "+wordOf(t.Status), mermaidColumns, 1))
		}
	}
	if s.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("and %d more gates", s.Omitted))
	}
	for _, note := range s.Notes {
		lines = append(lines, "<i>"+coded(note, mermaidColumns, 1)+"</i>")
	}
	return strings.Join(lines, "<br/>")
}

// coded is a text in which everything but letters, digits, blanks and a few signs is a character code. Attack stopped: an id
// that ends the quotes, holds markup, or begins a directive (%%{init: ...}%%), with which a text configures the page.
func coded(text string, columns, most int) string {
	var b strings.Builder
	for i, line := range wrap(text, columns, most) {
		if i > 0 {
			b.WriteString("<br/>")
		}
		for _, r := range line {
			if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(" _-.,", r) {
				b.WriteRune(r)
				continue
			}
			fmt.Fprintf(&b, "#%d;", r)
		}
	}
	return b.String()
}

func wordOf(t gate.Truth) string { return strings.ToLower(string(t)) }
