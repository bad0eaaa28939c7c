// Package launchtest builds, starts and configures plugins for the conformance kits and for tests of plugins, over the
// same launch path that the host uses. It does not check what a plugin does: that is the work of the kits.
package launchtest

import (
	"context"
	"encoding/json"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/decision-gate-host/decision-gate-host/sdk/launch"
	pluginv1 "github.com/decision-gate-host/decision-gate-host/sdk/proto/decisiongate/plugin/v1"
)

const (
	// startTimeout bounds a start: interpreted plugins on a busy machine need seconds, a hung one must not stop a test run.
	startTimeout = 30 * time.Second
	// callTimeout bounds Manifest and Configure, which may open a database.
	callTimeout = 30 * time.Second
	// killTimeout is the time a plugin gets for an orderly end when its test is over.
	killTimeout = 5 * time.Second
)

// TB is the part of *testing.T that this package needs. The kits have recorders of their own behind it.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Build compiles the main package in the folder (or with the import path) pkg and returns the path of the binary, which
// lives as long as the test. Cgo is off, as in the released plugins.
func Build(t TB, pkg string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "plugin")
	if runtime.GOOS == "windows" {
		binary += ".exe"
	}
	cmd := exec.Command("go", "build", "-o", binary, pkg)
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return binary
}

// Start launches a plugin, reads its manifest and configures it with config, which is marshalled to JSON. The process
// ends with the test.
func Start(t TB, spec launch.Spec, config any) *launch.Process {
	t.Helper()
	p := Launch(t, spec)
	body, err := json.Marshal(config)
	if err != nil {
		t.Fatalf("marshal the configuration: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if _, err := pluginv1.NewPluginClient(p.Conn()).Configure(ctx, &pluginv1.ConfigureRequest{ConfigJson: body}); err != nil {
		t.Fatalf("plugin %s: Configure: %v\nlast log lines: %q", spec.Name, err, p.LastLog())
	}
	return p
}

// Launch is Start without Configure: for tests of configurations that are refused.
func Launch(t TB, spec launch.Spec) *launch.Process {
	t.Helper()
	if spec.Name == "" {
		spec.Name = filepath.Base(spec.Path)
	}
	if spec.StartTimeout == 0 {
		spec.StartTimeout = startTimeout
	}
	if spec.Logger == nil {
		// A plugin's log is shown only with a failure, through LastLog.
		spec.Logger = slog.New(slog.DiscardHandler)
	}
	p, err := launch.Start(context.Background(), spec)
	if err != nil {
		t.Fatalf("start plugin %s: %v", spec.Name, err)
	}
	t.Cleanup(func() { p.Kill(killTimeout) })
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	if _, err := pluginv1.NewPluginClient(p.Conn()).Manifest(ctx, &pluginv1.ManifestRequest{}); err != nil {
		t.Fatalf("plugin %s: Manifest: %v\nlast log lines: %q", spec.Name, err, p.LastLog())
	}
	return p
}
