package access

import (
	"cmp"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Level is how much of an evaluation the caller of scenario_next is told (mcp contract §3.10).
type Level string

// The levels, each telling more than the one before.
const (
	Summary  Level = "summary"
	Trace    Level = "trace"
	Evidence Level = "evidence"
)

var levels = []Level{Summary, Trace, Evidence}

// Names returns the levels that a request may name.
func (Level) Names() []string { return []string{string(Summary), string(Trace), string(Evidence)} }

func (l Level) rank() int { return slices.Index(levels, l) }

// FeedbackRules say who is told how much. The zero value tells a summary.
type FeedbackRules struct {
	// Default is the level for callers that ask for none, LocalDefault that for local ones, Max the highest.
	Default, LocalDefault, Max Level
	Trace, Evidence            Audience
}

// Audience is who is told a level.
type Audience struct {
	// Principals are ids that ParseName answers, Roles the names of roles, which count only where they apply.
	Principals, Roles []string
}

func (a *Audience) has(who *Principal, tenant gate.TenantID, namespace gate.NamespaceID) bool {
	return slices.Contains(a.Principals, who.ID) || who.hasRole(a.Roles, tenant, namespace)
}

// Feedback is the level that a caller wants, which is the default where it asks for none, and the one that it is told.
func (p *Policy) Feedback(who *Principal, asked *Level, tenant gate.TenantID, namespace gate.NamespaceID) (wanted, told Level) {
	rules := &p.feedback
	wanted = cmp.Or(rules.Default, Summary)
	if who.Method == Local {
		wanted = cmp.Or(rules.LocalDefault, Summary)
	}
	if asked != nil {
		wanted = *asked
	}
	limit := min(wanted.rank(), rules.Max.rank())
	switch {
	case limit >= Evidence.rank() && rules.Evidence.has(who, tenant, namespace):
		return wanted, Evidence
	case limit >= Trace.rank() && rules.Trace.has(who, tenant, namespace):
		return wanted, Trace
	default:
		return wanted, Summary
	}
}
