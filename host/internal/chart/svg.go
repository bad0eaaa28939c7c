package chart

import (
	_ "embed"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// style is what the parts of a drawing look like, in light and in dark.
//
//go:embed svg.css
var style string

// Sizes of a drawing, in pixels. Fonts are monospaced, so that the width of a text is known without the font.
const (
	margin       = 24
	cardWidth    = 480
	padding      = 16
	headerHeight = 36
	nameHeight   = 20
	lineHeight   = 16
	gateGap      = 8
	gapHeight    = 44 // between two stages
	arrowHeight  = 16 // to the sign that a run ends
	endHeight    = 28
	exitHeight   = 20 // between two arrows that leave a stage at its side
	laneWidth    = 14
	bend         = 6 // radius
	columns      = 61
	titleColumns = 44
	labelColumns = 30
	labelCell    = 6.7
	mostLines    = 4
)

// box is a stage and where it is drawn.
type box struct {
	*Stage
	top, height float64
	// straight is the arrow to the next stage, and sides are those that leave at the side.
	straight *Edge
	sides    []*Edge
	ends     bool
	rows     []row
}

// row is one line of a box.
type row struct {
	class, text string
	height      float64
	gap         float64 // before it
}

func (b *box) bottom() float64 { return b.top + b.height }

// trunk is the line at the side on which all arrows to a stage come.
type trunk struct {
	target    int
	exits     []float64
	entry     float64
	high, low float64
	lane      int
}

type drawing struct {
	strings.Builder
	boxes  []*box
	index  map[gate.StageID]int
	trunks []*trunk
	lanes  int
	// labels is the width of the longest label at the side.
	labels float64
}

// SVG is the chart as a document that stands by itself: no script, no font and no reference to anything outside of it.
func (c *Chart) SVG() string {
	d := &drawing{index: make(map[gate.StageID]int, len(c.Stages))}
	for i := range c.Stages {
		d.index[c.Stages[i].ID] = i
		d.boxes = append(d.boxes, &box{Stage: &c.Stages[i], rows: rowsOf(&c.Stages[i])})
	}
	for i := range c.Edges {
		d.leave(&c.Edges[i])
	}
	height := d.place()
	d.bundle()
	width := margin + cardWidth + margin
	if len(d.trunks) > 0 {
		width += int(math.Ceil(d.labels)) + (d.lanes+1)*laneWidth
	}
	d.put(`<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title" viewBox="0 0 %d %d" width="%d" height="%d">`,
		width, int(height), width, int(height))
	d.put(`<title id="title">Scenario %s</title>`, text(c.Title, columns))
	d.put("<style>\n%s</style>", style)
	d.put(`<defs><marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path class="tip" d="M0 0.5 L8 4 L0 7.5 z"/></marker></defs>`)
	d.put(`<rect class="page" width="100%%" height="100%%"/>`)
	d.put(`<text class="title" x="%d" y="%d">%s</text>`, margin, margin+10, text(c.Title, columns))
	for _, t := range d.trunks {
		d.trunk(t)
	}
	for i, b := range d.boxes {
		d.box(b)
		d.below(b, i)
	}
	d.put("</svg>")
	return d.String()
}

func (d *drawing) put(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

// text is a text as it stands in the document: short, printable and escaped. Attack stopped: an id that is markup or script.
func text(s string, columns int) string { return html.EscapeString(short(s, columns)) }

func rowsOf(s *Stage) []row {
	var rows []row
	for _, g := range s.Gates {
		class := "name"
		if g.Status != nil {
			class += " " + wordOf(*g.Status)
		}
		sign := "◇ "
		if g.Status != nil && *g.Status == gate.True {
			sign = "◆ "
		}
		rows = append(rows, row{class, sign + short(string(g.ID), columns-2), nameHeight, gateGap})
		for _, line := range wrap(g.Needs, columns-4, mostLines) {
			rows = append(rows, row{"needs", line, lineHeight, 0})
		}
		for _, t := range g.Unmet {
			rows = append(rows, row{"unmet " + wordOf(t.Status), signs[t.Status] + short(string(t.ConditionID), columns-16) + " is " + wordOf(t.Status), lineHeight, 0})
		}
	}
	if s.Omitted > 0 {
		rows = append(rows, row{"note", fmt.Sprintf("and %d more gates", s.Omitted), nameHeight, gateGap})
	}
	for i, note := range s.Notes {
		gap := 0.0
		if i == 0 {
			gap = gateGap
		}
		rows = append(rows, row{"note", note, lineHeight, gap})
	}
	return rows
}

var signs = map[gate.Truth]string{gate.False: "✗ ", gate.Unknown: "? "}

// leave gives an edge its place: down to the next stage, or out at the side.
func (d *drawing) leave(e *Edge) {
	from := d.index[e.From]
	b := d.boxes[from]
	switch {
	case e.To == nil:
		b.ends = true
	case d.index[*e.To] == from+1:
		b.straight = e
	default:
		b.sides = append(b.sides, e)
		d.labels = max(d.labels, float64(len([]rune(short(e.Label, labelColumns))))*labelCell+2*bend)
	}
}

// place puts one box below the other, and returns the height of the drawing.
func (d *drawing) place() float64 {
	y := float64(margin + 28)
	for _, b := range d.boxes {
		b.top, b.height = y, headerHeight+gateGap
		for _, r := range b.rows {
			b.height += r.gap + r.height
		}
		b.height = max(b.height, headerHeight+float64(len(b.sides)+1)*exitHeight)
		y += b.height + gapHeight
		if b.ends {
			y += endHeight + arrowHeight
		}
	}
	return y - gapHeight + margin
}

// bundle gathers the arrows at the side by their targets, and gives each bundle a lane in which it meets no other.
func (d *drawing) bundle() {
	at := map[int]*trunk{}
	for _, b := range d.boxes {
		for i, e := range b.sides {
			target := d.index[*e.To]
			t := at[target]
			if t == nil {
				t = &trunk{target: target, entry: d.boxes[target].top + headerHeight/2}
				t.high, t.low = t.entry, t.entry
				at[target], d.trunks = t, append(d.trunks, t)
			}
			exit := b.bottom() - float64(len(b.sides)-i)*exitHeight + exitHeight/2
			t.exits = append(t.exits, exit)
			t.high, t.low = min(t.high, exit), max(t.low, exit)
		}
	}
	// The short ones lie inside.
	slices.SortStableFunc(d.trunks, func(a, b *trunk) int { return int(a.low-a.high) - int(b.low-b.high) })
	var lanes [][]*trunk
	for _, t := range d.trunks {
		t.lane = slices.IndexFunc(lanes, func(lane []*trunk) bool {
			return !slices.ContainsFunc(lane, func(o *trunk) bool { return o.high <= t.low && t.high <= o.low })
		})
		if t.lane < 0 {
			t.lane, lanes = len(lanes), append(lanes, nil)
		}
		lanes[t.lane] = append(lanes[t.lane], t)
	}
	d.lanes = len(lanes)
}

// trunk draws the arrows to one stage: each leaves its box, and all come in together.
func (d *drawing) trunk(t *trunk) {
	right := float64(margin + cardWidth)
	x := right + d.labels + float64(t.lane+1)*laneWidth
	for i, exit := range t.exits {
		towards := 1.0
		if exit > t.entry {
			towards = -1
		}
		tip := ""
		if i == 0 {
			tip = ` marker-end="url(#tip)"`
		}
		d.put(`<path class="line" d="M%g %g H%g Q%g %g %g %g V%g Q%g %g %g %g H%g"%s/>`, right, exit, x-bend, x, exit, x, exit+towards*bend,
			t.entry-towards*bend, x, t.entry, x-bend, t.entry, right+1, tip)
	}
}

func (d *drawing) box(b *box) {
	class := "stage"
	if b.Run != nil {
		class += " here " + string(*b.Run)
	}
	d.put(`<g class="%s">`, class)
	d.put(`<rect class="card" x="%d" y="%g" width="%d" height="%g" rx="10"/>`, margin, b.top, cardWidth, b.height)
	d.put(`<path class="rule" d="M%d %g h%d"/>`, margin, b.top+headerHeight, cardWidth)
	d.put(`<text class="stage-id" x="%d" y="%g">%s</text>`, margin+padding, b.top+23, text(string(b.ID), titleColumns))
	if b.Run != nil {
		d.put(`<text class="status" x="%d" y="%g" text-anchor="end">● %s</text>`, margin+cardWidth-padding, b.top+23, runWords[*b.Run])
	}
	y := b.top + headerHeight
	for _, r := range b.rows {
		y += r.gap + r.height
		indent := 0
		switch {
		case r.class == "needs":
			indent = 14
		case strings.HasPrefix(r.class, "unmet"):
			indent = 28
		}
		d.put(`<text class="%s" x="%d" y="%g">%s</text>`, r.class, margin+padding+indent, y-4, html.EscapeString(r.text))
	}
	d.put("</g>")
	for i, e := range b.sides {
		if e.Label != "" {
			exit := b.bottom() - float64(len(b.sides)-i)*exitHeight + exitHeight/2
			d.put(`<text class="label" x="%d" y="%g">%s</text>`, margin+cardWidth+bend, exit-4, text(e.Label, labelColumns))
		}
	}
}

var runWords = map[gate.RunStatus]string{gate.Active: "the run is here", gate.Completed: "completed here", gate.Failed: "failed here"}

// below draws what leaves a box downwards.
func (d *drawing) below(b *box, i int) {
	x := margin + cardWidth/2
	if b.ends {
		top := b.bottom() + arrowHeight
		d.put(`<path class="line" d="M%d %g V%g" marker-end="url(#tip)"/>`, x, b.bottom(), top-1)
		d.put(`<rect class="end" x="%d" y="%g" width="112" height="%d" rx="14"/>`, x-56, top, endHeight)
		d.put(`<text class="end-text" x="%d" y="%g" text-anchor="middle">complete</text>`, x, top+19)
	}
	if b.straight == nil {
		return
	}
	d.put(`<path class="line" d="M%d %g V%g" marker-end="url(#tip)"/>`, x, b.bottom(), d.boxes[i+1].top-1)
	if b.straight.Label != "" {
		d.put(`<text class="label" x="%d" y="%g">%s</text>`, x+10, b.bottom()+gapHeight/2+4, text(b.straight.Label, labelColumns))
	}
}
