package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// evalsFile holds the evidence and the verdicts of a runpack.
const evalsFile = "artifacts/gate_evals.json"

// export writes the record twice: to the runpack plugin, which keeps it, and to a folder, which anybody can check.
func (d *demo) export(ctx context.Context) error {
	var stored struct {
		URI string `json:"storage_uri"`
	}
	arguments := map[string]any{
		"scenario_id": d.scenario, "tenant_id": tenant, "namespace_id": namespace, "run_id": runID,
		"generated_at": now(), "include_verification": true,
	}
	if err := call(ctx, d.host.URL, "runpack_export", arguments, &stored); err != nil {
		return err
	}
	if stored.URI == "" {
		return errors.New("the runpack plugin answers no URI for what it keeps")
	}
	var verified struct{ Status string }
	if err := call(ctx, d.host.URL, "runpack_verify", map[string]any{"runpack_dir": stored.URI, "manifest_path": "manifest.json"}, &verified); err != nil {
		return err
	}
	if verified.Status != "pass" {
		return fmt.Errorf("the stored runpack does not verify: %s", verified.Status)
	}
	d.tell(green, "STORED", "by the runpack plugin, and verified there")

	dir := filepath.Join(d.work, "runpacks", runID)
	arguments["output_dir"] = dir
	if err := call(ctx, d.host.URL, "runpack_export", arguments, &struct{}{}); err != nil {
		return err
	}
	d.tell(dim, "command", "decision-gate runpack verify --replay RUNPACK")
	code, report, err := d.verify(ctx, dir)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the exported runpack does not verify (exit code %d):\n%s", code, report)
	}
	d.tell(green, "VERIFIED", "every file is whole, and the recorded evidence yields the recorded verdicts again")
	return nil
}

// tamper shows that a changed record is found out.
func (d *demo) tamper(ctx context.Context) error {
	forged := filepath.Join(d.work, "forged")
	if err := os.CopyFS(forged, os.DirFS(filepath.Join(d.work, "runpacks", runID))); err != nil {
		return err
	}
	if err := flipByte(filepath.Join(forged, evalsFile)); err != nil {
		return err
	}
	code, report, err := d.verify(ctx, forged)
	if err != nil {
		return err
	}
	if code != 1 {
		return fmt.Errorf("verification of a changed runpack ends with exit code %d, not 1:\n%s", code, report)
	}
	if !strings.Contains(report, evalsFile) {
		return fmt.Errorf("verification does not name %s, which was changed:\n%s", evalsFile, report)
	}
	d.tell(red, "REFUSED", "verification fails and names %s", evalsFile)
	return nil
}

// verify runs the offline check: exit code 0 is a pass, 1 a failure, and anything else means that it could not be done.
func (d *demo) verify(ctx context.Context, dir string) (code int, report string, err error) {
	var stdout, stderr string
	err = d.during("verifying", func() (err error) {
		stdout, stderr, code, err = output(command(ctx, "", filepath.Join(d.bin, "decision-gate"), "runpack", "verify", "--replay", dir))
		return err
	})
	return code, stdout + stderr, err
}

// flipByte changes the byte in the middle of a file.
func flipByte(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(content) == 0 {
		return &fs.PathError{Op: "change", Path: path, Err: errors.New("the file is empty")}
	}
	content[len(content)/2] ^= 1
	return os.WriteFile(path, content, 0o600)
}
