package runpack

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// maxListed is how many files of a bundle are looked at: a directory of millions of files must not hold up its verification.
const maxListed = 4096

// maxStep is the size in bytes of the largest step of a run that is held: its trigger, gates, decision and packets.
const maxStep = 4 * MaxRecord

// inspection makes the checks beyond contract §9.5.
type inspection struct {
	bundle   *bundle
	manifest *Manifest
	findings *Findings
	scenario *gate.Scenario
	// head is the run before the step at hand, as far as the records tell.
	head   gate.Head
	replay *replay
}

func newInspection(b *bundle, m *Manifest, r *Report) *inspection {
	r.DecisionGate = &Findings{Status: Pass, Findings: []Finding{}, Notes: []string{}}
	if len(r.Errors) >= maxErrors {
		r.DecisionGate.Notes = append(r.DecisionGate.Notes, fmt.Sprintf("only the first %d errors are listed", maxErrors))
	}
	return &inspection{bundle: b, manifest: m, findings: r.DecisionGate}
}

// inspect makes all checks. The error is that of the context.
func (v *inspection) inspect(ctx context.Context, manifestPath string) error {
	v.checkManifest()
	v.checkListing(ctx, manifestPath)
	v.checkReport(ctx)
	if v.checkSpec(ctx) {
		v.walk(ctx)
	}
	v.note()
	return ctx.Err()
}

// checkManifest sees that the manifest lists the files of the layout, in its order, and says the same of them twice.
func (v *inspection) checkManifest() {
	artifacts, hashes := v.manifest.Artifacts, v.manifest.Integrity.FileHashes
	listed := len(hashes)
	if listed != requiredFiles && listed != len(layout) {
		v.findings.add(CheckManifest, place{}, "the manifest has hashes of %d files, want %d, or %d with a report", listed, requiredFiles, len(layout))
	}
	for i, want := range layout[:min(max(listed, requiredFiles), len(layout))] {
		if i >= listed || hashes[i].Path != want.path {
			v.findings.add(CheckManifest, inFile(want.path), "file %d of the manifest's hashes is not this one", i+1)
		}
	}
	if len(artifacts) != listed {
		v.findings.add(CheckManifest, place{}, "the manifest has %d artifacts and hashes of %d files", len(artifacts), listed)
	}
	for i, a := range artifacts[:min(len(artifacts), listed, len(layout))] {
		want := ArtifactRecord{
			ArtifactID: hashes[i].Path, Kind: layout[i].kind, Path: hashes[i].Path, ContentType: a.ContentType, Hash: hashes[i].Hash, Required: true,
		}
		if a != want || a.ContentType == nil || *a.ContentType != contentType {
			v.findings.add(CheckManifest, inFile(a.Path), "artifact %d does not agree with the file's hash, or is not a required %s of type %s", i+1, want.Kind, contentType)
		}
	}
}

// checkListing finds files that the manifest does not speak of, in which anything could be slipped into a bundle.
func (v *inspection) checkListing(ctx context.Context, manifestPath string) {
	known := map[string]bool{manifestPath: true}
	for _, f := range v.manifest.Integrity.FileHashes {
		known[cleanPath(f.Path)] = true
	}
	listed := 0
	for path, err := range v.bundle.reader.List(ctx) {
		if err != nil {
			v.findings.add(CheckUnlisted, place{}, "the files of the bundle cannot be listed: %v", err)
			return
		}
		if !known[path] {
			v.findings.add(CheckUnlisted, inFile(path), "the manifest does not list this file")
		}
		if listed++; listed >= maxListed {
			v.findings.add(CheckUnlisted, place{}, "the bundle has more than %d files", maxListed)
			return
		}
	}
}

// checkReport sees that an embedded report says what a sound bundle's report says: it is made before it is embedded, so that
// it counts the other files.
func (v *inspection) checkReport(ctx context.Context) {
	if len(v.manifest.Integrity.FileHashes) < len(layout) {
		return
	}
	content, err := v.bundle.read(ctx, ReportPath)
	if err != nil {
		v.findings.add(CheckReadable, inFile(ReportPath), "%v", err)
		return
	}
	want := Report{Status: Pass, CheckedFiles: uint64(requiredFiles), Errors: []string{}}
	if string(content) != string(canonical.Append(nil, want, canonical.Canonical)) {
		v.findings.add(CheckManifest, inFile(ReportPath), "the report in the bundle is not that of a sound bundle")
	}
}

// checkSpec reads the spec; without one that compiles the logs mean nothing.
func (v *inspection) checkSpec(ctx context.Context) bool {
	content, err := v.bundle.read(ctx, SpecPath)
	if err != nil {
		v.findings.add(CheckReadable, inFile(SpecPath), "%v", err)
		return false
	}
	spec, err := parseSpec(content)
	if err == nil {
		v.scenario, err = gate.Compile(*spec)
	}
	if err != nil {
		v.findings.add(CheckSpec, inFile(SpecPath), "the logs were not checked: %v", err)
		return false
	}
	if string(canonical.Append(nil, *spec, canonical.Canonical)) != string(content) {
		v.findings.add(CheckCanonical, inFile(SpecPath), "the spec is not in canonical form, or has members that are not known")
	}
	if v.scenario.Hash() != v.manifest.SpecHash {
		v.findings.add(CheckSpec, inFile(SpecPath), "the manifest's spec_hash is not that of the spec")
	}
	if spec.ScenarioID != v.manifest.ScenarioID || spec.NamespaceID != v.manifest.NamespaceID {
		v.findings.add(CheckSpec, inFile(SpecPath), "the manifest names another scenario or namespace than the spec")
	}
	return true
}

// step is everything that was recorded of one decision.
type step struct {
	trigger  *gate.TriggerRecord
	evals    []gate.GateEvalRecord
	decision *gate.DecisionRecord
	packets  []gate.PacketRecord
	// withheld counts the evidence whose value is withheld.
	withheld int
}

func (s *step) place() place {
	return place{DecisionSeq: &s.decision.Seq, TriggerID: &s.trigger.Event.TriggerID}
}

// started reports whether the step is the start of a run with its first packets.
func (s *step) started() bool { return s.decision.Outcome.Kind == gate.Start }

// walk reads all logs side by side, step by step. After a record that cannot be read, or is out of its place, it stops:
// whatever came after would be found wrong too.
func (v *inspection) walk(ctx context.Context) {
	logs, err := openLogs(ctx, v.bundle)
	defer logs.close()
	if err == nil {
		v.begin()
		err = v.steps(logs)
	}
	if err == nil {
		v.checkForms(logs)
		return
	}
	var broken *logError
	if errors.As(err, &broken) && ctx.Err() == nil {
		v.findings.add(broken.check, broken.at, "%v", broken.err)
	}
}

// begin sets the head to where a run stands before its first step; when it was started is not in a bundle.
func (v *inspection) begin() {
	v.head = gate.Head{
		TenantID:       v.manifest.TenantID,
		NamespaceID:    v.manifest.NamespaceID,
		RunID:          v.manifest.RunID,
		ScenarioID:     v.manifest.ScenarioID,
		SpecHash:       v.manifest.SpecHash,
		CurrentStageID: v.scenario.Spec().Stages[0].StageID,
		Status:         gate.Active,
	}
	if v.bundle.options.Replay {
		v.findings.Replay = &ReplayReport{Ambiguous: Steps{Steps: []Finding{}}, Unreplayable: Steps{Steps: []Finding{}}}
		v.replay = newReplay(v.scenario, v.findings)
	}
}

// progressEvery is how many decisions pass between two calls of Options.Progress.
const progressEvery = 1000

func (v *inspection) steps(logs *logs) error {
	calls := newCallCheck(v, logs)
	for {
		s, err := logs.step()
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		v.checkStep(s)
		if v.replay != nil {
			v.replay.step(v.head, s)
		}
		before := v.head
		v.follow(s)
		if err := calls.answer(s, before, v.head); err != nil {
			return err
		}
		if v.bundle.progress.Decisions++; v.bundle.progress.Decisions%progressEvery == 0 {
			v.bundle.report()
		}
	}
	if err := calls.rest(v.head); err != nil {
		return err
	}
	return logs.leftOver()
}

// follow moves the head to where the recorded decision leads, right or wrong: each step is judged for itself.
func (v *inspection) follow(s *step) {
	v.head.Triggers++
	v.head.Decisions++
	v.head.LastDecision = s.decision
	switch outcome := &s.decision.Outcome; outcome.Kind {
	case gate.Start:
		v.head.StageEnteredAt = s.decision.DecidedAt
	case gate.Advance:
		v.head.CurrentStageID, v.head.StageEnteredAt = outcome.ToStage, s.decision.DecidedAt
	case gate.Complete:
		v.head.Status = gate.Completed
	case gate.Fail:
		v.head.Status = gate.Failed
	}
}

// checkStep sees that the records of a step belong together and that their hashes are those of what they hold.
func (v *inspection) checkStep(s *step) {
	v.findings.Checked.Decisions++
	n := v.head.Decisions + 1
	event, d := &s.trigger.Event, s.decision
	v.require(s, s.trigger.Seq == n && d.Seq == n && d.DecisionID == "decision-"+strconv.FormatUint(n, 10),
		"trigger %d and %s with number %d stand at place %d", s.trigger.Seq, d.DecisionID, d.Seq, n)
	v.require(s, event.TriggerID == d.TriggerID, "the decision is on trigger %s", d.TriggerID)
	v.require(s, event.RunID == v.manifest.RunID && event.TenantID == v.manifest.TenantID && event.NamespaceID == v.manifest.NamespaceID,
		"the trigger is of another run")
	v.require(s, event.Time == d.DecidedAt && equalPointers(event.CorrelationID, d.CorrelationID),
		"the decision has another time or correlation than its trigger")
	v.require(s, d.StageID == v.head.CurrentStageID, "the decision is on stage %s while the run is on %s", d.StageID, v.head.CurrentStageID)
	v.require(s, v.head.Status == gate.Active, "the run had ended before")
	for i := range s.evals {
		v.checkGate(s, &s.evals[i])
	}
	for i := range s.packets {
		v.checkPacket(s, &s.packets[i])
	}
}

func (v *inspection) require(s *step, holds bool, format string, args ...any) {
	if !holds {
		v.findings.add(CheckSequence, s.place(), format, args...)
	}
}

func equalPointers[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func (v *inspection) checkGate(s *step, eval *gate.GateEvalRecord) {
	v.findings.Checked.Gates++
	at := s.place()
	at.GateID = &eval.Evaluation.GateID
	if eval.StageID != s.decision.StageID {
		v.findings.add(CheckSequence, at, "the gate is recorded for stage %s", eval.StageID)
	}
	for i := range eval.Evidence {
		record := &eval.Evidence[i]
		v.findings.Checked.Evidence++
		withheld := v.manifest.redacted() && Withheld(&record.Result)
		if record.Result.Value == nil && !withheld {
			continue
		}
		if record.Result.Signature != nil {
			v.findings.Checked.Signed++
		} else {
			v.findings.Checked.unsigned++
		}
		if withheld {
			s.withheld++
			v.findings.Checked.withheld++
			continue
		}
		at.ConditionID = &record.ConditionID
		hash, err := record.Result.Value.Hash()
		switch {
		case err != nil:
			v.findings.add(CheckEvidence, at, "%v", err)
		case record.Result.EvidenceHash == nil || *record.Result.EvidenceHash != hash:
			v.findings.add(CheckEvidence, at, "the evidence hash is not that of the value")
		}
	}
}

func (v *inspection) checkPacket(s *step, packet *gate.PacketRecord) {
	v.findings.Checked.Packets++
	at := s.place()
	at.PacketID = &packet.Envelope.PacketID
	if packet.Envelope.RunID != v.manifest.RunID || packet.Envelope.ScenarioID != v.manifest.ScenarioID {
		v.findings.add(CheckSequence, at, "the packet is of another run or scenario")
	}
	if hash, err := packet.Payload.Hash(); err != nil {
		v.findings.add(CheckPayload, at, "%v", err)
	} else if hash != packet.Envelope.ContentHash {
		v.findings.add(CheckPayload, at, "the content hash is not that of the payload")
	}
	for i := range packet.Receipts {
		receipt := &packet.Receipts[i]
		want, err := gate.Receipt(receipt.Target, &packet.Envelope, &packet.Payload)
		switch {
		case receipt.Dispatcher != want.Dispatcher:
			v.findings.Unverifiable.Receipts++
		case err != nil || *receipt != want:
			v.findings.add(CheckReceipt, at, "receipt %d is not that of this packet", i+1)
		}
	}
}

// checkForms reports the logs that have other bytes than their canonical form: two bundles of the same records with
// different hashes must not both be genuine.
func (v *inspection) checkForms(logs *logs) {
	for _, form := range logs.forms() {
		if !form.canonical {
			v.findings.add(CheckCanonical, inFile(form.path), "the log is not in canonical form, or has members that are not known")
		}
	}
}

// note says what the checks do not prove.
func (v *inspection) note() {
	f := v.findings
	switch signed, unsigned := f.Checked.Signed, f.Checked.unsigned; {
	case signed == 0:
		f.Notes = append(f.Notes, noteUnsigned)
	default:
		if unsigned > 0 {
			f.Notes = append(f.Notes, fmt.Sprintf(notePartly, unsigned, signed+unsigned))
		}
		f.Notes = append(f.Notes, noteUnproven)
	}
	if v.manifest.redacted() {
		f.Notes = append(f.Notes, fmt.Sprintf(noteRedacted, f.Checked.withheld, f.Checked.Evidence))
	}
	if !v.bundle.options.Replay {
		f.Notes = append(f.Notes, noteNoReplay)
	}
}
