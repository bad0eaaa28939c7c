package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"regexp"

	"github.com/decision-gate-host/decision-gate-host/host/runpack"
	sdkrunpack "github.com/decision-gate-host/decision-gate-host/sdk/runpack"
)

// Destination takes the runpacks of runs that are removed.
type Destination interface {
	// export writes a bundle durably, reads it again and verifies it. It answers where the bundle is and the hash of its
	// manifest. The error is an *unsoundError when what was read does not verify.
	export(ctx context.Context, input runpack.Input) (place, manifest string, err error)
}

// unsoundError is of a bundle that does not verify.
type unsoundError struct{ why string }

func (e *unsoundError) Error() string { return e.why }

// verifyBundle sees that a bundle that was written is there, is sound, and is the one that was written.
func verifyBundle(ctx context.Context, reader runpack.Reader, built *runpack.Result) error {
	report, err := runpack.Verify(ctx, reader, runpack.DefaultManifest, runpack.Options{})
	if err != nil {
		return &unsoundError{fmt.Sprintf("its runpack was written and cannot be read: %v", err)}
	}
	if report.Verdict() != runpack.Pass {
		why := report.Errors
		if report.DecisionGate != nil {
			for _, f := range report.DecisionGate.Findings {
				why = append(why, f.String())
			}
		}
		return &unsoundError{fmt.Sprintf("its runpack does not verify: %s", append(why, "no reason")[0])}
	}
	manifest, _, err := reader.Open(ctx, runpack.DefaultManifest)
	if err != nil {
		return err
	}
	defer manifest.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, manifest); err != nil {
		return err
	}
	if [sha256.Size]byte(sum.Sum(nil)) != built.ManifestSHA256 {
		return &unsoundError{"its runpack was changed while it was written"}
	}
	return nil
}

// Folder is a Destination in a folder that is there: a folder for each run, by tenant and namespace.
type Folder string

// plainName are ids that are the name of a folder as they are; others are named by their hash.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

func (f Folder) export(ctx context.Context, input runpack.Input) (place, manifest string, err error) {
	name := string(input.RunID)
	if !plainName.MatchString(name) {
		sum := sha256.Sum256([]byte(name))
		name = "sha256-" + hex.EncodeToString(sum[:])
	}
	root, err := filepath.Abs(string(f))
	if err != nil {
		return "", "", err
	}
	place = filepath.Join(root, fmt.Sprintf("tenant-%d", input.TenantID), fmt.Sprintf("namespace-%d", input.NamespaceID), name)
	// It makes the folders on the way durable, too.
	dir, err := runpack.CreateAllowed([]string{root}, place)
	if err != nil {
		return "", "", err
	}
	defer dir.Close()
	built, err := runpack.Build(ctx, input, dir)
	if err != nil {
		return "", "", err
	}
	return place, hex.EncodeToString(built.ManifestSHA256[:]), verifyBundle(ctx, dir, built)
}

// Plugin is a Destination that is a runpack plugin.
type Plugin struct{ Sink sdkrunpack.Sink }

func (p Plugin) export(ctx context.Context, input runpack.Input) (place, manifest string, err error) {
	id, err := p.Sink.Begin(ctx, sdkrunpack.Key{
		Tenant: uint64(input.TenantID), Namespace: uint64(input.NamespaceID),
		Scenario: string(input.Spec.ScenarioID), Run: string(input.RunID), SpecSHA256: input.SpecHash.Value,
	}, nil)
	if err != nil {
		return "", "", err
	}
	built, err := runpack.Build(ctx, input, unfinished{p.Sink, id})
	if err != nil {
		// The plugin sweeps what cannot be aborted.
		return "", "", errors.Join(err, p.Sink.Abort(context.WithoutCancel(ctx), id))
	}
	uri, err := p.Sink.Finish(ctx, id, runpack.DefaultManifest, built.ManifestSHA256)
	if err != nil {
		return "", "", err
	}
	return uri, hex.EncodeToString(built.ManifestSHA256[:]), verifyBundle(ctx, finished{p.Sink, uri, input}, built)
}

// unfinished is a bundle in the plugin that is being written.
type unfinished struct {
	sink sdkrunpack.Sink
	id   string
}

func (b unfinished) WriteFile(ctx context.Context, path string, content io.Reader) error {
	_, err := b.sink.Write(ctx, b.id, path, content)
	return err
}

// finished is a bundle in the plugin.
type finished struct {
	sink sdkrunpack.Sink
	uri  string
	of   runpack.Input
}

func (b finished) Open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	content, err := b.sink.Open(ctx, b.uri, path)
	return content, -1, err
}

func (b finished) List(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := b.sink.List(ctx, uint64(b.of.TenantID), uint64(b.of.NamespaceID), func(bundle sdkrunpack.Bundle) error {
			if bundle.URI != b.uri {
				return nil
			}
			for _, file := range bundle.Files {
				if !yield(file.Path, nil) {
					break
				}
			}
			return errEnough
		})
		switch {
		case err == nil:
			yield("", errors.New("the bundle is not listed"))
		case !errors.Is(err, errEnough):
			yield("", err)
		}
	}
}
