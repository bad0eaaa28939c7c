// Package runpack writes the record of a run as a bundle of files and checks such bundles: whether the files are whole
// (verify), whether the records agree with one another, and whether the recorded evidence yields the recorded verdicts
// (replay).
//
// It is pure over two small interfaces, Sink and Reader: it knows no store and no plugin, so that anyone can check a bundle
// offline. It never holds a log in memory, and treats every byte of a bundle as written by an adversary. It does not sign
// and checks no signatures: whoever can write all of a bundle, evidence included, can make one that passes, and the report
// says so.
//
// The package reads like contract §9: runpack.go is §9.1 and §9.2, build.go is §9.3 and §9.4, verify.go is §9.5,
// directory.go is §9.6; inspect.go, calls.go and replay.go are what the contract's verifier leaves out ([F-03]).
package runpack

import (
	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// The files of a bundle, in the order in which they are written (contract §9.1).
const (
	SpecPath        = "artifacts/scenario_spec.json"
	TriggersPath    = "artifacts/triggers.json"
	GateEvalsPath   = "artifacts/gate_evals.json"
	DecisionsPath   = "artifacts/decisions.json"
	PacketsPath     = "artifacts/packets.json"
	SubmissionsPath = "artifacts/submissions.json"
	ToolCallsPath   = "artifacts/tool_calls.json"
	// ReportPath is there only in a bundle that was built with verification.
	ReportPath = "artifacts/verifier_report.json"

	// DefaultManifest is the path of the manifest unless the caller names another.
	DefaultManifest = "manifest.json"
)

// Version is the one version of manifests.
const Version = "v1"

const contentType = "application/json"

// MaxCompatible is the size in bytes of the largest artifact that verifiers of the open-source Decision Gate read
// (contract §0.6); larger ones are written nevertheless, and named in Result.Oversized ([F-14]).
const MaxCompatible = 16 << 20

// ArtifactKind says what a file of a bundle holds.
type ArtifactKind string

// The kinds of artifacts that are written.
const (
	SpecKind        ArtifactKind = "scenario_spec"
	TriggersKind    ArtifactKind = "trigger_log"
	GateEvalsKind   ArtifactKind = "gate_eval_log"
	DecisionsKind   ArtifactKind = "decision_log"
	PacketsKind     ArtifactKind = "packet_log"
	SubmissionsKind ArtifactKind = "submission_log"
	ToolCallsKind   ArtifactKind = "tool_transcript"
	ReportKind      ArtifactKind = "verifier_report"
)

// Names returns the kinds that a manifest may name; the last three are reserved, and never written.
func (ArtifactKind) Names() []string {
	return []string{
		string(SpecKind), string(TriggersKind), string(GateEvalsKind), string(DecisionsKind), string(PacketsKind),
		string(SubmissionsKind), string(ToolCallsKind), string(ReportKind), "dispatch_log", "evidence_log", "custom",
	}
}

// layout is what a bundle holds, in order; the last file is optional.
var layout = [...]struct {
	path string
	kind ArtifactKind
}{
	{SpecPath, SpecKind},
	{TriggersPath, TriggersKind},
	{GateEvalsPath, GateEvalsKind},
	{DecisionsPath, DecisionsKind},
	{PacketsPath, PacketsKind},
	{SubmissionsPath, SubmissionsKind},
	{ToolCallsPath, ToolCallsKind},
	{ReportPath, ReportKind},
}

// requiredFiles is how many files of layout every bundle has.
const requiredFiles = len(layout) - 1

// VerifierMode is a remark for verifiers; none acts on it.
type VerifierMode string

// OfflineStrict is the mode of the bundles that are written.
const OfflineStrict VerifierMode = "offline_strict"

// Names returns the modes that a manifest may name.
func (VerifierMode) Names() []string { return []string{string(OfflineStrict), "offline_with_fetch"} }

// Manifest names every file of a bundle with its hash (contract §9.2).
type Manifest struct {
	ManifestVersion string                  `member:"manifest_version"`
	GeneratedAt     gate.Timestamp          `member:"generated_at"`
	ScenarioID      gate.ScenarioID         `member:"scenario_id"`
	TenantID        gate.TenantID           `member:"tenant_id"`
	NamespaceID     gate.NamespaceID        `member:"namespace_id"`
	RunID           gate.RunID              `member:"run_id"`
	SpecHash        canonical.HashDigest    `member:"spec_hash"`
	HashAlgorithm   canonical.HashAlgorithm `member:"hash_algorithm"`
	VerifierMode    VerifierMode            `member:"verifier_mode"`
	// AnchorPolicy is nil when it would name no provider.
	AnchorPolicy *gate.AnchorPolicy `member:"anchor_policy" presence:"OS"`
	Security     *SecurityContext   `member:"security" presence:"OS"`
	// Redacted is true where evidence values are withheld, and nil otherwise. Contract §9.2 does not have it.
	Redacted  *bool            `member:"redacted" presence:"OS"`
	Integrity Integrity        `member:"integrity"`
	Artifacts []ArtifactRecord `member:"artifacts"`
}

// SecurityContext says how the host that wrote the bundle was run; it is a remark, not a claim that anything checks.
type SecurityContext struct {
	DevPermissive      bool   `member:"dev_permissive"`
	NamespaceAuthority string `member:"namespace_authority"`
}

// Integrity holds the hash of each file, in the order of writing, and the hash over that list ([P-24]).
type Integrity struct {
	FileHashes []FileHash           `member:"file_hashes"`
	RootHash   canonical.HashDigest `member:"root_hash"`
}

// FileHash is the hash of the bytes of one file.
type FileHash struct {
	Path string               `member:"path"`
	Hash canonical.HashDigest `member:"hash"`
}

// ArtifactRecord describes one file.
type ArtifactRecord struct {
	ArtifactID  string               `member:"artifact_id"`
	Kind        ArtifactKind         `member:"kind"`
	Path        string               `member:"path"`
	ContentType *string              `member:"content_type" presence:"O"`
	Hash        canonical.HashDigest `member:"hash"`
	Required    bool                 `member:"required"`
}

// add enters a file into a manifest; the root hash is to be made anew after.
func (m *Manifest) add(path string, kind ArtifactKind, hash canonical.HashDigest) {
	json := contentType
	m.Artifacts = append(m.Artifacts, ArtifactRecord{
		ArtifactID: path, Kind: kind, Path: path, ContentType: &json, Hash: hash, Required: true,
	})
	m.Integrity.FileHashes = append(m.Integrity.FileHashes, FileHash{Path: path, Hash: hash})
	m.Integrity.RootHash = canonical.Hash(m.Integrity.FileHashes)
}

func (m *Manifest) bytes() []byte { return canonical.Append(nil, *m, canonical.Canonical) }
