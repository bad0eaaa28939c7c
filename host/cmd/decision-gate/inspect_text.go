package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
)

// question is what a condition asks and wants, each as one line.
type question struct{ asked, wants string }

func questionOf(c *gate.ConditionSpec) question {
	q := question{
		asked: clip(string(c.Query.ProviderID), maxText) + "." + clip(c.Query.CheckID, maxText),
		wants: string(c.Comparator),
	}
	if c.Query.Params != nil {
		q.asked += " " + clip(parameters(*c.Query.Params), maxText)
	}
	if c.Expected != nil {
		q.wants += " " + clip(jsonText(*c.Expected), maxText)
	}
	return q
}

// parameters are words and numbers one after the other, which read by themselves; anything else is shown as the JSON that
// it is.
func parameters(v canonical.Value) string {
	var texts []string
	for _, m := range v.Members() {
		text, isText := m.Value.Text()
		if m.Value.IsNumber() {
			text, isText = jsonText(m.Value), true
		}
		if !isText || text == "" || strings.Contains(text, " ") {
			return jsonText(v)
		}
		texts = append(texts, text)
	}
	if len(texts) == 0 {
		return jsonText(v)
	}
	return strings.Join(texts, " ")
}

func jsonText(v canonical.Value) string {
	return string(canonical.AppendValue(nil, v, canonical.Declared))
}

// when is a time as it reads best: UTC, or the tick of a run on logical time.
func when(t gate.Timestamp) string {
	if t.Kind == gate.Logical {
		return fmt.Sprintf("tick %d", t.Tick)
	}
	return time.UnixMilli(t.Millis).UTC().Format("2006-01-02T15:04:05.000Z")
}

var statusStyles = map[gate.RunStatus]style{gate.Completed: green, gate.Failed: red, gate.Active: cyan}

func (c *inspectCommand) show(out *screen, a *account) error {
	out.marked(bold, "Run", " %s of scenario %s, tenant %d, namespace %d", a.Run.RunID, a.Run.ScenarioID, a.Run.TenantID, a.Run.NamespaceID)
	out.marked(statusStyles[a.Run.Status], "  "+string(a.Run.Status), " in stage %s, after %s", a.Run.Stage, plural(a.Counts.Decisions, "decision"))
	showBundle(out, &a.Bundle)
	out.line("  Not verified: \"decision-gate runpack verify %s\" does that.", c.Dir)
	showStages(out, a.Stages)
	c.showDecisions(out, a)
	showSubmissions(out, a)
	for _, text := range a.Damage {
		out.line("")
		out.marked(red, "Damaged", ": %s", text)
	}
	return out.err
}

func showBundle(out *screen, b *bundleFacts) {
	out.line("  exported %s, manifest %s of %s", when(b.GeneratedAt), b.Version, plural(b.Files, "file"))
	out.line("  spec hash %s:%s", b.SpecHash.Algorithm, b.SpecHash.Value)
	out.line("  root hash %s:%s", b.RootHash.Algorithm, b.RootHash.Value)
	for _, provider := range b.Anchored {
		out.line("  evidence of %s carries anchors", provider)
	}
	if b.DevPermissive {
		out.line("  written by a host that took unverified evidence (dev_permissive)")
	}
}

func showStages(out *screen, stages []stageFacts) {
	if len(stages) == 0 {
		return
	}
	out.line("")
	out.marked(bold, "Stages", "")
	for i, s := range stages {
		if i == maxList {
			out.line("  and %d more", len(stages)-i)
			return
		}
		timeout := ""
		if s.TimeoutMS != nil {
			timeout = fmt.Sprintf(", after %s %s", chart.Period(*s.TimeoutMS), s.OnTimeout)
		}
		out.line("  %s: %s, %s, %s%s", clip(string(s.StageID), maxText), plural(len(s.Gates), "gate"), plural(s.Packets, "packet"), clip(s.Next, maxText), timeout)
	}
}

func (c *inspectCommand) showDecisions(out *screen, a *account) {
	out.line("")
	switch n := uint64(len(a.Decisions)); {
	case a.Counts.Decisions == 0:
		out.line("No decisions.")
		return
	case n == 0:
		out.line("No decisions from number %d on: there are %d.", c.From, a.Counts.Decisions)
		return
	case n == a.Counts.Decisions:
		out.marked(bold, "Decisions", "")
	default:
		out.marked(bold, "Decisions", " %d to %d of %d (--limit, --from)", a.Decisions[0].Seq, a.Decisions[n-1].Seq, a.Counts.Decisions)
	}
	for i := range a.Decisions {
		showDecision(out, &a.Decisions[i])
	}
}

var outcomeStyles = map[gate.OutcomeKind]style{gate.Advance: green, gate.Complete: green, gate.Hold: yellow, gate.Fail: red}

func showDecision(out *screen, d *decisionFacts) {
	detail := ""
	switch {
	case d.Outcome == gate.Advance && d.Timeout:
		detail = " to " + d.ToStage + ", after its timeout"
	case d.Outcome == gate.Advance:
		detail = " to " + d.ToStage
	case d.Outcome == gate.Hold:
		detail = ", unmet: " + strings.Join(d.Unmet, ", ")
	case d.Outcome == gate.Fail:
		detail = ": " + d.Reason
	}
	out.line("  %d  %s  stage %s, trigger %s (%s from %s)", d.Seq, when(d.At), d.Stage, d.TriggerID, d.Trigger, d.Source)
	out.marked(outcomeStyles[d.Outcome], "     "+string(d.Outcome), "%s", detail)
	for i := range d.Gates {
		showGate(out, &d.Gates[i])
	}
	for _, p := range d.Packets {
		to := "nobody"
		if len(p.Targets) > 0 {
			to = strings.Join(p.Targets, ", ")
		}
		out.line("     packet %s (%s) to %s", p.PacketID, p.ContentType, to)
	}
	if d.Omitted > 0 {
		out.line("     and %d more gates or packets", d.Omitted)
	}
}

var truthStyles = map[gate.Truth]style{gate.True: green, gate.False: red, gate.Unknown: yellow}

func showGate(out *screen, g *gateFacts) {
	needs := ""
	if g.Requirement != "" {
		needs = ", needs " + g.Requirement
	}
	out.marked(truthStyles[g.Status], fmt.Sprintf("     %-7s", g.Status), "  gate %s%s", g.GateID, needs)
	for _, e := range g.Conditions {
		how := ""
		if e.Wants != "" {
			how = ", wants " + e.Wants
		}
		if e.Lane != gate.Verified {
			how += ", asserted only"
		}
		if e.Signed {
			how += ", signed"
		}
		out.marked(truthStyles[e.Status], fmt.Sprintf("       %-7s", e.Status), "  %s: %s says %s%s", e.ConditionID, e.Query, e.Evidence, how)
	}
	if g.Omitted > 0 {
		out.line("       and %d more", g.Omitted)
	}
}

func showSubmissions(out *screen, a *account) {
	if a.Counts.Submissions == 0 {
		return
	}
	out.line("")
	if n := uint64(len(a.Submissions)); n < a.Counts.Submissions {
		out.marked(bold, "Submissions", " (the last %d of %d)", n, a.Counts.Submissions)
	} else {
		out.marked(bold, "Submissions", "")
	}
	for _, s := range a.Submissions {
		out.line("  %s  %s (%s), sha256 %s", when(s.At), s.SubmissionID, s.ContentType, s.Hash)
	}
}
