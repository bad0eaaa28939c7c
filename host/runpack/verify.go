package runpack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Verify checks a bundle. The error is for what could not be checked at all: the manifest cannot be read (an *ArtifactError,
// a *TooLargeError, a *ManifestError, or an error of the reader), the bundle is not admitted, or the context has ended. What is wrong with the bundle is
// in the report, and Report.Verdict is the outcome.
func Verify(ctx context.Context, r Reader, manifestPath string, o Options) (*Report, error) {
	b := newBundle(r, o)
	content, err := b.read(ctx, manifestPath)
	if err != nil {
		return nil, err
	}
	manifest, err := parseManifest(content)
	if err != nil {
		return nil, &ManifestError{Cause: err}
	}
	if o.Admit != nil {
		if err := o.Admit(manifest); err != nil {
			return nil, err
		}
	}
	report, err := checkFiles(ctx, b, manifest)
	if err != nil {
		return nil, err
	}
	if manifest.ManifestVersion != Version {
		// Nothing further is known of such a bundle.
		return report, nil
	}
	v := newInspection(b, manifest, report)
	if string(manifest.bytes()) != string(content) {
		v.findings.add(CheckCanonical, inFile(manifestPath), "the manifest is not in canonical form, or has members that are not known")
	}
	if err := v.inspect(ctx, cleanPath(manifestPath)); err != nil {
		return nil, err
	}
	b.report()
	return report, nil
}

func parseManifest(content []byte) (*Manifest, error) {
	v, err := canonical.ParseRecord(content)
	if err != nil {
		return nil, err
	}
	manifest := new(Manifest)
	return manifest, canonical.Decode(v, manifest)
}

// compatible is the verification of contract §9.5: its checks, their order and their texts.
type compatible struct {
	bundle   *bundle
	manifest *Manifest
	checked  uint64
	errors   []string
}

// checkFiles verifies as contract §9.5 says. The error is that of the context.
func checkFiles(ctx context.Context, b *bundle, m *Manifest) (*Report, error) {
	c := &compatible{bundle: b, manifest: m, errors: []string{}}
	if m.ManifestVersion != Version {
		c.fail("unsupported manifest version: %s", m.ManifestVersion)
		return c.report(), nil
	}
	for _, check := range []func(context.Context){c.checkHashes, c.checkRoot, c.checkDecisions, c.checkAnchors} {
		if check(ctx); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return c.report(), nil
}

func (c *compatible) report() *Report {
	return &Report{Status: statusOf(len(c.errors) > 0), CheckedFiles: c.checked, Errors: c.errors}
}

func (c *compatible) fail(format string, args ...any) {
	if len(c.errors) >= maxErrors {
		return
	}
	c.errors = append(c.errors, fmt.Sprintf(format, args...))
}

func (c *compatible) checkHashes(ctx context.Context) {
	for _, f := range c.manifest.Integrity.FileHashes {
		digest, err := c.bundle.hash(ctx, f.Path)
		if err != nil {
			c.fail("artifact read failed for %s: %v", f.Path, err)
			continue
		}
		c.checked++
		if digest != f.Hash {
			c.fail("hash mismatch for %s", f.Path)
		}
	}
}

func (c *compatible) checkRoot(context.Context) {
	if canonical.Hash(c.manifest.Integrity.FileHashes) != c.manifest.Integrity.RootHash {
		c.fail("root hash mismatch")
	}
}

// checkDecisions reads the decisions at their fixed path, whether the manifest lists them or not.
func (c *compatible) checkDecisions(ctx context.Context) {
	seen := map[[sha256.Size]byte]bool{}
	duplicate := ""
	err := eachRecord(ctx, c.bundle, DecisionsPath, func(d *gate.DecisionRecord) {
		// Ids are of any length; their hashes are not.
		key := sha256.Sum256([]byte(d.TriggerID))
		if seen[key] && duplicate == "" {
			duplicate = fmt.Sprintf("duplicate decision for trigger %s", d.TriggerID)
		}
		seen[key] = true
	})
	switch {
	case isSyntax(err):
		c.fail("invalid decision log: %v", err)
	case err != nil:
		c.fail("decision log read failed: %v", err)
	case duplicate != "":
		c.fail("%s", duplicate)
	}
}

// eachRecord reads a log.
func eachRecord[R any](ctx context.Context, b *bundle, path string, visit func(*R)) error {
	in, err := b.open(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	l, err := newLog[R](in, path)
	for err == nil && l.head != nil {
		visit(l.head)
		err = l.advance()
	}
	return err
}

func isSyntax(err error) bool {
	var s *syntaxError
	return errors.As(err, &s)
}

// checkAnchors holds the recorded anchors against the manifest's policy.
func (c *compatible) checkAnchors(ctx context.Context) {
	policy := c.manifest.AnchorPolicy
	if policy == nil || len(policy.Providers) == 0 {
		return
	}
	content, err := c.bundle.read(ctx, SpecPath)
	if err != nil {
		c.fail("scenario spec read failed: %v", err)
		return
	}
	spec, err := parseSpec(content)
	if err != nil {
		c.fail("invalid scenario spec: %v", err)
		return
	}
	providers := make(map[gate.ConditionID]gate.ProviderID, len(spec.Conditions))
	for _, condition := range spec.Conditions {
		providers[condition.ConditionID] = condition.Query.ProviderID
	}
	// The texts are listed only when the whole log can be read.
	var texts []string
	err = eachRecord(ctx, c.bundle, GateEvalsPath, func(eval *gate.GateEvalRecord) {
		for i := range eval.Evidence {
			if text := checkAnchor(policy, providers, eval, &eval.Evidence[i]); text != "" && len(texts) < maxErrors {
				texts = append(texts, text)
			}
		}
	})
	switch {
	case isSyntax(err):
		c.fail("invalid gate eval log: %v", err)
	case err != nil:
		c.fail("gate eval log read failed: %v", err)
	default:
		for _, text := range texts {
			c.fail("%s", text)
		}
	}
}

func checkAnchor(policy *gate.AnchorPolicy, providers map[gate.ConditionID]gate.ProviderID, eval *gate.GateEvalRecord, record *gate.EvidenceRecord) string {
	if record.Result.Error != nil {
		return ""
	}
	provider, known := providers[record.ConditionID]
	if !known {
		return fmt.Sprintf("condition %s missing from scenario spec (trigger %s, stage %s)", record.ConditionID, eval.TriggerID, eval.StageID)
	}
	requirement := policy.Requirement(provider)
	if requirement == nil {
		return ""
	}
	if text := requirement.Check(record.Result.EvidenceAnchor); text != "" {
		return fmt.Sprintf("anchor invalid for condition %s (trigger %s, stage %s): %s", record.ConditionID, eval.TriggerID, eval.StageID, text)
	}
	return ""
}

func parseSpec(content []byte) (*gate.ScenarioSpec, error) {
	v, err := canonical.ParseRecord(content)
	if err != nil {
		return nil, err
	}
	spec := new(gate.ScenarioSpec)
	return spec, canonical.Decode(v, spec)
}
