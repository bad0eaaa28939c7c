package isolation

import (
	"fmt"
	"slices"
	"sync"
)

// Report is what came of a trial.
type Report struct {
	Seed       uint64  `json:"seed"`
	Operations int     `json:"operations"`
	Seconds    float64 `json:"seconds"`
	// ScopeChecks is false in a build without the host's own checks of scope.
	ScopeChecks bool         `json:"scope_checks"`
	Tools       []ToolReport `json:"tools"`
	// Findings are what must not be.
	Findings []Finding `json:"findings"`
	// Missing is what was not tried, so that finding nothing there says nothing.
	Missing []string `json:"missing"`
}

// Good says that nothing was found, and that it was looked for everywhere.
func (r *Report) Good() bool { return len(r.Findings) == 0 && len(r.Missing) == 0 }

// ToolReport counts the answers of a tool.
type ToolReport struct {
	Tool string `json:"tool"`
	RPC  int    `json:"rpc"`
	MCP  int    `json:"mcp"`
	// Outcomes are the numbers of answers by aim and kind: "own ok", "theirs unauthorized".
	Outcomes map[string]int `json:"outcomes"`
}

// Finding is something that a tenant should not have been answered.
type Finding struct {
	What     string `json:"what"`
	Tool     string `json:"tool"`
	Surface  string `json:"surface"`
	Aim      string `json:"aim"`
	Request  string `json:"request"`
	Response string `json:"response"`
	// OtherRequest and OtherResponse are set where two answers should be alike.
	OtherRequest  string `json:"other_request,omitempty"`
	OtherResponse string `json:"other_response,omitempty"`
}

// minShare is how many of a tool's own calls must succeed, in percent: a trial that meets errors alone proves nothing.
const minShare = 20

// count counts answers by tool, surface, aim and kind.
type count struct {
	mu     sync.Mutex
	counts map[counted]int
}

type counted struct {
	tool, surface string
	aim           aim
	kind          string
}

func newCount() *count { return &count{counts: map[counted]int{}} }

func (c *count) add(tool, surface string, how aim, a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := a.kind
	if kind == "" {
		kind = "ok"
	}
	c.counts[counted{tool, surface, how, kind}]++
}

// sum adds up what matches.
func (c *count) sum(matches func(counted) bool) (n int) {
	for k, v := range c.counts {
		if matches(k) {
			n += v
		}
	}
	return n
}

func (c *count) report() *Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &Report{Findings: []Finding{}, Missing: []string{}}
	for _, t := range append(slices.Clone(tools), otherMethods) {
		of := func(matches func(counted) bool) int {
			return c.sum(func(k counted) bool { return k.tool == t.name && matches(k) })
		}
		line := ToolReport{
			Tool: t.name, Outcomes: map[string]int{},
			RPC: of(func(k counted) bool { return k.surface == rpcSurface }), MCP: of(func(k counted) bool { return k.surface == standardSurface }),
		}
		for k, v := range c.counts {
			if k.tool == t.name {
				line.Outcomes[aimNames[k.aim]+" "+k.kind] += v
			}
		}
		r.Tools = append(r.Tools, line)
		r.Missing = append(r.Missing, t.missing(of)...)
	}
	slices.Sort(r.Missing)
	return r
}

// missing says what of a tool was not tried.
func (t *tool) missing(of func(func(counted) bool) int) (missing []string) {
	for _, surface := range []string{rpcSurface, standardSurface} {
		if of(func(k counted) bool { return k.surface == surface }) == 0 {
			missing = append(missing, fmt.Sprintf("%s was not called at %s", t.name, surface))
		}
	}
	all := of(func(k counted) bool { return k.aim == own })
	good := of(func(k counted) bool { return k.aim == own && k.kind == "ok" })
	if good == 0 || good*100 < all*minShare {
		missing = append(missing, fmt.Sprintf("%s: %d of %d calls of a tenant's own succeeded, want %d %%", t.name, good, all, minShare))
	}
	for how := theirs; how < aims; how++ {
		if t.tries(how) && of(func(k counted) bool { return k.aim == how }) == 0 {
			missing = append(missing, fmt.Sprintf("%s was not tried as %s", t.name, aimNames[how]))
		}
	}
	if t.must && of(func(k counted) bool { return k.aim == theirs && k.kind != "ok" }) == 0 {
		missing = append(missing, t.name+" was not refused once in the name of the other tenant")
	}
	return missing
}
