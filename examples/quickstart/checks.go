package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// target is Go code that is vetted and tested.
type target struct {
	dir, pattern string
	env          []string
}

// targets are the sample module, which a reader may break, and one package of this repository that is tested fast.
func (d *demo) targets() []target {
	return []target{
		// The sample is no part of the workspace.
		{dir: filepath.Join(d.files, "sample"), pattern: "./...", env: []string{"GOWORK=off"}},
		{dir: d.repo, pattern: "./host/canonical"},
	}
}

func (t target) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := command(ctx, t.dir, "go", append(args, t.pattern)...)
	cmd.Env = append(os.Environ(), t.env...)
	return cmd
}

// testReport is evidence/checks/test.json.
type testReport struct {
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Skipped  int      `json:"skipped"`
	Failures []string `json:"failures"`
}

// runTests runs go test -json and counts its events; a package that does not build is a failure too.
func runTests(ctx context.Context, targets []target) (testReport, error) {
	report := testReport{Failures: []string{}}
	for _, t := range targets {
		stdout, stderr, code, err := output(t.command(ctx, "test", "-json"))
		if err != nil {
			return report, fmt.Errorf("go test cannot run in %s: %w", t.dir, err)
		}
		before := report.Failed
		if err := report.count(strings.NewReader(stdout)); err != nil {
			return report, fmt.Errorf("go test -json in %s: %w", t.dir, err)
		}
		if code != 0 && report.Failed == before {
			// What fails before the first event, such as a broken go.mod, must not look like success.
			report.fail(stderr)
		}
	}
	return report, nil
}

func (r *testReport) count(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		text, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var event struct{ Action, Package, Test string }
		if err := json.Unmarshal(text, &event); err != nil {
			return err
		}
		switch {
		case event.Action == "fail":
			r.fail(event.Package + " " + event.Test)
		case event.Test == "": // the other lines of a package repeat those of its tests
		case event.Action == "pass":
			r.Passed++
		case event.Action == "skip":
			r.Skipped++
		}
	}
}

func (r *testReport) fail(what string) {
	r.Failed++
	r.Failures = append(r.Failures, strings.TrimSpace(what))
}

// vetReport is evidence/checks/vet.json.
type vetReport struct {
	Clean    bool     `json:"clean"`
	Findings []string `json:"findings"`
}

func runVet(ctx context.Context, targets []target) (vetReport, error) {
	report := vetReport{Clean: true, Findings: []string{}}
	for _, t := range targets {
		_, stderr, code, err := output(t.command(ctx, "vet"))
		if err != nil {
			return report, fmt.Errorf("go vet cannot run in %s: %w", t.dir, err)
		}
		if code != 0 {
			report.Clean = false
			report.Findings = append(report.Findings, strings.Split(strings.TrimSpace(stderr), "\n")...)
		}
	}
	return report, nil
}

// change is evidence/change.json: what is gated.
type change struct {
	Source string `json:"source"` // "git", or "files" outside of a git checkout
	ID     string `json:"id"`     // commit, or hash of the sample's files
	Clean  bool   `json:"clean"`  // no uncommitted changes; never said of files
}

func (d *demo) identifyChange(ctx context.Context) (change, error) {
	commit, _, code, err := output(command(ctx, d.repo, "git", "rev-parse", "--verify", "HEAD"))
	if err != nil || code != 0 {
		id, err := hashFiles(filepath.Join(d.files, "sample"))
		return change{Source: "files", ID: id}, err
	}
	status, stderr, code, err := output(command(ctx, d.repo, "git", "status", "--porcelain"))
	if err != nil || code != 0 {
		return change{}, errors.Join(fmt.Errorf("git status (exit code %d): %s", code, stderr), err)
	}
	return change{Source: "git", ID: strings.TrimSpace(commit), Clean: status == ""}, nil
}

// hashFiles is one SHA-256 over the names and contents of a folder's files, in the order of their names.
func hashFiles(dir string) (string, error) {
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		fmt.Fprintf(sum, "%s\x00%d\x00", path, len(content))
		sum.Write(content)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// release is evidence/release.json: what would be shipped.
type release struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
}

func hashArtifact(path string) (release, error) {
	f, err := os.Open(path)
	if err != nil {
		return release{}, err
	}
	defer f.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return release{File: filepath.Base(path), SHA256: hex.EncodeToString(sum.Sum(nil))}, err
}
