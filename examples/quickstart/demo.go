package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where the run lives. Namespace 1 is reserved for tenants that the configuration names.
const (
	tenant    = 1
	namespace = 2
	runID     = "change-1"
)

// demo is one showing.
type demo struct {
	bin, files, repo string
	keep             bool

	*screen
	work     string // folder of the host's files and the evidence, removed at the end
	host     *runningHost
	scenario string // id
	asked    int    // triggers so far
}

// prepare makes the folder that the host works in.
func (d *demo) prepare() error {
	for _, dir := range []*string{&d.bin, &d.files, &d.repo} {
		var err error
		if *dir, err = filepath.Abs(*dir); err != nil {
			return err
		}
	}
	var err error
	if d.work, err = os.MkdirTemp("", "decision-gate-demo-"); err != nil {
		return err
	}
	for _, dir := range []string{"evidence", "runpacks"} {
		if err := os.Mkdir(filepath.Join(d.work, dir), 0o700); err != nil {
			return err
		}
	}
	return copyFile(filepath.Join(d.files, "host.hcl"), filepath.Join(d.work, "host.hcl"))
}

// tidyUp ends the host and removes what it kept.
func (d *demo) tidyUp() error {
	var err error
	if d.host != nil {
		err = d.host.end()
	}
	if d.work == "" || d.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(d.work))
}

// play is the story: each act fails unless what it tells comes true.
func (d *demo) play(ctx context.Context) error {
	d.line("%s", d.paint(bold, "Decision Gate: may this change be released?"))
	for _, act := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"Start a host, with a store and a runpack plugin as processes of their own", d.start},
		{"Define what must be true: checks, then review, then release", d.define},
		{"Ask before there is any evidence", d.askTooEarly},
		{"Vet and test the code, and ask again", d.check},
		{"Review: two of three must approve", d.review},
		{"Release: the artifact is known and the freeze is over", d.release},
		{"Export the record and check it offline, without the host", d.export},
		{"Change one byte of a copy of the record", d.tamper},
	} {
		d.title(act.title)
		if err := act.play(ctx); err != nil {
			return err
		}
	}
	d.whatNext()
	return nil
}

func (d *demo) start(ctx context.Context) error {
	err := d.during("starting", func() (err error) {
		d.host, err = startHost(ctx, filepath.Join(d.bin, "decision-gate"), filepath.Join(d.work, "host.hcl"))
		return err
	})
	if err != nil {
		return err
	}
	d.tell(green, "READY", "%s", d.host.URL)
	return nil
}

func (d *demo) define(ctx context.Context) error {
	text, err := os.ReadFile(filepath.Join(d.files, "scenario.json"))
	if err != nil {
		return err
	}
	var defined struct {
		ScenarioID string `json:"scenario_id"`
		SpecHash   struct {
			Value string `json:"value"`
		} `json:"spec_hash"`
	}
	if err := call(ctx, d.host.URL, "scenario_define", map[string]any{"spec": json.RawMessage(text)}, &defined); err != nil {
		return err
	}
	d.scenario = defined.ScenarioID
	d.tell(green, "DEFINED", "%s, sha256 %.12s", d.scenario, defined.SpecHash.Value)
	var started struct {
		Status string
		Stage  string `json:"current_stage_id"`
	}
	err = call(ctx, d.host.URL, "scenario_start", map[string]any{
		"scenario_id": d.scenario,
		"run_config": map[string]any{
			"tenant_id": tenant, "namespace_id": namespace, "run_id": runID, "scenario_id": d.scenario,
			"dispatch_targets": []any{}, "policy_tags": []any{},
		},
		"started_at": now(), "issue_entry_packets": true,
	}, &started)
	if err != nil {
		return err
	}
	d.tell(green, "STARTED", "run %s, %s at stage %s", runID, started.Status, started.Stage)
	return nil
}

func (d *demo) askTooEarly(ctx context.Context) error {
	return d.ask(ctx, expectation{kind: "hold", unmet: []string{"tests", "vet", "change"}})
}

func (d *demo) check(ctx context.Context) error {
	var (
		vet   vetReport
		tests testReport
		what  change
	)
	err := d.during("go vet and go test", func() (err error) {
		if vet, err = runVet(ctx, d.targets()); err != nil {
			return err
		}
		if tests, err = runTests(ctx, d.targets()); err != nil {
			return err
		}
		what, err = d.identifyChange(ctx)
		return err
	})
	if err != nil {
		return err
	}
	d.tell(dim, "evidence", "checks/vet.json: clean is %t", vet.Clean)
	d.tell(dim, "evidence", "checks/test.json: %d passed, %d failed", tests.Passed, tests.Failed)
	for _, failure := range slices.Concat(vet.Findings, tests.Failures) {
		d.detail("%s", failure)
	}
	d.tell(dim, "evidence", "change.json: %.12s from %s, clean is %t", what.ID, what.Source, what.Clean)
	for _, file := range []struct {
		path    string
		content any
	}{{"checks/vet.json", vet}, {"checks/test.json", tests}, {"change.json", what}} {
		if err := d.writeEvidence(file.path, file.content); err != nil {
			return err
		}
	}
	return d.ask(ctx, expectation{kind: "advance", to: "review"})
}

func (d *demo) review(ctx context.Context) error {
	for _, turn := range []struct {
		reviewer string
		expect   expectation
	}{
		{"ana", expectation{kind: "hold", unmet: []string{"quorum"}}},
		{"cleo", expectation{kind: "hold", unmet: []string{"quorum"}}},
		{"ben", expectation{kind: "advance", to: "release"}},
	} {
		file := filepath.Join("reviews", turn.reviewer+".json")
		text, err := os.ReadFile(filepath.Join(d.files, file))
		if err != nil {
			return err
		}
		var review struct{ Decision, Comment string }
		if err := json.Unmarshal(text, &review); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		if err := d.writeEvidence(file, json.RawMessage(text)); err != nil {
			return err
		}
		d.tell(dim, "evidence", "%s: %s (%q)", file, review.Decision, review.Comment)
		if err := d.ask(ctx, turn.expect); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) release(ctx context.Context) error {
	artifact, err := hashArtifact(filepath.Join(d.bin, "decision-gate"))
	if err != nil {
		return err
	}
	if err := d.writeEvidence("release.json", artifact); err != nil {
		return err
	}
	d.tell(dim, "evidence", "release.json: %s, sha256 %.12s", artifact.File, artifact.SHA256)
	return d.ask(ctx, expectation{kind: "complete"})
}

func (d *demo) whatNext() {
	d.line("\n%s", d.paint(bold, "What to try next"))
	next := [][2]string{
		{"Break the code, and see the run hold:", "sed -i.orig 's/100 - discount/100 + discount/' examples/quickstart/sample/price.go; make demo"},
		{"Mend it:", "mv examples/quickstart/sample/price.go.orig examples/quickstart/sample/price.go"},
		{"Keep the record, to look into it:", "make demo KEEP=1"},
	}
	if d.keep {
		next[2] = [2]string{"Look into the record that was kept:", "bin/decision-gate runpack inspect " + filepath.Join(d.work, "runpacks", runID)}
	}
	for _, n := range next {
		d.line("   %s\n     %s", n[0], n[1])
	}
	d.line("   Change examples/quickstart/scenario.json or a review and run it again; README.md shows how to write your own.")
}

// writeEvidence lays a file where the host's json provider finds it.
func (d *demo) writeEvidence(path string, content any) error {
	text, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return err
	}
	path = filepath.Join(d.work, "evidence", path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o600)
}

// joined is a list for a sentence.
func joined(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, ", ")
}
