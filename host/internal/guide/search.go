package guide

import (
	"cmp"
	"slices"
	"strings"
)

const (
	// defaultSections are answered when a search does not say how many.
	defaultSections = 3
	// maxTerms is how many words of a query count: each is looked for in every section, and a client could have the host
	// search for hours with one request.
	maxTerms = 32
)

// Found is the answer to a search.
type Found struct {
	Sections  []FoundSection `member:"sections"`
	Covered   []Covered      `member:"docs_covered"`
	Followups []string       `member:"suggested_followups"`
}

// FoundSection is a section, and the document that it is from.
type FoundSection struct {
	Rank    uint64 `member:"rank"`
	DocID   string `member:"doc_id"`
	Title   string `member:"doc_title"`
	Role    Role   `member:"doc_role"`
	Heading string `member:"heading"`
	Content string `member:"content"`
}

// Covered is a document of which a section was found.
type Covered struct {
	DocID string `member:"doc_id"`
	Title string `member:"doc_title"`
	Role  Role   `member:"doc_role"`
}

// Names returns the roles.
func (Role) Names() []string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return names
}

// refine is told with an overview.
const refine = "Refine the query with comparator, provider, or trust keywords to target guidance."

// followups are told for each role that no found section has, in this order.
var followups = []struct {
	role Role
	text string
}{
	{Decision, "If you need tool selection guidance, search the tooling or LLM playbook docs."},
	{Reasoning, "For conceptual grounding, query evidence flow or security guidance."},
	{Pattern, "For reusable workflows, search the playbook or integration patterns."},
	{Ontology, "For schema or provider details, search the providers or condition authoring docs."},
}

// cues are parts of a query by which documents of a role are preferred.
var cues = map[Role][]string{
	Ontology:  {"schema", "provider", "comparator", "condition", "ret", "jsonpath"},
	Decision:  {"which tool", "precheck", "scenario", "runpack", "start", "next"},
	Pattern:   {"playbook", "workflow", "recipe", "integration", "example"},
	Reasoning: {"why", "trust", "evidence", "security", "invariant"},
}

// Search finds the sections that suit a query best, the same ones each time: limit of them, which is brought into its
// bounds, or three when it is nil. An empty query gets the beginning of a document of each role.
func (c *Catalogue) Search(query string, limit *uint64) Found {
	n := uint64(defaultSections)
	if limit != nil {
		n = *limit
	}
	n = min(max(n, 1), uint64(c.maxSections))
	query = strings.ToLower(query)
	terms := strings.Fields(query)
	if len(terms) == 0 {
		return found(c.overview(int(n)), true)
	}
	hits := c.score(terms[:min(len(terms), maxTerms)], bonuses(query))
	return found(hits[:min(len(hits), int(n))], false)
}

// hit is a section that a query was found in.
type hit struct {
	document *Document
	place    int
	score    int
	*section
}

// score finds all sections that hold a term, best first.
func (c *Catalogue) score(terms []string, bonus map[Role]int) []hit {
	var hits []hit
	for place, d := range c.documents {
		for i := range d.sections {
			s, score := &d.sections[i], 0
			for _, term := range terms {
				if strings.Contains(s.lowHeading, term) {
					score += 3
				}
				if strings.Contains(s.lowContent, term) {
					score++
				}
			}
			if score > 0 {
				hits = append(hits, hit{d, place, score + bonus[d.Role], s})
			}
		}
	}
	slices.SortStableFunc(hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.place, b.place), strings.Compare(a.heading, b.heading))
	})
	return hits
}

// bonuses are what sections of a role gain by the cues of a query: two for the role with most of them, one for the others
// that have any.
func bonuses(query string) map[Role]int {
	bonus := map[Role]int{}
	var best Role
	most := 0
	for _, role := range roles {
		count := 0
		for _, cue := range cues[role] {
			if strings.Contains(query, cue) {
				count++
			}
		}
		if count > 0 {
			bonus[role] = 1
		}
		if count > most {
			best, most = role, count
		}
	}
	if most > 0 {
		bonus[best] = 2
	}
	return bonus
}

// overview is the beginning of the first document of each role.
func (c *Catalogue) overview(limit int) []hit {
	var hits []hit
	for _, role := range roles {
		place := slices.IndexFunc(c.documents, func(d *Document) bool { return d.Role == role })
		if place >= 0 && len(hits) < limit {
			d := c.documents[place]
			hits = append(hits, hit{document: d, place: place, section: &d.sections[0]})
		}
	}
	return hits
}

func found(hits []hit, overview bool) Found {
	f := Found{Sections: []FoundSection{}, Covered: []Covered{}, Followups: []string{}}
	covered := map[Role]bool{}
	for i, h := range hits {
		d := h.document
		f.Sections = append(f.Sections, FoundSection{uint64(i), d.ID, d.Title, d.Role, h.heading, h.content})
		if doc := (Covered{d.ID, d.Title, d.Role}); !slices.Contains(f.Covered, doc) {
			f.Covered = append(f.Covered, doc)
		}
		covered[d.Role] = true
	}
	if overview {
		f.Followups = append(f.Followups, refine)
		return f
	}
	for _, next := range followups {
		if len(hits) > 0 && !covered[next.role] {
			f.Followups = append(f.Followups, next.text)
		}
	}
	return f
}
