package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/decision-gate-host/decision-gate-host/host/runpack"
)

// bundleFlags name a bundle.
type bundleFlags struct {
	Dir      string `arg:"" placeholder:"DIR" help:"The directory of the runpack."`
	Manifest string `default:"manifest.json" placeholder:"FILE" help:"The manifest, by its path in the directory (${default})."`
}

// open opens the directory. Errors of packages that also serve clients hide the paths of the machine; here it is the
// caller's own.
func (f bundleFlags) open() (*runpack.Directory, error) {
	dir, err := runpack.OpenDirectory(f.Dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no directory %s", f.Dir)
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read as a runpack: %w", f.Dir, plain(err))
	}
	return dir, nil
}

// explain words the errors for which a bundle cannot be read at all.
func (f bundleFlags) explain(err error) error {
	var manifest *runpack.ManifestError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &manifest):
		return fmt.Errorf("%s in %s is no manifest: %w", f.Manifest, f.Dir, manifest.Cause)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no %s in %s: name the manifest with --manifest", f.Manifest, f.Dir)
	default:
		return fmt.Errorf("%s in %s cannot be read: %w", f.Manifest, f.Dir, plain(err))
	}
}

// plain is the cause of an error whose own text hides it.
func plain(err error) error {
	var artifact *runpack.ArtifactError
	if errors.As(err, &artifact) && artifact.Cause != nil {
		return artifact.Cause
	}
	return err
}

type verifyCommand struct {
	bundleFlags
	Replay bool `help:"Derive every verdict again from the recorded evidence."`
	JSON   bool `help:"Answer with the report as one JSON object."`
}

func (c *verifyCommand) Help() string {
	return help("Checks that no file was changed, added or left out, that the records agree with one another, and, with --replay, that the recorded evidence leads to the recorded decisions. Needs no host and no network. "+
		"The JSON report is that of the open-source Decision Gate, with further findings in decision_gate; the answer is yes only when both pass.",
		"decision-gate runpack verify --replay runpacks/run-1")
}

func (c *verifyCommand) Run(ctx context.Context, std streams) error {
	dir, err := c.open()
	if err != nil {
		return err
	}
	defer dir.Close()
	options := runpack.Options{Replay: c.Replay}
	progress := newProgress(std)
	if progress != nil {
		options.Progress = progress.bundle
	}
	report, err := runpack.Verify(ctx, dir, c.Manifest, options)
	progress.end()
	if err != nil {
		return c.explain(err)
	}
	tell := c.tell
	if c.JSON {
		tell = func(std streams, report *runpack.Report) error { return writeMembers(std.out, *report) }
	}
	if err := tell(std, report); err != nil {
		return err
	}
	if report.Verdict() != runpack.Pass {
		return no()
	}
	return nil
}

// tell says the verdict first, then what it rests on, what is wrong, and what even a pass does not show.
func (c *verifyCommand) tell(std streams, r *runpack.Report) error {
	out := newScreen(std.out)
	if r.Verdict() == runpack.Pass {
		out.marked(green, "PASS", "  %s", c.Dir)
	} else {
		out.marked(red, "FAIL", "  %s", c.Dir)
	}
	out.line("")
	further := r.DecisionGate
	if further == nil {
		further = &runpack.Findings{}
	}
	tellChecked(out, r.CheckedFiles, further)
	if len(r.Errors)+len(further.Findings) > 0 {
		out.line("")
		out.line("What is wrong:")
	}
	for _, text := range r.Errors {
		out.line("  - %s", text)
	}
	for _, finding := range further.Findings {
		out.line("  - %s", finding)
	}
	if further.Omitted > 0 {
		out.line("  and %s more", plural(further.Omitted, "finding"))
	}
	tellLimits(out, further)
	return out.err
}

func tellChecked(out *screen, files uint64, f *runpack.Findings) {
	out.line("checked   %s, %s, %s, %s, %s, %s, %s", plural(files, "file"),
		plural(f.Checked.Decisions, "decision"), plural(f.Checked.Gates, "gate"), plural(f.Checked.Evidence, "piece")+" of evidence",
		plural(f.Checked.Packets, "packet"), plural(f.Checked.Submissions, "submission"), plural(f.Checked.ToolCalls, "tool call"))
	if f.Replay != nil {
		out.line("replayed  %s", plural(f.Replay.Decisions, "decision"))
	}
}

// tellLimits says what could not be checked, and what a pass does not prove.
func tellLimits(out *screen, f *runpack.Findings) {
	var limits []string
	for _, u := range []struct {
		n    uint64
		text string
	}{
		{f.Unverifiable.Requests, "request of a tool call"},
		{f.Unverifiable.Responses, "response of a tool call"},
		{f.Unverifiable.Receipts, "receipt"},
	} {
		if u.n > 0 {
			limits = append(limits, fmt.Sprintf("not in the bundle, so that its hash is not checked: %s (%d)", u.text, u.n))
		}
	}
	if f.Replay != nil {
		limits = append(limits, steps("depends on whether a number was written 1 or 1.0", f.Replay.Ambiguous)...)
		limits = append(limits, steps("depends on what is not in the bundle", f.Replay.Unreplayable)...)
	}
	if limits = append(limits, f.Notes...); len(limits) == 0 {
		return
	}
	out.line("")
	out.line("What this does not show:")
	for _, text := range limits {
		out.line("  - %s", text)
	}
}

func steps(what string, s runpack.Steps) []string {
	var list []string
	for _, step := range s.Steps {
		list = append(list, fmt.Sprintf("%s: %s", what, step))
	}
	if more := s.Count - uint64(len(s.Steps)); more > 0 {
		list = append(list, fmt.Sprintf("%s: %d more", what, more))
	}
	return list
}
