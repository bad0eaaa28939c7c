package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/chart"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

type inspectCommand struct {
	bundleFlags
	Limit uint64 `default:"20" placeholder:"N" help:"How many decisions, and how many submissions, are shown: 1 to 1000 (${default})."`
	From  uint64 `placeholder:"SEQ" help:"Show the decisions from this number on, instead of the last ones."`
	JSON  bool   `help:"Answer with one JSON object."`
}

func (c *inspectCommand) Help() string {
	return help("Shows what happened in a run: the stages, each decision with the gates that were not met, and the evidence they saw. "+
		"Nothing is verified; \"runpack verify\" does that.",
		"decision-gate runpack inspect --limit 5 runpacks/run-1")
}

// Validate bounds the memory of the command: what is shown is held.
func (c *inspectCommand) Validate() error {
	if c.Limit < 1 || c.Limit > 1000 {
		return fmt.Errorf("--limit must be 1 to 1000")
	}
	return nil
}

// Bounds of what is shown of one decision: a run of others' making must not fill the screen or the memory.
const (
	maxText = 160
	maxList = 50
)

// account is what is shown of a runpack.
type account struct {
	Run         runFacts                      `member:"run"`
	Bundle      bundleFacts                   `member:"bundle"`
	Stages      []stageFacts                  `member:"stages"`
	Counts      counts                        `member:"counts"`
	Decisions   []decisionFacts               `member:"decisions"`
	Submissions []submissionFacts             `member:"submissions"`
	Damage      []string                      `member:"damage"`
	questions   map[gate.ConditionID]question // empty when the scenario cannot be read
	trees       map[gate.GateID]tree          // requirements by gate
	redacted    bool
}

type tree = gate.Requirement

type runFacts struct {
	RunID       gate.RunID       `member:"run_id"`
	ScenarioID  gate.ScenarioID  `member:"scenario_id"`
	SpecVersion string           `member:"spec_version"`
	TenantID    gate.TenantID    `member:"tenant_id"`
	NamespaceID gate.NamespaceID `member:"namespace_id"`
	// Status is derived from the last decision.
	Status gate.RunStatus `member:"status"`
	Stage  gate.StageID   `member:"stage"`
}

type bundleFacts struct {
	GeneratedAt   gate.Timestamp       `member:"generated_at"`
	Version       string               `member:"manifest_version"`
	Files         uint64               `member:"files"`
	SpecHash      canonical.HashDigest `member:"spec_hash"`
	RootHash      canonical.HashDigest `member:"root_hash"`
	Anchored      []gate.ProviderID    `member:"anchored_providers"`
	DevPermissive bool                 `member:"dev_permissive"`
}

type stageFacts struct {
	StageID   gate.StageID       `member:"stage_id"`
	Gates     []gate.GateID      `member:"gates"`
	Packets   uint64             `member:"packets"`
	Next      string             `member:"next"`
	TimeoutMS *uint64            `member:"timeout_ms" presence:"O"`
	OnTimeout gate.TimeoutPolicy `member:"on_timeout"`
}

type counts struct {
	Decisions   uint64 `member:"decisions"`
	Gates       uint64 `member:"gates"`
	Packets     uint64 `member:"packets"`
	Submissions uint64 `member:"submissions"`
	ToolCalls   uint64 `member:"tool_calls"`
}

type decisionFacts struct {
	Seq       uint64           `member:"seq"`
	At        gate.Timestamp   `member:"decided_at"`
	Stage     string           `member:"stage_id"`
	TriggerID string           `member:"trigger_id"`
	Trigger   gate.TriggerKind `member:"trigger_kind"`
	Source    string           `member:"source_id"`
	Outcome   gate.OutcomeKind `member:"outcome"`
	ToStage   string           `member:"to_stage"`
	Timeout   bool             `member:"timeout"`
	Reason    string           `member:"reason"`
	Unmet     []string         `member:"unmet_gates"`
	Gates     []gateFacts      `member:"gates"`
	Packets   []packetFacts    `member:"packets"`
	// Omitted counts gates and packets that are not listed.
	Omitted uint64 `member:"omitted"`
}

type gateFacts struct {
	GateID      string           `member:"gate_id"`
	Status      gate.Truth       `member:"status"`
	Requirement string           `member:"requirement"`
	Conditions  []conditionFacts `member:"conditions"`
	Omitted     uint64           `member:"omitted"`
}

type conditionFacts struct {
	ConditionID string     `member:"condition_id"`
	Status      gate.Truth `member:"status"`
	// Query is PROVIDER.CHECK with the parameters, Wants the comparator with what it expects.
	Query    string         `member:"query"`
	Wants    string         `member:"wants"`
	Evidence string         `member:"evidence"`
	Lane     gate.TrustLane `member:"lane"`
	Signed   bool           `member:"signed"`
}

type packetFacts struct {
	PacketID    string   `member:"packet_id"`
	ContentType string   `member:"content_type"`
	Hash        string   `member:"content_hash"`
	Targets     []string `member:"targets"`
}

type submissionFacts struct {
	SubmissionID string         `member:"submission_id"`
	At           gate.Timestamp `member:"submitted_at"`
	ContentType  string         `member:"content_type"`
	Hash         string         `member:"content_hash"`
}

func (c *inspectCommand) Run(ctx context.Context, std streams) error {
	dir, err := c.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	options := runpack.Options{}
	progress := newProgress(std)
	if progress != nil {
		options.Progress = progress.bundle
	}
	b, err := runpack.Open(ctx, dir, c.Manifest, options)
	if err != nil {
		return c.explain(err)
	}
	a := newAccount(b)
	a.readSteps(ctx, b, c.From, c.Limit)
	a.readRest(ctx, b, c.Limit)
	progress.end()
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.JSON {
		err = writeMembers(std.out, *a)
	} else {
		err = c.show(newScreen(std.out), a)
	}
	if err == nil && len(a.Damage) > 0 {
		return fmt.Errorf("the runpack is damaged: %s", printable(a.Damage[0]))
	}
	return err
}

func newAccount(b *runpack.Bundle) *account {
	m := b.Manifest
	a := &account{
		Run: runFacts{
			RunID: m.RunID, ScenarioID: m.ScenarioID, TenantID: m.TenantID, NamespaceID: m.NamespaceID, Status: gate.Active,
		},
		Bundle: bundleFacts{
			GeneratedAt: m.GeneratedAt, Version: m.ManifestVersion, Files: uint64(len(m.Integrity.FileHashes)), SpecHash: m.SpecHash,
			RootHash: m.Integrity.RootHash, Anchored: []gate.ProviderID{}, DevPermissive: m.Security != nil && m.Security.DevPermissive,
		},
		Stages: []stageFacts{}, Decisions: []decisionFacts{}, Submissions: []submissionFacts{}, Damage: []string{},
		questions: map[gate.ConditionID]question{}, trees: map[gate.GateID]tree{}, redacted: m.Redacted != nil && *m.Redacted,
	}
	if m.AnchorPolicy != nil {
		for _, p := range m.AnchorPolicy.Providers {
			a.Bundle.Anchored = append(a.Bundle.Anchored, p.ProviderID)
		}
	}
	if b.Spec == nil {
		a.Damage = append(a.Damage, fmt.Sprintf("the scenario cannot be read: %v", b.SpecError))
		return a
	}
	a.readSpec(b.Spec)
	return a
}

func (a *account) readSpec(spec *gate.ScenarioSpec) {
	a.Run.SpecVersion = spec.SpecVersion
	for i := range spec.Stages {
		stage := &spec.Stages[i]
		if i == 0 {
			a.Run.Stage = stage.StageID
		}
		facts := stageFacts{
			StageID: stage.StageID, Gates: []gate.GateID{}, Packets: uint64(len(stage.EntryPackets)), Next: nextOf(spec, i), OnTimeout: stage.OnTimeout,
		}
		if stage.Timeout != nil {
			facts.TimeoutMS = &stage.Timeout.TimeoutMS
		}
		for _, g := range stage.Gates {
			facts.Gates = append(facts.Gates, g.GateID)
			a.trees[g.GateID] = g.Requirement
		}
		a.Stages = append(a.Stages, facts)
	}
	for i := range spec.Conditions {
		a.questions[spec.Conditions[i].ConditionID] = questionOf(&spec.Conditions[i])
	}
}

// nextOf says where a stage leads.
func nextOf(spec *gate.ScenarioSpec, i int) string {
	switch to := &spec.Stages[i].AdvanceTo; to.Kind {
	case gate.Linear:
		if i+1 < len(spec.Stages) {
			return "to " + string(spec.Stages[i+1].StageID)
		}
		return "the last"
	case gate.Fixed:
		return "to " + string(to.StageID)
	case gate.Branch:
		return plural(len(to.Branches), "branch rule")
	default:
		return "the last"
	}
}

// readSteps reads all decisions, since the last one says how the run stands, and keeps those that are to be shown.
func (a *account) readSteps(ctx context.Context, b *runpack.Bundle, from, limit uint64) {
	for step, err := range b.Steps(ctx) {
		if err != nil {
			a.Damage = append(a.Damage, fmt.Sprintf("the decisions after number %d cannot be read: %v", a.Counts.Decisions, err))
			return
		}
		d := step.Decision
		a.Counts.Decisions++
		a.Counts.Gates += uint64(len(step.Gates))
		a.Counts.Packets += uint64(len(step.Packets))
		a.Run.follow(d)
		switch {
		case from == 0:
			a.Decisions = keepLast(append(a.Decisions, a.decision(step)), limit)
		case d.Seq >= from && uint64(len(a.Decisions)) < limit:
			a.Decisions = append(a.Decisions, a.decision(step))
		}
	}
}

func keepLast[T any](list []T, limit uint64) []T {
	if uint64(len(list)) > limit {
		return slices.Delete(list, 0, 1)
	}
	return list
}

// follow takes the run where a decision led it.
func (r *runFacts) follow(d *gate.DecisionRecord) {
	r.Stage = d.StageID
	switch d.Outcome.Kind {
	case gate.Advance:
		r.Stage = d.Outcome.ToStage
	case gate.Complete:
		r.Status = gate.Completed
	case gate.Fail:
		r.Status = gate.Failed
	}
}

func (a *account) readRest(ctx context.Context, b *runpack.Bundle, limit uint64) {
	for s, err := range b.Submissions(ctx) {
		if err != nil {
			a.Damage = append(a.Damage, fmt.Sprintf("the submissions cannot be read: %v", err))
			break
		}
		a.Counts.Submissions++
		a.Submissions = keepLast(append(a.Submissions, submissionFacts{
			clip(string(s.SubmissionID), maxText), s.SubmittedAt, clip(s.ContentType, maxText), clip(s.ContentHash.Value, maxText),
		}), limit)
	}
	for _, err := range b.ToolCalls(ctx) {
		if err != nil {
			a.Damage = append(a.Damage, fmt.Sprintf("the tool calls cannot be read: %v", err))
			break
		}
		a.Counts.ToolCalls++
	}
}

func (a *account) decision(s *runpack.Step) decisionFacts {
	d, o := s.Decision, &s.Decision.Outcome
	facts := decisionFacts{
		Seq: d.Seq, At: d.DecidedAt, Stage: clip(string(d.StageID), maxText), TriggerID: clip(string(d.TriggerID), maxText),
		Trigger: s.Trigger.Event.Kind, Source: clip(s.Trigger.Event.SourceID, maxText),
		Outcome: o.Kind, ToStage: clip(string(o.ToStage), maxText), Timeout: o.Timeout, Reason: clip(o.Reason, maxText),
		Unmet: []string{}, Gates: []gateFacts{}, Packets: []packetFacts{},
	}
	if o.Summary != nil {
		for _, id := range bounded(o.Summary.UnmetGates, &facts.Omitted) {
			facts.Unmet = append(facts.Unmet, clip(string(id), maxText))
		}
	}
	for _, eval := range bounded(s.Gates, &facts.Omitted) {
		facts.Gates = append(facts.Gates, a.gate(&eval))
	}
	for _, p := range bounded(s.Packets, &facts.Omitted) {
		facts.Packets = append(facts.Packets, packetOf(&p))
	}
	return facts
}

// bounded is the beginning of a list; what is left out is counted.
func bounded[T any](list []T, omitted *uint64) []T {
	if len(list) > maxList {
		*omitted += uint64(len(list) - maxList)
		return list[:maxList]
	}
	return list
}

func (a *account) gate(eval *gate.GateEvalRecord) gateFacts {
	facts := gateFacts{GateID: clip(string(eval.Evaluation.GateID), maxText), Status: eval.Evaluation.Status, Conditions: []conditionFacts{}}
	if t, known := a.trees[eval.Evaluation.GateID]; known {
		facts.Requirement = clip(chart.Words(t, maxText), maxText)
	}
	for _, record := range bounded(inOrder(eval), &facts.Omitted) {
		r, q := &record.Result, a.questions[record.ConditionID]
		facts.Conditions = append(facts.Conditions, conditionFacts{
			ConditionID: clip(string(record.ConditionID), maxText), Status: record.Status, Query: q.asked, Wants: q.wants,
			Evidence: evidenceOf(r, a.redacted), Lane: r.Lane, Signed: r.Signature != nil,
		})
	}
	return facts
}

// inOrder is the evidence of a gate in the order in which its requirement names the conditions; the record has its own.
func inOrder(eval *gate.GateEvalRecord) []gate.EvidenceRecord {
	visit := map[gate.ConditionID]int{}
	for i, entry := range eval.Evaluation.Trace {
		if _, again := visit[entry.ConditionID]; !again {
			visit[entry.ConditionID] = i - len(eval.Evaluation.Trace)
		}
	}
	// What was not visited, which only a forged record has, comes last, at 0.
	return slices.SortedStableFunc(slices.Values(eval.Evidence), func(x, y gate.EvidenceRecord) int {
		return cmp.Compare(visit[x.ConditionID], visit[y.ConditionID])
	})
}

// evidenceOf is an answer in short: its error, its value, the hash of a value that is withheld, or that there was none.
func evidenceOf(r *gate.EvidenceResult, redacted bool) string {
	switch {
	case r.Error != nil:
		return clip(r.Error.Code+": "+r.Error.Message, maxText)
	case redacted && runpack.Withheld(r):
		return clip(fmt.Sprintf("value withheld, %s %s", r.EvidenceHash.Algorithm, r.EvidenceHash.Value), maxText)
	case r.Value == nil:
		return "no value"
	case r.Value.Kind == gate.BytesValue:
		return plural(len(r.Value.Bytes), "byte")
	default:
		return clip(jsonText(r.Value.JSON), maxText)
	}
}

func packetOf(p *gate.PacketRecord) packetFacts {
	facts := packetFacts{
		PacketID: clip(string(p.Envelope.PacketID), maxText), ContentType: clip(p.Envelope.ContentType, maxText),
		Hash: clip(p.Envelope.ContentHash.Value, maxText), Targets: []string{},
	}
	var more uint64
	for _, receipt := range bounded(p.Receipts, &more) {
		t := &receipt.Target
		facts.Targets = append(facts.Targets, clip(fmt.Sprintf("%s %s%s%s%s", t.Kind, t.AgentID, t.SessionID, t.System, t.Channel), maxText))
	}
	if more > 0 {
		facts.Targets = append(facts.Targets, fmt.Sprintf("%d more", more))
	}
	return facts
}
