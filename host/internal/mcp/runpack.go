package mcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/access"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs"
	"github.com/decision-gate-host/decision-gate-host/host/runpack"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	sdkrunpack "github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

const defaultManifest = "manifest.json"

type exportArguments struct {
	ScenarioID          gate.ScenarioID  `member:"scenario_id"`
	TenantID            gate.TenantID    `member:"tenant_id"`
	NamespaceID         gate.NamespaceID `member:"namespace_id"`
	RunID               gate.RunID       `member:"run_id"`
	OutputDir           *string          `member:"output_dir" presence:"O"`
	ManifestName        *string          `member:"manifest_name" presence:"O"`
	GeneratedAt         gate.Timestamp   `member:"generated_at"`
	IncludeVerification bool             `member:"include_verification"`
}

type exportResult struct {
	Manifest   runpack.Manifest `member:"manifest"`
	Report     *runpack.Report  `member:"report" presence:"O"`
	StorageURI *string          `member:"storage_uri" presence:"OS"`
}

// runpackExport is mcp contract §4.14: to output_dir where one is given, else to the runpack plugin.
func (s *Server) runpackExport(ctx context.Context, who caller, a exportArguments) (exportResult, error) {
	history, err := s.Runs.History(ctx, runs.Ref{Tenant: a.TenantID, Namespace: a.NamespaceID, Run: a.RunID, Scenario: a.ScenarioID})
	if err != nil {
		var refusal *gate.Error
		if errors.As(err, &refusal) && refusal.Reason == gate.RunNotFound {
			// Unlike every other tool (mcp contract §2.7).
			return exportResult{}, refuse(NotFound, "run not found")
		}
		return exportResult{}, err
	}
	input := runpack.Input{
		Spec:         *history.Scenario.Spec(),
		SpecHash:     history.Head.SpecHash,
		TenantID:     a.TenantID,
		NamespaceID:  a.NamespaceID,
		RunID:        a.RunID,
		Steps:        told(ctx, history.Steps, history.Count),
		GeneratedAt:  a.GeneratedAt,
		AnchorPolicy: s.Settings().Anchors,
		Security:     s.Security.context(),
		ManifestPath: defaultManifest,
		Verify:       a.IncludeVerification,
	}
	if s.Redact {
		input.Redact = func(id gate.ProviderID) bool { return !s.Disclosed(id) }
	}
	if a.ManifestName != nil {
		input.ManifestPath = *a.ManifestName
	}
	switch {
	case a.OutputDir != nil:
		held := s.Access.Held(who.principal)
		if !held.Everywhere {
			held.Tenants = []gate.TenantID{a.TenantID}
		}
		if !s.ownFolder(*a.OutputDir, held) {
			return exportResult{}, runpack.ErrNotAllowed
		}
		return s.exportToDirectory(ctx, *a.OutputDir, input)
	case s.Runpacks != nil:
		return s.exportToPlugin(ctx, a, input)
	default:
		return exportResult{}, refuse(RunpackFailed, "output_dir is required when runpack storage is not configured")
	}
}

func (s *Server) exportToDirectory(ctx context.Context, dir string, input runpack.Input) (exportResult, error) {
	sink, err := runpack.CreateAllowed(s.RunpackDirs, dir)
	if err != nil {
		return exportResult{}, inDirectory(dir, err)
	}
	defer sink.Close()
	built, err := s.build(ctx, input, sink)
	if err != nil {
		return exportResult{}, inDirectory(dir, err)
	}
	return exportResult{Manifest: built.Manifest, Report: built.Report}, nil
}

// inDirectory names the directory, and what an error keeps from clients, to the operator's log: the client is told only
// what asError finds inside.
func inDirectory(dir string, err error) error {
	var artifact *runpack.ArtifactError
	if errors.As(err, &artifact) && artifact.Cause != nil {
		return fmt.Errorf("in %.*q: %w: %v", maxLoggedPath, dir, err, artifact.Cause)
	}
	return fmt.Errorf("in %.*q: %w", maxLoggedPath, dir, err)
}

// maxLoggedPath is the number of characters of a client's path that the log shows.
const maxLoggedPath = 500

func (s *Server) build(ctx context.Context, input runpack.Input, sink runpack.Sink) (*runpack.Result, error) {
	built, err := runpack.Build(ctx, input, sink)
	if err == nil && len(built.Oversized) > 0 {
		s.Logger.WarnContext(ctx, "runpack has files that other verifiers refuse as too large", "files", built.Oversized)
	}
	return built, err
}

// pluginBundle is an unfinished bundle in the runpack plugin.
type pluginBundle struct {
	sink sdkrunpack.Sink
	id   string
}

// WriteFile adds a file.
func (b pluginBundle) WriteFile(ctx context.Context, path string, content io.Reader) error {
	_, err := b.sink.Write(ctx, b.id, path, content)
	return err
}

func (s *Server) exportToPlugin(ctx context.Context, a exportArguments, input runpack.Input) (exportResult, error) {
	id, err := s.Runpacks.Begin(ctx, sdkrunpack.Key{
		Tenant: uint64(a.TenantID), Namespace: uint64(a.NamespaceID),
		Scenario: string(a.ScenarioID), Run: string(a.RunID), SpecSHA256: input.SpecHash.Value,
	}, nil)
	if err != nil {
		return exportResult{}, err
	}
	built, err := s.build(ctx, input, pluginBundle{s.Runpacks, id})
	if err != nil {
		// The plugin sweeps what cannot be aborted.
		return exportResult{}, errors.Join(err, s.Runpacks.Abort(context.WithoutCancel(ctx), id))
	}
	uri, err := s.Runpacks.Finish(ctx, id, input.ManifestPath, built.ManifestSHA256)
	if err != nil {
		return exportResult{}, err
	}
	return exportResult{Manifest: built.Manifest, Report: built.Report, StorageURI: &uri}, nil
}

type verifyArguments struct {
	RunpackDir   string `member:"runpack_dir"`
	ManifestPath string `member:"manifest_path"`
}

type verifyResult struct {
	Report runpack.Report `member:"report"`
	Status runpack.Status `member:"status"`
}

// runpackVerify is mcp contract §4.15; runpack_dir is a directory, or a URI that runpack_export answered. Whoever may not
// use the tenant and namespace of the bundle, as its manifest names them, learns nothing of it.
func (s *Server) runpackVerify(ctx context.Context, who caller, a verifyArguments) (verifyResult, error) {
	admitted := false
	options := runpack.Options{MaxArtifactBytes: uint64(s.MaxArtifact), Replay: true, Progress: verifying(ctx)}
	options.Admit = func(m *runpack.Manifest) error {
		err := s.admitBundle(ctx, who, m)
		admitted = err == nil
		return err
	}
	reader, end, err := s.openBundle(who, a.RunpackDir, &options)
	if err != nil {
		return verifyResult{}, err
	}
	defer end()
	report, err := runpack.Verify(ctx, reader, a.ManifestPath, options)
	if err != nil {
		err = inDirectory(a.RunpackDir, err)
		if !admitted && isURI(a.RunpackDir) {
			err = s.unadmitted(who, err)
		}
		return verifyResult{}, err
	}
	return verifyResult{*report, report.Verdict()}, nil
}

func isURI(dir string) bool { return strings.Contains(dir, "://") }

// openBundle opens a directory or a bundle of the plugin to read.
func (s *Server) openBundle(who caller, dir string, options *runpack.Options) (_ runpack.Reader, end func(), _ error) {
	if !isURI(dir) {
		if !s.ownFolder(dir, s.Access.Held(who.principal)) {
			return nil, nil, runpack.ErrNotAllowed
		}
		opened, err := runpack.OpenAllowed(s.RunpackDirs, dir)
		if err != nil {
			return nil, nil, inDirectory(dir, err)
		}
		return opened, func() { opened.Close() }, nil
	}
	if s.Runpacks == nil {
		return nil, nil, refuse(RunpackFailed, "there is no runpack plugin to read %q from", dir)
	}
	stored := &storedBundle{sink: s.Runpacks, uri: dir}
	admit := options.Admit
	options.Admit = func(m *runpack.Manifest) error {
		stored.tenant, stored.namespace = m.TenantID, m.NamespaceID
		return admit(m)
	}
	return stored, func() {}, nil
}

// unadmitted is what a caller is told of a bundle of the plugin that it was not shown to own. Attack stopped: whoever is held
// to a tenant tries URIs, and paths of files, and learns from the errors which bundles others have.
func (s *Server) unadmitted(who caller, err error) error {
	if s.Access.Held(who.principal).Everywhere || asError(err).Retry {
		return err
	}
	return &Error{Code: NotFound, Message: faults[fault.NotFound].Message, cause: err}
}

// admitBundle refuses a bundle of a tenant or namespace that the caller may not use.
func (s *Server) admitBundle(ctx context.Context, who caller, m *runpack.Manifest) error {
	// Not Access.Tenant, which a test build opens: no database is behind this.
	if !s.Access.Held(who.principal).Has(m.TenantID) {
		return refuse(Unauthorized, "unauthorized")
	}
	where := scope{&m.TenantID, m.NamespaceID}
	if decision := s.Access.Tenant(who.principal, where.tenant, where.namespace); !decision.Allowed {
		return denied(decision.Denial())
	}
	return s.allowNamespace(ctx, who, where)
}

// ownFolder says whether a caller that is held to tenants may name a folder for runpacks: below each folder of runpack.dirs it
// has the one that is called as its tenant, so that it finds no other's, and cannot learn which there are. It looks at the path
// alone. Callers that are held to none may name any.
func (s *Server) ownFolder(path string, held access.Held) bool {
	if held.Everywhere {
		return true
	}
	absolute, err := filepath.Abs(path)
	if err != nil || path == "" {
		return false
	}
	own := false
	for _, dir := range s.RunpackDirs {
		dir, err := filepath.Abs(dir)
		if err != nil {
			return false
		}
		below, err := filepath.Rel(dir, absolute)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}
		name, _, _ := strings.Cut(below, string(filepath.Separator))
		// Of folders in one another, all: what is one tenant's below the outer one is not another's below the inner one.
		if own = slices.ContainsFunc(held.Tenants, func(t gate.TenantID) bool { return name == decimal(t) }); !own {
			return false
		}
	}
	return own
}

// storedBundle reads a finished bundle of the runpack plugin. What the backend says of a failure is not for the report,
// which a client reads.
type storedBundle struct {
	sink sdkrunpack.Sink
	uri  string
	// tenant and namespace are known once the manifest was read; under them the bundle is listed.
	tenant    gate.TenantID
	namespace gate.NamespaceID
}

// Open reads a file.
func (b *storedBundle) Open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	content, err := b.sink.Open(ctx, b.uri, path)
	if err != nil {
		return nil, 0, asError(err)
	}
	return content, -1, nil
}

var errFound = errors.New("found")

// List names the files of the bundle.
func (b *storedBundle) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := b.sink.List(ctx, uint64(b.tenant), uint64(b.namespace), func(bundle sdkrunpack.Bundle) error {
			if bundle.URI != b.uri {
				return nil
			}
			for _, file := range bundle.Files {
				if !yield(file.Path, nil) {
					break
				}
			}
			return errFound
		})
		switch {
		case err == nil:
			yield("", errors.New("the bundle is not listed under its own tenant and namespace"))
		case !errors.Is(err, errFound):
			yield("", asError(err))
		}
	}
}
