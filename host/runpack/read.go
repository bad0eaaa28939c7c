package runpack

import (
	"context"
	"errors"
	"iter"

	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// Bundle is a bundle that is read to be looked at. Nothing in it is checked but that it can be read: Verify checks.
type Bundle struct {
	Manifest *Manifest
	// Spec is nil when it cannot be read; SpecError says why.
	Spec      *gate.ScenarioSpec
	SpecError error

	bundle *bundle
}

// Step is everything that was recorded of one decision.
type Step struct {
	Trigger  *gate.TriggerRecord
	Gates    []gate.GateEvalRecord
	Decision *gate.DecisionRecord
	Packets  []gate.PacketRecord
}

// Open reads the manifest and the spec of a bundle. The errors are those of Verify.
func Open(ctx context.Context, r Reader, manifestPath string, o Options) (*Bundle, error) {
	b := newBundle(r, o)
	content, err := b.read(ctx, manifestPath)
	if err != nil {
		return nil, err
	}
	manifest, err := parseManifest(content)
	if err != nil {
		return nil, &ManifestError{Cause: err}
	}
	opened := &Bundle{Manifest: manifest, bundle: b}
	spec, err := b.read(ctx, SpecPath)
	if err == nil {
		opened.Spec, err = parseSpec(spec)
	}
	if err != nil {
		opened.Spec, opened.SpecError = nil, err
	}
	return opened, ctx.Err()
}

// Steps reads the decisions in order, each with what belongs to it, one at a time. After an error there are no more.
func (b *Bundle) Steps(ctx context.Context) iter.Seq2[*Step, error] {
	return func(yield func(*Step, error) bool) {
		logs, err := openLogs(ctx, b.bundle)
		defer logs.close()
		for err == nil {
			var s *step
			s, err = logs.step()
			if err == nil && s == nil {
				err = logs.leftOver()
				break
			}
			if err == nil && !yield(&Step{Trigger: s.trigger, Gates: s.evals, Decision: s.decision, Packets: s.packets}, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, located(err))
		}
	}
}

// located puts the place into the text of an error.
func located(err error) error {
	var broken *logError
	if !errors.As(err, &broken) {
		return err
	}
	finding := broken.at
	finding.Check, finding.Message = broken.check, broken.Error()
	return errors.New(finding.String())
}

// Submissions reads what was handed in to the run, in order.
func (b *Bundle) Submissions(ctx context.Context) iter.Seq2[*gate.SubmissionRecord, error] {
	return records[gate.SubmissionRecord](ctx, b.bundle, SubmissionsPath)
}

// ToolCalls reads the calls on the run, in order.
func (b *Bundle) ToolCalls(ctx context.Context) iter.Seq2[*gate.ToolCallRecord, error] {
	return records[gate.ToolCallRecord](ctx, b.bundle, ToolCallsPath)
}

func records[R any](ctx context.Context, b *bundle, path string) iter.Seq2[*R, error] {
	return func(yield func(*R, error) bool) {
		in, err := b.open(ctx, path)
		if err != nil {
			yield(nil, err)
			return
		}
		defer in.Close()
		l, err := newLog[R](in, path)
		for err == nil && l.head != nil {
			if !yield(l.head, nil) {
				return
			}
			err = l.advance()
		}
		if err != nil {
			yield(nil, located(&logError{check: CheckReadable, at: inFile(path), err: err}))
		}
	}
}
