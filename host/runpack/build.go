package runpack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Sink receives the files of a bundle, each once and the manifest last: a bundle without a manifest is not one. Content is
// read to its end before the call returns.
type Sink interface {
	WriteFile(ctx context.Context, path string, content io.Reader) error
}

// Input is what a bundle is made of.
type Input struct {
	// Spec is the scenario, SpecHash the hash of the spec that the run was started with.
	Spec     gate.ScenarioSpec
	SpecHash canonical.HashDigest
	TenantID gate.TenantID
	// NamespaceID is that of the run.
	NamespaceID gate.NamespaceID
	RunID       gate.RunID
	// Steps are the steps of the run in their order. It is walked once, and an error ends the build.
	Steps       iter.Seq2[gate.Step, error]
	GeneratedAt gate.Timestamp
	// AnchorPolicy and Security are for the manifest; a policy without providers is left out.
	AnchorPolicy gate.AnchorPolicy
	Security     *SecurityContext
	// Redact, when set, says of a provider that its evidence is written without the values, by their hashes; the manifest
	// is marked.
	Redact func(gate.ProviderID) bool
	// ManifestPath is the path of the manifest, DefaultManifest for most.
	ManifestPath string
	// Verify adds a file with the report on the bundle without that file ([P-23]).
	Verify bool
	// Spool is DiskSpool("") when nil.
	Spool Spool
}

// Result is what was written.
type Result struct {
	Manifest Manifest
	// ManifestSHA256 is the hash of the manifest's bytes.
	ManifestSHA256 [sha256.Size]byte
	// Report is nil unless verification was asked for. That it fails does not fail the build.
	Report *Report
	// Oversized names the files over MaxCompatible bytes.
	Oversized []string
}

// Build writes a bundle (contract §9.3, §9.4). Memory is bounded by the largest step and the spec: the logs are spooled, so
// that nothing reaches the sink before the last step has been read. Errors are ErrSpecHash, those of the steps and of the
// sink, *ArtifactError for the manifest's path.
func Build(ctx context.Context, in Input, sink Sink) (*Result, error) {
	if err := checkManifestName(in.ManifestPath); err != nil {
		return nil, err
	}
	spec := canonical.Append(nil, in.Spec, canonical.Canonical)
	if canonical.HashBytes(spec) != in.SpecHash {
		return nil, ErrSpecHash
	}
	b := &builder{manifestPath: in.ManifestPath, manifest: in.manifest(), redaction: newRedaction(&in)}
	defer b.close()
	if err := b.spool(ctx, in, spec); err != nil {
		return nil, err
	}
	report, err := b.verify(ctx, in.Verify)
	if err != nil {
		return nil, err
	}
	if err := b.send(ctx, sink); err != nil {
		return nil, err
	}
	return &Result{
		Manifest:       b.manifest,
		ManifestSHA256: sha256.Sum256(b.manifest.bytes()),
		Report:         report,
		Oversized:      b.oversized(),
	}, nil
}

func (in *Input) manifest() Manifest {
	m := Manifest{
		ManifestVersion: Version,
		GeneratedAt:     in.GeneratedAt,
		ScenarioID:      in.Spec.ScenarioID,
		TenantID:        in.TenantID,
		NamespaceID:     in.NamespaceID,
		RunID:           in.RunID,
		SpecHash:        in.SpecHash,
		HashAlgorithm:   canonical.SHA256,
		VerifierMode:    OfflineStrict,
		Security:        in.Security,
	}
	if len(in.AnchorPolicy.Providers) > 0 {
		m.AnchorPolicy = &in.AnchorPolicy
	}
	if in.Redact != nil {
		marked := true
		m.Redacted = &marked
	}
	return m
}

// file is a file of the bundle that is ready to be sent.
type file struct {
	path string
	size int64
	open func() io.Reader
}

func bytesFile(path string, content []byte) file {
	return file{path: path, size: int64(len(content)), open: func() io.Reader { return bytes.NewReader(content) }}
}

type builder struct {
	manifestPath string
	manifest     Manifest
	files        []file
	logs         []*logWriter
	redaction    *redaction
}

func (b *builder) close() {
	for _, w := range b.logs {
		w.file.Close()
	}
}

// spool reads the steps and leaves the first seven files and their entries in the manifest.
func (b *builder) spool(ctx context.Context, in Input, spec []byte) error {
	spool := in.Spool
	if spool == nil {
		spool = DiskSpool("")
	}
	for range layout[1:requiredFiles] {
		w, err := newLogWriter(spool)
		if err != nil {
			return fmt.Errorf("spool the bundle: %w", err)
		}
		b.logs = append(b.logs, w)
	}
	for step, err := range in.Steps {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := b.append(&step); err != nil {
			return fmt.Errorf("spool the bundle: %w", err)
		}
	}
	b.add(SpecKind, canonical.HashBytes(spec), bytesFile(SpecPath, spec))
	for i, w := range b.logs {
		hash, err := w.finish()
		if err != nil {
			return fmt.Errorf("spool the bundle: %w", err)
		}
		artifact := layout[1+i]
		b.add(artifact.kind, hash, file{path: artifact.path, size: w.size, open: w.reader})
	}
	return nil
}

func (b *builder) add(kind ArtifactKind, hash canonical.HashDigest, f file) {
	b.manifest.add(f.path, kind, hash)
	b.files = append(b.files, f)
}

// append writes what a step adds to each log, in the order of layout.
func (b *builder) append(step *gate.Step) error {
	evals, err := b.redaction.apply(step.GateEvals)
	if err != nil {
		return err
	}
	return errors.Join(
		appendIf(b.logs[0], step.Trigger),
		appendAll(b.logs[1], evals),
		appendIf(b.logs[2], step.Decision),
		appendAll(b.logs[3], step.Packets),
		appendIf(b.logs[4], step.Submission),
		appendIf(b.logs[5], step.ToolCall),
	)
}

func appendIf[R any](w *logWriter, record *R) error {
	if record == nil {
		return nil
	}
	return appendRecord(w, record)
}

func appendAll[R any](w *logWriter, records []R) error {
	for i := range records {
		if err := appendRecord(w, &records[i]); err != nil {
			return err
		}
	}
	return nil
}

// verify checks the spooled bundle and adds the report to it. The report speaks of the manifest without it ([P-23]), which a
// sink never sees: it may be one that overwrites nothing.
func (b *builder) verify(ctx context.Context, wanted bool) (*Report, error) {
	if !wanted {
		return nil, nil
	}
	report, err := checkFiles(ctx, newBundle(b, Options{}), &b.manifest)
	if err != nil {
		return nil, err
	}
	content := canonical.Append(nil, *report, canonical.Canonical)
	b.add(ReportKind, canonical.HashBytes(content), bytesFile(ReportPath, content))
	return report, nil
}

func (b *builder) send(ctx context.Context, sink Sink) error {
	earlier, replaces := sink.(replacer)
	if replaces {
		if err := earlier.mayReplace(ctx, &b.manifest, b.manifestPath); err != nil {
			return err
		}
	}
	for _, f := range b.files {
		if err := sink.WriteFile(ctx, f.path, f.open()); err != nil {
			return err
		}
	}
	if err := asManifest(sink.WriteFile(ctx, b.manifestPath, bytes.NewReader(b.manifest.bytes()))); err != nil {
		return err
	}
	if replaces {
		return earlier.dropUnlisted(&b.manifest)
	}
	return nil
}

func (b *builder) oversized() []string {
	var paths []string
	for _, f := range b.files {
		if f.size > MaxCompatible {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// Open reads a spooled file as it will be found in the bundle: a manifest that is named like another file takes its place.
func (b *builder) Open(_ context.Context, path string) (io.ReadCloser, int64, error) {
	if cleanPath(b.manifestPath) == path {
		content := b.manifest.bytes()
		return io.NopCloser(bytes.NewReader(content)), int64(len(content)), nil
	}
	for _, f := range b.files {
		if f.path == path {
			return io.NopCloser(f.open()), f.size, nil
		}
	}
	return nil, 0, artifactError(textReadMetadata, nil)
}

// List names the spooled files.
func (b *builder) List(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, f := range b.files {
			if !yield(f.path, nil) {
				return
			}
		}
	}
}
